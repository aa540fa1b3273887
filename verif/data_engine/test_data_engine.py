"""The data engine against its numpy model, on both simulators."""

import dataclasses

import pytest

from rtl.config import ChipConfig
from rtl.data_engine.engine import DataEngine
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.data_engine.coverage import BLOCK

COMMANDS, TROUBLE, SPEED = (f"verif.data_engine.{name}_tests" for name in ("data_engine", "trouble", "speed"))
TINY = ChipConfig.load("tiny")
#: Bursts enough for short rows: the table of speeds holds for it.
FAST = dataclasses.replace(TINY, name="fast", outstanding=32)

#: Rounds of random commands in the quick tier, the size of most commands in bytes, and the least coverage. Icarus is slow.
QUICK = {"icarus": (12, 2000, 0.3), "verilator": (500, 500, 0.9)}


def run(bench, config: ChipConfig, modules: str, **params):
    testcase = params.pop("testcase", None)
    return bench.run(DataEngine(config), modules, params={"config": config.to_dict(), **params}, testcase=testcase)


def test_data_engine(bench):
    rounds, most, share = QUICK[bench.simulator]
    cases = None
    if bench.simulator == "icarus":
        cases = [
            "copies", "long_copies", "chains", "listed_rows", "shifted_slices", "slices_at_the_edge", "random_commands", "hostile_commands",
            "hostile_mixtures", "permissions", "bus_errors", "flushes", "activity",
        ]
    folder = run(bench, FAST, f"{COMMANDS},{TROUBLE},{SPEED}", rounds=rounds, most=most, testcase=cases)
    Report(BLOCK, [folder]).require(share)


def cluster_engine(bench):
    cases = ["chains", "listed_rows", "shifted_slices", "slices_at_the_edge", "random_commands", "hostile_commands", "permissions"]
    bench.run(DataEngine(TINY, cluster=True), f"{COMMANDS},{TROUBLE}", params={"cluster": True, "rounds": 6}, testcase=cases)


def data_fault(bench):
    """A bit of the data that goes to L1 is wrong from the 500th clock on."""
    bench.run(Fault(DataEngine(TINY), "data_write__request__payload", 40, after=500), COMMANDS, testcase="copies", expect_failure=True)


def status_fault(bench):
    """A bit of a status is wrong."""
    bench.run(Fault(DataEngine(TINY), "done", 2, after=100), TROUBLE, testcase="permissions", expect_failure=True)


@pytest.mark.parametrize("check", [cluster_engine, data_fault, status_fault])
def test_variants(bench, check, request):
    """Further builds: in the quick tier on Icarus alone, whose builds take no time."""
    if bench.simulator != "icarus" and not request.config.getoption("--long"):
        pytest.skip("Icarus runs this; --long runs it on every simulator")
    check(bench)


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_data_engine_long(bench, part):
    """More than 50,000 random commands on Verilator, in parts of 6,400, each of which meets every bin of the coverage plan; on Icarus,
    which would need two hours for as many, 4,000 in parts of 500."""
    rounds, share = {"verilator": (1600, 1), "icarus": (125, 0.85)}[bench.simulator]
    most = (500, 2000)[part % 2]
    Report(BLOCK, [run(bench, TINY, COMMANDS, rounds=rounds, most=most, cycles=20_000_000, testcase="random_commands")]).require(share)


@pytest.mark.long
@pytest.mark.parametrize("cluster", [False, True])
def test_hostile_long(bench, cluster):
    """100,000 hostile commands on Verilator, half of them on either engine."""
    if bench.simulator == "icarus":
        pytest.skip("on Verilator alone: Icarus needs hours")
    params = {"hostile": 50_000, "cluster": cluster}
    bench.run(DataEngine(TINY, cluster=cluster), TROUBLE, params=params, testcase="hostile_mixtures")


@pytest.mark.long
@pytest.mark.parametrize("change", [{"bus_bytes": 8, "outstanding": 1}, {"bus_bytes": 32, "outstanding": 16}, {"outstanding": 3}], ids=str)
def test_data_engine_configurations(bench, change):
    """The widths of the bus, and few or many bursts in flight."""
    run(bench, ChipConfig.from_dict({"base": "tiny", "l1_banks": 16, **change}), f"{COMMANDS},{TROUBLE}", rounds=40)
