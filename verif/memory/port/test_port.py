"""Ports and arbiter on both simulators."""

import dataclasses

import pytest

from rtl.config import PRESETS
from rtl.memory.port.front import MemoryFront
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.memory.port.bench import ID_BITS
from verif.memory.port.coverage import BLOCK

TESTS = "verif.memory.port.port_tests"
TINY = dataclasses.replace(PRESETS["tiny"], name="ports", dram_rows=64)


def run(bench, config=TINY, ports=2, testcase=None, *, interleave=True, clock=(1, 1), system=None, **options):
    expect_failure = options.pop("expect_failure", False)
    params = {"config": config.to_dict(), "ports": ports, "interleave": interleave, "clock": clock, **options}
    folder = bench.run(
        system or MemoryFront(config, ports, ID_BITS, interleave=interleave), TESTS, params=params, testcase=testcase,
        expect_failure=expect_failure,
    )
    assert expect_failure or "passes one that is starved" not in (folder / "log.txt").read_text()
    return folder


def test_ports(bench, tmp_path):
    report = Report(BLOCK, [run(bench)], tmp_path)
    print(report)
