"""The L1 scratchpad on both simulators, on configurations with and without room for the bank skew."""

import dataclasses

import pytest

from rtl.config import PRESETS, ChipConfig
from rtl.l1.decode import Geometry
from rtl.l1.scratchpad import L1
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.l1.coverage import BLOCK

TESTS = "verif.l1.l1_tests"
TINY = PRESETS["tiny"]
ALL = ["random_traffic", "nobody_starves", "peak_throughput", "skew_spreads_strides"]


def test_l1(bench):
    Report(BLOCK, [bench.run(L1(TINY), TESTS, testcase=ALL)]).require()


def test_l1_few_rows(request, bench):
    """Fewer rows than banks: the last row's neighbour is the first, so the skew is larger."""
    long_on_verilator(request, bench)
    config = dataclasses.replace(TINY, name="few_rows", l1_bytes=1024, l1_banks=16, l1_bank_bytes=8)
    assert Geometry.of(config).skew == 2
    bench.run(L1(config), TESTS, params={"config": config.to_dict(), "requests": 100}, testcase=ALL[:3])


def test_l1_no_skew(request, bench):
    """The widest access takes every bank, so there is no room for a skew; some ports are narrower than a bank."""
    long_on_verilator(request, bench)
    config = dataclasses.replace(TINY, name="no_skew", l1_banks=2, l1_bank_bytes=16, l1_bytes=4096)
    assert Geometry.of(config).skew == 0
    bench.run(L1(config), TESTS, params={"config": config.to_dict(), "requests": 100}, testcase=ALL[:3])


@pytest.mark.long
@pytest.mark.parametrize("preset", ["small", "i20_slice", "i10_slice"])
def test_l1_presets(bench, preset):
    bench.run(L1(PRESETS[preset]), TESTS, params={"config": preset, "requests": 1000}, testcase=ALL)


def test_l1_data_fault(request, bench):
    long_on_verilator(request, bench)
    bench.run(Fault(L1(TINY), "tensor_b__response", 17, after=100), TESTS, testcase="random_traffic", expect_failure=True)


def test_l1_ready_fault(request, bench):
    long_on_verilator(request, bench)
    bench.run(Fault(L1(TINY), "vector_z__request__ready", after=100), TESTS, testcase="random_traffic", expect_failure=True)


@pytest.mark.parametrize("banks", [8, 16, 32])
def test_geometry_is_a_bijection(banks):
    """(bank, row) names each word once, and the words of any access lie in different banks."""
    config = ChipConfig(l1_banks=banks, l1_bytes=8192, pe_columns=4, vector_lanes=4, bus_bytes=8)
    geometry = Geometry.of(config)
    words = config.l1_bytes // 8

    def place(word):
        column, row = word % geometry.banks, word // geometry.banks % geometry.rows
        return (column + geometry.skew * row) % geometry.banks, row

    assert len({place(word) for word in range(words)}) == words
    widest = geometry.words(16)
    for word in range(words):
        assert len({place((word + j) % words)[0] for j in range(widest)}) == widest
