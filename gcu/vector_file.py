"""Files of operands: one operation a line in hexadecimal, read and written in blocks so that a file may be larger than memory."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from gcu.errors import BadInput

__all__ = ["digits_of", "lines_of", "read_vectors"]

#: Bytes that are read at a time.
_BLOCK = 1 << 22
#: A line longer than this is no vector.
_LONGEST = 4096

_NO_DIGIT = 0xFF
_NIBBLES = np.full(256, _NO_DIGIT, np.uint8)
for _value, _characters in enumerate(zip("0123456789abcdef", "0123456789ABCDEF", strict=True)):
    for _character in _characters:
        _NIBBLES[ord(_character)] = _value
_BLANK = np.zeros(256, bool)
_BLANK[list(b" \t\r\n\v\f")] = True
_PAIRS = np.frombuffer("".join(f"{value:02x}" for value in range(256)).encode(), np.uint8).reshape(256, 2)


def read_vectors(stream: BinaryIO, name: str, fields: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int, np.ndarray]]:
    """Blocks of a file: number of the first line (from 1), bytes read so far, and operands [lines, fields] as uint32.

    A field is (name, hexadecimal digits); blanks separate fields, and what follows the last one is ignored.
    Raises :class:`BadInput` with the number of the first line that is not of this form.
    """
    first, done, rest = 1, 0, b""
    while True:
        data = stream.read(_BLOCK)
        done += len(data)
        block = rest + data
        if not data:
            if block:
                yield first, done, _parse(block + b"\n", name, fields, first)
            elif first == 1:
                raise BadInput(f"{name}: it holds no vectors; {_form(fields)} is needed, one operation a line")
            return
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > _LONGEST:
            line = first + block.count(b"\n", 0, end)
            raise BadInput(f"{name}, line {line}: longer than {_LONGEST} characters; {_form(fields)} is needed")
        if end:
            operands = _parse(block[:end], name, fields, first)
            yield first, done, operands
            first += len(operands)


def _form(fields: Sequence[tuple[str, int]]) -> str:
    return "'" + " ".join(field for field, _ in fields) + "' of " + ", ".join(str(digits) for _, digits in fields) + " hexadecimal digits"


def _parse(block: bytes, name: str, fields: Sequence[tuple[str, int]], first: int) -> np.ndarray:
    """Operands of whole lines. Lines with one blank between fields, as files mostly have them, are parsed all at once."""
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = np.cumsum([0, *(digits + 1 for _, digits in fields)])
    width = int(places[-1])  # with the blank behind the last field, at least the line feed
    lengths = ends + 1 - starts
    if len(text) == len(ends) * lengths[0] and lengths[0] >= width and (lengths == lengths[0]).all():
        lines = text.reshape(len(ends), -1)[:, :width]
    else:
        lines = text[np.minimum(starts[:, None] + np.arange(width), len(text) - 1)]
    regular = (lengths >= width) & _BLANK[lines[:, places[1:] - 1]].all(axis=1)
    operands = np.empty((len(ends), len(fields)), np.uint32)
    nibbles = _NIBBLES[lines]
    for column, (place, (_, digits)) in enumerate(zip(places, fields, strict=False)):
        part = nibbles[:, place : place + digits]
        regular &= part.max(axis=1) != _NO_DIGIT
        value = np.zeros(len(ends), np.uint32)
        for digit in range(digits):
            value <<= np.uint32(4)
            value |= part[:, digit]
        operands[:, column] = value
    for index in np.flatnonzero(~regular):
        line = block[starts[index] : ends[index]]
        operands[index] = _parse_line(line, f"{name}, line {first + index}", fields)
    return operands


def _parse_line(line: bytes, where: str, fields: Sequence[tuple[str, int]]) -> list[int]:
    """Any blanks between fields. Raises :class:`BadInput`."""
    words = line.split()
    if len(words) < len(fields):
        raise BadInput(f"{where}: {len(words)} operand{'s' * (len(words) != 1)}; {_form(fields)} is needed")
    values = []
    for word, (field, digits) in zip(words, fields, strict=False):
        if len(word) != digits or any(_NIBBLES[character] == _NO_DIGIT for character in word):
            shown = word[:40].decode("ascii", "backslashreplace")
            raise BadInput(f"{where}: {field} is '{shown}'; {digits} hexadecimal digits are needed")
        values.append(int(word, 16))
    return values


def lines_of(columns: np.ndarray, digits: Sequence[int]) -> bytes:
    """Text of codes [lines, columns] (uint32), each with its number of hexadecimal digits, one blank between them."""
    parts = []
    for column, count in zip(columns.T, digits, strict=True):
        parts += [digits_of(np.ascontiguousarray(column), count), np.full((len(columns), 1), ord(" "), np.uint8)]
    parts[-1][:] = ord("\n")
    return np.concatenate(parts, axis=1).tobytes()


def digits_of(codes: np.ndarray, count: int) -> np.ndarray:
    """Characters [codes, count] of an even count of hexadecimal digits."""
    every = np.ascontiguousarray(codes, ">u4").view(np.uint8).reshape(len(codes), 4)
    return _PAIRS[every[:, 4 - count // 2 :]].reshape(len(codes), count)
