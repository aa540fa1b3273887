"""Runs the PE's testbench, and shows that it can fail."""

import pytest

from rtl.config import PRESETS
from rtl.tensor.int8 import IntegerDot
from rtl.tensor.pe import ProcessingElement
from verif.common.fault import Fault

TESTS = "verif.tensor.pe_tests"


@pytest.mark.parametrize("config", ["tiny", "i10_slice"])
def test_pe(bench, config):
    bench.run(ProcessingElement(PRESETS[config]), TESTS, params={"config": config, "float_operations": 4000, "passes": 60})


@pytest.mark.long
def test_pe_long(bench):
    bench.run(ProcessingElement(PRESETS["tiny"]), TESTS, params={"config": "tiny", "float_operations": 300_000, "passes": 5000})


def test_pe_fault(bench):
    fault = Fault(ProcessingElement(PRESETS["tiny"]), "result", 0, after=300)
    bench.run(fault, TESTS, params={"config": "tiny", "float_operations": 1000, "passes": 60}, expect_failure=True)


def test_lanes():
    with pytest.raises(ValueError, match=r"^lanes: 3 is not a positive even number$"):
        IntegerDot(3)
