"""The vector engine as a whole."""

import pytest

from rtl.config import ChipConfig
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.vector.coverage import BLOCK
from verif.vector.units import EngineBench

TESTS = "verif.vector.engine_tests"
#: Two column beats a tile.
NARROW = {"base": "tiny", "name": "narrow", "vector_lanes": 2}


def configuration(given):
    return ChipConfig.from_dict(given) if isinstance(given, dict) else ChipConfig.load(given)


def run(bench, config, make=lambda component: component, **kwargs):
    scale = 1 if bench.simulator == "icarus" else 2
    params = {"config": config, "commands": 30 * scale, "hostile": 40 * scale, **kwargs.pop("params", {})}
    return bench.run(make(EngineBench(configuration(config))), TESTS, params=params, **kwargs)


#: Share of the coverage plan that the quick tier holds at least; the long tier holds all of it.
QUICK = {"icarus": 0.85, "verilator": 0.93}


def test_engine(bench):
    Report(BLOCK, [run(bench, "tiny")]).require(QUICK[bench.simulator])


def test_engine_narrow(bench, request):
    if bench.simulator == "verilator" and not request.config.getoption("--long"):
        pytest.skip("a build of its own: Icarus in the quick tier, Verilator in the long one")
    run(bench, NARROW)


@pytest.mark.parametrize(
    "port, bit, testcase",
    [
        ("vector_z__request__payload", ChipConfig.load("tiny").l1_address_bits, "same_engine_order"),  # the lowest bit of the first result
        ("vector_x__request__payload", 3, "same_engine_order"),  # an address
    ],
    ids=["data", "address"],
)
def test_fault(bench, port, bit, testcase):
    if bench.simulator == "verilator":
        pytest.skip("a build for each fault; Icarus shows that the testbench can go red")
    run(bench, "tiny", lambda engine: Fault(engine, port, bit, after=60), testcase=testcase, expect_failure=True)


@pytest.mark.long
@pytest.mark.parametrize("config", ["tiny", NARROW, "small"], ids=["tiny", "narrow", "small"])
def test_engine_long(bench, config):
    Report(BLOCK, [run(bench, config, params={"commands": 2000, "hostile": 2000})]).require()
