"""Signals over a few hundred clocks, as a viewer would draw them: lines for bits, boxes with text for the rest."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from gcu.waves.readings import Bit, Names, Reading
from gcu.waves.view import Group
from gcu.waves.waveform import UNKNOWN, Waveform

__all__ = ["LONGEST", "Row", "draw_panel", "rows_of"]

#: Clocks of a panel; with more, no text fits.
LONGEST = 600

_LINE, _BOX, _UNKNOWN, _MARK = "#1b5e8c", "#2a7a3f", "#c0392b", "#d35400"
#: Fill of a value's box, and of names that mean rest.
_FILL, _REST = "#e7f3ea", "#f6f6f6"
_QUIET = {"IDLE", "NOP", "-"}
_WIDTH_INCHES = 17.0
#: Width of a letter, in inches.
_LETTER = 0.062


@dataclass(frozen=True)
class Row:
    """One signal of the picture: its values by clock over the window."""

    group: str
    label: str
    reading: Reading
    values: np.ndarray


def rows_of(waveform: Waveform, groups: list[Group], begin: int, end: int, *, prefix: str = "", moving: bool = False) -> list[Row]:
    """The view's signals in the window; with `moving` only groups in which something changes."""
    rows: list[Row] = []
    for group in groups:
        part = [Row(f"{prefix}{group.title}", t.label, t.reading, waveform.values(t.name)[begin:end]) for t in group.traces]
        if not moving or any((row.values[1:] != row.values[:-1]).any() for row in part if row.label != "clk"):
            rows += [row for row in part if row.label != "clk"]
    return rows


def draw_panel(rows: list[Row], begin: int, path: Path, title: str, mark: int | None = None) -> Path:
    """Draws the rows, the first clock being `begin`; `mark` is a clock to point at. Returns the path of the PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    clocks = len(rows[0].values)
    figure, axis = pyplot.subplots(figsize=(_WIDTH_INCHES, 1.4 + 0.27 * len(rows)), layout="constrained")
    inches = 0.8 * _WIDTH_INCHES / clocks
    places: list[float] = []
    place = 0.0
    for number, row in enumerate(rows):
        if number and row.group != rows[number - 1].group:
            place += 0.6
            axis.axhline(place - 0.25, color="#dddddd", linewidth=0.8)
        places.append(place)
        draw = _bit if isinstance(row.reading, Bit) else _value
        draw(axis, row, begin, place, inches)
        place += 1.0
    for number, row in enumerate(rows):
        if number == 0 or row.group != rows[number - 1].group:
            axis.annotate(row.group, (0, places[number] + 0.35), xycoords=("axes fraction", "data"), xytext=(-215, 0),
                          textcoords="offset points", fontsize=8, fontweight="bold", va="center", ha="left", annotation_clip=False)
    if mark is not None:
        axis.axvspan(mark, mark + 1, color=_MARK, alpha=0.25, linewidth=0)
    axis.set_yticks([each + 0.35 for each in places], [row.label for row in rows], fontsize=7.5)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(place + 0.2, -0.4)
    axis.set_xlim(begin, begin + clocks)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.grid(axis="x", color="#eeeeee", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.set_xlabel("clock")
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.set_title(title, fontsize=11)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _pieces(values: np.ndarray):
    """(first, beyond the last, value) of each run of equal values."""
    breaks = np.flatnonzero(values[1:] != values[:-1]) + 1
    edges = [0, *breaks.tolist(), len(values)]
    return [(first, last, values[first]) for first, last in pairwise(edges)]


def _bit(axis, row: Row, begin: int, place: float, inches: float):
    del inches
    known = np.where(row.values == UNKNOWN, 0.5, row.values).astype(float)
    heights = place + 0.65 - 0.6 * np.append(known, known[-1])
    axis.step(np.arange(begin, begin + len(heights)), heights, where="post", color=_LINE, linewidth=1.0)


def _value(axis, row: Row, begin: int, place: float, inches: float):
    for first, last, value in _pieces(row.values):
        text = row.reading.text(int(value))
        unknown = value == UNKNOWN
        quiet = isinstance(row.reading, Names) and text in _QUIET
        colour = _UNKNOWN if unknown else _BOX
        axis.broken_barh([(begin + first, last - first)], (place + 0.02, 0.66), facecolors=_REST if quiet else _FILL, edgecolors=colour,
                         linewidth=0.25 if quiet else 0.6)
        room = int((last - first) * inches / _LETTER) - 1
        shown = text if len(text) <= room else text[: room - 1] + "…" if room >= 3 else ""
        if shown:
            axis.text(begin + (first + last) / 2, place + 0.36, shown, ha="center", va="center", fontsize=6.5, clip_on=True)
