"""The picture of a whole run, read back from its waveform: what each engine did, by cause and by layer."""

from pathlib import Path

import numpy as np

from gcu.waves.view import ENGINE_LANES
from gcu.waves.waveform import Waveform
from rtl.config import ChipConfig
from rtl.isa import Cause
from rtl.sip import LANES

__all__ = ["draw_overview"]

#: Columns of the picture: a longer job shows the share of each cause among the clocks of a column.
_COLUMNS = 1200

#: From the bottom of a lane up.
_COLOURS = {
    Cause.BUSY: "#2a9d4a", Cause.ACCUMULATOR: "#c0392b", Cause.OPERAND: "#3b7dd8", Cause.MEMORY: "#f39c12", Cause.EVENT: "#c9c3dc",
    Cause.SKIPPED: "#a9d8b8", Cause.IDLE: "#f4f4f4",
}
#: Width of a letter as a share of the picture.
_CHARACTER = 0.0047
_INTERRUPT, _REGISTER = "#8e44ad", "#555555"
_READ, _WRITE = "#3b7dd8", "#c0392b"


def draw_overview(
    waveform: Waveform, config: ChipConfig, path: Path, tags: dict[int, str], title: str = "", window: tuple[int, int] | None = None,
) -> Path:
    """Draws the clocks of `window`, by default from a little before the first launch of a sequencer to a little after the last end.

    Returns the path of the PNG. Engines that never work are left out. Raises KeyError if the waveform lacks a signal, ValueError if no job
    was recorded.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    lanes = _lanes(waveform, config)
    begin, end = window or _window([cause for name, _, cause in lanes if name.endswith("sequencer")])
    lanes = [lane for lane in lanes if (lane[2][begin:end] > Cause.IDLE.value).any()]
    data = [(name, probe) for name, probe, _ in lanes if name.endswith("data")]
    edges = np.linspace(0, end - begin, min(_COLUMNS, end - begin) + 1).round().astype(int)
    heights = [0.45] + [0.8 if name.endswith("sequencer") else 1.25 for name, _, _ in lanes] + [0.9] * len(data)
    figure, axes = pyplot.subplots(
        len(heights), 1, figsize=(15, 1.5 + 0.72 * sum(heights)), sharex=True, height_ratios=heights, layout="constrained",
    )
    _host(axes[0], waveform, begin, end)
    for axis, (name, probe, cause) in zip(axes[1:], lanes, strict=False):
        _causes(axis, cause[begin:end], edges)
        axis.set_ylim(0, 1.05)
        if not name.endswith("sequencer"):
            axis.set_ylim(0, 1.45)
            _tags(axis, waveform.by_clock(f"{probe}.tag")[begin:end], cause[begin:end], tags)
        _label(axis, name)
    for axis, (name, probe) in zip(axes[1 + len(lanes) :], data, strict=True):
        for port, colour, side in (("read", _READ, 1), ("write", _WRITE, -1)):
            mean = _shares(np.maximum(waveform.by_clock(f"{probe}.{port}")[begin:end], 0), edges)
            axis.fill_between(edges, np.append(mean, mean[-1]) * side, step="post", color=colour, linewidth=0)
        axis.axhline(0, color="black", linewidth=0.5)
        axis.set_ylim(-1.1 * config.bus_bytes, 1.1 * config.bus_bytes)
        axis.set_yticks([-config.bus_bytes, config.bus_bytes], ["write", "read"], fontsize=7)
        axis.tick_params(axis="y", length=0)
        _label(axis, f"{name},\nbytes of {config.bus_bytes}", pad=38)
    for axis in axes[:-1]:
        axis.tick_params(axis="x", length=0)
    axes[-1].set_xlim(0, end - begin)
    start = "" if window is None else f" from clock {begin:,}"
    many = "" if end - begin <= _COLUMNS else f"; a column stands for {(end - begin) / _COLUMNS:.0f} of them"
    axes[-1].set_xlabel(f"clocks{start}{many}")
    figure.suptitle(f"{title or waveform.path.stem}: {end - begin:,} clocks from {waveform.path.name}", fontsize=11)
    handles = [Patch(facecolor=colour, edgecolor="#999999", label=cause.name.lower()) for cause, colour in _COLOURS.items()]
    handles += [Patch(facecolor=_REGISTER, label="host writes a register"), Patch(facecolor=_INTERRUPT, label="interrupt")]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _lanes(waveform: Waveform, config: ChipConfig) -> list[tuple[str, str, np.ndarray]]:
    """(title, probe, cause by clock) of every engine."""
    lanes = []
    for unit in range(config.sips + 1):
        owner = "cluster" if unit == config.sips else f"SIP {unit}"
        for lane, engine in enumerate(ENGINE_LANES):
            if unit < config.sips or lane >= 2:
                probe = f"probe_{LANES * unit + lane}"
                lanes.append((f"{owner} {engine}", probe, waveform.by_clock(f"{probe}.cause")))
    return lanes


def _window(sequencers: list[np.ndarray]) -> tuple[int, int]:
    active = np.flatnonzero(np.any([cause > Cause.IDLE.value for cause in sequencers], axis=0))
    if not len(active):
        raise ValueError("no job was recorded")
    begin, end = int(active[0]), int(active[-1]) + 1
    margin = (end - begin) // 50 + 1
    return max(begin - margin, 0), min(end + margin, len(sequencers[0]))


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean over each column."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return (sums[edges[1:]] - sums[edges[:-1]]) / np.diff(edges)


def _causes(axis, cause: np.ndarray, edges: np.ndarray):
    """Causes stacked to one, from 0 to 1."""
    floor = np.zeros(len(edges))
    for kind, colour in _COLOURS.items():
        share = _shares(cause == kind.value, edges)
        top = floor + np.append(share, share[-1])
        axis.fill_between(edges, floor, top, step="post", color=colour, linewidth=0)
        floor = top
    axis.set_yticks([])


def _tags(axis, tag: np.ndarray, cause: np.ndarray, names: dict[int, str]):
    """A strip above the causes: the layer whose command the engine holds, named where there is room."""
    active = np.flatnonzero(cause > Cause.IDLE.value)
    if not len(active):
        return
    held = tag[active]
    # A piece ends where the tag changes or the engine idles for longer than the eye sees.
    breaks = np.flatnonzero((np.diff(held) != 0) | (np.diff(active) > max(len(cause) // 200, 1)))
    for first, last in zip(np.append(0, breaks + 1), np.append(breaks, len(active) - 1), strict=True):
        number, start, stop = int(held[first]), int(active[first]), int(active[last]) + 1
        name = names.get(number, f"tag {number}")
        axis.broken_barh([(start, stop - start)], (1.08, 0.32), facecolors=_tag_colour(number), linewidth=0)
        if stop - start > _CHARACTER * len(name) * len(cause):
            axis.text((start + stop) / 2, 1.23, name, ha="center", va="center", fontsize=7, clip_on=True)


def _tag_colour(number: int):
    from matplotlib import pyplot

    return pyplot.get_cmap("Pastel1")((number - 1) % 9)


def _host(axis, waveform: Waveform, begin: int, end: int):
    writes = np.flatnonzero(waveform.by_clock("player.axi__awvalid")[begin:end] == 1)
    axis.vlines(writes, 0, 1, color=_REGISTER, linewidth=1)
    interrupt = waveform.by_clock("player.interrupt")[begin:end] == 1
    axis.fill_between(np.arange(end - begin), interrupt, step="post", color=_INTERRUPT, linewidth=0)
    axis.set_ylim(0, 1.1)
    axis.set_yticks([])
    _label(axis, "host")


def _label(axis, text: str, pad: int = 6):
    axis.set_ylabel(text, rotation=0, ha="right", va="center", labelpad=pad, fontsize=9)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
