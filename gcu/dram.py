"""`gcu dram`: a request trace through the RTL of memory controller and device. Every byte is compared, every command checked twice."""

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gcu.errors import BadInput, CheckFailed
from gcu.output import check_writable, console, progress, table, write_json
from gcu.request_file import read_requests
from gcu.source import opened
from rtl.config import ChipConfig
from rtl.memory.timing import TimingError, TimingSet
from sim.dram.requests import Requests
from sim.dram.simulation import Measurement, library, simulate
from sim.dram.system import ID_BITS
from sim.hbm.checker import Report, check
from sim.tools import ToolError, build_folder, verilator_version

__all__ = ["FULL_ROWS", "Checked", "checked", "dram", "judge", "report_of", "timing_of"]

#: What `--refresh` names.
REFRESH = ("per-bank", "all-bank")

#: Rows of a whole pseudo-channel: 512 MiB.
FULL_ROWS = 32768


@dataclass(frozen=True)
class Checked:
    """A measurement and what the offline checker says of its commands."""

    measurement: Measurement
    report: Report

    @property
    def violations(self) -> int:
        """Broken rules that the device saw and that the checker saw."""
        return self.measurement.violations + len(self.report.violations)


def timing_of(name: str) -> TimingSet:
    """Raises :class:`BadInput`."""
    try:
        return TimingSet.load(name)
    except TimingError as error:
        raise BadInput(f"--timing: {error}") from None


def dram(
    trace: str, config: ChipConfig | None, *, timing: str | None = None, commands: Path | None = None, clocks: int | None = None,
    seed: int = 1, stall: float = 0.0, identifiers: int | None = None, outstanding: int | None = None, picture: Path | None = None,
    window: tuple[int, int] | None = None, refresh: str = "per-bank", json_to: str | None = None,
) -> dict:
    """Runs a trace; raises :class:`CheckFailed` where a byte is wrong, a rule broken, or nothing moves. Without `config` the memory is a
    whole pseudo-channel at the bus of `small`."""
    if config is None:
        config = dataclasses.replace(ChipConfig.load("small"), dram_rows=FULL_ROWS)
    chosen = timing_of(config.dram_timing if timing is None else timing)
    if refresh not in REFRESH:
        raise BadInput(f"--refresh: {refresh!r} is not one of {', '.join(REFRESH)}")
    _check_options(clocks, stall, identifiers, outstanding, window)
    for option, path in (("--commands", commands), ("--png", picture), ("--json", json_to)):
        check_writable(option, path)
    with opened("--trace", trace) as stream:
        name = "standard input" if trace == "-" else trace
        requests = read_requests(stream, f"--trace {name}", config.channel_bytes)
    with _command_file(commands) as path:
        result = checked(
            requests, config, chosen, path, clocks=clocks, seed=seed, stall=stall, outstanding=outstanding,
            refresh_all=refresh == "all-bank", **({} if identifiers is None else {"identifiers": identifiers}),
        )
        asked = {"trace": name, "requests": len(requests), "seed": seed, "stall": stall, "refresh": refresh}
        report = report_of(result, config, chosen) | asked
        if commands:
            report["commands_file"] = str(commands)
        if picture and not result.measurement.stuck:
            from gcu.dram_picture import draw_dram

            report["picture"] = str(draw_dram(result.measurement, requests, path, config, chosen, picture, window, title=name))
    _print(report, json_to)
    write_json(report, json_to)
    judge(result)
    return report


def checked(requests: Requests, config: ChipConfig, timing: TimingSet, commands: Path, **options) -> Checked:
    """Runs a trace and the offline checker behind it; `options` are those of :func:`simulate`."""
    try:
        with progress("building") as update:
            update(0)
            built = library(config)
        with progress("clocks", options.get("clocks")) as update:
            measurement = simulate(requests, config, timing, commands=commands, progress=update, built=built, **options)
    except ToolError as error:
        raise BadInput(str(error)) from None
    with progress("commands checked") as update, commands.open() as file:
        report = check(_counted(file, update), timing, clocks=measurement.memory_total, rows=config.dram_rows)
    return Checked(measurement, report)


def judge(result: Checked):
    """Raises :class:`CheckFailed` with the first thing that is wrong."""
    found, report = result.measurement, result.report
    wrong = sum(found.errors.values())
    if found.stuck:
        missing = found.offered - found.answered
        raise CheckFailed(f"nothing has moved for long: {found.offered:,} requests were taken, {missing:,} of them have no response")
    if wrong:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.errors.items() if count)
        raise CheckFailed(f"{kinds}; first: {found.log[0]}")
    if report.violations:
        first = report.violations[0]
        raise CheckFailed(f"{len(report.violations):,} broken DRAM rules; first: {first.rule} at clock {first.time}, {first.text}")
    if found.violations:
        raise CheckFailed(f"the device saw {found.violations:,} broken DRAM rules, the first {found.first_violation}")


def report_of(result: Checked, config: ChipConfig, timing: TimingSet) -> dict:
    """The JSON of a run."""
    found, report = result.measurement, result.report
    return {
        "timing": timing.name, "tCK": float(timing.tCK), "config": config.name, "memory_bytes": config.channel_bytes,
        "cycles": found.clocks, "memory_clocks": found.memory_clocks, "offered": found.offered,
        "reads": found.reads, "writes": found.writes,
        "percent_of_peak": round(found.percent_of_peak, 3), "bus_percent": round(found.bus_percent, 3),
        "gigabytes_per_second": round(found.percent_of_peak / 100 * 16 / float(timing.tCK), 3),
        "read_latency": distribution(found.latency("last")), "first_beat_latency": distribution(found.latency("first")),
        "data_bus": found.causes, "commands": dict(report.commands),
        "refreshes": report.refreshes, "refreshes_owed": {"banks": found.owed, "worst_bank": report.owed},
        "violations": result.violations, "device_violations": found.violations, "checker_violations": len(report.violations),
        "broken": [f"{each.rule} at {each.time}: {each.text}" for each in report.violations[:20]],
        "errors": found.errors, "log": found.log, "stuck": found.stuck,
        "simulator": f"verilator {verilator_version()}", "seconds": round(found.seconds, 3), "clocks": found.total_clocks,
        "clocks_per_second": round(found.total_clocks / found.seconds) if found.seconds else None,
    }


def distribution(latency: np.ndarray) -> dict:
    """Clocks; null where there were no reads."""
    if not len(latency):
        return {"mean": None, "p50": None, "p99": None, "max": None}
    p50, p99 = np.percentile(latency, [50, 99], method="inverted_cdf")
    return {"mean": round(float(latency.mean()), 2), "p50": int(p50), "p99": int(p99), "max": int(latency.max())}


def _check_options(clocks: int | None, stall: float, identifiers: int | None, outstanding: int | None, window: tuple[int, int] | None):
    if clocks is not None and clocks < 1:
        raise BadInput(f"--clocks: {clocks} is not positive")
    if not 0 <= stall <= 0.95:
        raise BadInput(f"--stall: {stall} is not a share from 0 to 0.95")
    if identifiers is not None and not 1 <= identifiers <= 1 << ID_BITS:
        raise BadInput(f"--ids: {identifiers} is not 1 to {1 << ID_BITS}")
    if outstanding is not None and outstanding < 1:
        raise BadInput(f"--outstanding: {outstanding} is not positive")
    if window is not None and not 0 <= window[0] < window[1]:
        raise BadInput(f"--from, --to: {window[0]} to {window[1]} is no range of clocks; the first clock comes before the last")


@contextmanager
def _command_file(commands: Path | None) -> Iterator[Path]:
    """Where the command trace goes: a temporary file unless it is wanted."""
    if commands is not None:
        yield commands
        return
    build_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build_folder()) as folder:
        yield Path(folder) / "commands.txt"


def _counted(lines, update) -> Iterator[str]:
    for number, line in enumerate(lines):
        if not number & 0xFFFF:
            update(number)
        yield line


def _print(report: dict, json_to: str | None):
    answer = console(json_to)
    size = report["memory_bytes"]
    shown = f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
    answer.print(
        f"{report['trace']}: {report['offered']:,} of {report['requests']:,} requests in {report['cycles']:,} clocks, "
        f"timing {report['timing']}, {shown}"
    )
    answer.print(
        f"{report['percent_of_peak']:.2f} % of peak, {report['gigabytes_per_second']:.2f} GB/s: {report['reads']:,} reads, "
        f"{report['writes']:,} writes; data bus busy {report['bus_percent']:.2f} %"
    )
    rows = [
        [name, *("-" if report[key][part] is None else f"{report[key][part]:,}" for part in ("mean", "p50", "p99", "max"))]
        for name, key in (("first beat", "first_beat_latency"), ("last beat", "read_latency"))
    ]
    if report["reads"]:
        answer.print(table("", ["read latency, clocks", "mean", "p50", "p99", "max"], rows))
    bus = ", ".join(f"{cause} {count:,}" for cause, count in report["data_bus"].items() if count)
    answer.print(f"data bus, memory clocks: {bus}")
    counts = ", ".join(f"{count:,} {name}" for name, count in report["commands"].items() if count)
    owed = report["refreshes_owed"]
    answer.print(f"commands: {counts}")
    answer.print(
        f"{report['refreshes']:,} refreshes of all banks; bank refreshes owed at the end: {owed['banks']} in all (negative: in advance); "
        f"of all banks owed to the worst bank: {owed['worst_bank']}"
    )
    answer.print(
        f"{report['violations']} violations (device {report['device_violations']}, checker {report['checker_violations']}), "
        f"{sum(report['errors'].values())} wrong bytes or responses; {report['simulator']}, "
        f"{report['clocks_per_second'] or 0:,} clocks a CPU second"
    )
    for path in (report.get("commands_file"), report.get("picture")):
        if path:
            answer.print(path)
