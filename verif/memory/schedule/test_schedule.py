"""The scheduler with the device model on both simulators; the offline checker reads the command traces."""

import dataclasses

import pytest

from rtl.config import ChipConfig
from rtl.memory.schedule import scheduler
from rtl.memory.schedule.pool import WritePool
from rtl.memory.timing import TimingSet
from sim.hbm.checker import check
from sim.hbm.parameters import DEVICE_SOURCES
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_icarus, long_on_verilator
from verif.memory.schedule.coverage import BLOCK
from verif.memory.schedule.random_sets import random_set
from verif.memory.schedule.system import SchedulerSystem

TESTS = "verif.memory.schedule.schedule_tests"
CONFIG = ChipConfig("scheduler", dram_rows=64, read_queue=4, read_staging=8, write_pool=16)


def run(bench, timing: TimingSet, testcase="random_requests", requests=500, *, faulty=None, system=None, expect_failure=False, **params):
    """Runs on a device of set `timing`, the scheduler on `faulty` if given; returns the offline checker's report."""
    used = faulty or timing
    given = {key: getattr(used, key) for key in used.parameters()}
    folder = bench.run(
        system or SchedulerSystem(CONFIG), TESTS, testcase=testcase, sources=list(DEVICE_SOURCES), expect_failure=expect_failure,
        params={"config": CONFIG.to_dict(), "requests": requests, "timing": given, **params},
        plusargs=["+hbm_trace=commands.txt", *(f"+hbm_{key}={getattr(timing, key)}" for key in timing.parameters())],
    )
    return check(folder / "commands.txt", timing, rows=CONFIG.dram_rows)


def judge(report):
    assert report.ok, "\n".join(str(violation) for violation in report.violations[:5])
    assert report.commands["RD"] and report.commands["WR"]


@pytest.mark.parametrize("name", TimingSet.names())
def test_random(bench, name):
    """Icarus takes some fifty times as long: one set there, and few requests."""
    if bench.simulator == "icarus" and name != "F3200":
        pytest.skip("the other sets run on Verilator")
    judge(run(bench, TimingSet.load(name), requests=150 if bench.simulator == "icarus" else 3000))
    if bench.simulator == "verilator":
        # All banks at once are a mode of its own, see below; how much refresh is owed depends on the load.
        Report(BLOCK, bench.folders).require(but=lambda bin: "REF" in bin)


@pytest.mark.parametrize("number", range(4))
def test_random_set(request, bench, number):
    """Valid sets that nobody tuned for; clocks in which nothing steps, and pauses between the requests."""
    long_on_icarus(request, bench)
    judge(run(bench, random_set(number), requests=1500, step=0.8, stall=0.2))


@pytest.mark.long
@pytest.mark.parametrize("number", range(4, 30))
def test_random_set_long(request, bench, number):
    if bench.simulator == "icarus":
        pytest.skip("many clocks: Verilator")
    judge(run(bench, random_set(number), requests=8000, age_limit=300))


@pytest.mark.parametrize("options", [{"refresh_all": 1}, {"close_after": 60}], ids=["refresh_all", "close_after"])
def test_modes(request, bench, options):
    """All banks refreshed together; rows that time out."""
    long_on_icarus(request, bench)
    timing = dataclasses.replace(TimingSet.load("F3200"), tREFI=1600, tREFIsb=100, tRFCsb=80)
    report = run(bench, timing, ("pauses",), 30, **options)
    judge(report)
    assert bool(report.commands["REFAB"]) == ("refresh_all" in options)
    assert bool(report.commands["REFSB"]) == ("refresh_all" not in options)


@pytest.mark.parametrize("rule, clocks", [("tRCDRD", 1), ("tFAW", 1), ("tRP", 1), ("tRAS", 1), ("tWTR_L", 3), ("tRFCsb", 4)])
def test_fault(request, bench, rule, clocks):
    """A scheduler that works by one value too small is found out by the device and by the offline checker."""
    long_on_icarus(request, bench)
    timing = TimingSet.load("F3200")
    faulty = dataclasses.replace(timing, **{rule: getattr(timing, rule) - clocks})
    report = run(bench, timing, requests=1000, faulty=faulty, expect_failure=True)
    assert rule in {violation.rule for violation in report.violations}


@pytest.mark.parametrize("port, bit", [("fetched", 12 + 20 + 77), ("fetched", 5), ("fetched", 12)])
def test_broken(request, bench, port, bit):
    """An inverted bit of an atom that is read or forwarded, and one of a tag, must be found."""
    long_on_verilator(request, bench)  # each fault is a build of its own
    run(bench, TimingSet.load("P3200"), requests=40, system=Fault(SchedulerSystem(CONFIG), port, bit, after=200), expect_failure=True)


def test_broken_forward(request, bench, monkeypatch):
    """Reads that take the bytes of a write that has not all of them must be found."""
    long_on_verilator(request, bench)
    monkeypatch.setattr(scheduler, "WritePool", lambda depth: Fault(WritePool(depth), "found_whole", after=200))
    run(bench, TimingSet.load("P3200"), requests=40, expect_failure=True)
