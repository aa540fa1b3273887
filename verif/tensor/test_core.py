"""Runs the tensor core's testbench, and shows that it can fail."""

import pytest

from rtl.config import ChipConfig
from rtl.tensor.core import TensorCore

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
