"""How far each term moves right, and the movement. Combinational."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.formats import Format
from rtl.isa import AlignMode
from rtl.tensor.frame import LANES, Frame

__all__ = ["FINE", "Coarse", "Distances", "Fine"]

#: The first part of a shifter moves by 0 to 7, the second by multiples of 8.
FINE = 3

_DISTANCE = data.StructLayout({"places": 6, "far": 1})


class Distances(wiring.Component):
    """The largest exponent, and how far below it each term lies.

    Members
    -------
    format
    products, c
        Exponents, 0 for what takes no part.
    largest
        Of products and `c`.
    distance, c_distance
        `far` is set where no bit of the term remains.
    """

    def __init__(self, frame: Frame):
        self._frame = frame
        super().__init__({
            "format": In(Format), "products": In(data.ArrayLayout(9, LANES)), "c": In(9), "largest": Out(9),
            "distance": Out(data.ArrayLayout(_DISTANCE, LANES)), "c_distance": Out(_DISTANCE),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        frame = self._frame
        integer = (self.format == Format.INT8) | (self.format == Format.UINT8)
        single = self.format == Format.FP32 if frame.fp32 else C(0, 1)

        def larger(x, y, name):
            value = Signal(9, name=name)
            m.d.comb += value.eq(Mux(x > y, x, y))
            return value

        p = self.products
        four = larger(larger(p[0], p[1], "low"), larger(p[2], p[3], "high"), "four")
        m.d.comb += self.largest.eq(larger(four, self.c, "all"))

        for index, distance in enumerate(self.distance):
            places = Signal(10, name=f"places{index}")
            if index == 1 and frame.fp32:
                # The low half of FP32's product lies 24 places lower.
                m.d.comb += places.eq(self.largest - Mux(single, p[0], p[1]) + Mux(single, 24, 0))
            else:
                m.d.comb += places.eq(self.largest - p[index])
            m.d.comb += [
                distance.places.eq(Mux(integer, frame.integer_distance, places)),
                distance.far.eq(~integer & (places >= 64) | (single if index > 1 else 0)),
            ]
        places = Signal(9)
        m.d.comb += [
            places.eq(self.largest - self.c), self.c_distance.places.eq(Mux(integer, 0, places)),
            self.c_distance.far.eq(~integer & (places >= 64)),
        ]  # fmt: skip
        return m


class Fine(wiring.Component):
    """A term moved right by 0 to 7 places; nothing is lost."""

    def __init__(self, width: int):
        self._width = width
        super().__init__({"term": In(width), "places": In(FINE), "moved": Out(width + (1 << FINE) - 1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.moved.eq(Cat(C(0, (1 << FINE) - 1), self.term) >> self.places)
        return m


class Coarse(wiring.Component):
    """A term in the frame, moved right by multiples of 8 and cut at the alignment width.

    Parameters
    ----------
    width
        Of the term after `Fine`.
    high
        Position in the frame of its highest bit, unmoved.

    Members
    -------
    term, places, far
        `far` clears the term.
    format, align
    placed
        Bit 0 is FP32's sticky bit: the OR of what left the frame.
    """

    def __init__(self, frame: Frame, width: int, high: int, sticky: bool):
        self._frame, self._width, self._high, self._sticky = frame, width, high, sticky and frame.fp32
        super().__init__({
            "term": In(width), "places": In(6 - FINE), "far": In(1), "format": In(Format), "align": In(AlignMode), "placed": Out(frame.top),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        frame = self._frame
        low = self._high + 1 - self._width
        start = Cat(C(0, max(low, 0)), self.term)[max(-low, 0) :]
        moved = Signal(frame.top)
        m.d.comb += moved.eq(start >> Cat(C(0, FINE), self.places))
        four = Signal()
        m.d.comb += four.eq(0)
        for format in frame.four:
            with m.If(self.format == format):
                m.d.comb += four.eq(1)
        kept = Signal(frame.top)
        for position in range(frame.top):
            fraction = frame.unit - position
            narrow = 23 + self.align.as_value()[:2] - 1  # 23, 24, 25
            cut = C(0, 1)
            if frame.four:
                own = self.align == AlignMode.OWN
                cut = four & Mux(own, C(fraction > frame.align, 1), C(fraction, 8) > narrow)
            m.d.comb += kept[position].eq(moved[position] & ~self.far & ~cut)
        m.d.comb += self.placed.eq(kept)
        if self._sticky:
            lost = Signal()
            ones = (C(1, 64) << Cat(C(0, FINE), self.places)) - 1
            m.d.comb += lost.eq((start & Cat(ones, C(0, 1))).any() | moved[0] | self.far & self.term.any())
            with m.If(self.format == Format.FP32):
                m.d.comb += self.placed[0].eq(lost)
        return m
