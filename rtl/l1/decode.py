"""Where an L1 access goes: the byte addresses of one request, as banks, rows and a rotation."""

from dataclasses import dataclass

from amaranth import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig

__all__ = ["Decode", "Geometry"]


@dataclass(frozen=True)
class Geometry:
    """How the bytes of L1 lie in its banks.

    word = address / bank_bytes mod banks, row = address / (banks * bank_bytes), bank = (word + skew * row) mod banks. Without the
    skew every stride that is a multiple of a row would stay in one bank.

    An access that crosses into the next row leaves out `skew` banks there, so the skew needs that many banks beyond the words
    of the widest access; a configuration that hasn't got them has no skew. The last row is followed by the first, so
    rows * skew must be a multiple of `banks`.
    """

    banks: int
    bank_bytes: int
    rows: int
    skew: int

    @classmethod
    def of(cls, config: ChipConfig) -> "Geometry":
        banks, bank_bytes = config.l1_banks, config.l1_bank_bytes
        rows = config.l1_bytes // (banks * bank_bytes)
        widest = max(config.a_bytes, config.b_bytes, config.c_bytes, config.vector_bytes, config.bus_bytes)
        skew = max(1, banks // rows)
        geometry = cls(banks, bank_bytes, rows, skew)
        return geometry if geometry.words(widest) + skew <= banks else cls(banks, bank_bytes, rows, 0)

    def words(self, width: int) -> int:
        """Words that an access of `width` bytes touches at most: the first one may give a single byte."""
        return (width + 2 * self.bank_bytes - 2) // self.bank_bytes

    @property
    def offset_bits(self) -> int:
        return (self.bank_bytes - 1).bit_length()

    @property
    def word_bits(self) -> int:
        return (self.banks - 1).bit_length()

    @property
    def row_bits(self) -> int:
        return (self.rows - 1).bit_length()

    def place_shape(self, width: int) -> data.StructLayout:
        """What of an access of `width` bytes stays with it until its data is rotated: `bank` of its first word, byte `offset` in
        it, and for each word but the first whether it lies in the next row."""
        return data.StructLayout({"bank": self.word_bits, "offset": self.offset_bits, "next": self.words(width) - 1})

    def route_shape(self, width: int) -> data.StructLayout:
        """A decoded access: the banks that it claims, which of them in the next row, the two rows, and its `place`."""
        return data.StructLayout({
            "claim": self.banks, "next": self.banks, "row": self.row_bits, "next_row": self.row_bits, "place": self.place_shape(width),
        })


def _rotate_left(value: Value, amount: Value) -> Value:
    """`value`, of 2 to the width of `amount` bits, rotated left by `amount`."""
    return (Cat(value, value) << amount)[len(value) : 2 * len(value)]


class Decode(wiring.Component):
    """Combinational decoder of one port.

    Parameters
    ----------
    width
        Bytes of the port.

    Members
    -------
    address, touched
        Byte address and the bytes that the access touches, counted from there.
    claim, next, row, next_row, place
        The fields of :meth:`Geometry.route_shape`. They are ports of their own since some are worked out from others.
    """

    def __init__(self, geometry: Geometry, width: int):
        self.geometry = geometry
        self.width = width
        super().__init__({
            "address": In(geometry.row_bits + geometry.word_bits + geometry.offset_bits),
            "touched": In(width),
            **{name: Out(field.shape) for name, field in geometry.route_shape(width)},
        })

    def elaborate(self, platform):
        m = Module()
        geometry = self.geometry
        words, banks, skew = geometry.words(self.width), geometry.banks, geometry.skew
        offset = self.address[: geometry.offset_bits]
        word = self.address[geometry.offset_bits :][: geometry.word_bits]
        row = self.address[geometry.offset_bits + geometry.word_bits :]

        lanes = Signal(words * geometry.bank_bytes)
        m.d.comb += lanes.eq(self.touched << offset)
        touched = [lanes.word_select(j, geometry.bank_bytes).any() for j in range(words)]
        beyond = [Const(0, 1), *(word >= banks - j for j in range(1, words))]

        # By distance from the first bank, the skipped ones included.
        claim, following = Signal(banks), Signal(banks)
        near = Cat(t & ~b for t, b in zip(touched, beyond, strict=True))
        far = Cat(t & b for t, b in zip(touched, beyond, strict=True)) << skew
        m.d.comb += [claim.eq(near | far), following.eq(far)]

        first = Signal(geometry.word_bits)
        m.d.comb += [
            first.eq(word + skew * row[: geometry.word_bits]),
            self.claim.eq(_rotate_left(claim, first)),
            self.next.eq(_rotate_left(following, first)),
            self.row.eq(row),
            self.next_row.eq(row + 1),
            self.place.bank.eq(first),
            self.place.offset.eq(offset),
            self.place.next.eq(Cat(beyond[1:])),
        ]
        return m
