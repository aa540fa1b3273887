"""The byte networks between an L1 port and the banks: shift by byte, skip at the row's end, rotate by bank."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.l1.decode import Geometry, rotate_left

__all__ = ["Gather", "Scatter"]


def _word(value: Value, index: int, bits: int) -> Value:
    return value[index * bits : (index + 1) * bits]


class Gather(wiring.Component):
    """Combinational: the bytes of one access from the words that the banks have read.

    Members
    -------
    banks
        The word of every bank, bank 0 lowest.
    place
        See :meth:`Geometry.place_shape`.
    data
        `width` bytes. Bytes that the access didn't touch have some value of a bank.
    """

    def __init__(self, geometry: Geometry, width: int):
        self.geometry = geometry
        self.width = width
        super().__init__({
            "banks": In(8 * geometry.bank_bytes * geometry.banks), "place": In(geometry.place_shape(width)), "data": Out(8 * width),
        })

    def elaborate(self, platform):
        m = Module()
        geometry, place = self.geometry, self.place
        words, skew, bits = geometry.words(self.width), geometry.skew, 8 * geometry.bank_bytes

        # The largest steps first: each level then needs only as many words as the levels after it can still move.
        line = Cat(self.banks, self.banks[: (words + skew - 1) * bits])
        for level in reversed(range(geometry.word_bits)):
            needed = (words + skew + (1 << level) - 1) * bits
            stage = Signal(needed, name=f"by_{1 << level}")
            m.d.comb += stage.eq(Mux(place.bank[level], line[bits << level :], line))
            line = stage

        dense = Signal(words * bits)
        m.d.comb += _word(dense, 0, bits).eq(_word(line, 0, bits))
        for j in range(1, words):
            m.d.comb += _word(dense, j, bits).eq(Mux(place.next[j - 1], _word(line, j + skew, bits), _word(line, j, bits)))
        m.d.comb += self.data.eq(dense >> Cat(0, 0, 0, place.offset))
        return m


class Scatter(wiring.Component):
    """Combinational: the bytes of one write, each at its bank; bytes without strobe are zero, so that the lines of all ports are ORed.

    Members
    -------
    data, strobe, place
        The write.
    banks, write
        The word and the byte strobes of every bank, bank 0 lowest.
    """

    def __init__(self, geometry: Geometry, width: int):
        self.geometry = geometry
        self.width = width
        line = geometry.bank_bytes * geometry.banks
        super().__init__({
            "data": In(8 * width), "strobe": In(width), "place": In(geometry.place_shape(width)),
            "banks": Out(8 * line), "write": Out(line),
        })

    def elaborate(self, platform):
        m = Module()
        masked = Signal(8 * self.width)
        m.d.comb += [masked.word_select(i, 8).eq(self.data.word_select(i, 8) & strobe.replicate(8)) for i, strobe in enumerate(self.strobe)]
        m.d.comb += [
            self.banks.eq(self._spread(m, masked, 8, "data")),
            self.write.eq(self._spread(m, self.strobe, 1, "strobe")),
        ]
        return m

    def _spread(self, m: Module, value: Value, unit: int, name: str) -> Value:
        """`value`, of `unit` bits for each byte, as a line of all banks."""
        geometry, place = self.geometry, self.place
        words, banks, skew, bits = geometry.words(self.width), geometry.banks, geometry.skew, unit * geometry.bank_bytes
        shifted = Signal(words * bits, name=f"{name}_shifted")
        m.d.comb += shifted.eq(value << Cat(*([0] * (unit.bit_length() - 1)), place.offset))
        spread = Signal(banks * bits, name=f"{name}_spread")
        for j in range(words):
            word = _word(shifted, j, bits)
            if j == 0 or skew == 0:
                m.d.comb += _word(spread, j, bits).eq(word)
                continue
            with m.If(place.next[j - 1]):
                m.d.comb += _word(spread, j + skew, bits).eq(word)
            with m.Else():
                m.d.comb += _word(spread, j, bits).eq(word)
        return rotate_left(spread, place.bank, bits)
