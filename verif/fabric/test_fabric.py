"""The fabric with its host port on both simulators: one of everything, and two of everything."""

import dataclasses
import random

import pytest

from rtl.config import PRESETS
from rtl.fabric.map import l3_address, local_address
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.fabric import coverage
from verif.fabric.assembly import Assembly
from verif.fabric.space import place

TINY = PRESETS["tiny"]
TWO = dataclasses.replace(TINY, name="two", sips=2, channels=2, l2_ports=2, outstanding=4)
#: One burst at a time and a narrow bus.
NARROW = dataclasses.replace(TINY, name="narrow", bus_bytes=8, outstanding=1)

FABRIC, HOST = "verif.fabric.fabric_tests", "verif.fabric.host_tests"
PLANS = {FABRIC: coverage.FABRIC, HOST: coverage.HOST_PORT}


#: Share of the coverage plans that the quick tier holds at least; the long tier holds all of them.
QUICK = 0.9


@pytest.mark.parametrize("tests", [FABRIC, HOST])
def test_fabric(bench, tests):
    Report(PLANS[tests], [bench.run(Assembly(TINY), tests, params={"config": "tiny"})]).require(QUICK)


@pytest.mark.long
@pytest.mark.parametrize("tests", [FABRIC, HOST])
def test_fabric_long(bench, tests):
    """Every bin of the coverage plans."""
    Report(PLANS[tests], [bench.run(Assembly(TINY), tests, params={"config": "tiny", "bursts": 600})]).require()


@pytest.mark.parametrize("tests", [FABRIC, HOST])
def test_two_of_everything(request, bench, tests):
    long_on_verilator(request, bench)
    bench.run(Assembly(TWO), tests, params={"config": TWO.to_dict()})


def test_one_burst_at_a_time(request, bench):
    long_on_verilator(request, bench)
    bench.run(Assembly(NARROW), FABRIC, testcase="random_traffic", params={"config": NARROW.to_dict(), "bursts": 30})


@pytest.mark.long
@pytest.mark.parametrize("tests", [FABRIC, HOST])
@pytest.mark.parametrize("preset", ["i20_slice", "t20_slice"])
def test_fabric_presets(bench, preset, tests):
    bench.run(Assembly(PRESETS[preset]), tests, params={"config": preset, "bursts": 300})


@pytest.mark.parametrize("port, bit, tests", [
    ("data__0__rdata", 5, FABRIC), ("memory__0__arid", 4, FABRIC), ("memory__0__wlast", 0, FABRIC), ("host__bresp", 1, HOST),
])
def test_fault(request, bench, port, bit, tests):
    long_on_verilator(request, bench)
    testcase = {FABRIC: "random_traffic", HOST: "random_bursts"}[tests]
    bench.run(Fault(Assembly(TINY), port, bit, after=200), tests, testcase=testcase, params={"config": "tiny"}, expect_failure=True)


@pytest.mark.parametrize("channels", [1, 2, 4, 8])
def test_map(channels):
    """The map is a bijection, as the page describes it, and power-of-two strides visit all channels alike."""
    config = dataclasses.replace(TINY, channels=channels, dram_rows=64)
    draw = random.Random(channels)
    for address in [0, 255, 256, config.l3_bytes - 1, *(draw.randrange(config.l3_bytes) for _ in range(2000))]:
        channel, local = local_address(config, address)
        assert (f"memory__{channel}", local // 256) == place(config, address // 256)
        assert local % 256 == address % 256 and l3_address(config, channel, local) == address
    assert len({local_address(config, 256 * chunk) for chunk in range(config.l3_bytes // 256)}) == config.l3_bytes // 256
    for bit in range(8, 16):
        visits = [local_address(config, step << bit)[0] for step in range(4 * channels)]
        assert {visits.count(channel) for channel in range(channels)} == {4}, f"stride 2^{bit}"


def test_map_refuses():
    with pytest.raises(ValueError, match=f"L3 address {TINY.l3_bytes:#x} lies outside"):
        local_address(TINY, TINY.l3_bytes)
    with pytest.raises(ValueError, match="channel 1 has no byte 0x0"):
        l3_address(TINY, 1, 0)
