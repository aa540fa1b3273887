"""The stages between the byte FIFOs, each on its own."""

import pytest

from rtl.data_engine.reshape.converter import Converter
from rtl.data_engine.reshape.transposer import Transposer
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator

TRANSPOSER, CONVERTER = "verif.data_engine.transposer_tests", "verif.data_engine.converter_tests"


@pytest.mark.parametrize("width", [16, pytest.param(8, marks=pytest.mark.long), pytest.param(32, marks=pytest.mark.long)])
def test_transposer(bench, width):
    bench.run(Transposer(width), TRANSPOSER, params={"width": width})


@pytest.mark.parametrize("width", [16, pytest.param(8, marks=pytest.mark.long), pytest.param(32, marks=pytest.mark.long)])
def test_converter(bench, width):
    bench.run(Converter(width), CONVERTER, params={"width": width})


@pytest.mark.long
def test_converter_long(bench):
    bench.run(Converter(16), CONVERTER, params={"width": 16, "rounds": 60})


def test_transposer_fault(request, bench):
    long_on_verilator(request, bench)
    design = Fault(Transposer(16), "output__payload", 9, after=200)
    bench.run(design, TRANSPOSER, params={"width": 16}, testcase="random_tiles", expect_failure=True)


def test_converter_fault(request, bench):
    long_on_verilator(request, bench)
    bench.run(Fault(Converter(16), "output__payload", 3, after=100), CONVERTER, params={"width": 16}, expect_failure=True)
