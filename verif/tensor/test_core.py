"""Runs the tensor core's testbench, and shows that it can fail."""

import pytest

from rtl.config import ChipConfig
from rtl.tensor.core import TensorCore
from sim.verilog.emit import ports_of
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.tensor.coverage import BLOCK

TESTS = "verif.tensor.core_tests"

#: `tiny`, and one with two rows of PEs and small accumulator banks, so that small commands have many tiles.
CONFIGS = {"tiny": {"base": "tiny"}, "two_rows": {"base": "tiny", "name": "two_rows", "pe_rows": 2, "accumulator_rows": 16, "l1_banks": 16}}
#: Others that only the long tier runs: three rows, a column count that is no power of two, 4 INT8 lanes, no TF32.
ODD = {
    "base": "i10_slice", "name": "odd", "pe_rows": 3, "pe_columns": 12, "vector_lanes": 2, "accumulator_rows": 16, "l1_bytes": 32768,
    "l2_bytes": 65536, "l1_banks": 16,
}  # fmt: skip
#: The tests that Icarus runs in the quick tier.
ICARUS = ["calm", "rough", "stale_weights", "hostile_commands"]
#: The quick tier: random commands in each of the two tests, calm and rough, rounds of hostile ones, and the share of the plan that is
#: covered at least. Verilator is 25 times as fast. The long tier covers everything.
QUICK = {"icarus": (16, 1, 0.35), "verilator": (250, 2, 0.97)}
#: Random commands of the long tier on `tiny`: runs by commands in each of its two tests, calm and rough.
LONG_RUNS = {"icarus": (2, 250), "verilator": (10, 500)}


def _run(bench, config: dict, commands: int, hostile: int, testcase=None):
    """Runs all tests, or those named; `commands` random ones each calm and rough. Returns the folder of the run."""
    params = {"config": config, "commands": commands, "hostile": hostile}
    return bench.run(TensorCore(ChipConfig.from_dict(config)), TESTS, params=params, testcase=testcase)


def test_core(bench):
    commands, hostile, share = QUICK[bench.simulator]
    Report(BLOCK, [_run(bench, CONFIGS["tiny"], commands, hostile, ICARUS if bench.simulator == "icarus" else None)]).require(share)


def test_core_two_rows(bench, request):
    long_on_verilator(request, bench)
    _run(bench, CONFIGS["two_rows"], 12, 0, ["calm", "rough"])


@pytest.mark.long
def test_core_long(bench):
    """10,000 random commands on Verilator, 1,000 on Icarus, and every bin of the coverage plan."""
    runs, commands = LONG_RUNS[bench.simulator]
    folders = []
    seed = bench.seed
    for number in range(runs):
        bench.seed = seed + 10_000 * number
        folders.append(_run(bench, CONFIGS["tiny"], commands, 60, None if number == 0 else ["calm", "rough"]))
    Report(BLOCK, folders).require(0 if bench.simulator == "icarus" else 1)


@pytest.mark.long
@pytest.mark.parametrize("config", [CONFIGS["two_rows"], ODD], ids=["two_rows", "odd"])
def test_core_configurations(bench, config):
    _run(bench, config, 150, 40)


@pytest.mark.parametrize(
    ("port", "bit"),
    # A status, a byte strobe, the overflow pulse; an address, a result, a cause.
    [
        ("done", 1), ("tensor_d__request__payload", -1), ("overflow", 0),
        pytest.param("tensor_a__request__payload", 0, marks=pytest.mark.long),
        pytest.param("result__payload", 7, marks=pytest.mark.long), pytest.param("activity", 0, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_core_fault(bench, request, port, bit):
    long_on_verilator(request, bench)
    core = TensorCore(ChipConfig.from_dict(CONFIGS["tiny"]))
    width = {name: len(value) for name, _, value in ports_of(core)}[port]
    fault = Fault(core, port, bit % width, after=500)
    params = {"config": CONFIGS["tiny"], "commands": 12, "hostile": 1}
    bench.run(fault, TESTS, params=params, testcase="rough", expect_failure=True)
