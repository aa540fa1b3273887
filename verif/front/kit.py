"""Helpers of the front door's tests: the command line in process, and what it printed."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass

from gcu.cli import main

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
        return Answer(end.code, out.getvalue(), err.getvalue())
    finally:
        sys.argv = before
    raise AssertionError("main() returned without an exit status")
