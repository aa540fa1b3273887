"""One lane of the vector engine: a pipeline of five stages in which one multiplier and one adder serve every operation."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from rtl.common.bits import leading_zeros
from rtl.common.once import EmitOnce
from rtl.isa import VectorOp
from rtl.vector.prepare import WINDOW, Kind, Prepare, Prepared

__all__ = ["STAGES", "Alu"]

#: Cycles from operands to result.
STAGES = 5


class _Summed(data.Struct):
    """Behind the adder."""

    kind: Kind
    value: 32
    sum: signed(WINDOW + 1)  # FLOAT, FIXED: magnitude
    sticky: 1
    sign: 1
    zero_sign: 1  # sign of a sum of zero
    top: 9
    right: 6


class _Normalised(data.Struct):
    """In front of the last rounding. FLOAT, FIXED: `body` is what is kept, in units of the result's last place."""

    kind: Kind
    value: 32
    body: signed(64)
    guard: 1
    sticky: 1
    sign: 1
    exponent: 9  # FLOAT: biased, if the leading bit (23) of `body` is set
    right: 5  # PRODUCT, DOUBLE: places left to go


class Alu(EmitOnce):
    """Every :class:`VectorOp` on one 32-bit lane, one a cycle, 5 cycles from operands to result. FP32 follows IEEE 754-2019.

    Stages: prepare, multiply and align, add, normalise, round. Requantisation by a multiplier m and a shift s, the signed low byte of c:

    - REQD: t = (sat(a * 2^min(max(s, 0), 31)) * m + 2^30) >> 31, where both factors -2^31 give 2^31 - 1; then t / 2^min(max(-s, 0), 31),
      ties away from zero. It is `tflite-double`: truncating with a term of 1 - 2^30 below zero is the same as this floor.
    - REQS: low 32 bits of (a * m + 2^(30 - s)) >> (31 - s), arithmetic, with s clipped to -31 to 30.

    The registers hold data alone and need no reset, so that lanes are emitted once even where the engine is reset on its own.

    Members
    -------
    op, a, b, c : operation, operands, old value of the destination
    enable : bit i lets the registers of stage i take a new value
    result : 5 cycles after its operands, if all enables followed it
    """

    op: In(VectorOp)
    a: In(32)
    b: In(32)
    c: In(32)
    enable: In(STAGES)
    result: Out(32)

    @property
    def key(self) -> tuple:
        return ()

    def build(self, platform):
        m = Module()

        m.submodules.prepare = prepare = Prepare()
        prepared = Signal(Prepared, reset_less=True)
        m.d.comb += [prepare.op.eq(self.op), prepare.a.eq(self.a), prepare.b.eq(self.b), prepare.c.eq(self.c)]
        with m.If(self.enable[0]):
            m.d.sync += prepared.eq(prepare.prepared)

        # Multiply and align. 32 bits below the window catch what the addend loses.
        product = Signal(signed(64), reset_less=True)
        addend = Signal(WINDOW + 32, reset_less=True)
        terms = Signal(Prepared, reset_less=True)
        with m.If(self.enable[1]):
            m.d.sync += [
                product.eq(prepared.left_factor * prepared.right_factor),
                addend.eq(Cat(Const(0, WINDOW), prepared.addend) >> prepared.shift),
                terms.kind.eq(prepared.kind), terms.value.eq(prepared.value), terms.subtract.eq(prepared.subtract),
                terms.product_sign.eq(prepared.product_sign), terms.addend_sign.eq(prepared.addend_sign),
                terms.top.eq(prepared.top), terms.right.eq(prepared.right),
            ]

        summed = Signal(_Summed, reset_less=True)
        with m.If(self.enable[2]):
            m.d.sync += summed.eq(self._add(m, product, addend, terms))
        normalised = Signal(_Normalised, reset_less=True)
        with m.If(self.enable[3]):
            m.d.sync += normalised.eq(self._normalise(m, summed))
        result = Signal(32, reset_less=True)
        with m.If(self.enable[4]):
            m.d.sync += result.eq(self._round(m, normalised))
        m.d.comb += self.result.eq(result)
        return m

    def _add(self, m: Module, product, addend, terms):
        """Sum, or the magnitude of the difference. What the addend lost is a borrow; where the difference is negative it lost nothing."""
        out = Signal(_Summed)
        sticky = Signal()
        wide, other = Signal(signed(WINDOW + 1)), Signal(signed(WINDOW + 1))
        plus, minus = Signal(signed(WINDOW + 1)), Signal(signed(WINDOW + 1))
        m.d.comb += [
            sticky.eq(addend[:32].any()),
            wide.eq(product << 2),
            other.eq(addend[32:] ^ terms.subtract.replicate(WINDOW + 1)),
            plus.eq(wide + other + (terms.subtract & ~sticky)),
            minus.eq(~(wide + other)),
        ]
        negative = terms.subtract & plus[WINDOW]
        m.d.comb += [
            out.kind.eq(terms.kind), out.value.eq(terms.value), out.sum.eq(Mux(negative, minus, plus)), out.sticky.eq(sticky),
            out.sign.eq(Mux(negative, terms.addend_sign, terms.product_sign)),
            out.zero_sign.eq(terms.product_sign & ~terms.subtract), out.top.eq(terms.top), out.right.eq(terms.right),
        ]
        return out

    def _normalise(self, m: Module, summed):
        out = Signal(_Normalised)
        magnitude = summed.sum[:WINDOW]
        # A one where the exponent would reach its least stops the count, so a subnormal result keeps its leading zeros.
        floor = Signal(WINDOW)
        m.d.comb += floor.eq(Mux(summed.top > WINDOW, 0, 1 << (WINDOW - 1)) >> (summed.top - 1)[:7])
        zeros = Signal(7)
        shifted = Signal(WINDOW)
        m.d.comb += [zeros.eq(leading_zeros(m, magnitude | floor)), shifted.eq(magnitude << zeros)]

        # REQD: second rounding, by a term of half the divisor, one less below zero so that ties go away from zero.
        high = summed.sum[2:66].as_signed()
        doubled, rounded = Signal(signed(32)), Signal(signed(33))
        half = ((1 << summed.right[:5]) >> 1)[:31]
        m.d.comb += [
            doubled.eq(Mux(high[62] != high[63], 0x7FFFFFFF, high[31:63])),
            rounded.eq(doubled + half - (doubled[31] & summed.right.any())),
        ]
        m.d.comb += [
            out.kind.eq(summed.kind), out.value.eq(summed.value), out.right.eq(summed.right),
            out.exponent.eq(summed.top - zeros), out.sign.eq(summed.sign),
        ]
        with m.Switch(summed.kind):
            with m.Case(Kind.FLOAT):
                m.d.comb += [
                    out.body.eq(shifted[52:]), out.guard.eq(shifted[51]), out.sticky.eq(shifted[:51].any() | summed.sticky),
                ]
                with m.If(~(magnitude.any() | summed.sticky)):
                    m.d.comb += out.sign.eq(summed.zero_sign)
            with m.Case(Kind.FIXED):
                m.d.comb += [
                    out.body.eq(magnitude[45:]), out.guard.eq(magnitude[44]), out.sticky.eq(magnitude[:44].any() | summed.sticky),
                ]
            with m.Case(Kind.PRODUCT):
                m.d.comb += out.body.eq(Mux(summed.right[5], high >> 32, high))
            with m.Case(Kind.DOUBLE):
                m.d.comb += out.body.eq(rounded)
        return out

    def _round(self, m: Module, normalised):
        result = Signal(32)
        body = normalised.body
        up = normalised.guard & (normalised.sticky | body[0])
        packed, fixed = Signal(32), Signal(32)
        m.d.comb += [
            # A carry out of the fraction is the next exponent; of a subnormal, the least one.
            packed.eq(Cat(body[:23], Mux(body[23], normalised.exponent, 0)) + up),
            fixed.eq(body[:31] + up),
        ]
        with m.Switch(normalised.kind):
            with m.Case(Kind.BYPASS):
                m.d.comb += result.eq(normalised.value)
            with m.Case(Kind.FLOAT):
                m.d.comb += result.eq(Cat(Mux(packed[23:] >= 255, 0xFF << 23, packed[:31])[:31], normalised.sign))
            with m.Case(Kind.FIXED):
                m.d.comb += result.eq(Mux(normalised.sign, -fixed, fixed))
            with m.Default():
                m.d.comb += result.eq(body >> normalised.right)
        return result
