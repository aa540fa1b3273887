"""The whole chip but its memory controllers, on both simulators, with the golden chip beside it."""

import dataclasses

import pytest

from rtl.chip import Compute
from rtl.config import PRESETS
from verif.common.fault import Fault

TESTS = "verif.chip.chip_tests"
TINY = PRESETS["tiny"]
#: Two of everything that the chip has several of.
TWO = dataclasses.replace(TINY, name="two", sips=2, channels=2, l2_ports=2, dram_rows=64)


def test_chip(bench):
    bench.run(Compute(TINY), TESTS, params={"config": "tiny"})
