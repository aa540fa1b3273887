"""The cases of a run: what pytest collects, cut to what the user asked for."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gcu.errors import BadInput
from verif import database
from verif.common.runner import SIMULATORS
from verif.database import Case

__all__ = ["collect"]

_ROOT = Path(__file__).parents[2]
#: Seconds to collect everything.
_LIMIT = 300


def collect(simulators: Sequence[str], *, blocks: Sequence[str], keyword: str | None, long: bool, seeds: int) -> list[Case]:
    """The database's cases of these simulators, blocks and tiers, each in `seeds` rounds if it has a seed.

    No `blocks` means all. `keyword` is pytest's `-k`. Raises :class:`BadInput` for what doesn't exist, and if nothing is left.
    """
    for name in simulators:
        if name not in SIMULATORS:
            raise BadInput(f"--sim: {name!r} is not one of {', '.join(SIMULATORS)}")
    folders = sorted(path.name for path in (_ROOT / "verif").iterdir() if any(path.rglob("test_*.py")))
    for name in blocks:
        if name not in folders:
            raise BadInput(f"--block: {name!r} is not one of {', '.join(folders)}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "database.jsonl"
        words = [f"verif/{name}" for name in blocks] or ["verif"]
        words += ["--collect-only", "-q", "--sim", ",".join(simulators), "--database", str(file)]
        words += ["-k", keyword] if keyword else []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
        try:
            run = subprocess.run(
                [sys.executable, "-m", "pytest", *words], cwd=_ROOT, env=environment, capture_output=True, text=True, check=False,
                timeout=_LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise BadInput(f"the tests could not be collected within {_LIMIT} s") from None
        if run.returncode == 5 or (run.returncode == 0 and not file.exists()):
            raise BadInput(f"no test has {keyword!r}; .venv/bin/pytest --collect-only -q lists them" if keyword else "there are no tests")
        if run.returncode:
            last = next((line for line in reversed((run.stderr + run.stdout).splitlines()) if line.strip()), "no message")
            raise BadInput(f"the tests can't be collected ({last.strip()}); '.venv/bin/pytest --collect-only -q' shows why")
        cases = [case for case in database.load(file) if long or case.tier == "quick"]
    if not cases:
        raise BadInput("all of these tests are of the long tier; add --long")
    return [case.in_round(number) for number in range(seeds) for case in cases if number == 0 or case.seeded]
