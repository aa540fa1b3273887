"""Runs the tensor core's testbench, and shows that it can fail."""

import pytest

from rtl.config import ChipConfig
from rtl.tensor.core import TensorCore
from sim.verilog.emit import ports_of
from verif.common.fault import Fault

TESTS = "verif.tensor.core_tests"

#: `tiny`, and one with two rows of PEs and small accumulator banks, so that small commands have many tiles.
CONFIGS = {"tiny": {"base": "tiny"}, "two_rows": {"base": "tiny", "name": "two_rows", "pe_rows": 2, "accumulator_rows": 16}}


@pytest.mark.parametrize("config", CONFIGS)
def test_core(bench, config):
    core = TensorCore(ChipConfig.from_dict(CONFIGS[config]))
    bench.run(core, TESTS, params={"config": CONFIGS[config], "pairs": 12, "hostile": 4})


@pytest.mark.long
@pytest.mark.parametrize("config", CONFIGS)
def test_core_long(bench, config):
    core = TensorCore(ChipConfig.from_dict(CONFIGS[config]))
    bench.run(core, TESTS, params={"config": CONFIGS[config], "pairs": 150, "hostile": 60})


#: Bit 0 of the first is `valid`; of the others the lowest bits of an address, a strobe, a result, a cause.
@pytest.mark.parametrize(("port", "bit"), [("done", 1), ("tensor_a__request__payload", 0), ("tensor_d__request__payload", -1),
                                           ("result__payload", 7), ("activity", 0)])  # fmt: skip
def test_core_fault(bench, port, bit):
    core = TensorCore(ChipConfig.from_dict(CONFIGS["tiny"]))
    width = {name: len(value) for name, _, value in ports_of(core)}[port]
    fault = Fault(core, port, bit % width, after=2000)
    bench.run(fault, TESTS, params={"config": CONFIGS["tiny"], "pairs": 6, "hostile": 1}, testcase=["rough", "hostile_commands"], expect_failure=True)
