"""The address map of one pseudo-channel: row | ba | col[4:1] | bg | col[0] above 32-byte atoms, bank bits hashed with the row.

Each bank bit is XORed with the parity of some row bits. Any four neighbouring address bits from bit 12 up act independently on the
four bank bits, so that no power-of-two stride falls on few banks; row bit 0 moves the bank group only, which leaves a sequential
sweep the longest distance between two rows of a bank. An XOR with row bits is its own inverse.
"""

from dataclasses import dataclass

from amaranth import Cat, Value
from amaranth.lib import data

__all__ = ["ATOM_BYTES", "BANKS", "BANK_MASKS", "COLUMNS", "AddressMap", "Location"]

ATOM_BYTES = 32
BANKS = 16
#: Atoms of a 1 KiB page.
COLUMNS = 32

#: Row bits that move bg[0], bg[1], ba[0], ba[1].
BANK_MASKS = (0x3CCD, 0x718A, 0x7A56, 0x5FA8)


class Location(data.Struct):
    """Where an atom lies. A bank is `bank` of group `group`; both together are a number 0 to 15, the group in the low bits."""

    column: 5
    group: 2
    bank: 2
    row: 15


@dataclass(frozen=True)
class AddressMap:
    """Map of a pseudo-channel with `rows` rows (a power of two up to 32768) and one hash mask for each bank bit."""

    rows: int
    masks: tuple[int, int, int, int] = BANK_MASKS

    def __post_init__(self):
        if not 2 <= self.rows <= 32768 or self.rows & (self.rows - 1):
            raise ValueError(f"rows must be a power of two from 2 to 32768, not {self.rows}")
        object.__setattr__(self, "masks", tuple(mask & (self.rows - 1) for mask in self.masks))

    @property
    def atom_bits(self) -> int:
        """Bits of an atom's number: 9 for column and bank, and the row's."""
        return 9 + (self.rows - 1).bit_length()

    def hash(self, row: int) -> int:
        """What the bank number {ba, bg} is XORed with."""
        return sum(((row & mask).bit_count() & 1) << bit for bit, mask in enumerate(self.masks))

    def locate(self, atom: int) -> tuple[int, int, int]:
        """(bank number 0 to 15, row, column) of an atom, the byte address / 32."""
        row = atom >> 9
        bank = (atom >> 1 & 3 | (atom >> 7 & 3) << 2) ^ self.hash(row)
        return bank, row, atom & 1 | (atom >> 3 & 15) << 1

    def atom(self, bank: int, row: int, column: int) -> int:
        """The inverse of :meth:`locate`."""
        plain = bank ^ self.hash(row)
        return row << 9 | (plain >> 2) << 7 | (column >> 1) << 3 | (plain & 3) << 1 | column & 1

    def assign(self, location: data.View, atom: Value) -> list:
        """Statements that set a :class:`Location` from an atom's number: an XOR of at most ten inputs for each bank bit."""
        row = atom[9:self.atom_bits]
        parity = [(row & mask).xor() for mask in self.masks]
        return [
            location.row.eq(row),
            location.column.eq(Cat(atom[0], atom[3:7])),
            location.group.eq(atom[1:3] ^ Cat(parity[0], parity[1])),
            location.bank.eq(atom[7:9] ^ Cat(parity[2], parity[3])),
        ]

