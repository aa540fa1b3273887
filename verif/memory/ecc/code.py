"""The tests' own SECDED (72, 64), a word at a time, and what is stored of an atom: four pairs of data and check bits."""

import random
from itertools import combinations

__all__ = ["POISON", "Word", "atom_of", "check_of", "flip", "judge", "patterns", "words_of"]

#: Inverted check bits of a poisoned word.
POISON = 0x7F

#: One stored word: 64 data bits, 8 check bits.
Word = tuple[int, int]

_COLUMNS = [
    *sorted(1 << a | 1 << b | 1 << c for a, b, c in combinations(range(8), 3)),
    *(int("0001111100011111"[turn:turn + 8], 2) for turn in range(8)),
]


def check_of(word: int) -> int:
    found = 0
    while word:
        bit = word & -word
        found ^= _COLUMNS[bit.bit_length() - 1]
        word ^= bit
    return found


def judge(word: Word) -> tuple[int, str]:
    """(what a reader gets, "clean", "single" or "bad") of a stored word, by trying every single error."""
    data, check = word
    wrong = check_of(data) ^ check
    if not wrong:
        return data, "clean"
    if wrong.bit_count() == 1:
        return data, "single"
    if wrong in _COLUMNS:
        return data ^ 1 << _COLUMNS.index(wrong), "single"
    return data, "bad"


def patterns() -> list[int]:
    """All 72 single and 2,556 double errors of the 72 bits of a word, check bits above the data."""
    singles = [1 << bit for bit in range(72)]
    return singles + [a | b for a, b in combinations(singles, 2)]


def words_of(data: int, check: int) -> list[Word]:
    return [(data >> 64 * word & (1 << 64) - 1, check >> 8 * word & 0xFF) for word in range(4)]


def atom_of(words: list[Word]) -> tuple[int, int]:
    """(data, check) of four words."""
    return sum(data << 64 * word for word, (data, _) in enumerate(words)), sum(check << 8 * word for word, (_, check) in enumerate(words))


def flip(word: Word, rng: random.Random, bits: int = 1) -> Word:
    """`word` with `bits` of its 72 bits inverted."""
    mask = sum(1 << bit for bit in rng.sample(range(72), bits))
    return word[0] ^ mask & (1 << 64) - 1, word[1] ^ mask >> 64
