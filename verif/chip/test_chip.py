"""The whole chip but its memory controllers, on both simulators, with the golden chip beside it."""

import dataclasses

import pytest

from rtl.chip import Compute
from rtl.config import PRESETS
from verif.chip.coverage import BLOCK
from verif.common.coverage import Report
from verif.common.fault import Fault

CHIP, ERRORS = "verif.chip.chip_tests", "verif.chip.error_tests"
FEW = ["host", "random_cluster", "relay", "deadlocks"]
TINY = PRESETS["tiny"]
#: Two of everything that the chip has several of.
TWO = dataclasses.replace(TINY, name="two", sips=2, channels=2, l2_ports=2, dram_rows=64)


def test_chip(bench):
    """One build and one run for all; on Verilator a few of them, the others in the long tier."""
    few = None if bench.simulator == "icarus" else FEW
    run = bench.run(Compute(TINY), f"{CHIP},{ERRORS}", params={"config": "tiny"}, testcase=few)
    Report(BLOCK, [run]).require(0 if few else 1)


def only_icarus(bench):
    if bench.simulator != "icarus":
        pytest.skip("on Icarus alone: a Verilator build of the chip takes minutes")


@pytest.mark.long
def test_two_of_everything(bench):
    only_icarus(bench)
    bench.run(Compute(TWO), f"{CHIP},{ERRORS}", params={"config": TWO.to_dict(), "long": True})


@pytest.mark.long
def test_all(bench):
    bench.run(Compute(TINY), f"{CHIP},{ERRORS}", params={"config": "tiny", "long": True})


@pytest.mark.long
def test_random(bench):
    bench.run(Compute(TINY), CHIP, params={"config": "tiny", "rounds": 10, "long": True}, testcase=["random_programs", "random_cluster"])


@pytest.mark.long
@pytest.mark.parametrize("port, bit", [("memory__0__wdata", 77), ("host__rdata", 0), ("memory__0__araddr", 9), ("memory__0__wstrb", 3)])
def test_fault(bench, port, bit):
    """A stuck bit in an output of the chip turns the testbench red."""
    only_icarus(bench)
    bench.run(Fault(Compute(TINY), port, bit, after=600), CHIP, testcase="host", params={"config": "tiny"}, expect_failure=True)
