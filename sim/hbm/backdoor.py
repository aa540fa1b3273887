"""The back door of the device model: a channel's contents without a clock, with valid check bits, and faults in them.

The device gives out storage in pages when they are first written (`sim/hbm/storage.sv`); what was never written is zeros, whose
check bits are zeros. :class:`BackDoor` works on a running Verilator model, the functions below make and read the files of plusargs,
which both simulators take.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from sim.hbm.secded import check_bits

__all__ = ["ROW_BYTES", "BackDoor", "memory_text", "write_flips"]

_PAGE = 1024
_ATOM = 32
#: Bytes of an atom in the files of `+memory` and `+dump`: its check bits are the last four.
ROW_BYTES = 36
#: Bits that can be inverted: 256 of data, then 32 of check bits.
_BITS = 8 * ROW_BYTES


class BackDoor:
    """A channel's contents by byte address within it.

    Parameters
    ----------
    variable : callable
        Name of a public variable of the channel's `hbm_storage` to a writable view of its bytes, (rows, bytes per row).
    """

    def __init__(self, variable: Callable[[str], np.ndarray]):
        self._page = variable("page").view("<u4").reshape(-1)
        self._used = variable("pages_used").view("<u4").reshape(-1)
        self._mem = variable("mem").reshape(-1, _PAGE)
        self._check = variable("check").reshape(-1, _PAGE // 8)

    def store(self, address: int, data: bytes | np.ndarray):
        """Writes bytes, and the check bits of every 64-bit word that they lie in."""
        data = np.frombuffer(data, np.uint8)
        if not len(data):
            return
        places, begin = self._reserve(self._pages(address, len(data))), address % _PAGE
        flat = self._mem[places].reshape(-1)
        flat[begin : begin + len(data)] = data
        check = self._check[places].reshape(-1)
        words = slice(begin // 8, (begin + len(data) + 7) // 8)
        check[words] = check_bits(flat.view("<u8")[words])
        self._mem[places] = flat.reshape(-1, _PAGE)
        self._check[places] = check.reshape(-1, _PAGE // 8)

    def load(self, address: int, size: int) -> bytes:
        """Reads bytes as they are stored, whatever their check bits say."""
        if size == 0:
            return b""
        return self._gather(self._mem, address, size).reshape(-1)[address % _PAGE :][:size].tobytes()

    def damaged(self, address: int, size: int) -> list[int]:
        """Addresses of the 64-bit words of a range whose check bits are not those of their data."""
        if size == 0:
            return []
        words = self._gather(self._mem, address, size).reshape(-1).view("<u8")
        wrong = np.flatnonzero(check_bits(words) != self._gather(self._check, address, size).reshape(-1)) * 8 + address // _PAGE * _PAGE
        return wrong[(wrong + 8 > address) & (wrong < address + size)].tolist()

    def flip(self, atom: int, bit: int):
        """Inverts one stored bit of an atom: 0 to 255 of its data, 256 to 287 of its check bits."""
        if not 0 <= bit < _BITS:
            raise ValueError(f"bit {bit} is not one of the {_BITS} of an atom")
        (place,) = self._reserve(self._pages(atom * _ATOM, _ATOM))
        kept, first, bit = (self._mem, _ATOM, bit) if bit < 256 else (self._check, _ATOM // 8, bit - 256)
        kept[place, atom % (_PAGE // _ATOM) * first + bit // 8] ^= 1 << bit % 8

    def _pages(self, address: int, size: int) -> slice:
        if address < 0 or address + size > len(self._page) * _PAGE:
            raise ValueError(f"{size} byte at {address:#x} lie outside the {len(self._page) * _PAGE} byte of the channel")
        return slice(address // _PAGE, (address + size - 1) // _PAGE + 1)

    def _reserve(self, pages: slice) -> np.ndarray:
        """Places of these pages in the pool; those that have none get one, of zeros."""
        table = self._page[pages]
        new = np.flatnonzero(table == 0)
        used = int(self._used[0])
        if used + len(new) > len(self._mem):
            raise ValueError(f"the device stores {len(self._mem)} KiB, and they are used up: build it with more pages")
        self._mem[used : used + len(new)] = 0
        self._check[used : used + len(new)] = 0
        table[new] = np.arange(used + 1, used + 1 + len(new), dtype=np.uint32)
        self._used[0] = used + len(new)
        return table.astype(np.int64) - 1

    def _gather(self, kept: np.ndarray, address: int, size: int) -> np.ndarray:
        places = self._page[self._pages(address, size)].astype(np.int64)
        found = kept[np.maximum(places, 1) - 1]
        found[places == 0] = 0
        return found


def memory_text(atoms: Mapping[int, bytes | bytearray]) -> str:
    """The file that `+memory` loads: for each atom its 32 bytes and their check bits."""
    if not atoms:
        return ""
    numbers = sorted(atoms)
    data = np.frombuffer(b"".join(bytes(atoms[number]) for number in numbers), np.uint8).reshape(-1, _ATOM)
    rows = np.concatenate([data, check_bits(data.view("<u8"))], axis=1)
    return "".join(f"@{number:x} {row[::-1].tobytes().hex()}\n" for number, row in zip(numbers, rows, strict=True))


def write_flips(path: Path, flips: Iterable[tuple[int, int, int]], *, channel: int = 0) -> str:
    """Writes the file in which a device finds the bits to invert, (clock since the reset, atom, bit) each; returns the plusarg.

    Raises ValueError on a bit that an atom doesn't have.
    """
    flips = sorted(flips)
    for _, _, bit in flips:
        if not 0 <= bit < _BITS:
            raise ValueError(f"bit {bit} is not one of the {_BITS} of an atom")
    Path(f"{path}.{channel}").write_text("".join(f"{clock} {atom} {bit}\n" for clock, atom, bit in flips))
    return f"+hbm_flips={path}"
