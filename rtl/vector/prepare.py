"""Brings every operation of a lane into the one form that its datapath computes: a product plus an aligned addend. Combinational.

The datapath holds a window of 76 bits. The product of two 24-bit significands (48 bits) has two bits below it, for rounding after
cancellation; an addend just above the product makes up the rest (24 bits and two between, so that a product that lies still lower is less
than a quarter of the addend's unit and can only be sticky).
"""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from rtl.formats import CANONICAL_NAN, Format
from rtl.isa import VectorOp
from rtl.vector.integer import SimpleOps

__all__ = ["WINDOW", "Kind", "Prepare", "Prepared"]

#: Bits of the datapath's window.
WINDOW = 76


class Kind(enum.Enum, shape=3):
    """What the end of the datapath makes of the sum."""

    BYPASS = 0  #: nothing: the result is `value`
    FLOAT = 1  #: normalise and round to FP32
    FIXED = 2  #: round at the fixed point, then apply the sign (FTOI)
    PRODUCT = 3  #: bits from `right` up (IMUL, REQS)
    DOUBLE = 4  #: bits from 31 up, then divide by 2^right, ties away from zero (REQD)


class Prepared(data.Struct):
    kind: Kind
    value: 32  #: result of BYPASS
    left_factor: signed(32)
    right_factor: signed(32)
    addend: 32  #: its top bit is the window's top bit before it moves
    shift: range(WINDOW + 1)  #: places that the addend moves right
    subtract: 1  #: product - addend
    product_sign: 1
    addend_sign: 1
    top: 9  #: FLOAT: biased exponent of a result whose leading bit is the window's top bit; 1 or more
    right: 6


class Prepare(wiring.Component):
    """Operands to terms.

    Members
    -------
    op, a, b : the operation and its operands
    c : old value of the destination (FMA, REQD, REQS)
    prepared : the terms
    """

    op: In(VectorOp)
    a: In(32)
    b: In(32)
    c: In(32)
    prepared: Out(Prepared)

    def elaborate(self, platform):
        m = Module()
        out = self.prepared
        op = self.op

        # REQD, REQS: the shift is signed. Left and right are told apart, and clipped to what can still matter.
        shift = self.c[:8].as_signed()
        left, right = Signal(5), Signal(6)
        single = Signal(signed(7))
        m.d.comb += [
            left.eq(Mux(shift < 0, 0, Mux(shift > 31, 31, shift))),
            right.eq(Mux(shift > 0, 0, Mux(shift < -31, 31, -shift))),
            single.eq(Mux(shift < -31, -31, Mux(shift > 30, 30, shift))),
        ]

        m.submodules.simple = simple = SimpleOps()
        m.d.comb += [simple.op.eq(op), simple.a.eq(self.a), simple.b.eq(self.b), simple.left.eq(left)]
        m.d.comb += [out.kind.eq(Kind.BYPASS), out.value.eq(simple.value)]

        with m.Switch(op):
            with m.Case(VectorOp.FADD, VectorOp.FSUB, VectorOp.FMUL, VectorOp.FMA):
                self._fma(m)
            with m.Case(VectorOp.ITOF):
                # |a| fills the top 32 bits: its top bit weighs 2^31.
                m.d.comb += [
                    out.kind.eq(Kind.FLOAT), out.addend.eq(Mux(self.a[31], -self.a, self.a)), out.top.eq(127 + 31),
                    out.product_sign.eq(self.a[31]), out.addend_sign.eq(self.a[31]),
                ]
            with m.Case(VectorOp.FTOI):
                self._to_integer(m)
            with m.Case(VectorOp.IMUL):
                m.d.comb += [out.kind.eq(Kind.PRODUCT), out.left_factor.eq(self.a), out.right_factor.eq(self.b)]
            with m.Case(VectorOp.REQD):
                # The first rounding term, 2^30, lands two bits higher: the product starts at bit 2 of the window.
                m.d.comb += [
                    out.kind.eq(Kind.DOUBLE), out.left_factor.eq(simple.scaled), out.right_factor.eq(self.b),
                    out.addend.eq(1 << 31), out.shift.eq(WINDOW - 1 - 32), out.right.eq(right),
                ]
            with m.Case(VectorOp.REQS):
                places = 31 - single  # 1 to 62
                m.d.comb += [
                    out.kind.eq(Kind.PRODUCT), out.left_factor.eq(self.a), out.right_factor.eq(self.b),
                    out.addend.eq(1 << 31), out.shift.eq((WINDOW - 2 - places)[:7]), out.right.eq(places[:6]),
                ]
        return m

    def _fma(self, m: Module):
        """x * y + z, of which FADD (y = 1), FSUB (-z) and FMUL (z = -0, which changes no product's sign) are cases."""
        out = self.prepared
        x, y, z = self.a, Signal(32), Signal(32)
        m.d.comb += [y.eq(self.b), z.eq(self.c)]
        with m.Switch(self.op):
            with m.Case(VectorOp.FADD):
                m.d.comb += [y.eq(0x3F800000), z.eq(self.b)]
            with m.Case(VectorOp.FSUB):
                m.d.comb += [y.eq(0x3F800000), z.eq(self.b ^ (1 << 31))]
            with m.Case(VectorOp.FMUL):
                m.d.comb += z.eq(1 << 31)

        def parts(value):
            """Exponent (1 for subnormals) and significand of 24 bits."""
            exponent, normal = value[23:31], value[23:31].any()
            return Cat(exponent[0] | ~normal, exponent[1:]), Cat(value[:23], normal)

        (ex, sx), (ey, sy), (ez, sz) = parts(x), parts(y), parts(z)
        infinite = {v: Signal(name=f"{v}_infinite") for v in "xyz"}
        nan = {v: Signal(name=f"{v}_nan") for v in "xyz"}
        zero = {v: Signal(name=f"{v}_zero") for v in "xy"}
        for v, value in zip("xyz", (x, y, z), strict=True):
            m.d.comb += [
                infinite[v].eq(value[23:31].all() & ~value[:23].any()), nan[v].eq(value[23:31].all() & value[:23].any()),
            ]
            if v in zero:
                m.d.comb += zero[v].eq(~value[:31].any())

        sign = Signal()
        product_top = Signal(signed(10))  # exponent of the window's top bit, seen from the product: -98 to 408
        distance = Signal(signed(11))
        m.d.comb += [
            sign.eq(x[31] ^ y[31]),
            product_top.eq(ex + ey - 100),
            distance.eq(product_top - ez),
            out.kind.eq(Kind.FLOAT),
            out.left_factor.eq(sx), out.right_factor.eq(sy), out.addend.eq(sz << 8),
            out.product_sign.eq(sign), out.addend_sign.eq(z[31]), out.subtract.eq(sign ^ z[31]),
        ]
        with m.If(zero["x"] | zero["y"] | (distance < 0)):
            # The product is zero or can only be sticky: the addend stays at the top and sets the exponent.
            m.d.comb += [out.shift.eq(0), out.top.eq(ez)]
        with m.Else():
            m.d.comb += [out.shift.eq(Mux(distance > WINDOW, WINDOW, distance[:7])), out.top.eq(product_top[:9])]

        product_infinite = infinite["x"] | infinite["y"]
        invalid = (infinite["x"] & zero["y"]) | (zero["x"] & infinite["y"]) | (product_infinite & infinite["z"] & out.subtract)
        with m.If(nan["x"] | nan["y"] | nan["z"] | invalid):
            m.d.comb += [out.kind.eq(Kind.BYPASS), out.value.eq(CANONICAL_NAN[Format.FP32])]
        with m.Elif(product_infinite | infinite["z"]):
            m.d.comb += [out.kind.eq(Kind.BYPASS), out.value.eq(Cat(Const(0xFF << 23, 31), Mux(product_infinite, sign, z[31])))]

    def _to_integer(self, m: Module):
        """The significand moves until the window's top bit weighs 2^30."""
        out = self.prepared
        sign, exponent, fraction = self.a[31], self.a[23:31], self.a[:23]
        distance = 157 - exponent
        m.d.comb += [
            out.kind.eq(Kind.FIXED), out.addend.eq(Cat(Const(0, 8), fraction, exponent.any())),
            out.shift.eq(Mux(distance > WINDOW, WINDOW, distance[:7])),
            out.product_sign.eq(sign), out.addend_sign.eq(sign), out.top.eq(1),
        ]
        with m.If(exponent >= 158):
            saturated = Mux(sign, 0x80000000, 0x7FFFFFFF)
            m.d.comb += [out.kind.eq(Kind.BYPASS), out.value.eq(Mux(exponent.all() & fraction.any(), 0, saturated))]
