"""The data engine against its numpy model, on both simulators."""

import pytest

from rtl.config import ChipConfig
from rtl.data_engine.engine import DataEngine
from verif.common.fault import Fault

TESTS = "verif.data_engine.data_engine_tests"
TINY = ChipConfig.load("tiny")


def test_data_engine(bench):
    bench.run(DataEngine(TINY), TESTS)


def test_cluster_engine(bench):
    bench.run(DataEngine(TINY, cluster=True), TESTS, params={"cluster": True}, testcase=["copies", "random_commands", "hostile_commands"])


def test_data_engine_fault(bench):
    """A bit of the data that goes to L1 is wrong from the 500th clock on."""
    bench.run(Fault(DataEngine(TINY), "data_write__request__payload", 40, after=500), TESTS, testcase="copies", expect_failure=True)


@pytest.mark.long
def test_data_engine_long(bench):
    bench.run(DataEngine(TINY), TESTS, params={"rounds": 600}, testcase="random_commands")
