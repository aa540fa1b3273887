"""Signs, exponents and special values of the products. Combinational."""

from amaranth import C, Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.formats import Format
from rtl.tensor.frame import LANES, Frame
from rtl.tensor.unpack import Lane

__all__ = ["Classes", "Special"]

#: What decides a result besides the sum. `negative`: every term that takes part has a minus sign, so a sum of zero is -0.
Special = data.StructLayout({"nan": 1, "plus": 1, "minus": 1, "negative": 1})


class Classes(wiring.Component):
    """Everything about the products but their significands.

    Members
    -------
    a, b, a_exponent, b_exponent, format, mask
        From `Unpack`.
    sign : of each product
    exponent : biased by FP32's bias + EXPONENT_OFFSET; 0 for a product that is zero or takes no part
        Of FP32, product 1 stands for the low half of product 0, 24 places lower; 0 where that is below everything.
    special : of all products
    """

    def __init__(self, frame: Frame):
        self._frame = frame
        lanes, exponents = data.ArrayLayout(Lane, LANES), data.ArrayLayout(8, LANES)
        super().__init__({
            "a": In(lanes), "b": In(lanes), "a_exponent": In(exponents), "b_exponent": In(exponents),
            "format": In(Format), "mask": In(LANES),
            "sign": Out(LANES), "exponent": Out(data.ArrayLayout(9, LANES)), "special": Out(Special),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        single = self.format == Format.FP32 if self._frame.fp32 else C(0, 1)
        signs, nan, plus, minus, positive = [], [], [], [], []
        for index in range(LANES if self._frame.four else 1):
            a, b = self.a[index], self.b[index]
            # Lanes 1 to 3 hold parts of FP32's significands.
            part = Signal(name=f"part{index}")
            m.d.comb += part.eq(self.mask[index] & ~single if index else self.mask[index])
            sign, zero, infinite = a.sign ^ b.sign, a.zero | b.zero, a.infinite | b.infinite
            signs.append(sign & part)
            with m.If(~zero & part):
                # ea + eb - 127 + EXPONENT_OFFSET; for FP16 (bias 15) `Unpack.high` adds the 224 that lack.
                m.d.comb += self.exponent[index].eq(self.a_exponent[index] + self.b_exponent[index] + 1)
            nan.append(part & (a.nan | b.nan | zero & infinite))
            plus.append(part & infinite & ~sign)
            minus.append(part & infinite & sign)
            positive.append(part & ~sign)
        if self._frame.fp32:
            exponent = Signal(9)
            m.d.comb += exponent.eq(self.a_exponent[0] + self.b_exponent[0])
            with m.If(single & self.mask[0] & ~(self.a[0].zero | self.b[0].zero) & exponent[5:].any()):
                m.d.comb += self.exponent[1].eq(exponent - 23)
        m.d.comb += [
            self.sign.eq(Cat(signs)),
            self.special.nan.eq(Cat(nan).any()), self.special.plus.eq(Cat(plus).any()), self.special.minus.eq(Cat(minus).any()),
            self.special.negative.eq(~Cat(positive).any()),
        ]  # fmt: skip
        return m
