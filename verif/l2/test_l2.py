"""The L2 scratchpad on both simulators, with one port and with two."""

import dataclasses

import pytest

from rtl.config import PRESETS
from rtl.fabric.fabric import slave_id_bits
from rtl.l2.scratchpad import L2
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.l2.coverage import BLOCK

TESTS = "verif.l2.l2_tests"
TINY = PRESETS["tiny"]
TWO = dataclasses.replace(TINY, name="two", l2_ports=2, l2_bytes=8192, bus_bytes=8)


@pytest.mark.parametrize("config", [TINY, TWO], ids=lambda config: config.name)
def test_l2(bench, config):
    run = bench.run(L2(config, slave_id_bits(config)), TESTS, params={"config": config.to_dict()})
    Report(BLOCK, [run]).require()


@pytest.mark.long
def test_l2_slice(bench):
    config = PRESETS["i20_slice"]
    bench.run(L2(config, slave_id_bits(config)), TESTS, params={"config": config.name, "bursts": 2000})


@pytest.mark.parametrize("port, bit", [("ports__0__rdata", 77), ("ports__0__rlast", 0), ("ports__0__bresp", 1)])
def test_l2_fault(request, bench, port, bit):
    long_on_verilator(request, bench)
    bench.run(
        Fault(L2(TINY, slave_id_bits(TINY)), port, bit, after=100), TESTS, testcase="random_bursts", params={"config": "tiny"},
        expect_failure=True,
    )
