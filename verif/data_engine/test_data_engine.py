"""The data engine against its numpy model, on both simulators."""

import pytest

from rtl.config import ChipConfig
from rtl.data_engine.engine import DataEngine
from verif.common.fault import Fault

COMMANDS, TROUBLE, SPEED = (f"verif.data_engine.{name}_tests" for name in ("data_engine", "trouble", "speed"))
TINY = ChipConfig.load("tiny")


def test_data_engine(bench):
    bench.run(DataEngine(TINY), f"{COMMANDS},{TROUBLE},{SPEED}")


def cluster_engine(bench):
    cases = ["copies", "chains", "shifted_slices", "slices_at_the_edge", "random_commands", "hostile_commands"]
    bench.run(DataEngine(TINY, cluster=True), f"{COMMANDS},{TROUBLE}", params={"cluster": True, "rounds": 6}, testcase=cases)


def fault(bench):
    """A bit of the data that goes to L1 is wrong from the 500th clock on."""
    bench.run(Fault(DataEngine(TINY), "data_write__request__payload", 40, after=500), COMMANDS, testcase="copies", expect_failure=True)


@pytest.mark.parametrize("check", [cluster_engine, fault])
def test_variants(bench, check, request):
    """Further builds: in the quick tier on Icarus alone, whose builds take no time."""
    if bench.simulator != "icarus" and not request.config.getoption("--long"):
        pytest.skip("Icarus runs this; --long runs it on every simulator")
    check(bench)


@pytest.mark.long
def test_data_engine_long(bench):
    bench.run(DataEngine(TINY), COMMANDS, params={"rounds": 600}, testcase="random_commands")


@pytest.mark.long
@pytest.mark.parametrize("change", [{"bus_bytes": 8, "outstanding": 1}, {"bus_bytes": 32, "outstanding": 16}, {"outstanding": 3}], ids=str)
def test_data_engine_configurations(bench, change):
    """The widths of the bus, and few or many bursts in flight."""
    given = {"base": "tiny", "l1_banks": 16, **change}
    bench.run(DataEngine(ChipConfig.from_dict(given)), f"{COMMANDS},{TROUBLE}", params={"config": given, "rounds": 40})
