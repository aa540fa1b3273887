"""Standard-cell libraries in the Liberty format: areas, functions, capacitances and delay tables of each cell."""

import gzip
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

__all__ = ["Arc", "Cell", "Library", "LibraryError", "Table"]


class LibraryError(ValueError):
    """A file that is not a library, or lacks what synthesis needs. The message says which and what."""


@dataclass(frozen=True)
class Table:
    """A value over one or two variables; linear between the points, and beyond the last ones."""

    slews: tuple[float, ...]
    loads: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def __call__(self, slew: float, load: float) -> float:
        i, u = _place(self.slews, slew)
        j, v = _place(self.loads, load)
        rows = self.values
        if i + 1 >= len(rows):
            return rows[i][j] + v * (rows[i][j + 1] - rows[i][j]) if j + 1 < len(rows[i]) else rows[i][j]
        low, high = rows[i], rows[i + 1]
        if j + 1 >= len(low):
            return low[j] + u * (high[j] - low[j])
        first, second = low[j] + v * (low[j + 1] - low[j]), high[j] + v * (high[j + 1] - high[j])
        return first + u * (second - first)


def _place(points: tuple[float, ...], value: float) -> tuple[int, float]:
    """Index of the interval, and the place in it (0 to 1 inside)."""
    if len(points) < 2:
        return 0, 0.0
    index = min(max(bisect_right(points, value) - 1, 0), len(points) - 2)
    return index, (value - points[index]) / (points[index + 1] - points[index])


@dataclass(frozen=True)
class Arc:
    """From an input pin to an output; `delays` and `slews` by the edge of the output, True is rising."""

    source: str
    #: Edges of the input that make an edge of the output: both of unate arcs are one, of others two.
    edges: tuple[tuple[bool, bool], ...]
    delays: dict[bool, Table]
    slews: dict[bool, Table]


@dataclass
class Cell:
    """Pins by name; `clock` is set for flip-flops, whose `data` pins have a setup time each."""

    name: str
    area: float
    inputs: dict[str, float] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    arcs: dict[str, list[Arc]] = field(default_factory=dict)
    setup: dict[str, list[Table]] = field(default_factory=dict)
    clock: str | None = None


class Library:
    """What a Liberty file says of its cells. Times are nanoseconds, capacitances picofarads, areas square micrometres.

    Raises :class:`LibraryError`.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            text = gzip.open(path, "rt").read() if path.suffix == ".gz" else path.read_text()
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise LibraryError(f"{path}: {getattr(error, 'strerror', None) or 'not a Liberty file'}") from None
        self.text = text
        try:
            root = _parse(text)
        except (IndexError, ValueError):
            raise LibraryError(f"{path}: not a Liberty file") from None
        if root is None:
            raise LibraryError(f"{path}: not a Liberty file")
        self.name = root.argument
        time = {"1ns": 1.0, "100ps": 0.1, "10ps": 0.01, "1ps": 0.001}.get(root.text("time_unit", "1ns"))
        number, unit = (root.values("capacitive_load_unit") or ["1", "pf"])[:2]
        if time is None or unit.lower() not in ("pf", "ff"):
            raise LibraryError(f"{path}: unknown units of time or capacitance")
        self._time, self._capacitance = time, float(number) * (1.0 if unit.lower() == "pf" else 0.001)
        self._templates = {group.argument: group for group in root.groups("lu_table_template")}
        self.cells = {group.argument: self._cell(group) for group in root.groups("cell")}
        self.nand2 = self._smallest_nand2()

    def _cell(self, group: "_Group") -> Cell:
        cell = Cell(group.argument, float(group.text("area", "0")))
        flops = group.groups("ff")
        if flops:
            cell.clock = re.sub(r"\W", "", flops[0].text("clocked_on", "")) or None
        for pin in group.groups("pin"):
            if pin.text("direction") == "input":
                cell.inputs[pin.argument] = float(pin.text("capacitance", "0")) * self._capacitance
                for timing in pin.groups("timing"):
                    if timing.text("timing_type", "").startswith("setup_"):
                        cell.setup.setdefault(pin.argument, []).extend(
                            self._table(timing.groups(name)[0], self._time) for name in ("rise_constraint", "fall_constraint")
                            if timing.groups(name)
                        )
            elif pin.text("direction") == "output":
                cell.outputs[pin.argument] = pin.text("function", "")
                cell.arcs[pin.argument] = [arc for timing in pin.groups("timing") if (arc := self._arc(timing)) is not None]
        return cell

    def _arc(self, timing: "_Group") -> Arc | None:
        kind = timing.text("timing_type", "combinational")
        if kind not in ("combinational", "rising_edge", "falling_edge"):
            return None
        sense = timing.text("timing_sense", "non_unate")
        edges = {"positive_unate": ((True, True), (False, False)), "negative_unate": ((True, False), (False, True))}.get(
            sense, tuple(product((True, False), repeat=2))
        )
        delays, slews = {}, {}
        for rising, name in ((True, "rise"), (False, "fall")):
            delay, slew = timing.groups(f"cell_{name}"), timing.groups(f"{name}_transition")
            if not delay or not slew:
                return None
            delays[rising], slews[rising] = self._table(delay[0], self._time), self._table(slew[0], self._time)
        return Arc(timing.text("related_pin"), edges, delays, slews)

    def _table(self, group: "_Group", scale: float) -> Table:
        template = self._templates.get(group.argument)
        axes = []
        for index in ("index_1", "index_2"):
            values = group.values(index) or (template.values(index) if template else [])
            axes.append(tuple(map(float, values)) or (0.0,))
        variable = template.text("variable_1", "") if template else ""
        flat = [scale * float(value) for value in group.values("values")]
        width = len(axes[1])
        rows = [flat[start : start + width] for start in range(0, len(flat), width)]
        if "capacitance" in variable:  # loads run down the rows
            axes, rows = axes[::-1], [list(column) for column in zip(*rows, strict=True)]
        if "capacitance" in variable or (template and "capacitance" in template.text("variable_2", "")):
            axes[1] = tuple(self._capacitance * value for value in axes[1])
        return Table(axes[0], axes[1], tuple(map(tuple, rows)))

    def _smallest_nand2(self) -> Cell:
        found = [cell for cell in self.cells.values() if _is_nand2(cell)]
        if not found:
            raise LibraryError(f"{self.path}: no 2-input NAND to count equivalents in")
        return min(found, key=lambda cell: cell.area)


def _is_nand2(cell: Cell) -> bool:
    if len(cell.inputs) != 2 or len(cell.outputs) != 1 or cell.clock:
        return False
    function = next(iter(cell.outputs.values()))
    if not re.fullmatch(r"[\w\s!'&*|+^()]+", function):
        return False
    expression = re.sub(r"([\w]+|\([^()]*\))\s*'", r"(~\1)", function).replace("!", "~").replace("*", "&").replace("+", "|")
    try:
        return all(
            eval(expression, {"__builtins__": {}}, dict(zip(cell.inputs, bits, strict=True))) & 1 == 1 - (bits[0] & bits[1])
            for bits in product((0, 1), repeat=2)
        )
    except (SyntaxError, NameError, TypeError):
        return False


@dataclass
class _Group:
    """`name (argument) { attributes, groups }`."""

    name: str
    argument: str
    attributes: dict[str, list[str]] = field(default_factory=dict)
    children: dict[str, list["_Group"]] = field(default_factory=dict)

    def groups(self, name: str) -> list["_Group"]:
        return self.children.get(name, [])

    def text(self, name: str, default: str | None = None) -> str:
        values = self.attributes.get(name)
        return values[0] if values else default

    def values(self, name: str) -> list[str]:
        return [word for value in self.attributes.get(name, []) for word in re.split(r"[,\s]+", value) if word]


_TOKENS = re.compile(r'"((?:[^"\\]|\\.)*)"|([{}();:])|([^\s{}();:",]+)', re.DOTALL)


def _parse(text: str) -> _Group | None:
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL).replace("\\\n", " ")
    tokens = [(m.group(2), m.group(1) if m.group(1) is not None else m.group(3)) for m in _TOKENS.finditer(text)]
    stack: list[_Group] = []
    root, index = None, 0
    while index < len(tokens):
        mark, word = tokens[index]
        if mark == "}":
            stack.pop()
            index += 1
        elif mark:
            index += 1
        elif tokens[index + 1][0] == ":":
            values = []
            index += 2
            while tokens[index][0] not in (";", "}"):
                values.append(tokens[index][1] if tokens[index][0] is None else tokens[index][0])
                index += 1
            stack[-1].attributes[word] = [" ".join(values)]
        elif tokens[index + 1][0] == "(":
            arguments = []
            index += 2
            while tokens[index][0] != ")":
                arguments.append(tokens[index][1])
                index += 1
            index += 1
            if index < len(tokens) and tokens[index][0] == "{":
                group = _Group(word, " ".join(arguments))
                if stack:
                    stack[-1].children.setdefault(word, []).append(group)
                elif word == "library":
                    root = group
                stack.append(group)
                index += 1
            else:
                stack[-1].attributes[word] = arguments
        else:
            raise ValueError(word)
    return root
