"""The kind of jobs that run tests: lines of the database, by pytest in a process of its own."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gcu.regress.kinds import KINDS, Answer, Job, Kind, source_digest
from gcu.regress.recorder import Recorder
from verif.database import Case

__all__ = ["Result", "jobs", "run"]

#: A job has at most so many tests, and ends taking more once it is known to take so many seconds: between the cost of a start and two
#: workers that wait for the last one.
_TESTS, _SECONDS = 40, 20.0
#: Seconds of a test that was never run, for the order alone: with a simulator, without.
_GUESS = {True: 12.0, False: 0.3}
#: Seconds that a test may take before its job is ended: runs and builds have limits of their own below it.
_LIMIT = 3600.0


@dataclass(frozen=True)
class Result:
    """How one case ended: "passed", "failed" or "skipped"."""

    case: Case
    outcome: str
    seconds: float
    story: str = ""
    coverage: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    measurements: list[dict] = field(default_factory=list)
    designs: list[list[str]] = field(default_factory=list)
    upset: dict = field(default_factory=dict)


def jobs(
    cases: Iterable[Case], seconds: dict[str, float], simulators: list[str], *, long: bool, fault: str | None, more: Sequence[str] = (),
) -> list[Job]:
    """Jobs of neighbouring tests that share module, simulator and round; the longest first. `seconds` is what tests took before, `more`
    are options of pytest."""

    def cost(case: Case) -> float:
        return seconds.get(case.nodeid, _GUESS[case.simulator != "python"])

    groups: dict[tuple, list[list[Case]]] = defaultdict(lambda: [[]])
    for case in cases:
        parts = groups[case.module, case.simulator, case.round, case.tier]
        last = parts[-1]
        if last and (len(last) >= _TESTS or sum(map(cost, last)) + cost(case) > _SECONDS):
            parts.append([case])
        else:
            last.append(case)
    made = []
    for parts in groups.values():
        for part in parts:
            argument = {"cases": [vars(case) for case in part], "simulators": simulators, "long": long, "fault": fault, "more": list(more)}
            name, seconds_of_all = part[0].nodeid, sum(map(cost, part))
            made.append(Job(name, "tests", "gcu.regress.tests:run", argument, seconds_of_all, _LIMIT * len(part), source_digest()))
    return sorted(made, key=lambda job: -job.cost)


def _arguments(cases: list[Case], argument: dict) -> list[str]:
    words = [*(case.nodeid for case in cases), "--sim", ",".join(argument["simulators"]), "--round", str(cases[0].round)]
    words += ["--long"] if argument["long"] else []
    return words + (["--break", argument["fault"]] if argument["fault"] else []) + argument.get("more", [])


def run(argument: dict) -> dict:
    """Runs the cases of one job, with `more` options of pytest; the outcomes by case, see :class:`Recorder`."""
    import pytest

    cases = [Case(**case) for case in argument["cases"]]
    recorder = Recorder()
    with open("/dev/null", "w") as null, contextlib.redirect_stdout(null):
        # The warm process has loaded hypothesis before pytest could rewrite its assertions, which none of our tests needs.
        words = ["-q", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning", *_arguments(cases, argument)]
        status = pytest.main(words, plugins=[recorder])
    return {"outcomes": recorder.outcomes, "status": int(status)}


def _rows(argument: dict, answer: Answer) -> list[Result]:
    """A result for each case of a job: one without an outcome failed, and the story says why."""
    outcomes = answer.result["outcomes"] if answer.result else {}
    made = []
    for fields in argument["cases"]:
        case = Case(**fields)
        outcome = outcomes.get(case.nodeid) or outcomes.get(case.module)
        if outcome is None:
            why = answer.error or f"pytest ended with status {answer.result['status']} and did not run it"
            outcome = {"outcome": "failed", "seconds": 0.0, "story": why}
        made.append(Result(case, **outcome))
    return made


KINDS["tests"] = Kind(_rows)
