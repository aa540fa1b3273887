"""From the exact sum to FP32: normalise, round, pack. Combinational."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bits import leading_zeros
from rtl.formats import CANONICAL_NAN, Format
from rtl.tensor.classes import Special
from rtl.tensor.frame import EXPONENT_OFFSET, Frame

__all__ = ["Normalise"]


class Normalise(wiring.Component):
    """`result` = magnitude * 2^exponent rounded to FP32, or what special values decide.

    Members
    -------
    magnitude, sign, exponent
        In the frame; the exponent belongs to `unit` and carries EXPONENT_OFFSET.
    toward_zero
        Rounding, instead of nearest even; overflow gives the largest finite number.
    special
        `negative` includes `c`.
    """

    def __init__(self, frame: Frame):
        self._frame = frame
        super().__init__({
            "magnitude": In(frame.top), "sign": In(1), "exponent": In(9), "toward_zero": In(1), "special": In(Special), "result": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        frame = self._frame
        # Places that the magnitude may move left, at most, until its highest bit has the weight of the smallest normal number.
        limit = Signal(range(-512, 512))
        m.d.comb += limit.eq(self.exponent - EXPONENT_OFFSET + (frame.top - 1 - frame.unit) - 1)
        zeros = Signal(6)
        m.d.comb += zeros.eq(leading_zeros(m, self.magnitude))
        limited = Signal()
        left = Signal(6)
        right = Signal(5)
        m.d.comb += [
            limited.eq(zeros > limit),
            left.eq(Mux(limit < 0, 0, Mux(limited, limit, zeros))),
            right.eq(Mux(limit < 0, Mux(limit < -31, 31, -limit), 0)),
        ]
        field = Cat(C(0, 32), self.magnitude)
        moved = Signal(frame.top + 32)
        m.d.comb += moved.eq(field << left >> right if frame.tiny else field << left)
        low = len(moved) - 24
        significand, guard, sticky = moved[low:], moved[low - 1], moved[: low - 1].any()
        up = guard & (significand[0] | sticky) & ~self.toward_zero
        biased = Signal(10)
        m.d.comb += biased.eq(Mux(limit < 0, 0, limit - left))
        packed = Signal(33)
        m.d.comb += packed.eq(Cat(significand[:23], biased) + (significand[23] << 23) + up)
        overflow = packed[23:] >= 255
        some = self.magnitude.any()
        special = self.special
        with m.If(special.nan | special.plus & special.minus):
            m.d.comb += self.result.eq(CANONICAL_NAN[Format.FP32])
        with m.Elif(special.plus | special.minus):
            m.d.comb += self.result.eq(Cat(C(0, 23), C(255, 8), special.minus))
        with m.Elif(~some):
            m.d.comb += self.result.eq(special.negative << 31)
        with m.Elif(overflow):
            m.d.comb += self.result.eq(Cat(Mux(self.toward_zero, 0x7F7FFFFF, 0x7F800000)[:31], self.sign))
        with m.Else():
            m.d.comb += self.result.eq(Cat(packed[:31], self.sign))
        return m
