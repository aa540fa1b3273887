"""Options and fixtures of the whole test suite."""

import os
import sys
from pathlib import Path

import pytest

from sim.tools import build_folder
from verif import database
from verif.common import measure
from verif.common.mutation import Campaign, Mutation
from verif.common.runner import SIMULATORS, Bench


def pytest_addoption(parser):
    group = parser.getgroup("minigcu")
    group.addoption("--sim", default=",".join(SIMULATORS), help="simulators of the testbenches, separated by commas")
    group.addoption("--seed", type=int, default=None, help="seed of everything random (default: by test name, the same in every run)")
    group.addoption("--round", type=int, default=0, help="another seed for each test: the N-th after the one by its name")
    group.addoption("--waves", action="store_true", help="record waveforms of the testbenches")
    group.addoption("--long", action="store_true", help="also run the long tier")
    group.addoption("--break", dest="fault", metavar="TEXT", help="break the design of each testbench whose name has TEXT, on purpose")
    group.addoption("--mutant", metavar="FILE:N", help="show mutant N of the campaign in FILE, and skip tests of other designs")
    group.addoption("--code-coverage", action="store_true", help="count what Verilator executes of the designs")
    group.addoption("--database", metavar="FILE", help="write the test database, a line of JSON for each collected test")


def pytest_configure(config):
    unknown = [name for name in config.getoption("--sim").split(",") if name not in SIMULATORS]
    if unknown:
        raise pytest.UsageError(f"--sim: {unknown[0]!r} is not one of {', '.join(SIMULATORS)}")
    os.environ["MINIGCU_BUILD"] = str(build_folder())
    # Compiled modules go to the build folder even where the environment keeps Python from writing them beside the sources: every simulator
    # and every `gcu` that a test starts is a new Python.
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(build_folder() / "pycache")
    os.environ.update(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=sys.pycache_prefix)


def pytest_generate_tests(metafunc):
    if "simulator" in metafunc.fixturenames:
        metafunc.parametrize("simulator", metafunc.config.getoption("--sim").split(","))


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="long tier: run with --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    measure.take()
    try:
        return (yield)
    finally:
        if rows := measure.take():
            item.user_properties.append((measure.MEASUREMENTS, rows))


def pytest_collection_finish(session):
    if session.config.getoption("--database"):
        database.save(session.items, Path(session.config.getoption("--database")))


@pytest.fixture
def seed(request) -> int:
    """Seed of this test: `--seed`, else one that its name and `--round` decide."""
    given = request.config.getoption("--seed")
    return given if given is not None else database.default_seed(request.node.name, request.config.getoption("--round"))


def _mutation(option: str | None) -> Mutation | None:
    if option is None:
        return None
    file, _, number = option.rpartition(":")
    try:
        return Mutation(Campaign.load(Path(file)), int(number))
    except (OSError, ValueError, TypeError) as error:
        raise pytest.UsageError(f"--mutant {option}: {error}") from None


@pytest.fixture
def bench(request, simulator, seed) -> Bench:
    """Runs testbenches on the simulator of this test."""
    fault = request.config.getoption("fault")
    replay = database.replay(request.node.nodeid, simulator, seed, long="long" in request.keywords, fault=fault)
    runs = Bench(
        simulator, seed, request.config.getoption("--waves"), replay, broken=bool(fault) and fault in request.node.nodeid,
        mutation=_mutation(request.config.getoption("--mutant")), code_coverage=request.config.getoption("--code-coverage"),
    )
    # What the report looks into.
    request.node.user_properties += [("runs", runs.folders), ("designs", runs.designs)]
    return runs


def pytest_terminal_summary(terminalreporter):
    """A line per block and simulator."""
    rows: dict[tuple[str, str], dict] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if outcome == "passed" and report.when != "call":
                continue
            key = database.block_of(report.nodeid), database.simulator_of(report.nodeid)
            row = rows.setdefault(key, {"passed": 0, "failed": 0, "error": 0, "skipped": 0, "seconds": 0.0})
            row[outcome] += 1
            row["seconds"] += getattr(report, "duration", 0.0)  # a module that fails to load took no time
    if not rows:
        return
    terminalreporter.section("blocks and simulators")
    terminalreporter.write_line(f"{'block':<16}{'simulator':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for (block, simulator), row in sorted(rows.items()):
        bad = row["failed"] + row["error"]
        line = f"{block:<16}{simulator:<12}{row['passed']:>8}{bad:>8}{row['skipped']:>9}{row['seconds']:>9.1f}"
        terminalreporter.write_line(line, red=bool(bad))
