"""The arbiter on both simulators."""

import pytest

from rtl.memory.arbiter import Arbiter
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.memory.port.arbiter_tests import ATOM_BITS, BLOCK
from verif.memory.port.faults import Altered

TESTS = "verif.memory.port.arbiter_tests"


def run(bench, ports: int, clocks: int, system=None, **options):
    return bench.run(system or Arbiter(ATOM_BITS, ports), TESTS, params={"ports": ports, "clocks": clocks}, **options)


@pytest.mark.parametrize("ports", [2, 4])
def test_arbiter(request, bench, ports):
    long_on_verilator(request, bench)
    folder = run(bench, ports, 30_000 if request.config.getoption("--long") else 2000)
    assert "passes one that is starved" not in (folder / "log.txt").read_text()
    Report(BLOCK, [folder]).require(1 if request.config.getoption("--long") else 0.85)


@pytest.mark.long
def test_one_port(bench):
    run(bench, 1, 5000)


@pytest.mark.parametrize("port, change, reason", [
    ("starve_limit", lambda limit: limit + (limit != 0), "the starved ones"),
    ("service__payload", lambda payload: payload | 2, "a request changed"),
])
def test_altered(request, bench, port, change, reason):
    """A limit that is one too large, a service that is urgent."""
    long_on_verilator(request, bench)
    folder = run(bench, 2, 1200, Altered(Arbiter(ATOM_BITS, 2), port, change), expect_failure=True)
    assert reason in (folder / "log.txt").read_text()


@pytest.mark.parametrize("port, bit", [("requests__payload", 30), ("reads__1__ready", 0)])
def test_fault(request, bench, port, bit):
    long_on_verilator(request, bench)
    run(bench, 2, 400, Fault(Arbiter(ATOM_BITS, 2), port, bit, after=100), expect_failure=True)
