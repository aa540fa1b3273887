"""Lane and converters of the vector engine, alone."""

import pytest

from verif.common.fault import Fault
from verif.vector.units import AluBench, ConvertBench

TESTS = "verif.vector.unit_tests"
ALU, CONVERT = "alu_matches_exact_arithmetic", "converters_match_exact_rounding"


def test_alu(bench):
    bench.run(AluBench(), TESTS, testcase=ALU, params={"vectors": 150 if bench.simulator == "icarus" else 600})


def test_convert(bench):
    bench.run(ConvertBench(), TESTS, testcase=CONVERT, params={"vectors": 100, "every": 97})


def test_alu_fault(bench):
    bench.run(Fault(AluBench(), "result", 0, after=500), TESTS, testcase=ALU, params={"vectors": 50}, expect_failure=True)


@pytest.mark.long
def test_alu_long(bench):
    bench.run(AluBench(), TESTS, testcase=ALU, params={"vectors": 20_000})


@pytest.mark.long
def test_convert_long(bench):
    bench.run(ConvertBench(), TESTS, testcase=CONVERT, params={"vectors": 5_000, "every": 1})
