"""The byte networks between an L1 port and the banks: shift by byte, skip at the row's end, rotate by bank."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.l1.decode import Geometry

__all__ = ["Gather", "Scatter"]


def _words(m: Module, name: str, values: list[Value]) -> list[Signal]:
    """Each word as a signal of its own: words of one vector that pass through each other look like a loop to a simulator."""
    signals = [Signal(len(value), name=f"{name}_{index}") for index, value in enumerate(values)]
    m.d.comb += [signal.eq(value) for signal, value in zip(signals, values, strict=True)]
    return signals


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
        line = [self.banks.word_select(bank % geometry.banks, bits) for bank in range(geometry.banks + words + skew - 1)]
        for level in reversed(range(geometry.word_bits)):
            step = 1 << level
            line = _words(m, f"by_{step}", [
                Mux(place.bank[level], line[j + step], line[j]) for j in range(words + skew + step - 1)
            ])
        dense = _words(m, "dense", [line[0], *(Mux(place.next[j - 1], line[j + skew], line[j]) for j in range(1, words))])
        m.d.comb += self.data.eq(Cat(dense) >> Cat(0, 0, 0, place.offset))
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
            self.banks.eq(Cat(self._spread(m, masked, 8, "data"))),
            self.write.eq(Cat(self._spread(m, self.strobe, 1, "strobe"))),
        ]
        return m

    def _spread(self, m: Module, value: Value, unit: int, name: str) -> list[Value]:
        """`value`, of `unit` bits for each byte, as one word for each bank."""
        geometry, place = self.geometry, self.place
        words, banks, bits = geometry.words(self.width), geometry.banks, unit * geometry.bank_bytes
        shifted = Signal(words * bits, name=f"{name}_shifted")
        m.d.comb += shifted.eq(value << Cat(*([0] * (unit.bit_length() - 1)), place.offset))

        def part(j: int, skipped: bool) -> Value:
            """Word j, if it lies in the next row or doesn't, as `skipped` says. The first word never does."""
            if not 0 <= j < words:
                return Const(0, bits)
            return Mux((place.next[j - 1] if j else Const(0)) == skipped, shifted.word_select(j, bits), 0)

        # By distance from the first bank.
        line = [part(j, False) | part(j - geometry.skew, True) for j in range(banks)]
        for level, bit in enumerate(place.bank):
            line = _words(m, f"{name}_by_{1 << level}", [Mux(bit, line[bank - (1 << level)], line[bank]) for bank in range(banks)])
        return line
