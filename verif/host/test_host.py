"""The host block over AXI4-Lite, alone and with deliberate faults."""

import pytest

from rtl.config import ChipConfig
from rtl.host.host import Host
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.host.coverage import BLOCK

TESTS = "verif.host.host_tests"
CONFIG = {"base": "tiny", "sips": 3, "job_queue_depth": 3, "channels": 2}


def test_host(bench):
    run = bench.run(Host(ChipConfig.from_dict(CONFIG)), TESTS, params={"config": CONFIG})
    Report(BLOCK, [run]).require()


@pytest.mark.long
@pytest.mark.parametrize(("config", "tests"), [
    ({"base": "tiny", "sips": 24, "job_queue_depth": 16, "partitions": 8, "channels": 8, "dram_rows": 32768}, None),
    # The tests with jobs in twos need room for two.
    ({"base": "tiny", "job_queue_depth": 1, "partitions": 2}, ["registers", "queue", "failures"]),
])
def test_host_long(bench, config, tests):
    bench.run(Host(ChipConfig.from_dict(config)), TESTS, params={"config": config, "jobs": 15}, testcase=tests)


@pytest.mark.parametrize(("port", "bit", "testcase"), [
    ("axi__rdata", 0, "jobs"), ("cancel", 2, "jobs"), ("launch__1__payload", 12, "jobs"), ("partition", 0, "jobs"),
    ("memory__1__write__strobe", 2, "memory_registers"), ("memory__1__read__address", 3, "memory_registers"),
])
def test_fault_is_found(bench, port, bit, testcase):
    if bench.simulator != "icarus":
        pytest.skip("one simulator shows that the testbench can fail")
    bench.run(Fault(Host(ChipConfig.from_dict(CONFIG)), port, bit, after=300), TESTS, params={"config": CONFIG, "jobs": 2},
              testcase=testcase, expect_failure=True)
