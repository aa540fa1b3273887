"""What a run gave, as data: the table by block, and what history and `--json` keep."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gcu.regress.tests import Result
from verif.common.code_coverage import CodeCoverage
from verif.common.coverage import FILE, Report

__all__ = ["block_rows", "campaigns", "code_coverage", "commit", "coverage", "measurements", "summary", "total"]

_ROOT = Path(__file__).parents[2]


def total(results: Sequence[Result]) -> dict[str, int]:
    """Results by outcome."""
    return {outcome: sum(result.outcome == outcome for result in results) for outcome in ("passed", "failed", "skipped")}


def block_rows(results: Sequence[Result]) -> list[dict]:
    """A row for each block and simulator: tests by outcome, seconds of one core."""
    keys = sorted({(result.case.block, result.case.simulator) for result in results})
    rows = []
    for block, simulator in keys:
        own = [result for result in results if (result.case.block, result.case.simulator) == (block, simulator)]
        rows.append({"block": block, "simulator": simulator, **total(own), "seconds": round(sum(result.seconds for result in own), 1)})
    return rows


def coverage(results: Sequence[Result], folder: Path) -> list[Report]:
    """Functional coverage by block: all exports of the run's tests merged, and kept in `folder`."""
    exports: dict[str, list[Path]] = {}
    for number, result in enumerate(results):
        for part, text in enumerate(result.coverage):
            run = folder / f"{number}_{part}"
            run.mkdir(parents=True, exist_ok=True)
            (run / FILE).write_text(text)
            for block in Report.blocks(run / FILE):
                exports.setdefault(block, []).append(run)
    return [Report(block, runs) for block, runs in sorted(exports.items())]


def code_coverage(results: Sequence[Result]) -> dict[str, CodeCoverage]:
    """Code coverage of all tests together, by folder of `rtl/`."""
    everything = CodeCoverage()
    for result in results:
        for text in result.code:
            everything.add(CodeCoverage.of(text))
    return {block: everything.of_block(block) for block in everything.blocks()}


def measurements(results: Sequence[Result]) -> list[dict]:
    """Every row that tests measured, with the block and the test it comes from."""
    return [{"block": result.case.block, "test": result.case.nodeid, **row} for result in results for row in result.measurements]


def commit() -> str:
    """Short name of the sources' commit, with a + where files differ from it; empty outside of git."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty=+", "--abbrev=8", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _code_rows(code: dict[str, CodeCoverage]) -> list[dict]:
    """A row for each folder of `rtl/`, and one for all: [covered, all] of each measure."""
    rows = [{"block": block, **{measure: list(pair) for measure, pair in covered.shares().items()}} for block, covered in code.items()]
    measures = [measure for measure in rows[0] if measure != "block"] if rows else []
    everything = {measure: [sum(row[measure][part] for row in rows) for part in (0, 1)] for measure in measures}
    return [*rows, {"block": "all", **everything}]


def campaigns(folder: Path) -> dict[str, list[dict]]:
    """The last campaign of each target that left its result in `folder`: of mutants, and of faults."""
    return {
        kind: [json.loads(file.read_text()) for file in sorted(folder.glob(f"{kind}_*.json"))] for kind in ("mutants", "faults")
    }


def summary(
    results: Sequence[Result], reports: Sequence[Report], code: dict[str, CodeCoverage], *, command: str, began: str, wall: float,
    workers: int, lost: int,
) -> dict:
    """The run as data; `tests` has the worst outcome and the mean seconds of each test over its rounds."""
    tests: dict[str, dict] = {}
    for nodeid in dict.fromkeys(result.case.nodeid for result in results):
        own = [result for result in results if result.case.nodeid == nodeid]
        worst = next(outcome for outcome in ("failed", "passed", "skipped") if any(result.outcome == outcome for result in own))
        tests[nodeid] = {"outcome": worst, "seconds": round(sum(result.seconds for result in own) / len(own), 2)}
    return {
        "began": began, "command": command, "commit": commit(), "wall_seconds": round(wall, 1), "workers": workers, "lost_workers": lost,
        **total(results), "blocks": block_rows(results), "code_coverage": _code_rows(code) if code else [],
        "coverage": {report.block: round(report.share(), 4) for report in reports},
        "tests": tests,
    }
