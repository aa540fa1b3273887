"""Functional coverage: points and crosses in cocotb-coverage's database, merged over runs and printed as a table that names the holes.

Inside the simulator a block declares a :class:`Plan`, samples it, and exports it at the end of a test. In pytest the exports of one or
several runs become a :class:`Report`.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from cocotb_coverage.coverage import CoverCross, CoverPoint, coverage_db

__all__ = ["FILE", "Plan", "Report"]

#: Name of the export in the folder of a run.
FILE = "coverage.xml"


class Plan:
    """The coverage plan of one block.

    Parameters
    ----------
    block : str
        Node of the database above the points.
    points : mapping of name to bins
        Names start with `cp_`. A sample gives a value, or a set of values that all count.
    crosses : mapping of name to (names of points, ignored)
        Every combination of the points' bins, but those for which `ignored(*bins)` holds: combinations that can't be.
    """

    def __init__(self, block: str, points: dict[str, Sequence], crosses: dict[str, tuple[Sequence[str], Callable[..., bool] | None]]):
        items: list = []
        for name, bins in points.items():
            items.append(
                CoverPoint(f"{block}.{name}", xf=lambda sample, name=name: sample[name], bins=list(bins), rel=self._holds, inj=False)
            )
        for name, (members, ignored) in crosses.items():
            impossible = [c for c in itertools.product(*(points[member] for member in members)) if ignored and ignored(*c)]
            items.append(CoverCross(f"{block}.{name}", items=[f"{block}.{member}" for member in members], ign_bins=impossible))
        self._names = set(points)
        sampler: Callable = lambda sample: None  # noqa: E731 - the decorators below need a function
        # Points are sampled before the crosses that look at them: the outermost decorator runs first.
        for item in reversed(items):
            sampler = item(sampler)
        self._sampler = sampler

    @staticmethod
    def _holds(value, bin) -> bool:
        return bin in value if isinstance(value, (set, frozenset)) else value == bin

    def sample(self, **values):
        """Counts one event; every point gets a value."""
        if set(values) != self._names:
            raise ValueError(f"a sample has {sorted(values)}, the plan {sorted(self._names)}")
        self._sampler(values)

    def export(self, folder: Path | str = "."):
        """Writes what all tests of this simulation have covered so far."""
        coverage_db.export_to_xml(str(Path(folder) / FILE))


class Report:
    """What one or several runs of a block covered, added up.

    `points` maps each point and cross to its bins with their hits.
    """

    def __init__(self, block: str, runs: Iterable[Path]):
        self.block = block
        self.points: dict[str, dict[str, int]] = {}
        # Added up here: cocotb-coverage's own merge takes no runs whose configurations differ in bins.
        for run in runs:
            for group in ElementTree.parse(Path(run) / FILE).getroot():
                for point in group if group.tag == block else ():
                    bins = self.points.setdefault(point.tag, {})
                    for bin in point:
                        bins[bin.attrib["bin"]] = bins.get(bin.attrib["bin"], 0) + int(bin.attrib["hits"])

    @staticmethod
    def blocks(file: Path) -> list[str]:
        """Blocks that have points in an export."""
        return [group.tag for group in ElementTree.parse(file).getroot() if len(group)]

    def holes(self, point: str) -> list[str]:
        return [bin for bin, hits in self.points[point].items() if not hits]

    def _met(self, points: Iterable[str], but: Callable[[str], bool] | None = None) -> list[bool]:
        """Whether each bin is covered, but for those that `but` names."""
        return [hits > 0 for point in points for bin, hits in self.points[point].items() if not (but and but(bin))]

    def share(self, point: str | None = None) -> float:
        """Covered bins by bins, of one point or of all."""
        met = self._met([point] if point else self.points)
        return sum(met) / len(met)

    def require(self, share: float = 1.0, *, but: Callable[[str], bool] | None = None):
        """Prints the table. AssertionError, with the table, if less than `share` of the bins is covered, or if there are none; what `but`
        names doesn't count."""
        print(self)
        met = self._met(self.points, but)
        assert met and sum(met) >= share * len(met), f"{sum(met)} of {len(met)} bins, not {share:.0%}\n{self}"

    def __str__(self) -> str:
        width = max(len(name) for name in self.points)
        lines = [f"{self.block:<{width}}{'bins':>7}{'hit':>7}{'share':>8}{'least':>8}  holes"]
        for name, bins in self.points.items():
            holes = self.holes(name)
            named = ", ".join(holes[:12]) + (f" and {len(holes) - 12} more" if len(holes) > 12 else "")
            least = min(bins.values())
            lines.append(f"{name:<{width}}{len(bins):>7}{len(bins) - len(holes):>7}{self.share(name):>8.1%}{least:>8}  {named}".rstrip())
        total = sum(len(bins) for bins in self.points.values())
        lines.append(f"{'all':<{width}}{total:>7}{round(self.share() * total):>7}{self.share():>8.1%}")
        return "\n".join(lines)
