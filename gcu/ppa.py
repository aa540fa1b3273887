# amaranth: UnusedElaboratable=no
"""`gcu ppa`: area, cells and delay of the blocks, from the RTL that simulates."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring

from gcu.errors import BadInput
from gcu.output import check_writable, console, progress, table, write_json
from rtl.config import ChipConfig
from sim.synthesis.flow import SCRIPT, Synthesis, synthesise
from sim.synthesis.liberty import Library, LibraryError
from sim.tools import ToolError

__all__ = ["BLOCKS", "ppa"]

#: Formats of a processing element, by the name of the variant; None has those of the configuration.
_VARIANTS = {"all": None, "FP32": ("FP32",), "FP16": ("FP16",), "INT8": ("INT8",)}

#: Delay, ns, that ABC sizes for: of a combinational processing element, and of everything with registers.
_COMBINATIONAL, _PERIOD = 9.0, 3.5


@dataclasses.dataclass(frozen=True)
class Variant:
    """One thing to synthesise; `formats` and `form` tell those of a processing element apart. With `parts`, submodules by feature, which
    are synthesised apart to be counted."""

    block: str
    make: Callable[[], wiring.Component]
    formats: str = ""
    form: str = "registered"
    target: float = _PERIOD
    parts: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def _pe(config: ChipConfig) -> list[Variant]:
    from rtl.tensor.arithmetic import Arithmetic
    from rtl.tensor.pe import ProcessingElement

    variants = []
    for name, formats in _VARIANTS.items():
        if formats and not set(formats) <= set(config.formats):
            continue
        chosen = dataclasses.replace(config, formats=formats or config.formats)
        variants += [
            Variant("pe", lambda chosen=chosen: Arithmetic(chosen, pipelined=False), name, "combinational", _COMBINATIONAL),
            Variant("pe", lambda chosen=chosen: ProcessingElement(chosen), name, "pipelined"),
        ]
    return variants


def _one(block: str, module: str, name: str, *arguments) -> Callable[[ChipConfig], list[Variant]]:
    def variants(config: ChipConfig) -> list[Variant]:
        def make() -> wiring.Component:
            return getattr(__import__(module, fromlist=[name]), name)(config, *arguments)

        return [Variant(block, make)]

    return variants


#: Submodules of the data engine by what they are for; all else joins them.
_FEATURES = {
    "checks of a command": ("front_end",), "walk, padding, windows": ("mid_end", "mid_end.cut"), "gather": ("mid_end.gather",),
    "transposition": ("reshaper.transposer",), "conversion": ("reshaper.converter",), "alignment": ("arrivals", "departures"),
    "runs": ("reads", "writes", "segments", "read_expander", "read_coalescer", "write_expander", "write_coalescer"),
    "reading": ("reader",), "writing": ("writer",), "order, errors": ("ledger",),
}


def _data_engine(config: ChipConfig) -> list[Variant]:
    (whole,) = _one("data_engine", "rtl.data_engine.engine", "DataEngine")(config)
    return [whole, dataclasses.replace(whole, form="by feature", parts=_FEATURES)]


#: Blocks by name, in the order of the table.
BLOCKS = {
    "pe": _pe,
    "tensor": _one("tensor", "rtl.tensor.core", "TensorCore"),
    "vector": _one("vector", "rtl.vector.engine", "VectorEngine"),
    "data_engine": _data_engine,
    "sequencer": _one("sequencer", "rtl.sequencer.sequencer", "Sequencer"),
    "l1": _one("l1", "rtl.l1.scratchpad", "L1"),
    "l2": _one("l2", "rtl.l2.scratchpad", "L2", 4),
    "fabric": _one("fabric", "rtl.fabric.fabric", "Fabric"),
    "host": _one("host", "rtl.host.host", "Host"),
    "memory": _one("memory", "rtl.memory.controller", "MemoryController"),
}


def ppa(block: str | None, config: ChipConfig, *, liberty: Path | None = None, json_to: str | None = None) -> dict:
    """Synthesises one block, or all; raises :class:`BadInput` for an unknown block or a file that is no library."""
    check_writable("--json", json_to)
    if block is not None and block not in BLOCKS:
        raise BadInput(f"--block: {block!r} is not one of {', '.join(BLOCKS)}")
    try:
        library = Library(liberty) if liberty else None
    except LibraryError as error:
        raise BadInput(f"--liberty {error}") from None
    variants = [variant for name in ([block] if block else BLOCKS) for variant in BLOCKS[name](config)]
    rows = []
    with progress("synthesised", len(variants)) as update:
        for done, variant in enumerate(variants):
            update(done)
            begin = time.perf_counter()
            try:
                parts = [part for feature in variant.parts.values() for part in feature]
                result = synthesise(variant.make(), library, variant.target, parts=parts)
            except ToolError as error:
                raise BadInput(str(error)) from None
            rows.append(_row(variant, result, library, time.perf_counter() - begin))
    report = {
        "config": config.name,
        "library": library.name if library else None,
        "nand2": {"cell": library.nand2.name, "area_um2": library.nand2.area} if library else {"cell": "4 transistors", "area_um2": None},
        "script": "; ".join(SCRIPT) if library else None,
        "blocks": rows,
    }
    _print(report, json_to)
    write_json(report, json_to)
    return report


def _row(variant: Variant, result: Synthesis, library: Library | None, seconds: float) -> dict:
    paths = {
        kind: {"delay": round(path.delay, 3), "from": path.source, "to": path.target, "cells": path.stages, "module": path.block}
        for kind, path in sorted(result.paths.items())
    }
    # Inputs come from registers of the neighbour, which take their own delay.
    launch = _launch(library)
    within = [path.delay for kind, path in result.paths.items() if kind in ("reg_reg", "reg_out")]
    within += [path.delay + launch for kind, path in result.paths.items() if kind == "in_reg"]
    registered = bool(result.flip_flops) and variant.form not in ("combinational", "by feature")
    return {
        "block": variant.block, "formats": variant.formats or None, "form": variant.form,
        "area_um2": None if result.area is None else round(result.area, 1), "nand2": round(result.nand2 or 0),
        "transistors": result.transistors, "cells": result.cells, "flip_flops": result.flip_flops, "sram_bits": result.sram_bits,
        "combinational": paths.get("in_out", {}).get("delay"), "register_to_register": paths.get("reg_reg", {}).get("delay"),
        "period": round(max(within), 3) if registered and within else None, "unit": "ns" if library else "gates", "paths": paths,
        "abc_delay": result.abc_delay, "seconds": round(seconds, 1), "features": _features(variant, result),
    }


def _features(variant: Variant, result: Synthesis) -> list[dict]:
    """Area of each feature of a variant with parts, and its share, percent."""
    if not variant.parts:
        return []
    rows = []
    for name, parts in {**variant.parts, "what joins them": ("",)}.items():
        found = [result.parts[part] for part in parts]
        nand2 = sum(part.nand2 or 0 for part in found)
        rows.append({
            "feature": name, "nand2": round(nand2), "share": round(100 * nand2 / (result.nand2 or 1), 1),
            "flip_flops": sum(part.flip_flops for part in found), "sram_bits": sum(part.sram_bits for part in found),
        })
    return rows


def _launch(library: Library | None) -> float:
    """Clock-to-output delay, ns, of the library's smallest flip-flop that drives four NAND2 inputs."""
    if library is None:
        return 0.0
    flops = [cell for cell in library.cells.values() if cell.clock and cell.setup]
    if not flops:
        return 0.0
    load = 4 * max(library.nand2.inputs.values())
    cell = min(flops, key=lambda flop: flop.area)
    arcs = [arc for arcs in cell.arcs.values() for arc in arcs if arc.source == cell.clock]
    return max((delay(0.02, load) for arc in arcs for delay in arc.delays.values()), default=0.0)


def _print(report: dict, json_to: str | None):
    with_library = report["library"] is not None
    unit = "ns" if with_library else "gates"
    columns = ["block", "formats", "form", "um2" if with_library else "transistors", "NAND2", "cells", "flip-flops", "SRAM bits",
               f"in to out, {unit}", f"reg to reg, {unit}", f"period, {unit}", "s"]

    def number(value, digits: int = 0):
        return "" if value is None else f"{value:,.{digits}f}"

    rows = [
        [
            row["block"], row["formats"] or "", row["form"], number(row["area_um2"] if with_library else row["transistors"]),
            *(number(row[key]) for key in ("nand2", "cells", "flip_flops", "sram_bits")),
            *(number(row[key], 2 if with_library else 0) for key in ("combinational", "register_to_register", "period")),
            number(row["seconds"]),
        ]
        for row in report["blocks"]
    ]
    title = f"{report['config']}, {report['library'] or 'generic gates'}"
    console(json_to).print(table(title, columns, rows, left=3))
    for row in report["blocks"]:
        if row["features"]:
            console(json_to).print(table(
                f"{row['block']} by feature", ["feature", "NAND2", "%", "flip-flops", "SRAM bits"],
                [[each["feature"], number(each["nand2"]), number(each["share"], 1), number(each["flip_flops"]), number(each["sram_bits"])]
                 for each in row["features"]], left=1,
            ))
    nand2 = report["nand2"]
    area = f" of {nand2['area_um2']} um2" if with_library else ""
    console(json_to).print(f"one NAND2: {nand2['cell']}{area}; SRAMs are counted in bits, not in area")
