"""Runs the tensor core's testbench, and shows that it can fail."""

import pytest

from rtl.config import ChipConfig
from rtl.tensor.core import TensorCore
from sim.verilog.emit import ports_of
from verif.common.fault import Fault

TESTS = "verif.tensor.core_tests"

#: `tiny`, and one with two rows of PEs and small accumulator banks, so that small commands have many tiles.
CONFIGS = {"tiny": {"base": "tiny"}, "two_rows": {"base": "tiny", "name": "two_rows", "pe_rows": 2, "accumulator_rows": 16}}
#: Others that only the long tier runs: three rows, a column count that is no power of two, 4 INT8 lanes, no TF32.
ODD = {
    "base": "i10_slice", "name": "odd", "pe_rows": 3, "pe_columns": 12, "vector_lanes": 2, "accumulator_rows": 16, "l1_bytes": 32768,
    "l2_bytes": 65536, "l1_banks": 8,
}  # fmt: skip


@pytest.fixture
def icarus_first(bench, request):
    """For benches whose build takes Verilator most of a minute: the quick tier runs them on Icarus alone."""
    if bench.simulator == "verilator" and not request.config.getoption("--long"):
        pytest.skip("on Verilator in the long tier: run with --long")


def _run(bench, config: dict, pairs: int, hostile: int):
    bench.run(TensorCore(ChipConfig.from_dict(config)), TESTS, params={"config": config, "pairs": pairs, "hostile": hostile})


def test_core(bench):
    _run(bench, CONFIGS["tiny"], 10, 4)


@pytest.mark.usefixtures("icarus_first")
def test_core_two_rows(bench):
    _run(bench, CONFIGS["two_rows"], 10, 4)


@pytest.mark.long
@pytest.mark.parametrize("config", [*CONFIGS.values(), ODD], ids=[*CONFIGS, "odd"])
def test_core_long(bench, config):
    _run(bench, config, 150, 60)


@pytest.mark.usefixtures("icarus_first")
@pytest.mark.parametrize(
    ("port", "bit"),
    # A status, an address, a byte strobe, a result, a cause.
    [("done", 1), ("tensor_a__request__payload", 0), ("tensor_d__request__payload", -1), ("result__payload", 7), ("activity", 0)],
)
def test_core_fault(bench, port, bit):
    core = TensorCore(ChipConfig.from_dict(CONFIGS["tiny"]))
    width = {name: len(value) for name, _, value in ports_of(core)}[port]
    fault = Fault(core, port, bit % width, after=500)
    bench.run(fault, TESTS, params={"config": CONFIGS["tiny"], "pairs": 6, "hostile": 1}, testcase="rough", expect_failure=True)
