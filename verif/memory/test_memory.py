"""The memory controller with the device model, on both simulators; the offline checker reads the command traces."""

import dataclasses

import pytest

from rtl.config import ChipConfig
from rtl.memory.timing import TimingSet
from sim.hbm.checker import check
from sim.hbm.parameters import DEVICE_SOURCES
from verif.common.fault import Fault
from verif.common.runner import SIMULATORS, Bench
from verif.memory.system import MemorySystem

TESTS = "verif.memory.memory_tests"
ROWS = 64


def chip(timing: str, clock=(1, 1), bus_bytes: int = 16) -> ChipConfig:
    return ChipConfig("memory", dram_rows=ROWS, dram_timing=timing, memory_clock=clock, bus_bytes=bus_bytes)


def run(bench, config: ChipConfig, testcase, clocks: int, *, system=None, chunks: int = 0, least: float = 0.85, **options):
    """Runs and returns the offline checker's report."""
    params = {"config": config.to_dict(), "clocks": clocks, "chunks": chunks, "read_back": 120, "least": least}
    folder = bench.run(
        system or MemorySystem(config), TESTS, params=params,
        testcase=testcase, sources=DEVICE_SOURCES, plusargs=["+hbm_trace=commands.txt"], **options,
    )
    return check(folder / "commands.txt", TimingSet.load(config.dram_timing)), folder


def judge(report):
    assert report.ok, "\n".join(str(violation) for violation in report.violations[:5])
    assert report.commands["MRS"] == 2 and report.commands["RD"] and report.commands["WR"]
    assert report.owed <= 2


QUICK = [("P3200", (1, 1), 16), ("D3200", (5, 8), 8), ("F3200", (1, 1), 32)]


@pytest.mark.parametrize("timing, clock, bus_bytes", QUICK)
def test_random(bench, timing, clock, bus_bytes):
    if bench.simulator == "verilator" and timing != "P3200":
        pytest.skip("the long tier runs every timing set on Verilator: each is a build of its own")
    report, _ = run(bench, chip(timing, clock, bus_bytes), ("read_after_write", "random_traffic"), 4000)
    judge(report)


@pytest.mark.long
@pytest.mark.parametrize("bus_bytes", (8, 16, 32))
@pytest.mark.parametrize("clock", ((1, 1), (5, 8)))
@pytest.mark.parametrize("timing", TimingSet.names())
def test_random_long(bench, timing, clock, bus_bytes):
    config = chip(timing, clock, bus_bytes)
    report, _ = run(bench, config, "random_traffic", 60_000)
    judge(report)
    refreshes = report.clocks / TimingSet.load(timing).tREFI
    assert refreshes - 2 <= report.refreshes <= refreshes + 5


@pytest.fixture
def busy_refresh(tmp_path) -> str:
    """A set that nobody tuned for: refresh four times as often as in F3200."""
    timing = dataclasses.replace(TimingSet.load("F3200"), tREFI=1264, tREFIsb=79)
    path = tmp_path / "busy.toml"
    values = "\n".join(f"{key} = {getattr(timing, key)}" for key in TimingSet.parameters())
    path.write_text(f'name = "busy"\ntCK = 0.625\n[nCK]\n{values}\n')
    return str(path)


def test_busy_refresh(bench, busy_refresh):
    """A steady load for more than nine tREFI leaves no pause to refresh in; then a port that takes no data."""
    if bench.simulator == "verilator":
        pytest.skip("a build of its own; Icarus builds in a second")
    report, _ = run(bench, chip(busy_refresh), ("throughput", "stuck_port"), 0, chunks=150, least=0.6)
    judge(report)


def test_throughput(bench):
    report, folder = run(bench, chip("P3200"), "throughput", 0, chunks=400)
    print(*(line for line in (folder / "log.txt").read_text().splitlines() if "% of" in line or "first beat" in line), sep="\n")
    judge(report)
    assert report.refreshes >= report.clocks // TimingSet.load("P3200").tREFI - 1


@pytest.mark.parametrize("rule, clocks", [("tRCDRD", 1), ("tFAW", 1), ("tRP", 1), ("tRFCsb", 4)])
def test_fault(bench, rule, clocks):
    """A controller that works by one value too small must be found out, by the device and by the offline checker. (The refresh takes a few
    clocks to choose a bank, so that one clock less would not show.)"""
    if bench.simulator == "verilator":
        pytest.skip("each fault is a build of its own; Icarus builds in a second")
    config = chip("F3200")
    timing = TimingSet.load("F3200")
    faulty = dataclasses.replace(timing, **{rule: getattr(timing, rule) - clocks})
    report, _ = run(bench, config, "random_traffic", 4000, system=MemorySystem(config, faulty), expect_failure=True)
    assert rule in {violation.rule for violation in report.violations}


def test_broken_data(bench):
    """One inverted bit of the read data must be found."""
    if bench.simulator == "verilator":
        pytest.skip("a build of its own; Icarus builds in a second")
    config = chip("P3200")
    system = Fault(MemorySystem(config), "axi__rdata", bit=77, after=2500)
    run(bench, config, "random_traffic", 3500, system=system, expect_failure=True)


def test_simulators_agree(request):
    """The same seed gives the same commands in the same clocks."""
    if request.config.getoption("--sim") != ",".join(SIMULATORS):
        pytest.skip("compares two simulators")
    config = chip("P3200")
    traces = [run(Bench(name, 5), config, "random_traffic", 3000)[1] / "commands.txt" for name in SIMULATORS]
    first, second = (trace.read_text() for trace in traces)
    assert first == second and first.count("RD") > 100
