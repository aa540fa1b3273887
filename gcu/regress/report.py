"""The HTML report of a regression: one file that needs nothing else."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2

from gcu.regress.faults import OUTCOMES
from gcu.regress.tests import Result
from verif.common.code_coverage import CodeCoverage
from verif.common.coverage import Report
from verif.database import Case

__all__ = ["write_report"]

#: Rows of the tables of the slowest tests and of the last runs.
_SLOWEST, _RUNS = 25, 12


def _flips(runs: Sequence[dict]) -> list[dict]:
    """Tests that passed in one of the last runs and failed in another: their outcomes, oldest first."""
    names = {nodeid for run in runs for nodeid, test in run["tests"].items() if test["outcome"] == "failed"}
    rows = []
    for nodeid in sorted(names):
        outcomes = [run["tests"].get(nodeid, {}).get("outcome", "") for run in runs]
        if "passed" in outcomes:
            rows.append({"test": nodeid, "outcomes": outcomes})
    return rows


def write_report(
    path: Path, run: dict, results: Sequence[Result], replays: dict[Case, str], *, coverage: Sequence[Report],
    code: dict[str, CodeCoverage], measurements: Sequence[dict], runs: Sequence[dict], campaigns: dict[str, list[dict]],
) -> Path:
    """Writes the report of `run` (see :mod:`gcu.regress.summary`); `runs` are the last ones with it at the end. Returns `path`."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(resources.files("gcu.regress").joinpath("report.html").read_text())
    last = list(runs)[-_RUNS:]
    text = template.render(
        run=run, results=results, replays=replays, coverage=coverage, measurements=measurements, runs=last, flips=_flips(last),
        code=code, campaigns=campaigns,
        outcomes=[outcome for outcome in OUTCOMES if any(row[outcome] for each in campaigns["faults"] for row in each["kinds"])],
        causes=list(dict.fromkeys(cause for row in measurements for cause in row["causes"])),
        failures=[result for result in results if result.outcome == "failed"],
        slowest=sorted(results, key=lambda result: -result.seconds)[:_SLOWEST],
        longest=max((row["wall_seconds"] for row in last), default=0.0) or 1.0,
        blocks=sorted({result.case.block for result in results}),
    )
    path.write_text(text)
    return path
