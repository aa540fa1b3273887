"""`gcu bench`: the performance table. It calls what the other commands call, and judges the figures by `gcu/bars.toml`."""

import contextlib
import dataclasses
import io
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gcu.bench_move import move_figures
from gcu.dram_bench import DramBench, Row
from gcu.errors import BadInput, CheckFailed
from gcu.gemm import gemm
from gcu.numerics import compare
from gcu.operands import Operand, random
from gcu.output import check_writable, console, progress, table, write_json
from gcu.ppa import ppa
from gcu.product import Product, from_l1
from rtl.config import ChipConfig
from rtl.formats import Format
from sim.native.run import prepare, run
from sim.numerics.backends import Runner
from sim.numerics.operation import Dot, Fma
from sim.tools import ToolError, build_folder

__all__ = ["BARS", "GROUPS", "Figure", "bench", "dot_figures", "fma_figures"]

#: The file of the bars.
BARS = Path(__file__).parent / "bars.toml"


@dataclass(frozen=True)
class Figure:
    """A measurement; `bar` is the least (`sense` is ">=") or the most ("<=") that is good, None where there is no bar."""

    group: str
    name: str
    value: float
    unit: str
    bar: float | None = None
    sense: str = ">="

    @property
    def ok(self) -> bool:
        return self.bar is None or (self.value >= self.bar if self.sense == ">=" else self.value <= self.bar)


def _quietly(config: ChipConfig, shape: list[int], dtype: str, on: list[str]) -> dict:
    """`gcu gemm` without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return gemm(*shape, dtype, config, memory="ideal", on=on)


def _gemm(bars: dict, config: ChipConfig) -> Iterator[Figure]:
    both = ["golden", "verilator"]
    for group in bars["gemm"]:
        for *shape, bar in group["shapes"]:
            report = _quietly(config, shape, group["dtype"], both)
            name = f"{group['dtype']} {'x'.join(map(str, shape))}, {report['cycles']:,} cycles"
            yield Figure("gemm", name, round(100 * report["utilisation"], 3), "% of peak", bar)
    ratio = bars["ratio"]
    cycles = {dtype: _quietly(config, ratio["shape"], dtype, both)["cycles"] for dtype in ratio["formats"]}
    for dtype, wanted in ratio["formats"].items():
        found = cycles[dtype] / cycles[ratio["to"]]
        name = f"{'x'.join(map(str, ratio['shape']))} {dtype} : {ratio['to']}, {cycles[dtype]:,} cycles, off {wanted} : 1 by"
        yield Figure("gemm", name, round(100 * abs(found / wanted - 1), 3), "%", ratio["within"], "<=")


def _move(bars: dict, config: ChipConfig) -> Iterator[Figure]:
    for figure in move_figures(bars["move"], config, ["golden", "verilator"]):
        yield Figure("move", *figure)


def _numerics(bars: dict, config: ChipConfig) -> Iterator[Figure]:
    yield from fma_figures(config, bars["fma"])
    for name in bars["dot"]["formats"]:
        yield from dot_figures(config, Format[name.upper()], bars["dot"])


def fma_figures(config: ChipConfig, bars: dict, seed: int = 1) -> Iterator[Figure]:
    """Directed fma vectors: RTL against golden model, all of them; against MPFR, as many as `mpfr` says, spread over the stream."""
    from verif.numerics.mpfr import fma
    from verif.numerics.vectors import vectors

    operation, count, sampled = Fma(), bars["vectors"], bars["mpfr"]
    step = max(count // sampled, 1)
    differ, wrong, checked, done, seconds = 0, 0, 0, 0, 0.0
    with Runner("golden", operation, config) as golden, Runner("verilator", operation, config) as rtl, progress("fma", count) as update:
        for operands in vectors(operation, count, seed):
            begin = time.perf_counter()
            expected, results = golden.run(operands), rtl.run(operands)
            differ += np.count_nonzero(expected != results)
            seconds += time.perf_counter() - begin
            chosen = np.arange(-done % step, len(operands), step)
            for codes, result in zip(operands[chosen].tolist(), results[chosen].tolist(), strict=True):
                wrong += fma(*codes) != result
            checked += len(chosen)
            done += len(operands)
            update(done)
    yield Figure("numerics", f"fp32 fma, {count:,} directed vectors: RTL differs from golden", int(differ), "", 0, "<=")
    yield Figure("numerics", "fp32 fma, the same: time", round(seconds, 1), "s", bars["seconds"], "<=")
    yield Figure("numerics", f"fp32 fma, {checked:,} of them: RTL differs from MPFR", wrong, "", 0, "<=")


def dot_figures(config: ChipConfig, format: Format, bars: dict, seed: int = 1) -> Iterator[Figure]:
    """Random dots: RTL against golden model and the specification in integers, and how many are not the correctly rounded sum."""
    from verif.numerics import exact, integers
    from verif.numerics.operands import centred

    operation, rng = Dot.of(format, config), np.random.default_rng(seed)
    golden_differs = specified_differs = not_correct = wrong = done = 0
    with Runner("golden", operation, config) as golden, Runner("verilator", operation, config) as rtl:
        with progress(f"{format.name} dots", bars["vectors"]) as update:
            while done < bars["vectors"]:
                count = min(1 << 17, bars["vectors"] - done)
                codes, c = centred(rng, format, (count, 8), bars["spread"]), centred(rng, Format.FP32, count, bars["spread"])
                operands = np.concatenate([codes.astype(np.uint32), c[:, None]], axis=1)
                results, found = compare([rtl, golden], operands)
                golden_differs += 0 if found is None else int(np.count_nonzero(golden.run(operands) != results))
                a, b = codes[:, :4], codes[:, 4:]
                specified_differs += np.count_nonzero(integers.dot(format, a, b, c, config.align) != results)
                not_correct += np.count_nonzero(integers.correctly_rounded_dot(format, a, b, c) != results)
                if not done:
                    for row, result in zip(operands[: bars["exact"]].tolist(), results.tolist(), strict=False):
                        wrong += exact.dot(format, row[:4], row[4:8], row[8], config.align) != result
                done += count
                update(done)
    name = f"{format.name.lower()} dot, exponents within {bars['spread']}"
    yield Figure("numerics", f"{name}, {done:,}: RTL differs from golden", golden_differs, "", 0, "<=")
    yield Figure("numerics", f"{name}, the same: RTL differs from the specification in integers", int(specified_differs), "", 0, "<=")
    yield Figure("numerics", f"{name}, {min(bars['exact'], done):,} of them: RTL differs from exact integers", int(wrong), "", 0, "<=")
    share = round(100 * float(not_correct) / done, 5)
    yield Figure("numerics", f"{name}: not the correctly rounded sum", share, "%", bars["differs"], "<=")


def _speed(bars: dict, config: ChipConfig) -> Iterator[Figure]:
    """A product that lies in L1, again and again: what the array computes in a second of the simulator's CPU time."""
    bar = bars["speed"]
    m, n, k = bar["shape"]
    format = Format[bar["dtype"].upper()]
    rng = np.random.default_rng(1)
    a, b = Operand("a", format, m, k, False), Operand("b", format, k, n, False)
    workload, measured = from_l1(Product(a, b, format, random(rng, a, 0.0), random(rng, b, 0.0)), config)
    product = workload.jobs[measured]
    jobs = (*workload.jobs[:measured], *[product] * bar["times"], *workload.jobs[measured + 1 :])
    prepare(config, workload.memory)
    outcome = run(dataclasses.replace(workload, jobs=jobs), folder=build_folder())
    name = f"simulated {bar['dtype']} MACs a CPU second, {bar['times']} times {m}x{n}x{k}, {outcome.clocks:,} clocks"
    yield Figure("speed", name, round(bar["times"] * m * n * k / outcome.seconds), "MAC/s", bar["macs"])


def _ppa(bars: dict, config: ChipConfig, liberty: Path) -> Iterator[Figure]:
    with contextlib.redirect_stdout(io.StringIO()):
        report = ppa("pe", config, liberty=liberty)
    for row in report["blocks"]:
        judged = row["formats"] == "all"
        name = f"pe, {row['formats']}, {row['form']}"
        combinational = row["form"] == "combinational"
        yield Figure("ppa", f"{name}: area", row["nand2"], "NAND2", bars["ppa"]["nand2"] if judged and combinational else None, "<=")
        if combinational:
            yield Figure("ppa", f"{name}: delay", row["combinational"], "ns", bars["ppa"]["combinational"] if judged else None, "<=")
        else:
            yield Figure("ppa", f"{name}: period", row["period"], "ns", bars["ppa"]["period"] if judged else None, "<=")


def _dram(bars: dict, config: ChipConfig, rows: list[Row], long: bool) -> Iterator[Figure]:
    """The memory table; its lines are appended to `rows`."""
    bar = bars["dram"]
    bench = DramBench(bar, config)
    speeds = {}
    for row in bench.rows():
        rows.append(row)
        found = row.result.measurement
        speeds[row.title] = round(found.total_clocks / found.seconds)
        yield Figure("dram", row.title, round(found.percent_of_peak, 2), "% of peak", row.goal)
    cost = bench.refresh_cost(rows[0].result.measurement.percent_of_peak)
    yield Figure("dram", "sequential read: what refresh by bank costs", round(cost, 2), "points", bar["refresh_cost"], "<=")
    yield Figure("dram", "sequential read with refresh of all banks at once", round(bench.all_bank(), 2), "% of peak")
    first = bench.timing.RL + bench.timing.tRCDRD
    for kind, clocks in bench.latency().items():
        limit = first + bar["first_data"] if kind == "closed bank" else None
        yield Figure("dram", f"idle read, {kind}: address to first data", clocks, "clocks", limit, "<=")
    slowest = min(speeds, key=speeds.get)
    yield Figure("dram", f"simulated clocks a CPU second, slowest: {slowest}", speeds[slowest], "clocks/s", bar["clocks_per_second"])
    if long:
        for name, result in bench.long():
            found = result.measurement
            title = f"mixture, {name}, {found.clocks:,} clocks, {found.reads + found.writes:,} accesses, {found.seconds:.0f} s: "
            yield Figure("dram", title + "violations and wrong bytes", result.violations + sum(found.errors.values()), "", 0, "<=")


#: What `--only` names, and `ppa`, which needs a library besides, and `dram`, which has a table of its own.
GROUPS: dict[str, Callable[[dict, ChipConfig], Iterator[Figure]]] = {
    "gemm": _gemm, "move": _move, "numerics": _numerics, "speed": _speed,
}


def bench(
    only: str | None, config: ChipConfig, *, liberty: Path | None = None, traces: Path | None = None, long: bool = False,
    json_to: str | None = None,
) -> list[Figure]:
    """Measures; raises :class:`CheckFailed` where a bar is missed. With `traces` it only writes the request traces of `dram` there."""
    check_writable("--json", json_to)
    names = (*GROUPS, "dram", "ppa")
    if only is not None and only not in names:
        raise BadInput(f"--only: {only!r} is not one of {', '.join(names)}")
    if only == "ppa" and liberty is None:
        raise BadInput("--only ppa: its bars are in a library of cells; add --liberty FILE")
    for option, given in (("--traces", traces is not None), ("--long", long)):
        if given and only not in (None, "dram"):
            raise BadInput(f"{option}: belongs to dram, not to {only}")
    bars = tomllib.loads(BARS.read_text())
    if traces is not None:
        check_writable("--traces", traces, folder=True)
        DramBench(bars["dram"], config).write_traces(traces)
        console(json_to).print(f"{traces}: a request trace for each of {len(bars['dram']['pattern'])} patterns")
        return []
    figures: list[Figure] = []
    rows: list[Row] = []
    with progress("figures") as update:
        try:
            for name in [only] if only else [*GROUPS, "dram", *(["ppa"] if liberty else [])]:
                if name == "ppa" and liberty:
                    source = _ppa(bars, config, liberty)
                else:
                    source = _dram(bars, config, rows, long) if name == "dram" else GROUPS[name](bars, config)
                for figure in source:
                    figures.append(figure)
                    update(len(figures))
        except ToolError as error:
            raise BadInput(str(error)) from None
    lines = [
        [f.group, f.name, f"{f.value:,}", f.unit, *(("", "") if f.bar is None else (f"{f.sense} {f.bar:,}", "ok" if f.ok else "MISSED"))]
        for f in figures
    ]
    console(json_to).print(table(f"minigcu on {config.name}", ["group", "figure", "value", "unit", "bar", ""], lines, left=2))
    if rows:
        console(json_to).print(DramBench(bars["dram"], config).table(rows))
    patterns = {"patterns": [row.data() for row in rows]} if rows else {}
    write_json({"config": config.name, "figures": [{**asdict(f), "ok": f.ok} for f in figures], **patterns}, json_to)
    missed = [f for f in figures if not f.ok]
    if missed:
        first = missed[0]
        shown = f"{first.name}: {first.value:,} {first.unit}, bar {first.bar:,}"
        raise CheckFailed(f"{len(missed)} of {len(figures)} figures miss their bars; {shown}")
    return figures
