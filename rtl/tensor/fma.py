"""FP32 fused multiply-add, three pipeline registers deep."""

from amaranth import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bits import leading_zeros
from rtl.formats import CANONICAL_NAN, FLOATS, Format

__all__ = ["FusedMultiplyAdd"]

_BIAS = FLOATS[Format.FP32].bias

# The frame in which product and addend meet. Both are aligned to the larger exponent E, whose unit sits at bit 46 of the product
# (24 x 24 bit). Three guard bits keep every case exact where the leading bits cancel: the two terms then lie within two places of
# each other, and a product with a subnormal factor has at most 23 leading zeros. Below them one sticky bit, above one carry.
_PRODUCT = 48
_GUARD = 3
_TERM = _PRODUCT + _GUARD
_FRAME = _TERM + 2


class FusedMultiplyAdd(wiring.Component):
    """`result` = a * b + c with one rounding: fusedMultiplyAdd of IEEE 754-2019 for binary32, to nearest even.

    Subnormals are kept, a NaN is 7FC00000, there are no flags. An exact zero is +0 unless both terms are -0.

    Members
    -------
    a, b, c
        Sampled with `enable[0]`.
    enable
        Bit s loads register s of the three; a row's bits come one cycle apart.
    result
        Combinational from the last register, valid in the cycle after `enable[2]`: its reader adds the fourth register.
    """

    a: In(32)
    b: In(32)
    c: In(32)
    enable: In(3)
    result: Out(32)

    def elaborate(self, platform):
        m = Module()
        binary32 = data.StructLayout({"fraction": 23, "exponent": 8, "sign": 1})
        a, b, c = (data.View(binary32, value) for value in (self.a, self.b, self.c))

        def significand(x):
            return Cat(x.fraction, x.exponent.any())

        def exponent(x):
            return x.exponent | ~x.exponent.any()

        def zero(x):
            return ~x.exponent.any() & ~x.fraction.any()

        def infinite(x):
            return x.exponent.all() & ~x.fraction.any()

        def nan(x):
            return x.exponent.all() & x.fraction.any()

        # What goes along from stage to stage.
        side = data.StructLayout({"sign": 1, "zero_sign": 1, "nan": 1, "infinite": 1, "exponent": 9})

        # Stage 1: product of the significands, difference of the exponents.
        one = Signal(side)
        product, addend = Signal(_PRODUCT, reset_less=True), Signal(24, reset_less=True)
        product_leads, subtract, infinite_sign = Signal(), Signal(), Signal()
        distance = Signal(6, reset_less=True)
        product_sign = a.sign ^ b.sign
        product_zero = zero(a) | zero(b)
        product_infinite = infinite(a) | infinite(b)
        product_exponent = Signal(signed(10))
        difference = Signal(signed(11))
        magnitude = Signal(10)
        leads = Signal()
        m.d.comb += [
            product_exponent.eq(exponent(a) + exponent(b) - _BIAS),
            difference.eq(product_exponent - exponent(c)),
            # A zero product has no exponent: the addend stays where it is.
            leads.eq((difference >= 0) & ~product_zero),
            magnitude.eq(Mux(difference < 0, -difference, difference)),
        ]
        with m.If(self.enable[0]):
            m.d.sync += [
                product.eq(significand(a) * significand(b)),
                addend.eq(significand(c)),
                product_leads.eq(leads),
                distance.eq(Mux(magnitude[6:].any(), 63, magnitude)),
                subtract.eq(product_sign ^ c.sign),
                infinite_sign.eq(Mux(product_infinite, product_sign, c.sign)),
                one.sign.eq(product_sign),
                one.zero_sign.eq(product_sign & c.sign),
                one.exponent.eq(Mux(leads, product_exponent, exponent(c))),
                one.infinite.eq(product_infinite | infinite(c)),
                one.nan.eq(
                    nan(a) | nan(b) | nan(c) | product_infinite & product_zero | product_infinite & infinite(c) & (product_sign ^ c.sign)
                ),
            ]

        # Stage 2: the term with the lesser exponent moves right; what leaves the frame is kept as one sticky bit.
        two = Signal(side)
        larger, smaller = Signal(_TERM, reset_less=True), Signal(_TERM + 1, reset_less=True)
        subtract_two = Signal()
        high = Cat(C(0, _GUARD + 23), addend, C(0, 1))
        wide = Cat(C(0, _GUARD), product)
        moving = Mux(product_leads, high, wide)
        lost = moving & ((C(1, 1) << distance) - 1)[:_TERM]
        with m.If(self.enable[1]):
            m.d.sync += [
                larger.eq(Mux(product_leads, wide, high)),
                smaller.eq(Cat(lost.any(), moving >> distance)),
                subtract_two.eq(subtract),
                two.eq(one),
                # From here on `sign` is the sign of the larger exponent's term, or of an infinity.
                two.sign.eq(Mux(one.infinite, infinite_sign, one.sign ^ (~product_leads & subtract))),
            ]

        # Stage 3: sum, absolute value, and how far to normalise: not beyond the smallest exponent.
        three = Signal(side)
        total = Signal(_FRAME, reset_less=True)
        shift = Signal(6, reset_less=True)
        kept = Cat(C(0, 1), larger)
        forward = Signal(signed(_FRAME + 1))
        backward = Signal(_FRAME)
        absolute = Signal(_FRAME)
        zeros = Signal(6)
        m.d.comb += [
            forward.eq(Mux(subtract_two, kept - smaller, kept + smaller)),
            backward.eq(smaller - kept),
            absolute.eq(Mux(forward[-1], backward, forward)),
            zeros.eq(leading_zeros(m, absolute)),  # of a zero it doesn't matter: stage 4 knows
        ]
        with m.If(self.enable[2]):
            m.d.sync += [
                total.eq(absolute),
                shift.eq(Mux(zeros > two.exponent + 1, two.exponent + 1, zeros)),
                three.eq(two),
                three.sign.eq(two.sign ^ (forward[-1] & ~two.infinite)),
            ]

        # Stage 4: normalise, round, pack. The hidden bit and the carry of rounding both run into the exponent.
        normal = Signal(_FRAME)
        packed = Signal(33)
        low = _FRAME - 24
        m.d.comb += normal.eq(total << shift)
        up = normal[low - 1] & (normal[: low - 1].any() | normal[low])
        m.d.comb += packed.eq(Cat(normal[low:-1], (three.exponent + 1 - shift)[:9]) + (normal[-1] << 23) + up)
        overflow = packed[23:] >= 255
        with m.If(three.nan):
            m.d.comb += self.result.eq(CANONICAL_NAN[Format.FP32])
        with m.Elif(three.infinite | (overflow & total.any())):
            m.d.comb += self.result.eq(Cat(C(0, 23), C(255, 8), three.sign))
        with m.Elif(~total.any()):
            m.d.comb += self.result.eq(three.zero_sign << 31)
        with m.Else():
            m.d.comb += self.result.eq(Cat(packed[:31], three.sign))
        return m
