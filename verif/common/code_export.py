"""What Verilator counted in a run, mapped back to lines of the source and signals of components (:mod:`verif.common.code_coverage`).

Verilator's file names lines of the emission, modules and signals; the emission's attributes say which lines of the source they are
(:mod:`sim.verilog.covered`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sim.verilog.places import BETWEEN_BRANCHES, BETWEEN_LINES
from verif.common.code_coverage import FILE, CodeCoverage

__all__ = ["export"]

#: What Verilator writes into the folder of a run.
_RAW = "coverage.dat"


@dataclass
class _Branching:
    """An `if` or `casez` of the text: the lines of its branches, and the branch that is being read."""

    places: list[list[str]]
    branch: int
    reset: bool = False

    @property
    def now(self) -> list[str]:
        return [] if self.reset or self.branch >= len(self.places) else self.places[self.branch]


@dataclass
class _Text:
    """What the lines of an emission stand for (:func:`sim.verilog.covered.emit_covered`)."""

    #: Line of an assignment to the places that it stands for.
    assignments: dict[int, list[str]] = field(default_factory=dict)
    #: Line of an `if` to the places that its branches guard.
    conditions: dict[int, list[list[str]]] = field(default_factory=dict)
    #: Line of a choice to its place.
    choices: dict[int, str] = field(default_factory=dict)
    #: File of a component by its module; empty for those that don't count.
    files: dict[str, str] = field(default_factory=dict)


_SRC = re.compile(r'\(\* src = "([^"]*)" \*\)')
_LABEL = re.compile(r"\s+(?:\d+'[hbd][0-9a-fz?_]+(?:, )?)+:$|\s+default:$")


def _scan(text: str, sources: str) -> _Text:
    def own(lines: str) -> list[str]:
        return [place for place in lines.split(BETWEEN_LINES) if place.startswith(sources)]

    found, stack, src = _Text(), [], ""
    for number, line in enumerate(text.splitlines(), 1):
        if alone := _SRC.fullmatch(line.strip()):
            src = alone[1]
            continue
        if line.startswith("module "):
            found.files[line.split()[1].partition("(")[0].removeprefix("\\")] = "".join(own(src)).rpartition(":")[0]
        elif line.strip() == "always_comb begin":
            stack = [_Branching([], 0)]
        elif stack:
            word = line.strip()
            places = [own(branch) for branch in src.split(BETWEEN_BRANCHES)]
            if word.startswith("casez "):
                stack.append(_Branching(places, -1))
            elif word.startswith("if "):
                stack.append(_Branching(places, 0, reset=word == "if (rst) begin"))
                if not stack[-1].reset:
                    found.conditions[number] = places
            elif _LABEL.match(line) or word.startswith("end else"):
                stack[-1].branch += 1
                if word.startswith("end else if"):
                    found.conditions[number] = stack[-1].places[stack[-1].branch :]
            elif word in ("end", "endcase"):
                stack.pop()
            elif now := stack[-1].now:
                found.assignments[number] = now
        if " ? (* src" in line and (match := _SRC.search(line)):
            found.choices.update((number, place) for place in own(match[1])[:1])
        if not line.strip().startswith("(*"):
            src = ""
    return found


def _name(escaped: str) -> str:
    """A signal's name from Verilator's, without the number that tells it from others of the name; empty if it has none in the source."""
    name = re.sub(r"__0([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), escaped)
    return "" if name.startswith("$") else re.sub(r"\$\d+", "", name)


def export(run: Path, text: str, sources: str):
    """Writes what the run in folder `run` covered of the design `text`, of files whose paths begin with `sources`, in the place of
    Verilator's file, which is long."""
    (run / FILE).write_text(_read(run, text, sources).text())
    (run / _RAW).unlink()


def _read(run: Path, text: str, sources: str) -> CodeCoverage:
    known, found = _scan(text, sources), CodeCoverage()
    for places in known.assignments.values():
        found.lines.update(dict.fromkeys(places, 0))
    for line in (run / _RAW).read_text(errors="replace").splitlines():
        if not line.startswith("C '"):
            continue
        body, _, count = line[3:].rpartition("' ")
        point = dict(item.split("\2", 1) for item in body.split("\1")[1:])
        number, what, kind, hits = int(point["l"]), point["o"], point["page"].partition("/")[0], int(count)
        if kind == "v_toggle":
            _toggle(found, known, point["page"].partition("/")[2], what, hits)
            continue
        if what in ("cond_then", "cond_else"):
            if number in known.choices:
                _branch(found, known.choices[number], "first side of Mux" if what == "cond_then" else "second side of Mux", hits)
            continue
        if what in ("if", "elsif", "else"):
            # An `else` is noted with its `if`.
            for place in next((branch for branch in known.conditions.get(number, []) if branch), []):
                _branch(found, place, "condition not met" if what == "else" else "condition met", hits)
        for place in {place for part in _lines(point.get("S", "")) for place in known.assignments.get(part, [])}:
            found.lines[place] += hits
    return found


def _branch(found: CodeCoverage, place: str, what: str, hits: int):
    found.branches[place, what] = found.branches.get((place, what), 0) + hits


def _toggle(found: CodeCoverage, known: _Text, module: str, what: str, hits: int):
    """`what` is NAME:0->1 or NAME[BIT]:1->0."""
    signal, _, edge = what.rpartition(":")
    match = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", signal)
    assert match
    name, bit, file = _name(match[1]), int(match[2] or 0), known.files.get(module, "")
    if name in ("", "clk", "rst") or not file:
        return
    entry = found.signals.setdefault((file, name), [0, 0, 0])
    entry[0] = max(entry[0], bit + 1)
    entry[1 if edge == "0->1" else 2] |= (hits > 0) << bit


def _lines(ranges: str) -> Iterable[int]:
    """From "3-5,7"."""
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
