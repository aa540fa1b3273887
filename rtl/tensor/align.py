"""How far each term moves right, and the movement. Combinational."""

from functools import reduce
from operator import or_

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
        Exponents, 0 for what takes no part. Product 1 of FP32 is its low half, 24 places lower.
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
        if not (frame.int8 and frame.floating):
            integer = C(bool(frame.int8), 1)
        single = self.format == Format.FP32 if frame.fp32 else C(0, 1)

        # All differences at once, and the one-hot choice among those of the largest: a chain of comparisons would come before the
        # subtractions. The low half of FP32's product is never the largest.
        exponents = [*(self.products[index] for index in range(frame.terms)), self.c]
        above = [*range(frame.terms if frame.four else 1), frame.terms]
        difference = {}
        for i in above:
            for j, exponent in enumerate(exponents):
                if i != j:
                    difference[i, j] = Signal(10, name=f"difference{i}_{j}")
                    m.d.comb += difference[i, j].eq(exponents[i] - exponent)
        largest = {i: Signal(name=f"largest{i}") for i in above}
        for i in above:
            # Of equals the first.
            m.d.comb += largest[i].eq(Cat(~difference[i, j][-1] if j > i else difference[j, i][-1] for j in above if j != i).all())

        def chosen(values):
            return reduce(or_, (value & largest[i].replicate(len(value)) for i, value in values))

        m.d.comb += self.largest.eq(chosen((i, exponents[i]) for i in above))
        places = [chosen((i, difference[i, j][:9]) for i in above if i != j) for j in range(len(exponents))]
        for index in range(frame.terms):
            distance = self.distance[index]
            m.d.comb += [
                distance.places.eq(Mux(integer, frame.integer_distance, places[index])),
                distance.far.eq(~integer & places[index][6:].any() | (single if index > 1 else 0)),
            ]
        m.d.comb += [
            self.c_distance.places.eq(Mux(integer, 0, places[-1])), self.c_distance.far.eq(~integer & places[-1][6:].any()),
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
        # Fraction bits that take part: FP32 keeps all.
        kept = Signal(frame.top, init=-1)
        with m.Switch(self.format):
            if frame.four:
                with m.Case(*frame.four):
                    with m.Switch(self.align):
                        widths = {AlignMode.OWN: frame.align, AlignMode.RZ23: 23, AlignMode.RZ24: 24, AlignMode.RZ25: 25}
                        for align, fractions in widths.items():
                            with m.Case(align):
                                m.d.comb += kept.eq(-1 << max(frame.unit - fractions, 0))
        m.d.comb += self.placed.eq(moved & kept & (~self.far).replicate(frame.top))
        if self._sticky:
            lost = Signal()
            # The term moves by bytes: each byte is lost from some distance on.
            lost_bytes = Cat((self.places > byte).replicate(8) for byte in range((1 << len(self.places)) - 1))
            m.d.comb += lost.eq((start & lost_bytes).any() | moved[0] | self.far & self.term.any())
            with m.If(self.format == Format.FP32):
                m.d.comb += self.placed[0].eq(lost)
        return m
