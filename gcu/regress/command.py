"""`gcu regress`: collects the cases, gives them to workers, shows what comes in, and writes the reports."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gcu.errors import BadInput, CheckFailed
from gcu.output import console, progress, table, write_json
from gcu.regress.cluster import connect, prepare
from gcu.regress.collect import collect
from gcu.regress.history import History
from gcu.regress.junit import write_junit
from gcu.regress.report import write_report
from gcu.regress.summary import campaigns, code_coverage, coverage, measurements, summary
from gcu.regress.tests import Result, jobs
from verif.database import Case, replay

__all__ = ["Selection", "regress"]


#: Lines of a failure's story that are shown at once; the report has all.
_REASON = 4
#: Measures of code coverage and their names in the table.
_MEASURES = {"lines": "lines", "branches": "branches", "control": "toggles, control", "data": "toggles, data paths"}


@dataclass(frozen=True)
class Selection:
    """Which cases run. No `blocks` means all; `fault`: part of the name of the testbenches whose designs are broken on purpose; `code`:
    Verilator counts what is executed."""

    simulators: Sequence[str]
    blocks: Sequence[str]
    keyword: str | None
    seeds: int
    long: bool
    fault: str | None
    code: bool = False


def regress(
    selection: Selection, *, workers: int | None, scheduler: str | None, folder: Path, json_to: str | None, listing: bool, command: str,
):
    """Runs the regression. Raises :class:`CheckFailed` if a test failed, :class:`BadInput` for a selection or address that can't work."""
    if selection.seeds < 1:
        raise BadInput(f"--seeds {selection.seeds}: at least 1")
    if selection.code and "verilator" not in selection.simulators:
        raise BadInput("--code-coverage: Verilator counts it, and --sim leaves that out")
    prepare(workers=workers, scheduler=scheduler, folder=folder, json_to=json_to)
    cases = collect(
        selection.simulators, blocks=selection.blocks, keyword=selection.keyword, long=selection.long, seeds=selection.seeds,
    )
    if selection.fault and not any(selection.fault in case.nodeid and case.simulator != "python" for case in cases):
        raise BadInput(f"--break: no testbench of this run has {selection.fault!r} in its name; --list shows them")
    if listing:
        _list(cases, json_to)
        return
    began, start = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    history = History(folder)
    results, count, lost = _run(cases, selection, history, workers=workers, scheduler=scheduler, json_to=json_to)
    reports, code = coverage(results, folder / "coverage"), code_coverage(results)
    run = summary(
        results, reports, code, command=command, began=began, wall=time.monotonic() - start, workers=count, lost=lost,
    )
    history.add(run)
    replays = {result.case: _replay(result.case, selection) for result in results}
    write_junit(results, replays, folder / "junit.xml")
    page = write_report(
        folder / "index.html", run, results, replays, coverage=reports, code=code, measurements=measurements(results), runs=history.runs,
        campaigns=campaigns(folder),
    )
    _show(run, reports, page, json_to)
    if code:
        holes = {block: covered.holes() for block, covered in code.items()}
        write_json({"blocks": run["code_coverage"], "holes": holes}, str(folder / "code_coverage.json"))
    write_json({
        **run, "report": str(page), "junit": str(folder / "junit.xml"), "measurements": measurements(results),
        "failures": [
            {"test": result.case.nodeid, "seed": result.case.seed, "replay": replays[result.case], "story": result.story}
            for result in results if result.outcome == "failed"
        ],
    }, json_to)
    if failed := run["failed"]:
        raise CheckFailed(f"{failed} of {len(results)} tests; {page} has their stories")


def _replay(case: Case, selection: Selection) -> str:
    fault = selection.fault if selection.fault and selection.fault in case.nodeid else None
    return replay(case.nodeid, case.simulator, case.seed, long=case.tier == "long", fault=fault)


def _run(cases: list[Case], selection: Selection, history: History, *, workers: int | None, scheduler: str | None, json_to: str | None):
    """The results, how many jobs ran at the same time, and how many workers were lost; shows failures as they come in."""
    out = console(json_to)
    more = ["--code-coverage"] * selection.code
    work = jobs(cases, history.seconds(), list(selection.simulators), long=selection.long, fault=selection.fault, more=more)
    results: list[Result] = []
    with connect(scheduler, workers, len(work)) as cluster, progress("tests", len(cases)) as update:
        count = cluster.count
        out.print(f"{len(cases)} tests in {len(work)} jobs, {count} at a time" + (f", on {scheduler}" if scheduler else ""))
        for rows in cluster.rows(work):
            results.extend(rows)
            for result in (result for result in rows if result.outcome == "failed"):
                text = [f"FAILED {result.case.nodeid}, seed {result.case.seed}", *_reason(result.story)]
                out.print("\n".join([*text, f"  replay: {_replay(result.case, selection)}"]), markup=False)
            update(len(results))
        lost = cluster.lost
    order = {case: number for number, case in enumerate(cases)}
    return sorted(results, key=lambda result: order[result.case]), count, lost


def _reason(story: str) -> list[str]:
    """The lines of a failure's story that say what went wrong: errors that it quotes, else its end."""
    lines = [line.removeprefix("E").strip() for line in story.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Failure|Exception|Violation)\b", line)]
    return [f"  {line[:200]}" for line in (errors or lines)[-_REASON:]]


def _percent(covered: int, everything: int) -> str:
    return f"{100 * covered / everything:.1f}" if everything else ""


def _list(cases: list[Case], json_to: str | None):
    rows = [[case.block, case.test, case.configuration, case.simulator, case.seed, case.tier] for case in cases]
    console(json_to).print(table("", ["block", "test", "configuration", "simulator", "seed", "tier"], rows, left=6))
    write_json({"cases": [vars(case) for case in cases]}, json_to)


def _show(run: dict, reports: list, page: Path, json_to: str | None):
    out = console(json_to)
    rows = [list(row.values()) for row in run["blocks"]]
    rows.append(["all", "", run["passed"], run["failed"], run["skipped"], round(sum(row["seconds"] for row in run["blocks"]), 1)])
    out.print(table("", ["block", "simulator", "passed", "failed", "skipped", "seconds"], rows, left=2))
    for report in reports:
        out.print(f"functional coverage of {report.block}: {report.share():.1%} of {sum(map(len, report.points.values()))} bins")
    if run["code_coverage"]:
        out.print(table("code coverage, %", ["rtl/", *_MEASURES.values()], [
            [row["block"], *(_percent(*row[measure]) for measure in _MEASURES)] for row in run["code_coverage"]
        ]))
    lost = f", {run['lost_workers']} lost on the way" if run["lost_workers"] else ""
    out.print(f"{run['wall_seconds']:.0f} s on {run['workers']} workers{lost}; report: {page}")


