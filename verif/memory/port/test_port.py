"""Ports and arbiter on both simulators."""

import dataclasses
import re

import pytest

from rtl.config import PRESETS
from rtl.memory.interface import request as request_layout
from rtl.memory.interface import returned
from rtl.memory.port.front import MemoryFront
from rtl.memory.port.port import MemoryPort
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.memory.port.below import Fields
from verif.memory.port.bench import ID_BITS
from verif.memory.port.coverage import BLOCK
from verif.memory.port.faults import Altered, ParkedWrites

TESTS = "verif.memory.port.port_tests"
TINY = dataclasses.replace(PRESETS["tiny"], name="ports", dram_rows=64)
#: Four ports on a wide bus, the memory on 5 of 8 clocks; a narrow bus, few slots, no alternating bursts.
WIDE = dataclasses.replace(TINY, bus_bytes=32)
NARROW = dataclasses.replace(TINY, bus_bytes=8, return_slots=16)

_REQUEST = Fields(request_layout((TINY.channel_bytes // 32 - 1).bit_length())).places
SLOT_BIT, STROBE_BIT = _REQUEST["tag.slot"][0], _REQUEST["strobe"][0] + 5
BAD_BIT = Fields(returned()).places["bad"][0]


def run(bench, config=TINY, ports=2, testcase=None, *, interleave=True, clock=(1, 1), system=None, expect_failure=False, **options):
    params = {"config": config.to_dict(), "ports": ports, "interleave": interleave, "clock": clock, **options}
    folder = bench.run(
        system or MemoryFront(config, ports, ID_BITS, interleave=interleave), TESTS, params=params, testcase=testcase,
        expect_failure=expect_failure,
    )
    assert expect_failure or "passes one that is starved" not in (folder / "log.txt").read_text()
    return folder


def test_ports(request, bench):
    """Two ports: every test on Verilator, which is faster, and some on Icarus."""
    if bench.simulator == "icarus" and not request.config.getoption("--long"):
        testcase, clocks, share = ["rough", "rates"], 150, 0.65
    else:
        testcase, clocks, share = None, 800, 0.95
    folder = run(bench, testcase=testcase, clocks=clocks)
    print(*(line for line in (folder / "log.txt").read_text().splitlines() if " clock" in line), sep="\n")
    Report(BLOCK, [folder]).require(share)


def test_four_ports(request, bench):
    long_on_verilator(request, bench)
    run(bench, WIDE, 4, ["rough"], clock=(5, 8), clocks=80)


def test_narrow(request, bench):
    long_on_verilator(request, bench)
    run(bench, NARROW, 2, ["calm", "overtaking"], interleave=False, clocks=150)


@pytest.mark.long
@pytest.mark.parametrize("clock", [(1, 1), (5, 8)])
@pytest.mark.parametrize("config, ports, interleave", [
    (WIDE, 4, True), (NARROW, 2, False), (TINY, 4, False), (PRESETS["i20_slice"], 2, True),
], ids=["wide", "narrow", "four", "i20_slice"])
def test_ports_long(bench, config, ports, interleave, clock):
    run(bench, config, ports, interleave=interleave, clock=clock, clocks=10_000 if bench.simulator == "verilator" else 1500, rounds=200)


@pytest.mark.long
def test_coverage_long(bench):
    """Every bin of the plan."""
    Report(BLOCK, [run(bench, testcase=["rough", "calm"], clocks=20_000 if bench.simulator == "verilator" else 4000)]).require()


@pytest.mark.parametrize("system, testcase, reason", [
    # A read's slot is that of another; a byte is not written; responses before their writes are ordered; a bad word is not reported.
    (lambda: Fault(MemoryFront(TINY, 2, ID_BITS), "requests__payload", SLOT_BIT, after=200), "calm", None),
    (lambda: Fault(MemoryFront(TINY, 2, ID_BITS), "requests__payload", STROBE_BIT, after=200), "calm", "allowed are|service changed"),
    (lambda: ParkedWrites(MemoryFront(TINY, 2, ID_BITS)), "read_after_write", "allowed are"),
    (lambda: Altered(MemoryFront(TINY, 2, ID_BITS), "returned", lambda atom: atom & ~(15 << BAD_BIT)), "calm", "read answered by"),
], ids=["slot", "strobe", "early response", "bad word"])
def test_fault(request, bench, system, testcase, reason):
    long_on_verilator(request, bench)
    folder = run(bench, testcase=testcase, system=system(), clocks=300, expect_failure=True)
    assert reason is None or re.search(reason, (folder / "log.txt").read_text())


@pytest.mark.parametrize("build, message", [
    (lambda: MemoryFront(TINY, 5, 6), "a memory controller has 1 to 4 ports, not 5"),
    (lambda: MemoryPort(TINY, 4, 6), "a memory controller has ports 0 to 3, not 4"),
    (lambda: MemoryPort(TINY, 0, 0), "identifiers of a memory port have 1 bit or more, not 0"),
])
def test_parameters(build, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        build()
