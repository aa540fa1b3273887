"""The last runs of `gcu regress`: what each test took, for the order of the next run, and the table of the report."""

import json
from pathlib import Path

__all__ = ["History"]

#: Runs that are kept.
_KEPT = 30


class History:
    """The file of runs in the folder of the reports, a run a line: what :func:`gcu.regress.summary.summary` makes."""

    def __init__(self, folder: Path):
        self._file = folder / "history.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self.runs: list[dict] = [json.loads(line) for line in lines][-_KEPT:]

    def seconds(self) -> dict[str, float]:
        """What each test took when it passed last."""
        return {nodeid: test["seconds"] for run in self.runs for nodeid, test in run["tests"].items() if test["outcome"] == "passed"}

    def add(self, run: dict):
        """Keeps a run as the last one."""
        self.runs = [*self.runs, run][-_KEPT:]
        new = self._file.with_suffix(".new")
        new.write_text("".join(json.dumps(run) + "\n" for run in self.runs))
        new.replace(self._file)
