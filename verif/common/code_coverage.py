"""Code coverage: which lines of the source and signals of components runs have exercised, added up. :mod:`verif.common.code_export` has
what Verilator counted in one run.

Three measures:

- **lines**: assignments under a condition (`m.If`, `m.Switch`, states), by line; covered once executed.
- **branches**: conditions of `m.If` and `m.Elif`, by the line that they guard; covered once met and once not met. Of a `Mux`, both sides.
- **toggles**: bits of named signals, by component and signal; covered once risen and once fallen. Signals wider than
  :data:`CONTROL_BITS` are data paths and counted apart.

A line or signal that is there several times, in instances of a component or in several designs, is covered where one of them is. What a
reset does is left out, and what lies in the library of the hardware language.
"""

import json
from dataclasses import dataclass, field

__all__ = ["CONTROL_BITS", "FILE", "CodeCoverage"]

#: Name of the export in the folder of a run.
FILE = "code_coverage.json"
#: Signals of at most so many bits are control.
CONTROL_BITS = 8


@dataclass
class CodeCoverage:
    """What runs covered. `lines` and `branches` map places (FILE:LINE, of branches with what happened) to counts; `signals` maps a signal
    (file of its component, its name) to [bits, those that rose, those that fell], the latter as masks."""

    lines: dict[str, int] = field(default_factory=dict)
    branches: dict[tuple[str, str], int] = field(default_factory=dict)
    signals: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, other: "CodeCoverage"):
        for mine, theirs in ((self.lines, other.lines), (self.branches, other.branches)):
            for place, count in theirs.items():
                mine[place] = mine.get(place, 0) + count
        for signal, (bits, rose, fell) in other.signals.items():
            had = self.signals.get(signal, [0, 0, 0])
            self.signals[signal] = [max(bits, had[0]), rose | had[1], fell | had[2]]

    def text(self) -> str:
        """As JSON."""
        return json.dumps({
            "lines": self.lines, "branches": [[*key, count] for key, count in self.branches.items()],
            "signals": [[*key, *value] for key, value in self.signals.items()],
        })

    @classmethod
    def of(cls, text: str) -> "CodeCoverage":
        """From :meth:`text`."""
        kept = json.loads(text)
        return cls(
            kept["lines"], {(place, what): count for place, what, count in kept["branches"]},
            {(file, name): values for file, name, *values in kept["signals"]},
        )

    def blocks(self) -> list[str]:
        """Folders of `rtl/` that have anything."""
        files = [*self.lines, *(place for place, _ in self.branches), *(file for file, _ in self.signals)]
        return sorted({_block(file) for file in files})

    def of_block(self, block: str) -> "CodeCoverage":
        return CodeCoverage(
            {place: count for place, count in self.lines.items() if _block(place) == block},
            {key: count for key, count in self.branches.items() if _block(key[0]) == block},
            {key: value for key, value in self.signals.items() if _block(key[0]) == block},
        )

    def shares(self) -> dict[str, tuple[int, int]]:
        """(covered, all) of lines, branches, bits of control signals, and bits of data paths."""
        toggles = {True: [0, 0], False: [0, 0]}
        for bits, rose, fell in self.signals.values():
            toggles[bits <= CONTROL_BITS][0] += (rose & fell).bit_count()
            toggles[bits <= CONTROL_BITS][1] += bits
        return {
            "lines": (sum(count > 0 for count in self.lines.values()), len(self.lines)),
            "branches": (sum(count > 0 for count in self.branches.values()), len(self.branches)),
            "control": (toggles[True][0], toggles[True][1]), "data": (toggles[False][0], toggles[False][1]),
        }

    def holes(self) -> list[str]:
        """Lines and branches that no run took, and bits of control signals that did not rise and fall."""
        found = [f"{place}: not executed" for place, count in sorted(self.lines.items(), key=_by_line) if not count]
        executed = {place for place, count in self.lines.items() if count}
        for (place, what), count in sorted(self.branches.items(), key=lambda item: _by_line((item[0][0], 0))):
            if not count and (place in executed or place not in self.lines):
                found.append(f"{place}: {what}")
        for (file, name), (bits, rose, fell) in sorted(self.signals.items()):
            still = [bit for bit in range(bits) if not rose & fell & 1 << bit]
            if still and bits <= CONTROL_BITS:
                which = "" if len(still) == bits else str(still) if len(still) > 1 else f"[{still[0]}]"
                found.append(f"{file}: {name}{which} keeps a value")
        return found


def _block(place: str) -> str:
    parts = place.split("/")
    return parts[1] if len(parts) > 2 else "top"


def _by_line(item: tuple[str, int]) -> tuple[str, int]:
    file, _, line = item[0].rpartition(":")
    return file, int(line)


