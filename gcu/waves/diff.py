"""Where two recorded runs part: the first clock in which a signal that both have differs, and the signals that differ in it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gcu.waves.waveform import UNKNOWN, Waveform

__all__ = ["Difference", "Parting", "common_names", "compare"]

#: What the models of the bench keep of the run's own files: names and handles, by the last part of a signal's name.
_FILES = {"path", "dump_path", "file", "dump_file", "flip_path", "name", "handle", "trace"}


@dataclass(frozen=True)
class Difference:
    """A signal, by its name below the bench, and its values in the two runs."""

    name: str
    first: int
    second: int


@dataclass(frozen=True)
class Parting:
    """`clock` is None where the runs agree in every clock that both recorded."""

    clock: int | None
    differences: tuple[Difference, ...]
    compared: int  #: signals
    clocks: int  #: that both runs recorded
    lengths: tuple[int, int]


def common_names(first: Waveform, second: Waveform) -> dict[str, tuple[str, str]]:
    """Signals that both have with the same width: name below the top, full names. Simulators put tops of their own above the bench.

    What a simulator makes up for itself (parts of arrays, copies with `$`) is left out, since the whole signal is compared; so are names of
    files.
    """
    names = []
    for waveform in (first, second):
        top = waveform.find("bench.clk").removesuffix("bench.clk")
        names.append({
            name.removeprefix(top): name for name in waveform.signals
            if "$" not in name and "[" not in name and name.rsplit(".", 1)[-1] not in _FILES
        })
    return {
        name: (full, names[1][name]) for name, full in names[0].items()
        if name in names[1] and first.width(full) == second.width(names[1][name])
    }


def compare(first: Waveform, second: Waveform, progress: Callable[[int], None] | None = None) -> Parting:
    """Compares clock by clock, after the rising edge. An unknown value differs from none: one simulator may know what the other doesn't."""
    pairs = common_names(first, second)
    lengths = len(first.edges), len(second.edges)
    clocks = min(lengths)
    limit = clocks
    found: list[Difference] = []
    for number, (name, (left, right)) in enumerate(sorted(pairs.items())):
        # What comes after the earliest difference so far doesn't matter.
        a, b = (waveform.values(full)[: min(limit + 1, clocks)] for waveform, full in ((first, left), (second, right)))
        places = np.flatnonzero((a != b) & (a != UNKNOWN) & (b != UNKNOWN))
        if len(places):
            place = int(places[0])
            if place < limit:
                limit, found = place, []
            if place == limit:
                found.append(Difference(name, int(a[place]), int(b[place])))
        if progress is not None:
            progress(number + 1)
    return Parting(limit if found else None, tuple(found), len(pairs), clocks, lengths)
