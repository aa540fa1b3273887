"""`gcu bench --only dram`: the patterns of the memory table through the RTL, beside simulators, bounds and goals."""

import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gcu.dram import Checked, checked, judge
from gcu.output import table
from gcu.request_file import write_requests
from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.timing import TimingSet
from sim.dram.bounds import bound
from sim.dram.commands import read_commands
from sim.dram.patterns import PATTERNS, mixture
from sim.dram.requests import Requests
from sim.dram.simulation import Measurement
from sim.tools import build_folder

__all__ = ["DramBench", "Row", "idle_latency"]


@dataclass(frozen=True)
class Row:
    """A pattern's line of the table."""

    pattern: str
    title: str
    result: Checked
    bound: float
    goal: float
    baselines: dict[str, float]

    def data(self) -> dict:
        found = self.result.measurement
        latency = found.latency()
        return {
            "pattern": self.pattern, "percent_of_peak": round(found.percent_of_peak, 3), "bus_percent": round(found.bus_percent, 3),
            "goal": self.goal, "bound": round(self.bound, 2), **self.baselines,
            "owed": found.owed, "worst_bank_owed": self.result.report.owed, "refreshes": self.result.report.refreshes,
            "violations": self.result.violations, "errors": sum(found.errors.values()),
            "latency_mean": round(float(latency.mean()), 1) if len(latency) else None,
            "latency_max": int(latency.max()) if len(latency) else None,
            "clocks_per_second": round(found.total_clocks / found.seconds), "data_bus": found.causes,
        }


class DramBench:
    """The measurements of one configuration; `bars` is the table `dram` of `gcu/bars.toml`.

    Raises :class:`CheckFailed` at once where a run breaks a rule or returns a wrong byte: then no figure counts.
    """

    BASELINES = ("ramulator", "dramsim3_all", "dramsim3_bank")

    def __init__(self, bars: dict, config: ChipConfig, *, seed: int = 1):
        self.bars = bars
        self.config = dataclasses.replace(config, dram_rows=bars["rows"], dram_timing=bars["timing"])
        self.timing = TimingSet.load(bars["timing"])
        self.seed = seed

    def requests(self, name: str) -> Requests:
        """The trace of a pattern."""
        return PATTERNS[name].make(self.bars["requests"], self.config.channel_bytes, self.seed)

    def write_traces(self, folder: Path):
        for name in PATTERNS:
            write_requests(folder / f"{name}.txt", self.requests(name))

    def rows(self) -> Iterator[Row]:
        """Every pattern over the window of the goals."""
        for bar in self.bars["pattern"]:
            pattern = PATTERNS[bar["name"]]
            result = self._run(self.requests(pattern.name), self.timing, clocks=self.bars["clocks"])
            limit = bound(pattern, self.timing, **self.bars["storage"])
            baselines = {key: bar[key] for key in self.BASELINES if key in bar}
            yield Row(pattern.name, pattern.title, result, limit, bar["goal"], baselines)

    def latency(self) -> dict[str, float]:
        """Clocks from a read's address to its first data in an idle controller, by what the row was."""
        count, atoms = self.bars["idle_reads"], AddressMap(self.config.dram_rows).atom
        rng = np.random.default_rng(self.seed)
        places = zip(rng.integers(0, 16, count), rng.integers(0, 2, count), rng.integers(0, 32, count), strict=True)
        requests = Requests(np.zeros(count, bool), np.array([atoms(*map(int, place)) for place in places]))
        with tempfile.TemporaryDirectory(dir=_folder()) as folder:
            path = Path(folder) / "commands.txt"
            result = checked(requests, self.config, self.timing, path, outstanding=1)
            judge(result)
            return idle_latency(result.measurement, requests, path, self.config)

    def refresh_cost(self, percent: float) -> float:
        """Points of peak that refresh costs a sequential read: `percent` against a set with the least refresh that registers hold,
        and what that set still loses added in proportion."""
        t = self.timing
        rare = dataclasses.replace(t, name="rare refresh", tREFIsb=4095, tREFI=16 * 4095)
        without = self._run(self.requests("seq_read"), rare, clocks=self.bars["clocks"]).measurement.percent_of_peak
        return (without - percent) / (1 - t.tREFIsb / rare.tREFIsb)

    def all_bank(self) -> float:
        """Percent of peak of a sequential read with refresh of all banks at once."""
        return self._run(self.requests("seq_read"), self.timing, clocks=self.bars["clocks"], refresh_all=True).measurement.percent_of_peak

    def long(self) -> Iterator[tuple[str, Checked]]:
        """A mixture of everything, for many clocks on each of several timing sets."""
        bar = self.bars["long"]
        for name in bar["timings"]:
            requests = mixture(bar["clocks"] // 2, self.config.channel_bytes, self.seed)
            yield name, self._run(requests, TimingSet.load(name), clocks=bar["clocks"])

    def _run(self, requests: Requests, timing: TimingSet, **options) -> Checked:
        with tempfile.TemporaryDirectory(dir=_folder()) as folder:
            result = checked(requests, self.config, timing, Path(folder) / "commands.txt", **options)
        judge(result)
        return result

    def table(self, rows: list[Row]):
        """The whole table, for people."""
        names = ["Ramulator 2.1", "DRAMsim3 all-bank", "DRAMsim3 by bank"]
        cells = []
        for row in rows:
            data = row.data()
            cells.append([
                row.title, *(f"{row.baselines[key]:.1f}" if key in row.baselines else "" for key in self.BASELINES), f"{row.bound:.1f}",
                f"{row.goal:.1f}", f"{data['percent_of_peak']:.2f}", data["owed"],
                *("-" if data[key] is None else f"{data[key]:,}" for key in ("latency_mean", "latency_max")),
                f"{data['clocks_per_second'] // 1000:,}k",
            ])
        title = f"% of peak, {self.timing.name}, {self.bars['clocks']:,} clocks from the first request, refresh by bank"
        return table(title, ["pattern", *names, "bound", "goal", "here", "owed", "latency", "max", "clocks/s"], cells)


def idle_latency(found: Measurement, requests: Requests, commands: Path, config: ChipConfig) -> dict[str, float]:
    """Median clocks from address to first data of reads that were alone: of a closed bank, an open row, a row in the way of another.

    What a read met is seen from the commands between its address and its data; reads beside which a refresh went out don't count.
    """
    ratio = config.memory_clock[0] / config.memory_clock[1]
    address_map = AddressMap(config.dram_rows)
    trace = list(read_commands(commands))
    times = np.array([each.time for each in trace])
    met: dict[str, list[int]] = {"closed bank": [], "open row": [], "conflict": []}
    for index in np.flatnonzero(found.last >= 0).tolist():
        bank, _, _ = address_map.locate(int(requests.atom[index]))
        first, last = (int(clock * ratio) + found.memory_begin for clock in (found.accepted[index], found.last[index]))
        beside = trace[np.searchsorted(times, first - 16) : np.searchsorted(times, last, "right")]
        if any(each.name in ("REFSB", "REFAB") for each in beside):
            continue
        here = {each.name for each in beside if each.bank == bank and each.time >= first}
        kind = "conflict" if "PRE" in here else "closed bank" if "ACT" in here else "open row"
        met[kind].append(int(found.first[index] - found.accepted[index]))
    return {kind: float(np.median(clocks)) for kind, clocks in met.items() if clocks}


def _folder() -> Path:
    build_folder().mkdir(parents=True, exist_ok=True)
    return build_folder()
