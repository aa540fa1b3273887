"""A pytest plugin that keeps what the report needs of each test, as plain data that travels from a worker to the command."""

from pathlib import Path

from verif.common import code_coverage
from verif.common.coverage import FILE
from verif.common.measure import MEASUREMENTS

__all__ = ["Recorder"]

#: Characters of a failure's story, and of what a test printed, that are kept: the end says what happened.
_KEPT = 20_000


def _outcome(outcome: str, story: str = "") -> dict:
    return {"outcome": outcome, "seconds": 0.0, "story": story, "coverage": [], "code": [], "measurements": [], "designs": [], "upset": {}}


class Recorder:
    """Records outcomes by the name of the test.

    An outcome has `outcome` ("passed", "failed", "skipped"; an error of set-up or tear-down is "failed"), `seconds`, `story` (why it
    failed or was skipped), `coverage` (exports of cocotb-coverage, XML), `code` (exports of :mod:`verif.common.code_coverage`),
    `measurements` (:mod:`verif.common.measure`), `designs` (class and content hash of each) and `upset` (what became of a fault that the
    test put in).
    """

    def __init__(self):
        self.outcomes: dict[str, dict] = {}

    def pytest_runtest_logreport(self, report):
        row = self.outcomes.setdefault(report.nodeid, _outcome("passed"))
        row["seconds"] += report.duration
        if report.failed:
            row["outcome"] = "failed"
            row["story"] = (row["story"] + report.longreprtext)[-_KEPT:]
        elif report.skipped and row["outcome"] == "passed":
            row["outcome"] = "skipped"
            row["story"] = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        if report.when == "call":
            properties = dict(report.user_properties)
            for key, name in (("coverage", FILE), ("code", code_coverage.FILE)):
                files = [Path(folder) / name for folder in properties.get("runs", [])]
                row[key] = [file.read_text() for file in files if file.exists()]
            row["measurements"] = properties.get(MEASUREMENTS, [])
            row["designs"] = properties.get("designs", [])
            row["upset"] = properties.get("upset", {})

    def pytest_collectreport(self, report):
        """A module that can't be loaded fails all of its tests."""
        if report.failed:
            self.outcomes[report.nodeid] = _outcome("failed", report.longreprtext[-_KEPT:])
