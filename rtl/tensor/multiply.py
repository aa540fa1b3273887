"""A serial multiplier: one addition a cycle, as many cycles as the multiplier has bits. Enough for sizes that change once a command."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SerialMultiplier"]


class SerialMultiplier(wiring.Component):
    """`product` = a * b, 16 x 16 bit.

    Members
    -------
    start, a, b
        `a` and `b` are sampled with `start`, which comes only while the unit isn't busy.
    busy
        From the cycle after `start` until `product` is valid: at least one cycle, then one for each bit of `b` up to its highest one.
    product
        Valid from the first cycle without `busy` until the next `start`.
    """

    start: In(1)
    a: In(16)
    b: In(16)
    busy: Out(1)
    product: Out(32)

    def elaborate(self, platform):
        m = Module()
        shifted, left = Signal(32), Signal(16)
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), self.product.eq(0), shifted.eq(self.a), left.eq(self.b)]
        with m.Elif(self.busy):
            m.d.sync += [
                self.product.eq(self.product + Mux(left[0], shifted, 0)),
                shifted.eq(shifted << 1),
                left.eq(left >> 1),
                self.busy.eq(left[1:].any()),
            ]
        return m
