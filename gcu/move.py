"""`gcu move`: operations on one tensor, by the data engine of the chip."""

import hashlib
from pathlib import Path

import numpy as np

from compiler.errors import CompileError, NotFused
from compiler.tensor_move import Pass, plan
from gcu.errors import BadInput, CheckFailed
from gcu.execute import check_outcomes, claimed, describe, execute, stalls, wave_files
from gcu.expected import expected
from gcu.move_file import Spec, load_spec, load_tensor, store_tensor
from gcu.move_job import MEASURED, TAGS, check_room, workload
from gcu.output import check_writable, console, table, write_json
from gcu.waves.show import show_waves
from rtl.config import ChipConfig
from rtl.isa import Engine
from sim.tools import build_folder
from sim.workload import Outcome

__all__ = ["move", "perform"]


def move(
    spec: Path, tensor: Path | None, config: ChipConfig, *, out: Path, passes: bool = False, memory: str = "hbm", on: list[str],
    json_to: str | None = None, waves: bool = False,
) -> dict:
    """Runs the move; raises :class:`CheckFailed` if a back end's result is not numpy's."""
    check_writable("-o", out)
    check_writable("--json", json_to)
    wanted = load_spec(spec)
    codes, element = load_tensor(tensor, wanted)
    try:
        planned = plan(wanted.operations, codes.shape, element, passes)
    except CompileError as error:
        hint = "; --passes allows several" if isinstance(error, NotFused) else ""
        raise BadInput(f"{spec}: {error}{hint}") from None
    report, outcomes, result = perform(wanted, codes, planned, config, memory, on, waves)
    store_tensor(out, result, planned[-1].tensor.element)
    _print(report, outcomes, json_to)
    write_json(report, json_to)
    return report


def perform(
    spec: Spec, codes: np.ndarray, planned: list[Pass], config: ChipConfig, memory: str, on: list[str], waves: bool = False,
) -> tuple[dict, dict[str, Outcome], np.ndarray]:
    """Runs planned passes and compares; the report, the outcomes and the codes of the result."""
    check_room(spec, planned, config)
    made, where = workload(spec, codes, planned, config, memory)
    element, shape = planned[-1].tensor.element, planned[-1].tensor.shape
    wanted = expected(spec.operations, codes, planned[0].tensor.source)
    assert wanted.shape == shape
    digest = hashlib.sha256(repr((spec, codes.shape, config.name, memory)).encode()).hexdigest()[:12]
    folder = build_folder() / "runs" / f"move_{digest}"
    with claimed(folder):
        outcomes = execute(made, on, folder, waves=waves)
        dram = check_outcomes(made, outcomes, folder)
        shown = {}
        if waves:
            title = f"{' + '.join(operation.name for operation in spec.operations)} on {config.name}, {memory} memory"
            shown = show_waves(wave_files(outcomes, folder), folder, config, TAGS, title)
    for name, outcome in outcomes.items():
        _compare(name, outcome, wanted, where)
    report = {
        "src": spec.source.name, "dst": spec.target.name, "ops": [operation.name for operation in spec.operations],
        "config": config.name, "memory": memory, "dtype": planned[0].tensor.source.name, "shape": list(codes.shape),
        "out_dtype": element.name, "out_shape": list(shape), "engine": where.engine, "cycles": None,
        "bytes_read": sum(command.read for each in planned for command in each.commands),
        "bytes_written": sum(command.written for each in planned for command in each.commands),
        "bytes_per_cycle": None, "passes": len(planned), "descriptors": sum(len(each.commands) for each in planned),
        "stalls": {}, "bit_exact": True, "backends": describe(outcomes), "dram": dram,
    }
    timed = next((outcome for outcome in outcomes.values() if outcome.clocks is not None), None)
    if timed is not None:
        cycles = timed.jobs[MEASURED].cycles
        assert cycles
        report |= {
            "cycles": cycles, "bytes_per_cycle": report["bytes_written"] / cycles,
            "stalls": stalls(timed.counters[MEASURED], Engine.DATA, where.lane),
        }
    return report | shown, outcomes, wanted


def _compare(name: str, outcome: Outcome, wanted: np.ndarray, where):
    """Every byte of the result, and that those around it are as they were."""
    raw = np.frombuffer(outcome.reads[0], np.uint8)
    body = raw[where.guard : len(raw) - where.guard].view(wanted.dtype).reshape(wanted.shape)
    differ = np.argwhere(body != wanted)
    if len(differ):
        at = tuple(int(i) for i in differ[0])
        raise CheckFailed(
            f"OUT{list(at)}: {name} has the code {int(body[at]):#x}, numpy {int(wanted[at]):#x}; {len(differ)} of {wanted.size} differ"
        )
    around = np.concatenate([raw[: where.guard], raw[len(raw) - where.guard :]])
    if (around != where.mark).any():
        count = np.count_nonzero(around != where.mark)
        raise CheckFailed(f"{name} wrote outside of the result: {count} of the {len(around)} byte around it")


def _print(report: dict, outcomes: dict[str, Outcome], json_to: str | None):
    out = console(json_to)
    title = (
        f"{' + '.join(report['ops'])}: {report['dtype']} {report['shape']} in {report['src']} to {report['out_dtype']} "
        f"{report['out_shape']} in {report['dst']}, {report['engine']} of {report['config']}, {report['memory']} memory"
    )
    rows = [
        [row["name"], row["version"], row["cycles"][MEASURED] if row["cycles"] else "", row["clocks"] or "", row["clocks_per_second"] or ""]
        for row in report["backends"]
    ]
    out.print(table(title, ["back end", "version", "cycles", "clocks in all", "clocks/s"], rows, left=2))
    rate = "" if report["cycles"] is None else f", {report['bytes_per_cycle']:.2f} byte written a cycle"
    passes, descriptors = report["passes"], report["descriptors"]
    out.print(
        f"{passes} pass{'es' if passes > 1 else ''}, {descriptors} descriptor{'s' if descriptors > 1 else ''}, "
        f"{report['bytes_read']:,} byte read, {report['bytes_written']:,} written{rate}"
    )
    out.print(f"{', '.join(outcomes)}: every byte is numpy's")
    if "waves" in report:
        out.print("\n".join([*report["waves"], *report["views"], report["wave_picture"]]))
