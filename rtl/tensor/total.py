"""Sum of the aligned terms. Combinational."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.tensor.frame import Frame

__all__ = ["Total"]


class Total(wiring.Component):
    """`c` plus the terms, those of `negate` with a minus sign.

    Members
    -------
    terms, c
        In the frame. `c` has a sign of its own in INT32 only.
    negate
        Per term. Floating point: its sign differs from that of `c`.
    extend
        Per term: an INT8 sum that is negative; only the bits below `unit` - 11 hold it.
    magnitude, opposite
        Absolute value of the sum; it has the other sign than `c`.
    integer
        The sum of INT32, with one bit more.
    """

    def __init__(self, frame: Frame):
        self._frame = frame
        super().__init__({
            "terms": In(data.ArrayLayout(frame.top, frame.terms)), "c": In(frame.top + 1), "negate": In(frame.terms),
            "extend": In(frame.terms), "magnitude": Out(frame.top), "opposite": Out(1), "integer": Out(33),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        frame = self._frame
        width = frame.top + 1
        extension = frame.unit - 11
        total = self.c
        for index in range(frame.terms):
            term, negate, extend = self.terms[index], self.negate[index], self.extend[index]
            total = total + (Cat(term, C(0, 1)) ^ Cat(negate.replicate(extension), (negate | extend).replicate(width - extension))) + negate
        signed = Signal(width)
        m.d.comb += [
            signed.eq(total), self.opposite.eq(signed[-1]), self.magnitude.eq(Mux(signed[-1], -signed, signed)),
            self.integer.eq(signed[-33:]),
        ]  # fmt: skip
        return m
