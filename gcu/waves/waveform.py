"""Reads a recorded waveform: signals by the end of their name, values by clock."""

from pathlib import Path

import numpy as np
import pywellen

__all__ = ["UNKNOWN", "Waveform"]

#: What stands for a value with unknown bits.
UNKNOWN = -1

#: Wider values are Python integers.
_WIDEST = 62


class Waveform:
    """An FST or VCD of the bench. Raises :class:`KeyError` where it lacks a signal.

    Members
    -------
    signals
        Variables by full name, such as `main.bench.probe_0.cause`.
    edges
        Times of the rising edges of `clk`, in the file's own unit; clock n begins at the n-th.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = pywellen.Waveform(str(path))
        self.signals = {variable.full_name: variable for variable in self._file.all_vars()}
        times, values = self._changes(self.find("bench.clk"))
        self.edges = times[values == 1]
        # Between two rising edges, after everything has settled.
        self._quarter = int(np.diff(self.edges).min()) // 4 if len(self.edges) > 1 else 0

    def __contains__(self, suffix: str) -> bool:
        return bool(self._ending(suffix))

    def find(self, suffix: str) -> str:
        """The shortest name that ends with `suffix`, from the start of a scope's name on."""
        found = self._ending(suffix)
        if not found:
            raise KeyError(f"{self.path.name} has no signal {suffix}")
        return min(found, key=len)

    def width(self, name: str) -> int:
        """Bits of a signal, by full name."""
        return self.signals[name].bitwidth or 1

    def by_clock(self, suffix: str) -> np.ndarray:
        """Value in each clock, after its rising edge; UNKNOWN where it has unknown bits or none was recorded yet."""
        return self.values(self.find(suffix))

    def values(self, name: str) -> np.ndarray:
        """As :meth:`by_clock`, by full name. Signals of more than 62 bits come as Python integers."""
        times, values = self._changes(name)
        if not len(times):
            return np.full(len(self.edges), UNKNOWN)
        place = np.searchsorted(times, self.edges + self._quarter, side="right") - 1
        return np.where(place < 0, UNKNOWN, values[np.maximum(place, 0)])

    def _ending(self, suffix: str) -> list[str]:
        return [name for name in self.signals if name == suffix or name.endswith("." + suffix)]

    def _changes(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        changes = list(self.signals[name].signal)
        times = np.array([time for time, _ in changes], np.int64)
        kind = object if self.width(name) > _WIDEST else np.int64
        values = np.empty(len(changes), kind)
        values[:] = [value if isinstance(value, int) else UNKNOWN for _, value in changes]
        return times, values
