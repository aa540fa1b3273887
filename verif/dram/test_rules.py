"""Every timing rule, one clock too short: the device and the offline checker judge by a set that asks for one clock more than the
controller keeps, and both must name the rule."""

import dataclasses

import numpy as np
import pytest

from rtl.config import ChipConfig
from rtl.memory.timing import TimingSet
from sim.dram.patterns import PATTERNS, mixture
from sim.dram.requests import Requests
from sim.dram.simulation import simulate
from sim.hbm.checker import check

CONFIG = dataclasses.replace(ChipConfig.load("small"), dram_rows=32768)

#: A set in which each rule binds somewhere: no rule is hidden behind another.
TIMING = dataclasses.replace(TimingSet.load("F3200"), tRRD_S=7, tRRD_L=9, tFAW=33, tWTR_S=14, tWTR_L=30)

#: What is asked for, by the rule that must be named.
RULES = {
    "tRCDRD": "tRCDRD", "tRCDWR": "tRCDWR", "tRP": "tRP", "tRAS": "tRAS", "tRC": "tRC", "tRRD_S": "tRRD_S", "tRRD_L": "tRRD_L",
    "tCCD_S": "tCCD_S", "tCCD_L": "tCCD_L", "tFAW": "tFAW", "tWR": "tWR", "tRTP": "tRTP", "tWTR_S": "tWTR_S", "tWTR_L": "tWTR_L",
    "tRTW_GAP": "tRTW", "tRFCsb": "tRFCsb", "tRREFD": "tRREFD",
}


def run(tmp_path, judged: TimingSet):
    """Half the time a stream in both directions, in which the bus turns often and rows are open when it does; then everything else."""
    path = tmp_path / "commands.txt"
    parts = PATTERNS["seq_1to1"].make(10_000, CONFIG.channel_bytes, 11), mixture(40_000, CONFIG.channel_bytes, 11)
    requests = Requests(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("write", "atom")))
    found = simulate(requests, CONFIG, TIMING, clocks=80_000, commands=path, device_timing=judged)
    return found, check(path, judged, clocks=found.memory_total)


def test_the_set_itself(tmp_path):
    found, report = run(tmp_path, TIMING)
    assert found.ok and report.ok, (found.log, found.first_violation, report.violations[:3])


@pytest.mark.parametrize("key", RULES)
def test_rule(tmp_path, key):
    """cp_rules: a device and a checker that ask for one clock more than the controller keeps both name the rule."""
    longer = {key: getattr(TIMING, key) + 1}
    judged = object.__new__(TimingSet)  # a longer tRAS or tRP alone contradicts tRC: as a fault, that doesn't matter
    for field in dataclasses.fields(TimingSet):
        object.__setattr__(judged, field.name, longer.get(field.name, getattr(TIMING, field.name)))
    found, report = run(tmp_path, judged)
    assert found.violations and RULES[key] in {violation.rule for violation in report.violations}
    assert found.violations == pytest.approx(len(report.violations), rel=0.01) or found.first_violation == RULES[key]
