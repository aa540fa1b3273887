"""The sequencer against its instruction-level model, alone and with deliberate faults."""

import pytest

from rtl.config import ChipConfig
from rtl.isa import DataCommand
from rtl.sequencer.lane import EngineLane
from rtl.sequencer.router import EventRouter
from rtl.sequencer.sequencer import Sequencer
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.sequencer.coverage import BLOCK

TESTS = "verif.sequencer.sequencer_tests"

#: The cluster's own sequencer with a ring that is smaller than most loops, on a wide bus; index and targets up to 4.
CLUSTER = {"base": "tiny", "sips": 4, "instruction_buffer": 32, "bus_bytes": 32, "outstanding": 2, "queue_depth": 2}


def build(config, cluster):
    return Sequencer(ChipConfig.from_dict({"base": config} if isinstance(config, str) else config), cluster)


@pytest.mark.parametrize(("config", "cluster"), [("tiny", False), (CLUSTER, True)], ids=["sip", "cluster"])
def test_sequencer(bench, config, cluster):
    run = bench.run(build(config, cluster), TESTS, params={"config": config, "cluster": cluster})
    # That of a cluster has one engine.
    Report(BLOCK, [run]).require(but=lambda bin: cluster and ("TENSOR" in bin or "VECTOR" in bin))


@pytest.mark.long
@pytest.mark.parametrize("config", [{"base": "tiny", "bus_bytes": 8}, {"base": "tiny", "sips": 24, "queue_depth": 16}])
@pytest.mark.parametrize("cluster", [False, True])
def test_sequencer_long(bench, config, cluster):
    bench.run(build(config, cluster), TESTS, params={"config": config, "cluster": cluster, "programs": 100})


@pytest.mark.parametrize(("port", "bit"), [("data__payload", 32 * 34), ("fetch__araddr", 5), ("ended", 3), ("engine_reset", 0)])
def test_fault_is_found(bench, port, bit):
    if bench.simulator != "icarus":
        pytest.skip("one simulator shows that the testbench can fail")
    bench.run(Fault(build("tiny", False), port, bit, after=500), TESTS, params={"config": "tiny", "programs": 2}, expect_failure=True,
              testcase=["random_programs", "failing_engines"])


@pytest.mark.parametrize("fault", [False, True])
def test_router(bench, fault):
    config = {"base": "tiny", "sips": 4}
    router = EventRouter(ChipConfig.from_dict(config))
    bench.run(Fault(router, "sink__2", 0, after=200) if fault else router, "verif.sequencer.router_tests", params={"config": config},
              expect_failure=fault)


def test_lane_parameters():
    with pytest.raises(ValueError, match=r"^a lane queues at least 1 command, not 0$"):
        EngineLane(DataCommand, 0)
