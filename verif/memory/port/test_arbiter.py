"""The arbiter on both simulators."""

import pytest

from rtl.memory.arbiter import Arbiter
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.memory.port.arbiter_tests import ATOM_BITS
from verif.memory.port.faults import Altered

TESTS = "verif.memory.port.arbiter_tests"


def run(bench, ports: int, clocks: int, system=None, **options):
    folder = bench.run(system or Arbiter(ATOM_BITS, ports), TESTS, params={"ports": ports, "clocks": clocks}, **options)
    return (folder / "log.txt").read_text()


@pytest.mark.parametrize("ports", [2, 4])
def test_arbiter(request, bench, ports):
    if ports != 2:
        long_on_verilator(request, bench)
    log = run(bench, ports, 30_000 if request.config.getoption("--long") else 2000)
    print(*(line for line in log.splitlines() if "choices" in line))
    assert "passes one that is starved" not in log


@pytest.mark.long
def test_one_port(bench):
    run(bench, 1, 5000)


@pytest.mark.parametrize("port, change, reason", [
    ("starve_limit", lambda limit: limit + (limit != 0), "the starved ones"),
    ("writes_held", lambda held: 0, "are due"),
    ("service__payload", lambda payload: payload | 2, "a request changed"),
])
def test_altered(request, bench, port, change, reason):
    """A limit that is one too large, a hint that is not heard, a service that is urgent."""
    long_on_verilator(request, bench)
    log = run(bench, 2, 2000, Altered(Arbiter(ATOM_BITS, 2), port, change), expect_failure=True)
    assert reason in log


@pytest.mark.parametrize("port, bit", [("requests__payload", 30), ("reads__1__ready", 0), ("write_waits", 0)])
def test_fault(request, bench, port, bit):
    long_on_verilator(request, bench)
    run(bench, 2, 1000, Fault(Arbiter(ATOM_BITS, 2), port, bit, after=100), expect_failure=True)
