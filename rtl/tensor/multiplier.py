"""The shared multipliers. Combinational."""

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.tensor.frame import Frame

__all__ = ["Multiplier"]


class Multiplier(wiring.Component):
    """Product of two significands, or of one or two pairs of bytes and their sum.

    Members
    -------
    a, b : `factor`
        Significands; zero for bytes.
    a_bytes, b_bytes : 16
        Two pairs; zero for significands. `a_signed` says how those of `a` are read; those of `b` are signed.
    product : 2 * `factor`
        a * b. Of bytes: their sum, modulo 2^17, from bit `factor` - 9 up; the bits above are undefined.
    """

    def __init__(self, frame: Frame):
        self._frame = frame
        n = frame.factor
        super().__init__({
            "a": In(n), "b": In(n), "a_bytes": In(16), "b_bytes": In(16), "a_signed": In(1), "product": Out(2 * n),
        })

    def elaborate(self, platform):
        m = Module()
        n = self._frame.factor
        total = 0
        for i in range(2):
            x, y = self.a_bytes.word_select(i, 8), self.b_bytes.word_select(i, 8)
            total += Cat(x, x[7] & self.a_signed).as_signed() * y.as_signed()
        m.d.comb += self.product.eq(self.a * self.b + (total << (n - 9) if n >= 9 else 0))
        return m
