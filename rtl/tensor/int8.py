"""Sum of INT8 products onto an INT32 accumulator, three pipeline registers deep."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["IntegerDot"]


class IntegerDot(wiring.Component):
    """`result` = c + sum of a[i] * b[i] over `lanes` bytes, modulo 2^32.

    Parameters
    ----------
    lanes
        Products, a multiple of 2.

    Members
    -------
    a, b
        One byte a lane, the lowest first; b two's complement, a too unless `a_unsigned`. A lane that takes no part has a = 0.
    c
        Sampled with `enable[0]` like the others.
    enable
        Bit s loads register s; a row's bits come one cycle apart.
    result
        The last register, valid in the cycle after `enable[2]`.
    """

    def __init__(self, lanes: int):
        if lanes < 2 or lanes % 2:
            raise ValueError(f"lanes: {lanes} is not a positive even number")
        self.lanes = lanes
        super().__init__({
            "a": In(8 * lanes), "b": In(8 * lanes), "c": In(32), "a_unsigned": In(1), "enable": In(3), "result": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        # 9 x 8 bit: 17 bit, and one more for a pair.
        pairs = [Signal(signed(18), name=f"pair{i}", reset_less=True) for i in range(self.lanes // 2)]
        addend, total = Signal(32, reset_less=True), Signal(32, reset_less=True)

        def product(lane):
            a, b = self.a.word_select(lane, 8), self.b.word_select(lane, 8)
            return Cat(a, a[7] & ~self.a_unsigned).as_signed() * b.as_signed()

        with m.If(self.enable[0]):
            m.d.sync += [pair.eq(product(2 * i) + product(2 * i + 1)) for i, pair in enumerate(pairs)]
            m.d.sync += addend.eq(self.c)
        with m.If(self.enable[1]):
            m.d.sync += total.eq(sum(pairs, addend))
        with m.If(self.enable[2]):
            m.d.sync += self.result.eq(total)
        return m
