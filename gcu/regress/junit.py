"""The results as JUnit XML, which every CI server reads: a suite for each block and simulator."""

from collections.abc import Sequence
from pathlib import Path

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from gcu.regress.tests import Result
from verif.database import Case

__all__ = ["write_junit"]


def _printable(text: str) -> str:
    """Without the control characters that XML can't hold."""
    return "".join(letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff"))


def write_junit(results: Sequence[Result], replays: dict[Case, str], path: Path):
    """Writes all results; a failure has its story, and each case its seed and, where it failed, the command that replays it."""
    suites: dict[tuple[str, str], TestSuite] = {}
    for result in results:
        case = result.case
        suite = suites.setdefault((case.block, case.simulator), TestSuite(f"{case.block}.{case.simulator}"))
        name = case.nodeid.partition("::")[2] + (f" round {case.round}" if case.round else "")
        entry = TestCase(name, classname=case.module.removesuffix(".py").replace("/", "."), time=round(result.seconds, 3))
        entry.system_out = f"seed {case.seed}"
        if result.outcome == "failed":
            failure = Failure(_printable(result.story.strip().splitlines()[-1] if result.story.strip() else "failed"))
            failure.text = _printable(f"{result.story}\nreplay: {replays[case]}")
            entry.result = [failure]
        elif result.outcome == "skipped":
            entry.result = [Skipped(_printable(result.story))]
        suite.add_testcase(entry)
    xml = JUnitXml("minigcu")
    for _, suite in sorted(suites.items()):
        xml.add_testsuite(suite)
    xml.write(str(path), pretty=True)
