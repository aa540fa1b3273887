"""Values of number formats, and the conversion between any two of them.

A tensor is an array of *codes*: the bits of each element, in the unsigned integer type of its container. Every value of
every format is exact in binary64, so a conversion decodes to binary64 (exact) and rounds once to the target.
The rules are those of `docs/numerics.md`.
"""

import enum

import numpy as np

from rtl.formats import CANONICAL_NAN, CONTAINER_BYTES, FLOATS, Format

__all__ = ["NO_EXPONENT", "Kind", "classify", "convert", "decode", "dtype_of", "encode", "exponent_of", "integer_range"]

#: Exponent that a zero has in :func:`exponent_of`: so low that the sum of two of them is below every real one, in int16.
NO_EXPONENT = -10000

_SIGNED = {Format.INT8: np.int8, Format.INT32: np.int32}


class Kind(enum.IntEnum):
    """Class of a floating-point code."""

    ZERO = 0
    SUBNORMAL = 1
    NORMAL = 2
    INFINITE = 3
    NAN = 4


def dtype_of(format: Format) -> np.dtype:
    """The numpy type of an array of codes: uint32, uint16 or uint8."""
    return np.dtype(f"u{CONTAINER_BYTES[format]}")


def integer_range(format: Format) -> tuple[int, int]:
    """Least and greatest value of INT8, UINT8 or INT32."""
    bits = 8 * CONTAINER_BYTES[format]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if format in _SIGNED else (0, (1 << bits) - 1)


def _checked(bits, format: Format) -> np.ndarray:
    bits = np.asarray(bits)
    if bits.dtype != dtype_of(format):
        raise TypeError(f"codes of {format.name} are {dtype_of(format)}, not {bits.dtype}")
    return bits


def _fields(bits, format: Format) -> tuple[np.ndarray, np.ndarray]:
    """Biased exponent (int16) and fraction. What TF32 ignores is dropped before anything looks at it."""
    layout = FLOATS[format]
    low = layout.container - 1 - layout.exponent - layout.fraction
    word = _checked(bits, format) >> low
    exponent = (word >> layout.fraction) & ((1 << layout.exponent) - 1)
    return exponent.astype(np.int16), word & ((1 << layout.fraction) - 1)


def classify(bits, format: Format) -> np.ndarray:
    """The :class:`Kind` of each code of a floating-point format, as uint8."""
    exponent, fraction = _fields(bits, format)
    top = (1 << FLOATS[format].exponent) - 1
    kind = np.where(exponent == 0, np.where(fraction == 0, Kind.ZERO, Kind.SUBNORMAL), Kind.NORMAL)
    return np.where(exponent == top, np.where(fraction == 0, Kind.INFINITE, Kind.NAN), kind).astype(np.uint8)


def exponent_of(bits, format: Format) -> np.ndarray:
    """Unbiased exponent of each code, int16: a subnormal has that of the smallest normal, a zero :data:`NO_EXPONENT`.

    Infinities and NaNs have the one above the largest normal.
    """
    exponent, fraction = _fields(bits, format)
    result = np.maximum(exponent, 1) - np.int16(FLOATS[format].bias)
    result[(exponent == 0) & (fraction == 0)] = NO_EXPONENT
    return result


def decode(bits, format: Format) -> np.ndarray:
    """The exact value of each code as binary64: signed zeros, subnormals, infinities and NaNs too."""
    bits = _checked(bits, format)
    if format not in FLOATS:
        return bits.view(_SIGNED.get(format, np.uint8)).astype(np.float64)
    if format is Format.FP16:
        # With the fields at FP32's places a code reads as value * 2^-112, subnormal or not.
        wide = (bits & np.uint16(0x7FFF)).astype(np.uint32) << 13
        value = wide.view(np.float32).astype(np.float64) * 2.0**112
        value = np.where(wide > 0x0F800000, np.nan, np.where(wide == 0x0F800000, np.inf, value))
        return np.copysign(value, np.where(bits >> 15, -1.0, 1.0))
    if format is Format.BF16:
        bits = bits.astype(np.uint32) << 16
    elif format is Format.TF32:
        bits = bits & np.uint32(0xFFFFE000)
    with np.errstate(invalid="ignore"):
        return np.ascontiguousarray(bits).view(np.float32).astype(np.float64)


def encode(value, format: Format) -> np.ndarray:
    """Codes of binary64 values, rounded once to nearest even.

    Floating point: overflow gives the infinity, underflow goes through the subnormals to a zero of the same sign, NaN becomes the
    canonical NaN. Integers saturate, NaN gives 0.
    """
    value = np.asarray(value, np.float64)
    kind = dtype_of(format)
    if format not in FLOATS:
        low, high = integer_range(format)
        whole = np.clip(np.rint(np.where(np.isnan(value), 0.0, value)), low, high)
        return whole.astype(np.int64).astype(kind)
    layout = FLOATS[format]
    # What overflows counts as the power of two above the largest number, whose code is the infinity (so, for now, does a NaN).
    magnitude = np.fmin(np.abs(value), 2.0 ** (layout.bias + 1))
    exponent = np.maximum((magnitude.view(np.int64) >> 52) - 1023, 1 - layout.bias)
    # `whole` counts units in the last place: 2^fraction or more where the code is normal, less where it is subnormal. So the code
    # is the exponent field less one, plus the count: a carry out of the fraction steps into the exponent by itself.
    whole = np.rint(np.ldexp(magnitude, (layout.fraction - exponent).astype(np.int32))).astype(np.int64)
    code = ((exponent + (layout.bias - 1)) << layout.fraction) + whole
    width = 1 + layout.exponent + layout.fraction
    code = (code | (np.signbit(value).astype(np.int64) << (width - 1))) << (layout.container - width)
    return np.where(np.isnan(value), CANONICAL_NAN[format], code).astype(kind)


def convert(bits, source: Format, target: Format) -> np.ndarray:
    """Codes of `target` for codes of `source`, rounded to nearest even in one step.

    Floating point to floating point: overflow gives the infinity, subnormals are kept, every NaN becomes the target's canonical
    NaN (also where the two formats are the same). To an integer: saturates, NaN gives 0. From an integer: nearest even to floating
    point, saturating to an integer. TF32 is read without its low 13 bits and written with zeros there.
    """
    return encode(decode(bits, source), target)
