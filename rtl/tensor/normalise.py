"""From the exact sum to FP32: normalise, round, pack. Combinational."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bits import leading_zeros
from rtl.formats import CANONICAL_NAN, Format
from rtl.tensor.classes import Special
from rtl.tensor.frame import EXPONENT_OFFSET, Frame

__all__ = ["Normalise"]

#: A significand and the bit below it, which with the OR of the rest decides the rounding.
_KEPT = 25


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
        m.d.comb += limit.eq(self.exponent - (EXPONENT_OFFSET + 1 - (frame.top - 1 - frame.unit)))
        # A one at that place ends the count of leading zeros there.
        top = frame.top
        sentinel = Signal(top)
        m.d.comb += sentinel.eq(Mux(limit[6:].any(), 0, C(1 << (top - 1), top) >> limit[:6]))
        zeros = Signal(6)
        m.d.comb += zeros.eq(leading_zeros(m, self.magnitude | sentinel))

        # The movement by powers of two, the largest first; below what the rest of it needs only one bit is kept, the OR.
        width = max(top, _KEPT + 31)
        value, sticky = Cat(C(0, width - top), self.magnitude), C(0, 1)
        places = zeros
        below = limit[-1]
        if frame.tiny:
            # To the right: as 32 places more, and then left by what is too much.
            places = Signal(6)
            m.d.comb += places.eq(Mux(below, Mux(limit >= -32, limit[:5], 0), zeros))
        for level in reversed(range(6)):
            move = places[level]
            chosen = Signal(width, name=f"moved{level}")
            m.d.comb += chosen.eq(Mux(move, Cat(C(0, 1 << level), value)[:width], value))
            if frame.tiny and level == 5:
                sticky = below & value[:32].any()
                right = chosen
                chosen = Signal(width, name="moved_right")
                m.d.comb += chosen.eq(Mux(below, value[32:], right))
            keep = min(width, _KEPT + (1 << level) - 1)
            lost = Signal(name=f"lost{level}")
            m.d.comb += lost.eq(sticky | chosen[: width - keep].any())
            value, sticky, width = chosen[width - keep :], lost, keep
        guard, significand = value[0], value[1:]

        # The highest bit is missing only where the limit was met: a subnormal number, exponent field 0.
        biased = Signal(10)
        m.d.comb += biased.eq(limit - zeros + 1)
        up = guard & (significand[0] | sticky) & ~self.toward_zero
        packed = Signal(33)
        m.d.comb += packed.eq(Cat(significand[:23], biased & significand[23].replicate(10)) + up)
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
