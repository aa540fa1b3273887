"""Converters between the number formats of memory and the 32-bit values of a lane or an accumulator. Combinational.

IEEE 754-2019 conversions, nearest even, subnormals kept. Every conversion of a NaN gives the target's canonical NaN; FP32 to FP32 is no
conversion and passes its bits.
"""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from rtl.common.bits import leading_zeros
from rtl.common.once import EmitOnce
from rtl.formats import CANONICAL_NAN, Format

__all__ = ["Narrow", "Widen"]


class Widen(EmitOnce):
    """An element of any format as FP32 (floating formats) or INT32 (integer formats). Exact, so it never rounds.

    Members
    -------
    code : the element in its low bits; what lies above the element is ignored
    format : of the element; code 7 gives zero
    value : FP32 of FP32, TF32, FP16, BF16; INT32 of INT8 (sign-extended), UINT8, INT32
        TF32 loses its low 13 bits before it is classified, so 7F800001 is an infinity.
    """

    code: In(32)
    format: In(Format)
    value: Out(32)

    @property
    def key(self) -> tuple:
        return ()

    def build(self, platform):
        m = Module()
        code = self.code
        nan = Const(CANONICAL_NAN[Format.FP32], 32)

        # FP16: a subnormal f * 2^-24 with its highest one at bit p becomes 1.xx * 2^(p - 24).
        exponent, fraction = code[10:15], code[:10]
        zeros = leading_zeros(m, fraction)
        normal = Signal(10)
        biased = Signal(8)
        m.d.comb += [normal.eq(fraction << 1 << zeros), biased.eq(112 - zeros)]
        half = Signal(31)
        with m.If(exponent == 31):
            m.d.comb += half.eq(0xFF << 23)
        with m.Elif(exponent.any()):
            m.d.comb += half.eq(Cat(Const(0, 13), fraction, (exponent + 112)[:8]))
        with m.Elif(fraction.any()):
            m.d.comb += half.eq(Cat(Const(0, 13), normal, biased))

        def unless_nan(value):
            return Mux(value[23:31].all() & value[:23].any(), nan, value)

        with m.Switch(self.format):
            with m.Case(Format.FP32, Format.INT32):
                m.d.comb += self.value.eq(code)
            with m.Case(Format.TF32):
                m.d.comb += self.value.eq(unless_nan(Cat(Const(0, 13), code[13:])))
            with m.Case(Format.BF16):
                m.d.comb += self.value.eq(unless_nan(Cat(Const(0, 16), code[:16])))
            with m.Case(Format.FP16):
                m.d.comb += self.value.eq(Mux((exponent == 31) & fraction.any(), nan, Cat(half, code[15])))
            with m.Case(Format.INT8):
                m.d.comb += self.value.eq(code[:8].as_signed())
            with m.Case(Format.UINT8):
                m.d.comb += self.value.eq(code[:8])
        return m


class Narrow(EmitOnce):
    """A 32-bit value as an element of any format: FP32 rounded to nearest even (overflow is infinity), INT32 saturated.

    Members
    -------
    value : FP32 for the floating formats, INT32 for the integer ones
    format : of the element; code 7 gives zero
    code : the element in its low bits, zeros above it
    """

    value: In(32)
    format: In(Format)
    code: Out(32)

    @property
    def key(self) -> tuple:
        return ()

    def build(self, platform):
        m = Module()
        value = self.value
        sign, exponent, fraction = value[31], value[23:31], value[:23]
        nan = Signal()
        m.d.comb += nan.eq(exponent.all() & fraction.any())

        def rounded(dropped):
            """Same exponent range as FP32: a carry out of the fraction is the next exponent, and at last infinity."""
            up = value[dropped - 1] & (value[: dropped - 1].any() | value[dropped])
            return Cat((value[dropped:31] + up)[: 31 - dropped], sign)

        # FP16 below 2^-14: the significand moves right until its unit is 2^-24; 25 places take all of it below the guard bit.
        distance = Signal(5)
        m.d.comb += distance.eq(Mux(exponent < 101, 25, 126 - exponent))
        moved = Signal(49)
        m.d.comb += moved.eq(Cat(Const(0, 25), fraction, exponent.any()) >> distance)
        kept, guard, sticky = Signal(16), Signal(), Signal()
        with m.If(exponent >= 113):
            # Rebiased exponent above the fraction; its 6 bits hold 30 and what is too large alike.
            m.d.comb += [kept.eq(Cat(fraction[13:], (exponent - 112)[:6])), guard.eq(fraction[12]), sticky.eq(fraction[:12].any())]
        with m.Else():
            m.d.comb += [kept.eq(moved[25:]), guard.eq(moved[24]), sticky.eq(moved[:24].any())]
        half = Signal(16)
        m.d.comb += half.eq(kept + (guard & (sticky | kept[0])))
        large = (exponent >= 143) | (half >= 31 << 10)

        with m.Switch(self.format):
            with m.Case(Format.FP32, Format.INT32):
                m.d.comb += self.code.eq(value)
            with m.Case(Format.TF32):
                m.d.comb += self.code.eq(Mux(nan, CANONICAL_NAN[Format.TF32], Cat(Const(0, 13), rounded(13))))
            with m.Case(Format.BF16):
                m.d.comb += self.code.eq(Mux(nan, CANONICAL_NAN[Format.BF16], rounded(16)))
            with m.Case(Format.FP16):
                finite = Mux(large, 31 << 10, half[:15])
                m.d.comb += self.code.eq(Mux(nan, CANONICAL_NAN[Format.FP16], Cat(finite[:15], sign)))
            with m.Case(Format.INT8):
                fits = (value[7:] == 0) | value[7:].all()
                m.d.comb += self.code.eq(Mux(fits, value[:8], Mux(sign, 0x80, 0x7F)))
            with m.Case(Format.UINT8):
                m.d.comb += self.code.eq(Mux(sign, 0, Mux(value[8:].any(), 0xFF, value[:8])))
        return m
