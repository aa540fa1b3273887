"""The whole memory controller with the device model, on both simulators; the offline checker reads the command traces."""

import dataclasses

import pytest

from rtl.config import PRESETS, ChipConfig
from rtl.memory.timing import TimingSet
from sim.hbm.checker import check
from sim.hbm.parameters import DEVICE_SOURCES
from verif.common.fault import Fault
from verif.common.runner import SIMULATORS, Bench
from verif.common.tiers import long_on_verilator
from verif.memory.system import MemorySystem

#: The tests of the ports, whose referee knows the order of several ports; below them stands everything else.
TESTS = "verif.memory.port.port_tests"


def chip(timing: str = "P3200", clock=(1, 1), bus_bytes: int = 16) -> ChipConfig:
    return dataclasses.replace(
        PRESETS["tiny"], name="memory", dram_rows=64, dram_timing=timing, memory_clock=clock, bus_bytes=bus_bytes,
    )


def run(bench, config: ChipConfig, testcase, clocks: int, *, ports: int = 2, flips: int = 0, system=None, **options):
    """Runs and returns the offline checker's report."""
    params = {"config": config.to_dict(), "clocks": clocks, "ports": ports, "whole": True, "rounds": 12, "flips": bool(flips)}
    faults = [f"+hbm_read_flips={flips}", "+hbm_read_flip_bits=1", "+hbm_seed=3"] if flips else []
    folder = bench.run(
        system or MemorySystem(config, ports=ports), TESTS, params=params, testcase=testcase, sources=list(DEVICE_SOURCES),
        plusargs=["+hbm_trace=commands.txt", *faults], **options,
    )
    return check(folder / "commands.txt", TimingSet.load(config.dram_timing)), folder


def judge(report):
    assert report.ok, "\n".join(str(violation) for violation in report.violations[:5])
    assert report.commands["MRS"] == 2 and report.commands["RD"] and report.commands["WR"]


def test_two_ports(request, bench):
    """cp_random: bursts of every kind on two ports, self-tests beside them, refusals counted; cp_order: a read after an answer on the other
    port; cp_stuck: a port that takes no data. A run each: the device keeps its data over a reset."""
    quick = bench.simulator == "icarus" and not request.config.getoption("--long")
    clocks = 200 if quick else 500
    for testcase in ("rough", *(() if quick else ("read_after_write", "stuck_master"))):
        judge(run(bench, chip(), [testcase], clocks)[0])


@pytest.mark.long
def test_four_ports(bench):
    judge(run(bench, chip("D3200", (5, 8), 32), ["rough"], 120, ports=4)[0])


def test_errors_of_the_memory(request, bench):
    """cp_ecc: one read in eight comes back with a wrong bit, which is counted and nobody sees."""
    long_on_verilator(request, bench)
    report, _ = run(bench, chip(), ["calm"], 200, flips=8)
    judge(report)


@pytest.mark.long
@pytest.mark.parametrize("ports, bus_bytes", ((1, 8), (2, 16), (4, 32)))
@pytest.mark.parametrize("clock", ((1, 1), (5, 8)))
@pytest.mark.parametrize("timing", TimingSet.names())
def test_random_long(bench, timing, clock, ports, bus_bytes):
    config = chip(timing, clock, bus_bytes)
    for testcase in ("rough", "calm", *(["foreign_master"] if ports > 1 else [])):
        judge(run(bench, config, [testcase], 6000, ports=ports)[0])


def test_fault(bench):
    """A controller that works by one value too small must be found out, by the device and by the offline checker."""
    if bench.simulator == "verilator":
        pytest.skip("a build of its own; Icarus builds in a second")
    timing = TimingSet.load("P3200")
    faulty = dataclasses.replace(timing, tRCDRD=timing.tRCDRD - 1)
    report, _ = run(bench, chip(), ["calm"], 100, system=MemorySystem(chip(), faulty, ports=2), expect_failure=True)
    assert "tRCDRD" in {violation.rule for violation in report.violations}


def test_broken_data(bench):
    """One inverted bit of the read data must be found."""
    if bench.simulator == "verilator":
        pytest.skip("a build of its own; Icarus builds in a second")
    system = Fault(MemorySystem(chip(), ports=2), "axi__0__rdata", bit=77, after=1000)
    run(bench, chip(), ["calm"], 200, system=system, expect_failure=True)


@pytest.mark.long
def test_simulators_agree(request):
    """The same seed gives the same commands in the same clocks."""
    if request.config.getoption("--sim") != ",".join(SIMULATORS):
        pytest.skip("compares two simulators")
    traces = [run(Bench(name, 5), chip(), ["calm"], 120)[1] / "commands.txt" for name in SIMULATORS]
    first, second = (trace.read_text() for trace in traces)
    assert first == second and first.count("RD") > 100
