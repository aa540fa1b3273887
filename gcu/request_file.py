"""Files of requests: `R 0xADDRESS` or `W 0xADDRESS` a line, 32 bytes each."""

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gcu.errors import BadInput
from rtl.memory.address import ATOM_BYTES
from sim.dram.requests import Requests

__all__ = ["read_requests", "write_requests"]

_LINES = re.compile(rb"(?:[ \t]*[RW][ \t]+0x[0-9a-fA-F]{1,16}[ \t]*\r?\n)*")
_FORM = "'R 0xADDRESS' or 'W 0xADDRESS'"
#: Bytes that are read at a time.
_BLOCK = 1 << 22


def read_requests(stream: BinaryIO, name: str, memory: int) -> Requests:
    """The requests of a file, in a memory of so many bytes. Raises :class:`BadInput` with the number of the first bad line."""
    writes: list[np.ndarray] = []
    addresses: list[np.ndarray] = []
    line, rest = 1, b""
    while data := stream.read(_BLOCK):
        block = rest + data
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > 4096:
            number = line + block.count(b"\n", 0, end)
            raise BadInput(f"{name}, line {number}: longer than 4096 characters; {_FORM} is needed")
        line = _take(block[:end], name, memory, line, writes, addresses)
    if rest:
        _take(rest + b"\n", name, memory, line, writes, addresses)
    if not addresses:
        raise BadInput(f"{name}: it holds no requests; {_FORM} is needed, one a line")
    return Requests(np.concatenate(writes), np.concatenate(addresses) // ATOM_BYTES)


def _take(block: bytes, name: str, memory: int, line: int, writes: list, addresses: list) -> int:
    """Appends the requests of whole lines; returns the number of the next line."""
    lines = block.count(b"\n")
    good = _LINES.match(block)
    if good is None or good.end() != len(block):
        number = block.count(b"\n", 0, good.end() if good else 0)
        text = block.split(b"\n")[number].rstrip(b"\r")[:40].decode("ascii", "backslashreplace")
        raise BadInput(f"{name}, line {line + number}: '{text}' is not {_FORM}")
    words = block.split()
    found = np.fromiter((int(word, 16) for word in words[1::2]), np.uint64, lines)
    for wrong, reason in (
        (found % ATOM_BYTES != 0, f"is not a multiple of {ATOM_BYTES}: an access is {ATOM_BYTES} aligned bytes"),
        (found >= memory, f"is beyond the memory's {memory:,} bytes (0x0 to 0x{memory - 1:x}); another --config may have more"),
    ):
        if wrong.any():
            index = int(wrong.argmax())
            raise BadInput(f"{name}, line {line + index}: address 0x{int(found[index]):x} {reason}")
    writes.append(np.fromiter((word == b"W" for word in words[0::2]), bool, lines))
    addresses.append(found)
    return line + lines


def write_requests(path: Path, requests: Requests):
    """The file of a trace."""
    addresses = ATOM_BYTES * requests.atom.astype(np.int64)
    with path.open("w") as file:
        for begin in range(0, len(requests), 1 << 16):
            part = zip(requests.write[begin : begin + (1 << 16)].tolist(), addresses[begin : begin + (1 << 16)].tolist(), strict=True)
            file.writelines(f"{'W' if write else 'R'} 0x{address:08x}\n" for write, address in part)
