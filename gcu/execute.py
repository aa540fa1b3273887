"""Running one workload on several back ends, and judging what they say: bits, cycles, rules."""

import fcntl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gcu.errors import BadInput, CheckFailed
from gcu.output import progress
from rtl.config import ChipConfig
from rtl.image import ImageError
from rtl.isa import Cause, Engine, Status
from rtl.memory.timing import TimingSet
from sim.backends import BACKENDS, backend
from sim.hbm.checker import check
from sim.script import ScriptError
from sim.tools import ToolError, fst_possible
from sim.workload import Outcome, Workload

__all__ = ["check_outcomes", "claimed", "describe", "dram_traces", "execute", "parse_backends", "stalls", "wave_files"]


def parse_backends(names: str, *, waves: bool = False) -> list[str]:
    """The back ends of `--on`; with `waves` one of them must have signals. Raises :class:`BadInput`."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in BACKENDS]
    if unknown or not chosen:
        raise BadInput(f"--on: {unknown[0] if unknown else names!r} is not one of {', '.join(BACKENDS)}")
    if waves and set(chosen) == {"golden"}:
        raise BadInput("--waves: the golden model has no signals; add verilator or icarus to --on")
    return list(dict.fromkeys(chosen))


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Makes `folder` and keeps other runs out of it: each waits until the one before has read its files."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def execute(
    workload: Workload, names: Sequence[str], folder: Path, *, waves: bool = False, damaged: Workload | None = None,
) -> dict[str, Outcome]:
    """Runs the workload on each back end, the golden model first, with its files in `folder`, which exists.

    `damaged` is what all but the golden model run instead.

    Raises :class:`BadInput` for a program of another configuration, and for a missing tool.
    """
    try:
        workload.check_programs()
    except ImageError as error:
        raise BadInput(str(error)) from None
    outcomes = {}
    for name in sorted(names, key=list(BACKENDS).index):
        wave_file = wave_files([name], folder)[0] if waves and name != "golden" else None
        total = len(workload.jobs) if name == "golden" else None
        with progress(f"{name}: {'jobs' if name == 'golden' else 'clocks'}", total) as update:
            try:
                chosen = workload if name == "golden" or damaged is None else damaged
                outcomes[name] = backend(name)(chosen, folder=folder, waves=wave_file, progress=update)
            except ToolError as error:
                raise BadInput(f"{name}: {error}") from None
            except ScriptError as error:
                raise CheckFailed(f"{name}: {error}") from None
    return outcomes


def wave_files(names: Iterable[str], folder: Path) -> list[Path]:
    """Where `execute` records the waveforms of the back ends that have any."""
    return [folder / f"{name}.{'fst' if name == 'icarus' or fst_possible() else 'vcd'}" for name in names if name != "golden"]


def dram_traces(name: str, config: ChipConfig, folder: Path) -> list[Path]:
    """Where a back end writes the DRAM commands of each channel; the golden model has none."""
    file = {"verilator": "dram_trace.txt", "icarus": "icarus_dram_trace.txt"}.get(name)
    return [] if file is None else [folder / (file + (f".{channel}" if channel else "")) for channel in range(config.channels)]


def check_outcomes(workload: Workload, outcomes: dict[str, Outcome], folder: Path) -> dict:
    """Raises :class:`CheckFailed` if a job failed, a DRAM rule was broken, or two back ends disagree in INT8 overflows or in cycles.

    Returns what the offline checker says of the DRAM command trace, if there is one.
    """
    for name, outcome in outcomes.items():
        for number, job in enumerate(outcome.jobs):
            if job.status is not Status.OK:
                raise CheckFailed(f"{name}: job {number} ended with {job.status.name}: {job.error}")
        if outcome.violations:
            raise CheckFailed(f"{name}: the DRAM device saw {outcome.violations} broken rules")
    flags = {name: [job.overflow for job in outcome.jobs] for name, outcome in outcomes.items()}
    for name, found in flags.items():
        reference = next(iter(flags))
        if found != flags[reference]:
            raise CheckFailed(f"the overflow register after each job: {found} in {name}, {flags[reference]} in {reference}")
    timed = [(name, outcome) for name, outcome in outcomes.items() if outcome.clocks is not None]
    for name, outcome in timed[1:]:
        first, reference = timed[0]
        if outcome.clocks != reference.clocks or [j.cycles for j in outcome.jobs] != [j.cycles for j in reference.jobs]:
            raise CheckFailed(f"{first} took {reference.clocks} clocks, {name} {outcome.clocks}: simulators must agree")
    dram = {}
    if workload.memory == "hbm":
        for name in outcomes:
            for channel, path in enumerate(dram_traces(name, workload.config, folder)):
                report = check(path, TimingSet.load(workload.config.dram_timing), rows=workload.config.dram_rows)
                if report.violations:
                    first, count = report.violations[0], len(report.violations)
                    raise CheckFailed(f"{name}: offline checker, channel {channel}: {first} ({count} in all)")
                dram[f"{name}.{channel}"] = {"commands": report.commands, "refreshes": report.refreshes}
    return dram


def describe(outcomes: dict[str, Outcome]) -> list[dict]:
    """Back ends as data: name, version, clocks, seconds, clocks a second."""
    rows = []
    for name, outcome in outcomes.items():
        speed = None if outcome.clocks is None or not outcome.seconds else round(outcome.clocks / outcome.seconds)
        rows.append({
            "name": name, "version": outcome.version, "clocks": outcome.clocks, "seconds": round(outcome.seconds, 3),
            "clocks_per_second": speed, "cycles": [job.cycles for job in outcome.jobs] if outcome.clocks is not None else None,
        })
    return rows


def stalls(counters: dict, engine: Engine, lane: int = 0) -> dict[str, int]:
    """Cycles of one engine by cause, by lower-case name."""
    return {cause.name.lower(): counters[lane, engine][cause] for cause in Cause}
