"""A picture of a memory run: banks, buses and requests over a few hundred clocks, and the latency of all reads."""

from pathlib import Path

import numpy as np

from gcu.errors import BadInput
from rtl.config import ChipConfig
from rtl.memory.address import BANKS
from rtl.memory.timing import BURST_CLOCKS, TimingSet
from sim.dram.commands import Command, read_commands
from sim.dram.requests import Requests
from sim.dram.simulation import Measurement

__all__ = ["bank_states", "draw_dram"]

#: Clocks of the picture where no range is given.
_SPAN = 400

_READ, _WRITE = "#3b7dd8", "#c0392b"
_STATES = {"opening": "#f6d58f", "open": "#cfe8d5", "closing": "#d9d3e8", "refresh": "#8e6fb5"}


def draw_dram(
    found: Measurement, requests: Requests, commands: Path, config: ChipConfig, timing: TimingSet, path: Path,
    window: tuple[int, int] | None, title: str,
) -> Path:
    """Draws the clocks `window` of the measurement (by default some in its middle); returns the path of the PNG.

    Raises :class:`BadInput` where the range lies outside the run.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    begin, end = window or (max(found.clocks // 2 - _SPAN // 2, 0), min(found.clocks // 2 + _SPAN // 2, found.clocks))
    if begin >= found.clocks:
        raise BadInput(f"--from: clock {begin} is not in the run of {found.clocks} clocks")
    # The command trace counts memory clocks from reset, the picture clocks from the first offer.
    ratio = config.memory_clock[1] / config.memory_clock[0]
    seen = read_commands(commands, int(end / ratio) + 1 + found.memory_begin)
    trace = [each._replace(time=each.time - found.memory_begin) for each in seen]

    figure, (banks, bus, waits, histogram) = pyplot.subplots(
        4, 1, figsize=(15, 11), height_ratios=[6.5, 1.4, 2, 3], layout="constrained",
    )
    _banks(banks, trace, timing, ratio, begin, end)
    _buses(bus, trace, timing, ratio)
    _requests(waits, found, requests, begin, end)
    for axis in (banks, bus, waits):
        axis.set_xlim(begin, end)
        _bare(axis)
    waits.set_xlabel("clocks since the first request was offered")
    _latency(histogram, found)
    share = f"{found.percent_of_peak:.2f} % of peak over {found.clocks:,} clocks"
    figure.suptitle(f"{title}, {timing.name}: {share}, of which {begin:,} to {end:,}", fontsize=11)
    handles = [Patch(facecolor=colour, label=state) for state, colour in _STATES.items()]
    handles += [Patch(facecolor=_READ, label="read"), Patch(facecolor=_WRITE, label="write")]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
    return path


def bank_states(trace: list[Command], timing: TimingSet) -> list[tuple[int, str, int, int, int]]:
    """(bank, state, first clock, clock after the last, row) of every stretch of a bank's life; what is still going on ends at 2^40."""
    stretches: list[tuple[int, str, int, int, int]] = []
    opened: dict[int, tuple[int, int]] = {}  # bank: clock of the ACT's end, row

    def close(bank: int, time: int):
        if bank in opened:
            since, row = opened.pop(bank)
            stretches.append((bank, "open", since, time, row))
            stretches.append((bank, "closing", time, time + timing.tRP, row))

    for command in trace:
        if command.name == "ACT":
            ready = command.time + 1 + min(timing.tRCDRD, timing.tRCDWR)
            stretches.append((command.bank, "opening", command.time, ready, command.row))
            opened[command.bank] = (ready, command.row)
        elif command.name == "PRE":
            close(command.bank, command.time)
        elif command.name == "PREA":
            for bank in range(BANKS):
                close(bank, command.time)
        elif command.name == "REFSB":
            stretches.append((command.bank, "refresh", command.time, command.time + timing.tRFCsb, -1))
        elif command.name == "REFAB":
            stretches += [(bank, "refresh", command.time, command.time + timing.tRFC, -1) for bank in range(BANKS)]
    return stretches + [(bank, "open", since, 1 << 40, row) for bank, (since, row) in opened.items()]


def _banks(axis, trace: list[Command], timing: TimingSet, ratio: float, begin: int, end: int):
    """A lane for each bank, group by group: its state, the row's number, a bar for each column command."""
    lane = {bank: (bank & 3) * 4 + (bank >> 2) for bank in range(BANKS)}
    for bank, state, first, last, row in bank_states(trace, timing):
        first, last = max(first * ratio, begin), min(last * ratio, end)
        if last <= first:
            continue
        axis.broken_barh([(first, last - first)], (lane[bank] - 0.42, 0.84), facecolors=_STATES[state], linewidth=0)
        if state == "open" and last - first > 0.035 * (end - begin):
            axis.text(first + 0.002 * (end - begin), lane[bank] + 0.43, f"{row}", fontsize=6, va="bottom", color="#666666", clip_on=True)
    for kind, colour in (("RD", _READ), ("WR", _WRITE)):
        here = [each for each in trace if each.name.startswith(kind) and begin <= each.time * ratio < end]
        places = [lane[each.bank] - 0.36 for each in here]
        axis.bar([each.time * ratio for each in here], 0.45, ratio * 1.6, places, color=colour, align="edge")
    axis.set_ylim(BANKS - 0.4, -0.6)
    names = [f"group {lane // 4}  bank 0" if not lane % 4 else f"bank {lane % 4}" for lane in range(BANKS)]
    axis.set_yticks(range(BANKS), names, fontsize=8)
    for group in range(1, 4):
        axis.axhline(4 * group - 0.5, color="#999999", linewidth=0.6)


def _buses(axis, trace: list[Command], timing: TimingSet, ratio: float):
    """The data bus, where a burst follows its command by the latency, and the row bus."""
    for kind, latency, colour in (("RD", timing.RL, _READ), ("WR", timing.WL, _WRITE)):
        bursts = [((each.time + latency) * ratio, BURST_CLOCKS * ratio) for each in trace if each.name.startswith(kind)]
        axis.broken_barh(bursts, (0.6, 0.8), facecolors=colour, edgecolor="white", linewidth=0.3)
    for names, colour in ((("ACT", "PRE", "PREA", "MRS"), "#555555"), (("REFSB", "REFAB"), _STATES["refresh"])):
        rows = [(each.time * ratio, (2 if each.name == "ACT" else 1) * ratio) for each in trace if each.name in names]
        axis.broken_barh(rows, (-0.4, 0.8), facecolors=colour, linewidth=0)
    axis.set_yticks([0, 1], ["row commands", "data bus"], fontsize=8)
    axis.set_ylim(-0.5, 1.5)


def _requests(axis, found: Measurement, requests: Requests, begin: int, end: int):
    """How many reads and writes were in flight in each clock."""
    edges = np.arange(begin, end + 1)
    for kind, colour, label in ((~requests.write, _READ, "reads"), (requests.write, _WRITE, "writes")):
        kind = kind & (found.accepted >= 0)
        starts = np.sort(found.accepted[kind])
        ends = np.sort(np.where(found.last[kind] < 0, np.iinfo(np.int64).max, found.last[kind]))
        waiting = np.searchsorted(starts, edges, "right") - np.searchsorted(ends, edges, "left")
        axis.step(edges, waiting, where="post", color=colour, linewidth=1, label=label)
    axis.set_ylabel("requests\nin flight", rotation=0, ha="right", va="center", fontsize=9)
    axis.set_ylim(bottom=0)


def _latency(axis, found: Measurement):
    latency = found.latency()
    if not len(latency):
        axis.text(0.5, 0.5, "no reads", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    top = int(latency.max())
    axis.hist(latency, bins=np.linspace(0, top + 1, min(top + 1, 200) + 1), color=_READ)
    axis.set_yscale("log")
    for name, value in (("mean", latency.mean()), ("99 %", np.percentile(latency, 99)), ("max", top)):
        axis.axvline(value, color="#555555", linewidth=0.8, linestyle="--")
        axis.text(value, 0.97, f" {name} {value:,.0f}", transform=axis.get_xaxis_transform(), fontsize=8, va="top")
    axis.set_xlim(0, top * 1.06 + 1)
    axis.set_xlabel("clocks from a read's address to its last beat, all reads of the run")
    axis.set_ylabel("reads", rotation=0, ha="right", va="center", fontsize=9)
    _bare(axis)


def _bare(axis):
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
