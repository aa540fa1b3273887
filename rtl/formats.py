"""Number formats of the chip, as a table that RTL, golden model, compiler and waveforms share.

The values are fixed by IEEE 754-2019 (FP32, FP16) and by common practice (BF16, TF32); see `docs/numerics.md`.
"""

from dataclasses import dataclass

from amaranth.lib import enum

__all__ = ["CANONICAL_NAN", "CONTAINER_BYTES", "FLOATS", "FloatLayout", "Format", "lanes_of"]


class Format(enum.Enum, shape=3):
    """Code of a number format in a command. INT8 and UINT8 are codes without a zero point."""

    FP32 = 0
    TF32 = 1
    FP16 = 2
    BF16 = 3
    INT8 = 4
    INT32 = 5
    UINT8 = 6


@dataclass(frozen=True)
class FloatLayout:
    """Field widths of a binary floating-point format: 1 sign bit, `exponent` bits, `fraction` bits.

    `container` is the number of bits that an element takes in memory; TF32 sits in the upper 19 bits of a 32-bit word, and
    its lower 13 bits are ignored *before* the value is classified.
    """

    exponent: int
    fraction: int
    container: int

    @property
    def bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1


FLOATS = {
    Format.FP32: FloatLayout(8, 23, 32),
    Format.TF32: FloatLayout(8, 10, 32),
    Format.FP16: FloatLayout(5, 10, 16),
    Format.BF16: FloatLayout(8, 7, 16),
}

#: Bytes that one element takes in L1, L2 and L3.
CONTAINER_BYTES = {
    Format.FP32: 4,
    Format.TF32: 4,
    Format.FP16: 2,
    Format.BF16: 2,
    Format.INT8: 1,
    Format.INT32: 4,
    Format.UINT8: 1,
}

#: The one NaN that an operation returns.
CANONICAL_NAN = {
    Format.FP32: 0x7FC00000,
    Format.TF32: 0x7FC00000,
    Format.FP16: 0x7E00,
    Format.BF16: 0x7FC0,
}


def lanes_of(format: Format, int8_lanes: int = 8) -> int:
    """Products that one PE adds in one operation: 1 for FP32, 4 for the 16-bit class, `int8_lanes` for INT8.

    It is also the length of a group in the accumulation over K, so it decides bits for floating point.
    """
    match format:
        case Format.FP32:
            return 1
        case Format.TF32 | Format.FP16 | Format.BF16:
            return 4
        case Format.INT8 | Format.UINT8:
            return int8_lanes
    raise ValueError(f"{format.name} is not an operand format of the tensor core")
