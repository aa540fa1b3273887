"""The benchmark's patterns do what their names say; the bounds against figures worked out by hand."""

import dataclasses

import numpy as np
import pytest

from rtl.memory.address import AddressMap
from rtl.memory.timing import TimingSet
from sim.dram.bounds import activate_bound, bound, turnaround_bound
from sim.dram.patterns import PATTERNS, mixture

MEMORY = 512 << 20
MAP = AddressMap(32768)


@pytest.mark.parametrize("memory", (1 << 20, 32 << 20, MEMORY))
@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern(name, memory):
    """cp_patterns: the asked number of requests, inside the memory, the same for the same seed, and in the mix that the pattern names."""
    pattern = PATTERNS[name]
    requests, again = (pattern.make(6001, memory, 3) for _ in range(2))
    assert len(requests) == 6001 and requests.atom.max() < memory // 32
    assert (requests.atom == again.atom).all() and (requests.write == again.write).all()
    share = pattern.writes / (pattern.reads + pattern.writes)
    assert requests.write.mean() == pytest.approx(share, abs=0.03 if "random" in name or name in ("seq_1to1", "seq_2to1") else 0.002)


def places(name: str, count: int = 4000):
    requests = PATTERNS[name].make(count, MEMORY, 1)
    return requests, np.array([MAP.locate(int(atom)) for atom in requests.atom])


def test_sequential():
    for name in ("seq_read", "seq_write", "seq_1to1", "seq_2to1"):
        assert (PATTERNS[name].make(5000, MEMORY, 1).atom == np.arange(5000)).all()
    for name, share in (("seq_1to1", 1 / 2), ("seq_2to1", 1 / 3)):
        assert abs(PATTERNS[name].make(20_000, MEMORY, 1).write.mean() - share) < 0.02


def test_copies():
    """Each line is read at A and written at B; always in other banks, or always in the same bank and another row."""
    for name, same in (("copy_offset", False), ("copy_same_bank", True)):
        requests, where = places(name)
        read, written = where[0::4], where[2::4]
        distance = requests.atom[2::4].astype(int) - requests.atom[0::4]
        assert len(set(distance)) == 1 and (requests.atom[0::4] == 2 * np.arange(1000)).all()
        assert ((read[:, 0] == written[:, 0]) == same).all() and (read[:, 1] != written[:, 1]).all()
        assert (read[:, 2] == written[:, 2]).all()


def test_strides():
    for name, step in (("stride_16k", 16 << 10), ("stride_64k", 64 << 10)):
        requests, where = places(name, 64)
        assert (requests.atom[0::2] == np.arange(32) * step // 32).all() and (requests.atom[1::2] == requests.atom[0::2] + 1).all()
        assert (np.diff(where[0::2, 1]) == step >> 14).all()
        around = PATTERNS[name].make(4 * (MEMORY // step), MEMORY, 1).atom
        assert len(set(around.tolist())) == len(around)


def test_random():
    assert (PATTERNS["random_64"].make(1000, MEMORY, 1).atom.reshape(-1, 2) % 2 == [0, 1]).all()
    for name, granule in (("random_64", 2), ("random_32", 1)):
        drawn = PATTERNS[name].make(40_000, MEMORY, 1).atom // granule
        assert len(set(drawn.tolist())) > 0.99 * 40_000 / granule
        assert not np.array_equal(drawn, PATTERNS[name].make(40_000, MEMORY, 2).atom // granule)


def test_mixture():
    """Both directions, all banks, and storms: some atoms come again and again."""
    requests = mixture(60_000, MEMORY, 5)
    assert len(requests) == 60_000 and requests.atom.max() < MEMORY // 32 and 0.1 < requests.write.mean() < 0.9
    assert {MAP.locate(int(atom))[0] for atom in requests.atom[::7]} == set(range(16))
    assert np.unique(requests.atom, return_counts=True)[1].max() > 100


def test_bounds():
    """cp_bounds: P3200 by hand. Random: in 390 clocks one refresh takes 13 and activates come every 7, 53.857 of them with 4 clocks of
    data each. 1 : 1: 384 accesses, 768 clocks of data, and 17 + 18 clocks lost in turning. 2 : 1: 336 accesses."""
    timing = TimingSet.load("P3200")
    expected = {
        "seq_read": 100, "seq_write": 100, "seq_1to1": 100 * 768 / 803, "seq_2to1": 100 * 672 / 707, "copy_offset": 100 * 768 / 803,
        "copy_same_bank": 100 * 768 / 803, "random_64": 100 * 4 * 377 / 7 / 390, "random_32": 100 * 2 * 377 / 7 / 390,
        "random_64_1to1": 100 * 4 * 377 / 7 / 390, "stride_16k": 100 * 4 * 377 / 7 / 390, "stride_64k": 100 * 4 * 377 / 7 / 390,
    }
    assert set(expected) == set(PATTERNS)
    for name, value in expected.items():
        assert bound(PATTERNS[name], timing, reads=160, writes=32) == pytest.approx(value), name
    assert round(expected["random_64"], 1) == 55.2 and round(expected["seq_1to1"], 1) == 95.6 and round(expected["seq_2to1"], 1) == 95.0


def test_bounds_follow_the_set():
    """tFAW binds in F3200: an activate every 10 clocks, not every 4. Then tRC, nothing, and half the room for requests."""
    faw, timing = TimingSet.load("F3200"), TimingSet.load("P3200")
    assert activate_bound(faw, 2) == pytest.approx(100 * 4 * (313 - 17) / 10 / 313)
    assert activate_bound(dataclasses.replace(timing, tRC=160), 2) == pytest.approx(100 * 4 * 377 / 10 / 390)
    assert activate_bound(dataclasses.replace(timing, tRRD_S=2, tFAW=8, tRC=78), 8) == 100
    assert turnaround_bound(timing, 1, 80, 16) == pytest.approx(100 * 384 / 419)
