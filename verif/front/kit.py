"""Helpers of the front door's tests: the command line in process, and what it printed."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass

from gcu.cli import main
from verif.common.measure import measure

__all__ = ["Answer", "gcu"]


@dataclass(frozen=True)
class Answer:
    """Exit status, standard output and standard error of one command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """Standard output as JSON; nothing else may be there."""
        return json.loads(self.out)


def gcu(*arguments: object) -> Answer:
    """Runs a command line as `.venv/bin/gcu` does."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["gcu", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        answer = Answer(end.code, out.getvalue(), err.getvalue())
        _measure(sys.argv[1:], answer)
        return answer
    finally:
        sys.argv = before
    raise AssertionError("main() returned without an exit status")


def _measure(words: list[str], answer: Answer):
    """What `gcu run` and `gcu gemm` say of the engines on the RTL goes to the report of the regressions."""
    if answer.status != 0 or words[:1] not in (["run"], ["gemm"]) or not answer.out.startswith("{"):
        return
    report = answer.json
    names = words[1:2] if words[0] == "run" else [*words[1:4], report["dtype"], report["memory"]]
    for engine, causes in report.get("stalls", {}).items():
        peak = report.get("utilisation") if engine == "tensor" else None
        measure(" ".join([words[0], *(name.split("/")[-1] for name in names)]), report["config"], engine, causes, utilisation=peak)
