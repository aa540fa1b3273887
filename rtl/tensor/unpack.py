"""Operands of every format taken apart into what multipliers and exponent adders need. Combinational."""

from amaranth import C, Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.formats import FLOATS, Format
from rtl.tensor.frame import LANES, Frame

__all__ = ["Lane", "Unpack"]


class Lane(data.StructLayout):
    """One lane of an operand. A lane that takes no part is a zero without classes."""

    def __init__(self, frame: Frame):
        super().__init__({
            "sign": 1, "exponent": 8,  # biased, at least 1; FP16 has `Unpack.high` above its 5 bits
            "significand": frame.factor,  # left-aligned
            "low": 8, "high": 8,  # bytes of INT8, zero in other formats
            "zero": 1, "infinite": 1, "nan": 1,
        })  # fmt: skip


class Unpack(wiring.Component):
    """Lanes of `a`, or of the weights.

    Parameters
    ----------
    halves
        For each lane, whether it takes the high half of an FP32 significand.
    high
        Upper 3 bits of FP16's exponents. Those of the two operands add up to its bias: see `Align`.

    Members
    -------
    operand, format
        The group of K, lane 0 lowest, and its format.
    mask
        Lanes that take part.
    lanes
        FP32 is lane 0, with the parts of its significand in all four.
    """

    def __init__(self, frame: Frame, halves: tuple[bool, ...], high: int):
        self._frame, self._halves, self._high = frame, halves, high
        super().__init__({
            "operand": In(frame.operand), "format": In(Format), "mask": In(8), "lanes": Out(data.ArrayLayout(Lane(frame), LANES)),
        })

    def elaborate(self, platform):
        m = Module()
        frame = self._frame
        integer = (self.format == Format.INT8) | (self.format == Format.UINT8)
        word = self.operand[:32]
        # Of the whole FP32 significand.
        fp32 = self.format == Format.FP32 if frame.fp32 else C(0, 1)
        normal = word[23:31].any()

        for index, lane in enumerate(self.lanes):
            part = Signal(name=f"part{index}")  # the lane takes part in a sum of four
            m.d.comb += part.eq(self.mask[index])

            def take(condition, value):
                return Value.cast(value) & condition.replicate(len(value))

            sign, exponent, fraction = C(0, 1), C(0, 8), C(0, 10)
            ones, some = C(1, 1), C(0, 1)
            for format in frame.four:
                chosen = Signal(name=f"{format.name.lower()}{index}")
                m.d.comb += chosen.eq((self.format == format) & part)
                layout = FLOATS[format]
                code = self.operand.word_select(index, layout.container)[-1 - layout.exponent - layout.fraction :]
                field = code[layout.fraction : -1]
                if layout.exponent == 5:
                    field = Cat(field, C(self._high, 3))
                sign |= take(chosen, code[-1])
                exponent |= take(chosen, field)
                fraction |= take(chosen, Cat(C(0, 10 - layout.fraction), code[: layout.fraction]))
            if frame.fp32 and index == 0:
                chosen = fp32 & self.mask[0]
                sign |= take(chosen, word[31])
                exponent |= take(chosen, word[23:31])
            field = Signal(8, name=f"exponent{index}")
            m.d.comb += field.eq(exponent)
            if Format.FP16 in frame.four:
                narrow = self.format == Format.FP16
                ones = field[:5].all() & (field[5:].all() | narrow)
                some = field[:5].any() | (field[5:].any() & ~narrow)
            else:
                ones, some = field.all(), field.any()

            significand = Signal(frame.factor, name=f"significand{index}")
            below = frame.factor - 11
            left = Cat(C(0, max(below, 0)), fraction, some)[-frame.factor :]
            if frame.fp32:
                half = Cat(word[12:23], normal) if self._halves[index] else word[:12]
                left = take(~fp32, left) | take(fp32 & self.mask[0], half)
            m.d.comb += significand.eq(left)
            rest = significand[:-1].any()
            if frame.fp32 and index == 0:
                rest |= fp32 & word[:12].any() & self.mask[0]
            m.d.comb += [
                lane.sign.eq(sign), lane.exponent.eq(Cat(field[0] | ~some, field[1:])), lane.significand.eq(significand),
                lane.zero.eq(~some & ~rest), lane.infinite.eq(ones & ~rest), lane.nan.eq(ones & rest),
            ]
            for side, name in enumerate(("low", "high")[: frame.int8 // 4]):
                number = index * frame.int8 // 4 + side
                m.d.comb += lane[name].eq(take(integer & self.mask[number], self.operand.word_select(number, 8)))
        return m
