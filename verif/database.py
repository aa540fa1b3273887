"""The test database: one line for each block x test x configuration x simulator, taken from what pytest collects.

`pytest --collect-only --database FILE` writes it; `gcu regress` reads it and runs every line with one or several seeds. There is no
second list: a new pytest is in the database, and each line is replayed by pytest alone.
"""

import json
import re
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from verif.common.runner import SIMULATORS

__all__ = ["Case", "block_of", "default_seed", "load", "replay", "save", "simulator_of"]

#: Between one seed of a test and the next: far more than tests add to their seed for rounds of their own.
_SEED_STRIDE = 1_000_003


@dataclass(frozen=True)
class Case:
    """One line of the database.

    `nodeid` names the test for pytest, from the root of the project. `simulator` is "python" for a test without one. `tier` is "quick" or
    "long". `seeded`: the seed changes what the test does; then it can run in further rounds, each with a seed of its own.
    """

    nodeid: str
    block: str
    test: str
    configuration: str
    simulator: str
    tier: str
    seed: int
    seeded: bool
    round: int = 0

    def in_round(self, number: int) -> "Case":
        """The case of round 0 in another round."""
        return replace(self, round=number, seed=self.seed + _SEED_STRIDE * number)

    @property
    def module(self) -> str:
        """File of the test."""
        return self.nodeid.partition("::")[0]


def default_seed(name: str, round: int = 0) -> int:
    """The seed that the name of a test decides, in round 0 as long as nobody asks for others."""
    return 1 + sum(name.encode()) % 9973 + _SEED_STRIDE * round


def replay(nodeid: str, simulator: str, seed: int, *, long: bool = False, fault: str | None = None) -> str:
    """The command line that runs one test again, with waves."""
    name = re.sub(r"^.*/(?=verif/)", "", nodeid)
    words = [".venv/bin/pytest", name, *(() if simulator == "python" else ("--sim", simulator)), "--seed", str(seed), "--waves"]
    words += ["--long"] * long + (["--break", fault] if fault else [])
    return shlex.join(words)


def block_of(nodeid: str) -> str:
    """The folder of a test below `verif/`; the name of its file where it has none."""
    parts = nodeid.split("::")[0].split("/")
    return parts[parts.index("verif") + 1] if "verif" in parts[:-2] else parts[-1].removesuffix(".py")


def simulator_of(nodeid: str) -> str:
    """The simulator that the parameters of a test name, or python."""
    return next((name for name in SIMULATORS if name in re.split(r"[^a-z]", nodeid.partition("[")[2])), "python")


def _configuration(nodeid: str, simulator: str) -> str:
    """The parameters beside the simulator."""
    parameters = nodeid.partition("[")[2].removesuffix("]").split("-")
    if simulator in parameters:
        parameters.remove(simulator)
    return "-".join(parameters)


def _case(item) -> Case:
    nodeid = item.nodeid
    simulator = simulator_of(nodeid)
    test = nodeid.partition("::")[2].partition("[")[0]
    return Case(
        nodeid=nodeid, block=block_of(nodeid), test=test, configuration=_configuration(nodeid, simulator), simulator=simulator,
        tier="long" if "long" in item.keywords else "quick", seed=default_seed(item.name),
        seeded=bool({"seed", "bench"} & set(item.fixturenames)),
    )


def save(items: list, path: Path):
    """Writes the database of pytest's collected `items`."""
    path.write_text("".join(json.dumps(asdict(_case(item))) + "\n" for item in items))


def load(path: Path) -> list[Case]:
    return [Case(**json.loads(line)) for line in path.read_text().splitlines()]
