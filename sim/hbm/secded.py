"""The check bits of the memory's contents, by the megabyte: what the back door stores beside the data that it loads.

SECDED (72, 64) after Hsiao (1970). A data bit has a column of eight bits: the first 56 data bits those of weight three in ascending
order, the last 8 the byte 00011111 turned left by 0 to 7. The check bits of a word are the XOR of the columns of its ones.
"""

from itertools import combinations

import numpy as np

__all__ = ["check_bits"]


def _columns() -> list[int]:
    three = sorted(sum(1 << bit for bit in bits) for bits in combinations(range(8), 3))
    five = [sum(1 << (bit + turn) % 8 for bit in range(5)) for turn in range(8)]
    return three + five


def _tables() -> np.ndarray:
    """The code is linear: the check bits of a word are the XOR of those of its four halfwords. [halfword, value]"""
    columns = np.array(_columns(), np.uint8).reshape(4, 16)
    tables = np.zeros((4, 1), np.uint8)
    for bit in range(16):
        tables = np.concatenate([tables, tables ^ columns[:, bit, None]], axis=1)
    return tables


_TABLES = _tables()


def check_bits(words: np.ndarray) -> np.ndarray:
    """The check byte of each 64-bit word, an array of uint8 of the same shape. An atom's four, in order, are its 32 check bits.

    Raises TypeError where `words` isn't an array of uint64: bytes of memory are viewed as `"<u8"` first.
    """
    if words.dtype != np.dtype("<u8"):
        raise TypeError(f"check bits are those of words of uint64, not of {words.dtype}")
    halves = np.ascontiguousarray(words).view("<u2").reshape(*words.shape, 4)
    found = _TABLES[0][halves[..., 0]]
    for half in range(1, 4):
        found ^= _TABLES[half][halves[..., half]]
    return found
