"""Code coverage says of a design of which half runs what its lines say."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from verif.common import covered
from verif.common.code_coverage import FILE, CodeCoverage
from verif.common.covered import HALF, Half

_FILE = "verif/common/covered.py"


@pytest.fixture
def found(bench) -> CodeCoverage:
    if bench.simulator != "verilator":
        pytest.skip("Verilator counts")
    counting = replace(bench, code_coverage=True, sources="verif/common/covered")
    return CodeCoverage.of((counting.run(Half(), "verif.common.covered_tests") / FILE).read_text())


def test_lines_and_branches(found):
    marks = {}
    for number, line in enumerate(Path(covered.__file__).read_text().splitlines(), 1):
        if (match := re.search(r"\S.*  # (.+)$", line)) and match[1] in HALF:
            marks[match[1]] = f"{_FILE}:{number}"
    assert set(marks) == set(HALF)
    lines = {marks[mark]: executed for mark, (executed, _) in HALF.items() if executed is not None}
    assert {place: int(count > 0) for place, count in found.lines.items()} == lines
    branches = {marks[mark]: sides for mark, (_, sides) in HALF.items() if sides}
    seen: dict[str, set[str]] = {}
    for (place, what), count in found.branches.items():
        seen.setdefault(place, set()).update({what} if count else set())
    assert seen == branches
    covered_lines, all_lines = found.shares()["lines"]
    assert (covered_lines, all_lines) == (sum(lines.values()), len(lines))


def test_toggles(found):
    signals = {name: values for (_, name), values in found.signals.items()}
    assert signals["go"] == [1, 1, 1] and signals["back"] == [1, 0, 0] and signals["low"] == [4, 1, 1]
    assert signals["wide"] == [12, 0xFFF, 0xFFF] and signals["out"] == [4, 1, 0]
    holes = found.holes()
    assert f"{_FILE}: back keeps a value" in holes and f"{_FILE}: low[1, 2, 3] keeps a value" in holes
    assert not any("wide" in hole for hole in holes)


def test_runs_are_added_up():
    one = CodeCoverage({"rtl/a/x.py:1": 0, "rtl/b/y.py:2": 3}, {("rtl/a/x.py:1", "met"): 0}, {("rtl/a/x.py", "s"): [2, 0b01, 0b11]})
    other = CodeCoverage({"rtl/a/x.py:1": 2}, {("rtl/a/x.py:1", "met"): 1}, {("rtl/a/x.py", "s"): [3, 0b110, 0b000]})
    both = CodeCoverage()
    both.add(one)
    both.add(CodeCoverage.of(other.text()))
    assert both.lines == {"rtl/a/x.py:1": 2, "rtl/b/y.py:2": 3} and both.signals == {("rtl/a/x.py", "s"): [3, 0b111, 0b011]}
    assert both.blocks() == ["a", "b"] and both.of_block("b").shares()["lines"] == (1, 1)
    assert both.of_block("a").shares() == {"lines": (1, 1), "branches": (1, 1), "control": (2, 3), "data": (0, 0)}
