"""The one-step operations of a vector lane: moves, integer sums, shifts, comparisons. Combinational."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.formats import CANONICAL_NAN, Format
from rtl.isa import VectorOp

__all__ = ["SimpleOps"]

_MOST, _LEAST = Const(0x7FFFFFFF, 32), Const(0x80000000, 32)


class SimpleOps(wiring.Component):
    """MOV, IADD, ISUB, IADDS, IMAX, IMIN, SHL, SHR, FMAX, FMIN, and the left shift that precedes REQD's product.

    Members
    -------
    op, a, b : the operation and its operands
    left : places (0 to 31) of REQD's left shift
    value : result of the operation; of NOP and those of other units it is `a`
    scaled : a * 2^left, saturated to INT32
    """

    op: In(VectorOp)
    a: In(32)
    b: In(32)
    left: In(5)
    value: Out(32)
    scaled: Out(32)

    def elaborate(self, platform):
        m = Module()
        a, b = self.a.as_signed(), self.b.as_signed()

        total = Signal(signed(33))
        m.d.comb += total.eq(Mux(self.op == VectorOp.ISUB, a - b, a + b))
        overflow = total[32] != total[31]

        # One left shifter for SHL and REQD. Its upper half shows what the saturation needs to know.
        moved = Signal(signed(63))
        m.d.comb += [
            moved.eq(a << Mux(self.op == VectorOp.SHL, self.b[:5], self.left)),
            self.scaled.eq(Mux((moved[31:] == 0) | moved[31:].all(), moved[:32], Mux(self.a[31], _LEAST, _MOST))),
        ]

        # Sign and magnitude become a two's complement key that orders -0 below +0, so one comparator serves both kinds.
        is_float = Signal()
        m.d.comb += is_float.eq((self.op == VectorOp.FMAX) | (self.op == VectorOp.FMIN))

        def key(value):
            return Cat(value[:31] ^ (value[31] & is_float).replicate(31), value[31]).as_signed()

        def nan(value):
            return value[23:31].all() & value[:23].any()

        less = Signal()
        any_nan = Signal()
        m.d.comb += [less.eq(key(self.a) < key(self.b)), any_nan.eq(is_float & (nan(self.a) | nan(self.b)))]
        canonical = Const(CANONICAL_NAN[Format.FP32], 32)

        with m.Switch(self.op):
            with m.Case(VectorOp.IADD, VectorOp.ISUB):
                m.d.comb += self.value.eq(total)
            with m.Case(VectorOp.IADDS):
                m.d.comb += self.value.eq(Mux(overflow, Mux(total[32], _LEAST, _MOST), total[:32]))
            with m.Case(VectorOp.IMAX, VectorOp.FMAX):
                m.d.comb += self.value.eq(Mux(any_nan, canonical, Mux(less, self.b, self.a)))
            with m.Case(VectorOp.IMIN, VectorOp.FMIN):
                m.d.comb += self.value.eq(Mux(any_nan, canonical, Mux(less, self.a, self.b)))
            with m.Case(VectorOp.SHL):
                m.d.comb += self.value.eq(moved)
            with m.Case(VectorOp.SHR):
                m.d.comb += self.value.eq(a >> self.b[:5])
            with m.Default():
                m.d.comb += self.value.eq(self.a)
        return m
