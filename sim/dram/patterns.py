"""The access patterns of the benchmark, as request traces.

Every pattern is made of lines of 64 bytes, two requests each (32-byte patterns: of one). `count` is the number of requests, `memory`
the bytes of the channel; addresses wrap inside it. Everything random comes from the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtl.memory.address import ATOM_BYTES, BANKS, COLUMNS, AddressMap
from sim.dram.requests import Requests

__all__ = ["PATTERNS", "Pattern", "mixture"]

_LINE = 2 * ATOM_BYTES
#: Bytes of all banks' rows of one number: consecutive addresses.
_ROW_BYTES = BANKS * COLUMNS * ATOM_BYTES


@dataclass(frozen=True)
class Pattern:
    """A pattern: its name in files and bars, its title in tables, and `make(count, memory, seed)`.

    `reads`, `writes` are the parts of its mix; `atoms` is what one visit of a row takes (None: all of it, the pattern goes on in rows
    that are open). The analytic bound follows from them.
    """

    name: str
    title: str
    make: Callable[[int, int, int], Requests]
    reads: int = 1
    writes: int = 0
    atoms: int | None = None


def _lines(numbers: np.ndarray, write: np.ndarray, count: int) -> Requests:
    """Two requests for each line of 64 bytes."""
    atoms = (2 * numbers.astype(np.int64)[:, None] + [0, 1]).reshape(-1)
    return Requests(np.repeat(write, 2)[:count], atoms[:count])


def _sequential(reads: int, writes: int):
    """Atom after atom from 0, each read or written by chance, `reads` to `writes`."""

    def make(count: int, memory: int, seed: int) -> Requests:
        write = np.random.default_rng(seed).random(count) * (reads + writes) >= reads
        return Requests(write, np.arange(count, dtype=np.int64) % (memory // ATOM_BYTES))

    return make


def _copy(place: Callable[[int], tuple[int, int]]):
    """A line of A is read, then the same line of B is written. A begins at 0; `place` gives where B begins and the bytes of each."""

    def make(count: int, memory: int, seed: int) -> Requests:
        offset, size = place(memory)
        pairs = np.arange((count + 3) // 4) % (size // _LINE)
        lines = (pairs[:, None] + [0, offset // _LINE]).reshape(-1)
        return _lines(lines, np.arange(len(lines)) % 2 == 1, count)

    return make


def _half(memory: int) -> tuple[int, int]:
    """B is the upper half of the memory: the hash keeps each of its lines in another bank than A's."""
    return memory // 2, memory // 2


def _same_bank(memory: int) -> tuple[int, int]:
    """B lies some rows higher, at a distance that the hash doesn't see: each of its lines is in the bank of A's, in another row. Of such
    distances the one with the most zeros at its end, below which A lies, so that no carry disturbs the hash."""
    rows = memory // _ROW_BYTES
    hashed = AddressMap(rows)
    row = max((row for row in range(1, rows) if not hashed.hash(row)), key=lambda row: (row & -row, row))
    return _ROW_BYTES * row, _ROW_BYTES * (row & -row)


def _random(line_atoms: int, written: float):
    """Lines drawn evenly from the whole memory, each written with the probability `written`."""

    def make(count: int, memory: int, seed: int) -> Requests:
        rng = np.random.default_rng(seed)
        lines = -(-count // line_atoms)
        numbers = rng.integers(0, memory // (line_atoms * ATOM_BYTES), lines)
        write = rng.random(lines) < written
        return _lines(numbers, write, count) if line_atoms == 2 else Requests(write, numbers)

    return make


def _stride(step: int):
    """A line every `step` bytes; each round through the memory begins one line further on."""

    def make(count: int, memory: int, seed: int) -> Requests:
        visits = np.arange((count + 1) // 2)
        each = memory // step
        return _lines((visits % each) * (step // _LINE) + (visits // each) % (step // _LINE), np.zeros(len(visits), bool), count)

    return make


#: The rows of the table, by name.
PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern("seq_read", "sequential read", _sequential(1, 0)),
        Pattern("seq_write", "sequential write", _sequential(0, 1), 0, 1),
        Pattern("seq_1to1", "sequential, 50 : 50", _sequential(1, 1), 1, 1),
        Pattern("seq_2to1", "sequential, 2 : 1 read : write", _sequential(2, 1), 2, 1),
        Pattern("copy_offset", "copy, B half the memory from A", _copy(_half), 1, 1),
        Pattern("copy_same_bank", "copy, A and B in the same bank", _copy(_same_bank), 1, 1),
        Pattern("random_64", "random 64 B read", _random(2, 0.0), atoms=2),
        Pattern("random_32", "random 32 B read", _random(1, 0.0), atoms=1),
        Pattern("random_64_1to1", "random 64 B, 50 : 50", _random(2, 0.5), 1, 1, atoms=2),
        Pattern("stride_16k", "stride 16 KiB, 64 B read", _stride(16 << 10), atoms=2),
        Pattern("stride_64k", "stride 64 KiB, 64 B read", _stride(64 << 10), atoms=2),
    )
}


def mixture(count: int, memory: int, seed: int) -> Requests:
    """Everything that users do and what no benchmark has: pieces of all patterns, of 50 to 5000 requests and from anywhere, and between
    them storms on a few atoms, on the rows of one bank, and on one bank group, reads and writes in any proportion."""
    rng = np.random.default_rng(seed)
    atoms, hashed = memory // ATOM_BYTES, AddressMap(memory // _ROW_BYTES)
    makers = [pattern.make for pattern in PATTERNS.values()]
    writes, places, made = [], [], 0
    while made < count:
        length = int(min(rng.integers(50, 5000), count - made))
        kind = int(rng.integers(len(makers) + 3))
        written = rng.random(length) < rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        if kind < len(makers):
            piece = makers[kind](length, memory, int(rng.integers(1 << 31)))
            shift = int(rng.integers(atoms)) & ~1
            written, chosen = piece.write, (piece.atom.astype(np.int64) + shift) % atoms
        elif kind == len(makers):
            chosen = rng.choice(rng.integers(0, atoms, int(rng.integers(1, 9))), length)
        else:
            bank = int(rng.integers(BANKS))
            banks = [bank] if kind == len(makers) + 1 else [bank & 3 | 4 * k for k in range(4)]
            rows = rng.integers(0, hashed.rows, int(rng.integers(2, 40)))
            some = zip(rng.choice(banks, length), rng.choice(rows, length), rng.integers(0, COLUMNS, length), strict=True)
            chosen = np.array([hashed.atom(*map(int, place)) for place in some])
        writes.append(written)
        places.append(chosen)
        made += length
    return Requests(np.concatenate(writes), np.concatenate(places))
