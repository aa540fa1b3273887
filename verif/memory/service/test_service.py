"""The service on the simulators, in full and slower clocks, with deliberate faults."""

import pytest

from rtl.memory.service.start_up import StartUp
from rtl.memory.timing import TimingSet
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.memory.service.coverage import BLOCK
from verif.memory.service.system import Served

TESTS = "verif.memory.service.service_tests"
P3200 = TimingSet.load("P3200")


def test_service(bench):
    # Every clock on one simulator, three of four on the other; the long tier runs each on both.
    timing, clock = ("P3200", (3, 4)) if bench.simulator == "icarus" else ("F3200", (1, 1))
    run = bench.run(Served(TimingSet.load(timing), clock), TESTS, params={"timing": timing})
    Report(BLOCK, [run]).require()


@pytest.mark.long
@pytest.mark.parametrize(("timing", "clock", "ecc"), [
    ("P3200", (3, 4), True), ("F3200", (1, 1), True), ("D3200", (5, 8), True), ("P3200", (1, 3), True), ("P3200", (1, 1), False),
])
def test_service_long(bench, timing, clock, ecc):
    few = ["start_up", "register_map", "counters"]
    bench.run(Served(TimingSet.load(timing), clock, ecc=ecc), TESTS, params={"timing": timing, "ecc": ecc}, testcase=None if ecc else few)


@pytest.mark.long
def test_service_waits(bench):
    bench.run(Served(P3200, autostart=False), TESTS, params={"timing": "P3200", "autostart": False}, testcase="start_up")


@pytest.mark.parametrize(("port", "bit", "testcase"), [
    ("row", 6, "start_up"), ("coded__payload", 30, "fill"),
    *(pytest.param(*fault, marks=pytest.mark.long) for fault in (
        ("timing", 180, "start_up"), ("registers__read__data", 4, "register_map"), ("registers__write__error", 0, "register_map"),
        ("coded__payload", 30, "self_test"), ("run", 0, "stop"), ("returned", 20, "injection"),
    )),
])
def test_service_fault(request, bench, port, bit, testcase):
    long_on_verilator(request, bench)
    bench.run(Fault(Served(P3200), port, bit, after=20), TESTS, params={"timing": "P3200"}, testcase=testcase, expect_failure=True)


def test_refused():
    with pytest.raises(ValueError, match="the device settles for at least 1 clock, not 0"):
        StartUp(0)
