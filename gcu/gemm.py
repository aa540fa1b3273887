"""`gcu gemm`: one matrix product, C = A x B, on the chip."""

import math
from pathlib import Path

import numpy as np

from gcu.errors import BadInput, CheckFailed
from gcu.execute import check_outcomes, claimed, describe, execute, stalls, wave_files
from gcu.operands import DTYPES, OUTPUTS, STORED, Operand, load, random
from gcu.output import check_writable, console, table, write_json
from gcu.product import Product, check_room, from_l1, from_l3
from gcu.waves.show import show_waves
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import Engine
from sim.tools import build_folder
from sim.workload import Outcome

__all__ = ["gemm"]


def gemm(
    m: int, n: int, k: int, dtype: str, config: ChipConfig, *, a: Path | None = None, b: Path | None = None, out_dtype: str | None = None,
    out: Path | None = None, seed: int = 1, memory: str = "ideal", on: list[str], json_to: str | None = None, waves: bool = False,
    transpose_a: bool = False, transpose_b: bool = False, special: float = 0.0, scale: float | None = None, skip_zero: bool = False,
    tile: str | None = None,
) -> dict:
    """Runs the product; raises :class:`CheckFailed` if the back ends disagree."""
    check_writable("-o", out)
    check_writable("--json", json_to)
    first, second, result = _operands(m, n, k, dtype, config, out_dtype, memory, transpose_a, transpose_b)
    if not 0 <= special <= 1:
        raise BadInput(f"--special: {special} is not a share, 0 to 1")
    rng = np.random.default_rng(seed)
    a_codes, b_codes = (random(rng, each, special) if path is None else load(path, each) for each, path in ((first, a), (second, b)))
    product = Product(first, second, result, a_codes, b_codes, _scale(scale, result), skip_zero, _tile(tile, memory))
    workload, measured = (from_l1 if memory == "ideal" else from_l3)(product, config)
    folder = build_folder() / "runs" / f"gemm_{m}x{n}x{k}_{dtype}_{config.name}_{memory}"
    with claimed(folder):
        outcomes = execute(workload, on, folder, waves=waves)
        dram = check_outcomes(workload, outcomes, folder)
        results = {
            name: np.frombuffer(outcome.reads[0], STORED[product.result]).reshape(m, n) for name, outcome in outcomes.items()
        }
        first = next(iter(results))
        for name, result in results.items():
            differ = np.argwhere(result.view(np.uint8) != results[first].view(np.uint8))
            if len(differ):
                row, column = differ[0][0], differ[0][1] // result.itemsize
                raise CheckFailed(
                    f"C[{row}, {column}]: {name} has {result[row, column]}, {first} {results[first][row, column]}; "
                    f"{len(differ)} byte differ"
                )
        if out is not None:
            with out.open("wb") as stream:  # by name, numpy would append .npy
                np.save(stream, results[first])
        report = _report(product, config, memory, outcomes, measured, seed)
        report["dram"] = dram
        _print(report, outcomes, measured, json_to)
        if waves:
            title = f"{dtype} {m} x {n} x {k} on {config.name}, {memory} memory"
            shown = show_waves(wave_files(outcomes, folder), folder, config, {}, title)
            report |= shown
            console(json_to).print("\n".join([*shown["waves"], *shown["views"], shown["wave_picture"]]))
        write_json(report, json_to)
        return report


def _operands(m, n, k, dtype, config, out_dtype, memory, transpose_a, transpose_b) -> tuple[Operand, Operand, Format]:
    """A, B and the format of C. Raises :class:`BadInput` for what can't be."""
    for name, value in (("M", m), ("N", n), ("K", k)):
        if not 1 <= value <= 65535:
            raise BadInput(f"{name}: {value} is not in 1 to 65535")
    if dtype not in DTYPES:
        raise BadInput(f"--dtype: {dtype!r} is not one of {', '.join(DTYPES)}")
    format = DTYPES[dtype]
    if config.lanes(format) == 0:
        raise BadInput(f"--dtype: configuration {config.name} has no {dtype}; it has {', '.join(config.formats).lower()}")
    choice = {each.name.lower(): each for each in OUTPUTS[format]}
    if out_dtype is not None and out_dtype not in choice:
        raise BadInput(f"--out-dtype: {dtype} gives {', '.join(choice)}, not {out_dtype}")
    result = OUTPUTS[format][0] if out_dtype is None else choice[out_dtype]
    first, second = Operand("a", format, m, k, transpose_a), Operand("b", format, k, n, transpose_b)
    check_room(first, second, result, config, memory)
    return first, second, result


def _scale(scale: float | None, result: Format) -> float | None:
    """The factor from INT32 sums to INT8, 1 by default; None where C isn't INT8."""
    if result is not Format.INT8:
        if scale is not None:
            raise BadInput("--scale: only sums that become int8 are scaled; add --out-dtype int8")
        return None
    with np.errstate(over="ignore"):
        value = 1.0 if scale is None else float(np.float32(scale))
    if not (math.isfinite(value) and value > 0):
        raise BadInput(f"--scale: {scale} is not a positive number in the range of float32")
    return value


def _tile(text: str | None, memory: str) -> tuple[int, int, int] | None:
    """The sizes M x N x K of a command, from the option."""
    if text is None:
        return None
    if memory != "hbm":
        raise BadInput("--tile: with --memory ideal one command does the whole product; take --memory hbm")
    try:
        rows, columns, depth = (int(part) for part in text.split("x"))
    except ValueError:
        raise BadInput(f"--tile: {text!r} is not MxNxK, three sizes") from None
    return rows, columns, depth


def _report(product: Product, config: ChipConfig, memory: str, outcomes: dict[str, Outcome], measured: int, seed: int) -> dict:
    macs = product.m * product.n * product.k
    peak = config.macs_per_cycle(product.format)
    report = {
        "m": product.m, "n": product.n, "k": product.k, "dtype": product.format.name.lower(), "out_dtype": product.result.name.lower(),
        "config": config.name, "memory": memory, "seed": seed, "transpose_a": product.a.transposed, "transpose_b": product.b.transposed,
        "cycles": None, "macs": macs, "peak_macs_per_cycle": peak,
        "utilisation": None, "stalls": {}, "bit_exact": len(outcomes) > 1, "backends": describe(outcomes),
    }
    timed = next((outcome for outcome in outcomes.values() if outcome.clocks is not None), None)
    if timed is not None:
        job = timed.jobs[measured]
        _check_clocks(timed, measured)
        report["cycles"] = job.cycles
        report["utilisation"] = macs / (peak * job.cycles)
        report["stalls"] = {
            engine.name.lower(): stalls(timed.counters[measured], engine) for engine in (Engine.TENSOR, Engine.VECTOR, Engine.DATA)
        }
    return report


def _check_clocks(outcome: Outcome, measured: int):
    """The hardware's own count against what the harness saw: the counters of a lane add up to the job, the probes see its commands."""
    job = outcome.jobs[measured]
    for (lane, engine), causes in outcome.counters[measured].items():
        if sum(causes.values()) != job.total:
            raise CheckFailed(f"counters of lane {lane} {engine.name} add up to {sum(causes.values())} cycles, the job took {job.total}")
    if not job.cycles <= job.total <= outcome.clocks:
        raise CheckFailed(f"cycles {job.cycles}, total {job.total} and the harness's {outcome.clocks} clocks contradict each other")


def _print(report: dict, outcomes: dict[str, Outcome], measured: int, json_to: str | None):
    out = console(json_to)
    title = f"{report['dtype']} {report['m']} x {report['n']} x {report['k']} on {report['config']}, {report['memory']} memory"
    rows = [
        [row["name"], row["version"], row["cycles"][measured] if row["cycles"] else "", row["clocks"] or "", row["clocks_per_second"] or ""]
        for row in report["backends"]
    ]
    out.print(table(title, ["back end", "version", "cycles", "clocks in all", "clocks/s"], rows, left=2))
    if report["cycles"] is not None:
        causes = ", ".join(f"{cause} {count}" for cause, count in report["stalls"]["tensor"].items() if count)
        out.print(f"utilisation {100 * report['utilisation']:.1f} % of {report['peak_macs_per_cycle']} MAC/cycle; tensor core: {causes}")
    names = ", ".join(outcomes)
    if len(outcomes) > 1:
        out.print(f"{names}: the same {report['m'] * report['n']:,} values, bit for bit")
    else:
        out.print(f"{names} only: nothing to compare with")
