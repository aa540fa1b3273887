"""`gcu regress --faults`: how an upset is judged, what is refused, a small campaign."""

import pytest

from gcu.errors import CheckFailed
from gcu.regress import faults
from gcu.regress.tests import Result
from verif.database import Case
from verif.front.kit import gcu
from verif.memory.test_upsets import KINDS, outcome

GOOD = {"silent": 0, "refused": 0, "hangs": False, "corrected": 0, "bad": 0, "violations": 0}


@pytest.mark.parametrize("found, name", [
    ({}, "harmless"), ({"corrected": 2}, "corrected"), ({"corrected": 2, "bad": 1}, "reported"), ({"refused": 1}, "reported"),
    ({"refused": 1, "silent": 1}, "silent"), ({"silent": 1, "violations": 1}, "silent"), ({"violations": 1}, "breaks a DRAM rule"),
    ({"silent": 1, "hangs": True}, "hangs"),
])  # fmt: skip
def test_the_worst_counts(found, name):
    assert outcome({**GOOD, **found}) == name and name in faults.OUTCOMES


def _result(number: int, kind: str, what: str, test: str) -> Result:
    case = Case("verif/a.py::test_upset[verilator]", "a", "test_upset", kind, "verilator", "long", number, True)
    return Result(case, test, 1.0, "story", upset={"kind": kind, "place": f"place {number}", "outcome": what, "protected": kind == "safe"})


def test_the_table():
    """Silent is a failure where the design claims protection, and a count elsewhere; a run without an outcome is no run."""
    results = [_result(1, "safe", "corrected", "passed"), _result(2, "safe", "silent", "failed"), _result(3, "open", "silent", "passed")]
    report = faults._report("a", results)
    assert [(row["kind"], row["protected"], row["count"], row["corrected"], row["silent"]) for row in report["kinds"]] == [
        ("safe", True, 2, 1, 1), ("open", False, 1, 0, 1),
    ]
    assert [failure["place"] for failure in report["failures"]] == ["place 2"] and "--seed 2" in report["failures"][0]["replay"]
    lost = Result(results[0].case, "failed", 0.0, "the build failed")
    with pytest.raises(CheckFailed, match=r"has no outcome: the build failed"):
        faults._report("a", [lost])


@pytest.mark.parametrize("words, message", [
    ("--faults nosuch", "--faults: 'nosuch' is not one of memory, chip"), ("--faults memory --count 0", "--count 0: at least 1"),
])  # fmt: skip
def test_refused(words, message):
    answer = gcu("regress", *words.split())
    assert answer.status == 2 and message in answer.err


@pytest.mark.long
def test_campaign(tmp_path):
    answer = gcu("regress", "--faults", "memory", "--count", 2 * len(KINDS), "-o", tmp_path, "--json", "-")
    assert answer.status == 0, answer.err
    rows = {row["kind"]: row for row in answer.json["kinds"]}
    assert set(rows) == set(KINDS) and {row["count"] for row in rows.values()} == {2}
    assert rows["dram, one bit"]["corrected"] == rows["dram, two bits"]["reported"] == 2
