"""The table's goals, the idle latency and the modes on the native player; the traces are read by the offline checker."""

import dataclasses

import numpy as np
import pytest

from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.timing import TimingSet
from sim.hbm.checker import check
from verif.memory.schedule.patterns import GOALS, pattern
from verif.memory.schedule.player import GAP, PARTIAL, URGENT, WRITE, Player, build_player
from verif.memory.schedule.random_sets import random_set
from verif.memory.schedule.table import measure

CONFIG = ChipConfig("scheduler", dram_rows=32768)
MAP = AddressMap(CONFIG.dram_rows)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def library():
    return build_player(CONFIG)


@pytest.mark.parametrize("name", GOALS)
def test_goal(library, tmp_path, name):
    counts = measure(library, CONFIG, TimingSet.load("P3200"), name, tmp_path / "commands.txt", age_limit=4096)
    assert counts.percent >= GOALS[name]
    assert counts.highest_owed <= 16
    assert sum(counts.causes.values()) == counts.clocks


@pytest.mark.parametrize("name", ("D3200", "F3200"))
@pytest.mark.parametrize("load", ("sequential_50_50", "copy_same_bank", "random_64_50_50"))
def test_other_sets(library, tmp_path, name, load):
    counts = measure(library, CONFIG, TimingSet.load(name), load, tmp_path / "commands.txt", clocks=60_000, age_limit=4096)
    assert counts.percent > 35


def _storm(rng, count: int) -> np.ndarray:
    """Few atoms, writes of some bytes, pauses; then streams and scattered atoms."""
    parts = []
    while sum(map(len, parts)) < count:
        size = int(rng.integers(20, 400))
        base = int(rng.integers(0, 1 << MAP.atom_bits))
        match rng.integers(0, 4):
            case 0:
                atoms = base ^ rng.integers(0, 3, size)
            case 1:
                atoms = base + np.arange(size)
            case 2:
                atoms = np.array([MAP.atom(base & 15, int(row), int(row) & 31) for row in rng.integers(0, 6, size)])
            case _:
                atoms = rng.integers(0, 1 << MAP.atom_bits, size)
        atoms = atoms % (1 << MAP.atom_bits)
        writes = rng.random(size) < rng.choice((0.0, 0.3, 0.5, 1.0))
        atoms = atoms | np.where(writes, WRITE, 0) | np.where(writes & (rng.random(size) < 0.2), PARTIAL, 0)
        atoms = atoms | np.where(rng.random(size) < 0.1, URGENT, 0)
        parts += [atoms, np.full(int(rng.choice((0, 0, 3, 50, 700))), GAP)]
    return np.concatenate(parts).astype(np.uint32)


@pytest.mark.parametrize("number", range(40))
def test_storm(library, tmp_path, number):
    """Random valid sets, or a set of the project; every mode; two runs with a stop between. What was written
    is read back."""
    rng = np.random.default_rng(number)
    timing = TimingSet.load(TimingSet.names()[number % 3]) if number % 4 == 0 else random_set(100 + number)
    options = {"age_limit": int(rng.choice((0, 200, 1000, 8000))), "close_after": int(rng.choice((0, 40, 500))),
               "refresh_all": bool(number % 5 == 4)}
    with Player(library, CONFIG, timing, trace=tmp_path / "commands.txt", **options) as player:
        for _ in range(2):
            requests = _storm(rng, 20_000)
            assert player.play(requests, 400_000) == len(requests)
            player.wait(60_000, run=False)
            player.wait(20)
            written = np.unique(requests[requests >= WRITE]) & (URGENT - 1)
            assert player.play(written.astype(np.uint32), 400_000) == len(written)
            player.wait(60_000, run=False)
            counts = player.counts()
            assert counts.stopped and not counts.pending and not counts.mismatches and not counts.violations, (timing, options, counts)
            player.wait(20)
    report = check(tmp_path / "commands.txt", timing, counts.clocks, CONFIG.dram_rows)
    assert report.ok, report.violations[:3]


def test_urgent(library):
    """One read in 20 is urgent: it waits for less time, and the others still come through."""
    with Player(library, CONFIG, TimingSet.load("P3200"), age_limit=4096) as player:
        requests = pattern("random_32_read", MAP, 40_000)
        requests |= np.where(np.random.default_rng(5).random(len(requests)) < 0.05, URGENT, 0).astype(np.uint32)
        player.play(requests, 40_000)
        counts = player.counts()
        assert not counts.mismatches and not counts.violations
        assert counts.urgent_waits / counts.urgent_reads < 0.7 * counts.waits / counts.reads


def test_behind(library, tmp_path):
    """A bank at a time can't keep up with this set's refresh: all rows are closed for it now and then."""
    timing = dataclasses.replace(TimingSet.load("F3200"), tRAS=70, tRP=35, tRC=105, tREFIsb=60, tREFI=960, tRFCsb=40, tRREFD=4, tRFC=200)
    for name in ("random_64_50_50", "sequential_50_50"):
        counts = measure(library, CONFIG, timing, name, tmp_path / "commands.txt", clocks=60_000, age_limit=4096)
        assert counts.highest_owed < 80


def test_latency(library):
    """A read of an idle scheduler: its ACT three clocks after acceptance, RD when tRCDRD allows, an open row's RD after three clocks."""
    timing = TimingSet.load("P3200")
    with Player(library, CONFIG, timing) as player:
        player.wait(8000)  # the banks are refreshed in advance
        begin = player.counts().clocks
        player.play([12345], 10)
        player.wait(300)
        counts = player.counts()
        assert (counts.first_row - begin, counts.first_column - counts.first_row) == (3, 1 + timing.tRCDRD)
        assert counts.longest_read == 3 + 1 + timing.tRCDRD + timing.RL + 2 + 1
        begin, before = counts.clocks, counts.column_commands
        player.play([12345 ^ 1], 10)
        player.wait(3)
        assert player.counts().column_commands == before + 1


@pytest.mark.parametrize("rule, clocks", [("tRCDRD", 1), ("tRCDWR", 1), ("tRP", 1), ("tRAS", 1), ("tFAW", 1), ("tRRD_S", 1), ("tCCD_L", 1),
                                          ("tWTR_S", 1), ("tRTW_GAP", 1), ("tWR", 1), ("tRTP", 1)])
def test_fault(library, tmp_path, rule, clocks):
    """One value too small is found by the device and by the offline checker."""
    timing = TimingSet.load("F3200")
    timing = dataclasses.replace(timing, tRAS=22 if rule == "tRTP" else timing.tRAS, tRRD_S=11 if rule == "tRRD_S" else timing.tRRD_S,
                                 tRRD_L=11 if rule == "tRRD_S" else timing.tRRD_L)
    faulty = dataclasses.replace(timing, **{rule: getattr(timing, rule) - clocks})
    with Player(library, CONFIG, timing, faulty=faulty, trace=tmp_path / "commands.txt") as player:
        player.play(pattern("random_64_50_50", MAP, 15_000), 15_000)
        player.play(pattern("sequential_50_50", MAP, 15_000), 15_000)
        assert player.counts().violations
    name = {"tRTW_GAP": "tRTW"}.get(rule, rule)
    assert name in {violation.rule for violation in check(tmp_path / "commands.txt", timing, rows=CONFIG.dram_rows).violations}
