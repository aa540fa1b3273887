"""Synthesis of a component: RTLIL straight from Amaranth, Yosys, ABC with a delay-oriented script; cells of a library or generic gates.

Repeated blocks (:class:`rtl.common.once.EmitOnce`) stay modules of their own and are counted as often as they occur; all else is flattened.
SRAMs stay black boxes and are counted in bits.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyosys
from amaranth.lib import wiring

from sim.synthesis.fanout import buffer_registers
from sim.synthesis.liberty import Library
from sim.synthesis.timing import Path as TimingPath
from sim.synthesis.timing import longest
from sim.tools import ToolError
from sim.verilog.emit import rtlil_of
from sim.verilog.yosys import yosys

__all__ = ["SCRIPT", "Netlist", "Synthesis", "map_to_cells", "synthesise"]

#: Structural choices (`dch`) and mapping for delay, three times: each round starts from the structure that the one before mapped.
_ROUND = ("strash", "dch -f", "map -B 0.9 -D {target}")
#: The ABC script: rounds of mapping, then buffers and sizes. Without `dc2`, which destroys prefix adders; `buffer -p` gives less area than
#: `buffer -c`, at the same delay.
SCRIPT = (
    "strash", "&get -n", "&fraig -x", "&put", "scorr", *_ROUND, *_ROUND, *_ROUND, "topo", "buffer -p", "upsize -D {target}",
    "dnsize -D {target}", "stime -p",
)
#: The same with generic gates, whose delay is counted in levels.
_GENERIC_GATES = "AND,NAND,OR,NOR,XOR,XNOR,ANDNOT,ORNOT,MUX"


@dataclass
class Synthesis:
    """What came out. Areas in um2 (None without a library), times in ns (without a library: `depth` in gates)."""

    cells: int = 0
    flip_flops: int = 0
    area: float | None = None
    nand2: float | None = None
    transistors: int | None = None
    sram_bits: int = 0
    paths: dict[str, TimingPath] = field(default_factory=dict)
    #: Combinational delay as ABC sees it, ns.
    abc_delay: float | None = None
    #: What each of the parts holds, and "" all else; without paths.
    parts: dict[str, "Synthesis"] = field(default_factory=dict)


@dataclass
class Netlist:
    """What Yosys and ABC made: modules in the form of Yosys's JSON, `dut` on top; SystemVerilog of the SRAMs, which are black boxes."""

    modules: dict
    srams: dict[str, str]
    #: Combinational delay as ABC sees it, ns.
    abc_delay: float | None


def synthesise(
    component: wiring.Component, library: Library | None, target: float = 3.0, adder: str | None = None, parts: Sequence[str] = (),
) -> Synthesis:
    """Synthesises a component, and adds up what came out; the parameters are those of :func:`map_to_cells`."""
    return _summary(map_to_cells(component, library, target, adder, parts), library, parts)


def map_to_cells(
    component: wiring.Component, library: Library | None, target: float = 3.0, adder: str | None = None, parts: Sequence[str] = (),
) -> Netlist:
    """Maps a component to cells.

    Parameters
    ----------
    library
        None counts generic gates and transistors.
    target : ns
        Delay that ABC sizes for.
    adder
        Carry look-ahead of Yosys: `kogge-stone`, `han-carlson`, `sklansky`, or None for its own (Brent-Kung).
    parts
        Submodules, by their path with dots, that stay apart to be counted. Nothing is shared across their borders, and paths end there.

    Raises :class:`ToolError` where Yosys fails, or the library lacks cells for the component.
    """
    text, srams, kept = rtlil_of(component, "dut")
    kept += [f"dut.{part}" for part in parts]
    if missing := [name for name in kept if f"\nmodule \\{name}\n" not in text]:
        raise ToolError(f"{type(component).__name__} has no part {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "design.il").write_text(text)
        (folder / "srams.sv").write_text("".join(srams.values()))
        (folder / "abc.script").write_text("\n".join(SCRIPT).format(target=round(1000 * target)) + "\n")
        if library:
            (folder / "cells.lib").write_text(library.text)  # ABC reads no compressed file
        run = yosys(_commands(folder, bool(srams), kept, library, adder), folder=folder)
        if run.returncode or not (folder / "netlist.json").exists():
            raise ToolError(f"Yosys could not synthesise {type(component).__name__}: {(run.stdout + run.stderr).strip()[-2000:]}")
        netlist = json.loads((folder / "netlist.json").read_text())
        log = (folder / "abc.log").read_text()
    delays = [float(value) / 1000 for value in re.findall(r"Delay\s*=\s*([\d.]+) ps", log)]
    return Netlist(netlist["modules"], srams, max(delays, default=None))


def _commands(folder: Path, srams: bool, kept: list[str], library: Library | None, adder: str | None) -> list[str]:
    share = Path(pyosys.__file__).parent / "share"
    choice = f" -map {share / 'choices' / adder}.v" if adder else ""
    commands = [f"read_rtlil {folder / 'design.il'}"]
    if srams:
        commands += [f"read_verilog -sv -DSYNTHESIS {folder / 'srams.sv'}", "blackbox sram_*"]
    commands += [
        # Assertions are no gates.
        "hierarchy -top dut", "proc -norom", "chformal -remove",
        *(f"setattr -mod -set keep_hierarchy 1 {name}" for name in kept), "flatten",
        "setattr -unset init */w:*", "opt -full", "memory -nomap", "memory_map", "wreduce", "peepopt", "opt_clean", "booth",
        "alumacc", "opt", f"techmap -map +/techmap.v{choice}", "opt -full", "simplemap",
    ]
    abc = f"abc -exe {share.parent / 'yosys-abc'}"
    if library:
        commands += [
            f"dfflibmap -liberty {folder / 'cells.lib'}", "opt", "simplemap",
            f"-o {folder / 'abc.log'} {abc} -liberty {folder / 'cells.lib'} -script {folder / 'abc.script'}",
            f"hilomap -singleton {_ties(library)}" if _ties(library) else "opt_clean",
        ]
    else:
        commands += ["dfflegalize -cell $_DFF_P_ x", "opt -nodffe -nosdff", f"-o {folder / 'abc.log'} {abc} -g {_GENERIC_GATES}"]
    return [*commands, "opt_clean -purge", f"write_json {folder / 'netlist.json'}"]


def _ties(library: Library) -> str:
    high, low = (
        next((f"{c.name} {pin}" for c in library.cells.values() for pin, f in c.outputs.items() if not c.inputs and f == value), "")
        for value in "10"
    )
    return f"-hicell {high} -locell {low}" if high and low else ""


def _summary(netlist: Netlist, library: Library | None, parts: Sequence[str]) -> Synthesis:
    modules = netlist.modules
    if library:
        for module in modules.values():
            buffer_registers(module, library)
    kinds: Counter[str] = Counter()
    _count(modules, "dut", 1, kinds)
    result = _total(kinds, netlist.srams, library)
    result.abc_delay = netlist.abc_delay
    for part in ("", *parts) if parts else ():
        own: Counter[str] = Counter()
        _count(modules, f"dut.{part}" if part else "dut", 1, own, {f"dut.{other}" for other in parts if other != part})
        result.parts[part] = _total(own, netlist.srams, library)
    for name, module in modules.items():
        if not module.get("attributes", {}).get("blackbox"):
            for kind, path in longest(module, library).items():
                if kind not in result.paths or path.delay > result.paths[kind].delay:
                    result.paths[kind] = TimingPath(path.delay, path.source, path.target, path.stages, None if name == "dut" else name)
    return result


def _total(kinds: Counter[str], srams: dict[str, str], library: Library | None) -> Synthesis:
    """Cells by kind, added up."""
    result = Synthesis()
    for kind, count in kinds.items():
        if kind in srams:
            depth, width = map(int, re.search(r"_(\d+)x(\d+)", kind).groups())
            result.sram_bits += count * depth * width
            continue
        result.cells += count
        result.flip_flops += count * (kind.startswith("$_DFF") or bool(library and library.cells[kind].clock))
    if library:
        result.area = sum(library.cells[kind].area * count for kind, count in kinds.items() if kind not in srams)
        result.nand2 = result.area / library.nand2.area
    else:
        result.transistors = sum(_TRANSISTORS.get(kind, 0) * count for kind, count in kinds.items())
        result.nand2 = result.transistors / 4
    return result


#: CMOS transistors of generic gates, static and complementary; a flip-flop is two latches of transmission gates with their clock inverters.
_TRANSISTORS = {
    "$_NOT_": 2, "$_BUF_": 4, "$_NAND_": 4, "$_NOR_": 4, "$_AND_": 6, "$_OR_": 6, "$_ANDNOT_": 6, "$_ORNOT_": 6,
    "$_XOR_": 12, "$_XNOR_": 12, "$_MUX_": 12, "$_DFF_P_": 24,
}


def _count(modules: dict, name: str, times: int, kinds: Counter[str], but: Collection[str] = ()):
    """Adds the cells of a module and of those below it, `but` not of these."""
    for cell in modules[name]["cells"].values():
        kind = cell["type"]
        if kind in but:
            continue
        if kind in modules and not modules[kind].get("attributes", {}).get("blackbox"):
            _count(modules, kind, times, kinds, but)
        else:
            kinds[kind] += times
