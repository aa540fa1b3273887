"""Runs the PE's testbench on several sets of formats, and shows that it can fail."""

import dataclasses

import pytest

from rtl.config import PRESETS
from rtl.tensor.pe import ProcessingElement
from verif.common.fault import Fault

TESTS = "verif.tensor.pe_tests"
TINY = PRESETS["tiny"]

#: Sets of formats, and other alignment widths: what is left out must not be missed.
SUBSETS = {
    "fp32": {"formats": ["FP32"]},
    "fp16": {"formats": ["FP16"], "align": 30},
    "bf16": {"formats": ["BF16"], "align": 48},
    "int8": {"formats": ["INT8"]},
    "int8_4": {"formats": ["INT8"], "int8_lanes": 4},
    "fp16_int8": {"formats": ["FP16", "INT8"], "align": 23},
    "fp32_int8": {"formats": ["FP32", "INT8"]},
    "i10": {"formats": ["FP32", "FP16", "BF16", "INT8"], "int8_lanes": 4},
    "no_fp32": {"formats": ["TF32", "BF16", "INT8"]},
}


def run(bench, changes: dict, operations: int, **options):
    # Icarus takes some ten times as long; 7 has no factor with the number of classes, so that it meets each of them.
    step = 7 if bench.simulator == "icarus" and operations < 1000 else 1
    config = dataclasses.replace(TINY, name="custom", **changes)
    parameters = {"config": {"base": "tiny", **changes}, "operations": operations, "step": step}
    bench.run(ProcessingElement(config), TESTS, params=parameters, **options)


def test_pe(bench):
    run(bench, {}, 60 if bench.simulator == "icarus" else 300)


@pytest.mark.parametrize("name", ["fp16", "int8_4"])
def test_subset(bench, name):
    if bench.simulator == "verilator":
        pytest.skip("one simulator is enough for what is left out; the long tier runs both")
    run(bench, SUBSETS[name], 16)


@pytest.mark.long
@pytest.mark.parametrize("name", SUBSETS)
def test_subset_long(bench, name):
    run(bench, SUBSETS[name], 2000)


@pytest.mark.long
def test_pe_long(bench):
    run(bench, {}, 60_000)


@pytest.mark.parametrize(("port", "bit"), [("result", 0), ("overflow", 0)])
def test_pe_fault(bench, port, bit):
    if bench.simulator == "verilator":
        pytest.skip("the fault is in the design; one simulator shows it")
    fault = Fault(ProcessingElement(TINY), port, bit, after=300)
    bench.run(fault, TESTS, params={"config": "tiny", "operations": 100}, expect_failure=True, testcase="streams")


def test_key():
    """PEs of one module must be equal: what decides their contents is in the key."""
    assert ProcessingElement(TINY).key == ProcessingElement(PRESETS["small"]).key
    for changes in (*SUBSETS.values(), {"align": 41}, {"int8_lanes": 4}):
        assert ProcessingElement(dataclasses.replace(TINY, **changes)).key != ProcessingElement(TINY).key
