"""The code: its table corrects one error and detects two, and the back door has the same check bits."""

import random
import time
from itertools import combinations

import numpy as np
import pytest

from rtl.memory.secded import COLUMNS, MASKS
from sim.hbm.secded import check_bits

#: The columns of all 72 stored bits of a word: data, then check bits.
STORED = (*COLUMNS, *(1 << bit for bit in range(8)))


def check_of(word: int) -> int:
    """Bit by bit, from the definition."""
    found = 0
    for bit in range(64):
        if word >> bit & 1:
            found ^= COLUMNS[bit]
    return found


def test_columns():
    assert len(set(STORED)) == 72 and 0 not in STORED
    assert all(column.bit_count() & 1 for column in STORED)
    doubles = [a ^ b for a, b in combinations(STORED, 2)]
    assert len(doubles) == 2556 and not set(doubles) & {0, *STORED}
    for check, mask in enumerate(MASKS):
        assert mask.bit_count() == 26
        assert all((mask >> bit & 1) == (column >> check & 1) for bit, column in enumerate(COLUMNS))


def test_back_door(seed):
    rng = random.Random(seed)
    words = [0, *(1 << bit for bit in range(64)), (1 << 64) - 1, *(rng.getrandbits(64) for _ in range(1000))]
    expected = [check_of(word) for word in words]
    assert check_bits(np.array(words, "<u8")).tolist() == expected
    # Any shape, and views that aren't contiguous.
    grid = np.array(words[:1064], "<u8").reshape(2, 4, 133)
    assert (check_bits(grid[:, ::2, 1:]) == np.array(expected[:1064], np.uint8).reshape(2, 4, 133)[:, ::2, 1:]).all()
    assert int(check_bits(np.array(words[1], "<u8"))) == expected[1]
    # Four words of an atom give its 32 check bits, word 0 in the low byte.
    atom = np.array(words[70:74], "<u8")
    assert int(check_bits(atom).view("<u4")[0]) == sum(bits << 8 * word for word, bits in enumerate(expected[70:74]))
    with pytest.raises(TypeError, match="check bits are those of words of uint64, not of uint8"):
        check_bits(np.zeros(8, np.uint8))


def test_back_door_is_fast():
    words = np.random.default_rng(1).integers(0, 1 << 64, size=2 << 20, dtype=np.uint64)
    started = time.process_time()
    check_bits(words)
    assert time.process_time() - started < 1
