"""Yosys, in a process of its own: its generated names count on from one design to the next, and its errors end a process."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

__all__ = ["read_verilog_text", "yosys"]

_SCRIPT = """
import json, sys
from pyosys import libyosys as ys
design = ys.Design()
for command in json.load(sys.stdin):
    ys.Pass.call(design, f"tee -q -o {sys.argv[1]} {command}")
"""
#: Characters of a failed command's log: the error is its end.
_LAST = 2000


def yosys(commands: Sequence[str], *, folder: Path | None = None, seconds: float | None = None) -> subprocess.CompletedProcess:
    """Runs the commands in order, in `folder`, and keeps quiet; one that begins with `-o FILE` writes its log there.

    The caller judges `returncode`; `stderr` ends with what the failed command wrote last. Raises :class:`subprocess.TimeoutExpired`
    after `seconds`.
    """
    # A command that fails ends the process without a word outside of its log.
    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary) / "log.txt"
        run = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(log)], input=json.dumps(list(commands)), capture_output=True, text=True, check=False,
            cwd=folder, timeout=seconds,
        )
        if run.returncode and log.exists():
            run.stderr += log.read_text(errors="replace")[-_LAST:]
    return run


def read_verilog_text(file: Path) -> str:
    """What `write_verilog` wrote, without the first line, which names the tool and a path of this machine.

    Items of a concatenation that repeat become a replication: Yosys writes each bit of a sign extension or a mask by itself, of which
    Verilator makes a shift and an OR per bit instead of one negation.
    """

    def runs(match: re.Match) -> str:
        items = ((item, sum(1 for _ in same)) for item, same in groupby(match.group(1).split(", ")))
        return "{ " + ", ".join(item if count == 1 else f"{{{count}{{{item}}}}}" for item, count in items) + " }"

    text = "\n".join(file.read_text().splitlines()[1:]) + "\n"
    return re.sub(r"\{ ([^{}\n]*) \}", runs, text)
