"""Widths of a PE's arithmetic: the frame in which all terms of a sum meet, and what the enabled formats ask of it."""

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.tensor.formats import operand_bits, operands

__all__ = ["EXPONENT_OFFSET", "LANES", "Frame"]

#: Multipliers of a PE: one for each of four products, or for each quarter of a 24 x 24 bit product.
LANES = 4

#: Exponents inside are those of FP32 plus this: the least product (1 + 1 - 127) and the largest fit 9 bits without a sign, and 0 is free
#: to stand for a term that takes no part.
EXPONENT_OFFSET = 128


class Frame:
    """What follows from the formats of a configuration. Bit positions count from the frame's lowest bit.

    Attributes
    ----------
    fp32, four, int8
        FP32 is present; the present ones of TF32, FP16 and BF16; lanes of INT8 (0, 4 or 8).
    factor
        Bits of a multiplier's operands. Significands lie left in it.
    window
        Fraction bits of the four-product sum that are needed in any alignment mode.
    unit
        Position whose weight is 2^(largest exponent).
    top
        Position of the sign of the sum; the magnitude lies below it.
    integer
        Lowest bit of an INT32 sum: it ends at `top`, one bit above its 32 for the overflow.
    """

    def __init__(self, config: ChipConfig):
        formats = operands(config)
        self.operand = operand_bits(config)
        self.align = config.align
        self.fp32 = Format.FP32 in formats
        self.four = tuple(f for f in (Format.TF32, Format.FP16, Format.BF16) if f in formats)
        self.int8 = config.lanes(Format.INT8)
        self.floating = self.fp32 or bool(self.four)
        # Half of 24 bits; 11 bits of TF32 and FP16; 8 of BF16; 9 of a byte of either sign.
        self.factor = 12 if self.fp32 else 11 if {Format.TF32, Format.FP16} & {*self.four} else 9 if self.int8 else 8
        # The compatibility mode needs 25.
        self.window = max(self.align, 25) if self.four else 0
        # FP32: the 46 fraction bits of a product, three guard bits that keep every case exact in which leading bits cancel (the two terms
        # then lie within two places of each other), one sticky bit. INT8: 33 bits in all.
        self.unit = max(50 if self.fp32 else 0, self.window, 27 if self.int8 else 0)
        # Four products below 4 and an addend below 2; FP32 has one product.
        self.top = self.unit + (5 if self.four or self.int8 else 3)
        self.integer = self.top - 32
        #: FP32 shifts its product as two halves; the other formats one term a lane.
        self.terms = LANES if self.four or self.int8 else 2
        #: Bits of a product as a term, [1, 4) with its unit at the second one from above.
        self.product = 24 if self.fp32 else 2 * self.factor
        #: How far INT8 products move right from there to `integer`.
        self.integer_distance = 20 - self.factor
        #: Products can be less than the least subnormal of FP32: the sum may have to move right.
        self.tiny = bool({Format.TF32, Format.BF16} & {*self.four})
