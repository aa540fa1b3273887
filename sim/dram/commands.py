"""Reads a DRAM command trace back."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Command", "read_commands"]


class Command(NamedTuple):
    """A line of a command trace: `time` in memory clocks (an ACT's first), `bank` 0 to 15 (group in the low bits), -1 without a meaning."""

    time: int
    name: str
    bank: int
    row: int
    column: int


def read_commands(path: Path, until: int | None = None) -> Iterator[Command]:
    """The commands before clock `until`, in order."""

    def number(word: str) -> int:
        return -1 if word == "-" else int(word)

    with path.open() as file:
        for line in file:
            time, name, group, bank, row, column = line.split()
            if until is not None and int(time) >= until:
                return
            place = -1 if group == "-" else int(group) + 4 * int(bank)
            yield Command(int(time), name, place, number(row), number(column))
