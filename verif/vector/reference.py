"""Exact model of the vector lane's arithmetic, one scalar at a time, from IEEE 754-2019 and the numerics page.

Floating point is gmpy2 (MPFR) with FP32's exponent range and subnormals, or integers; it shares no code with hardware or golden model.
"""

import gmpy2
from gmpy2 import mpfr

from rtl.formats import CANONICAL_NAN, CONTAINER_BYTES, FLOATS, Format
from rtl.isa import VectorOp

__all__ = ["apply", "load", "round_to", "signed32", "store", "to_mpfr"]

_MASK = 0xFFFFFFFF
_NAN = CANONICAL_NAN[Format.FP32]
# Enough for any exact product or sum of two: the whole exponent range, twice.
_EXACT = gmpy2.context(precision=1200, emin=-2000, emax=2000)


def signed32(bits: int) -> int:
    bits &= _MASK
    return bits - (bits >> 31 << 32)


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def _saturate(value: int) -> int:
    return _clamp(value, -(1 << 31), (1 << 31) - 1) & _MASK


def _is_nan(bits: int) -> bool:
    return bits & 0x7FFFFFFF > 0x7F800000


def to_mpfr(bits: int, format: Format = Format.FP32) -> mpfr:
    """Exact value of a code."""
    layout = FLOATS[format]
    width = 1 + layout.exponent + layout.fraction
    bits >>= 32 - width if format is Format.TF32 else 0
    bits &= (1 << width) - 1
    sign = -1 if bits >> width - 1 else 1
    exponent, fraction = bits >> layout.fraction & (1 << layout.exponent) - 1, bits & (1 << layout.fraction) - 1
    with gmpy2.context(_EXACT):
        if exponent == (1 << layout.exponent) - 1:
            return gmpy2.nan() if fraction else gmpy2.inf(sign)
        significand = fraction if exponent == 0 else fraction | 1 << layout.fraction
        magnitude = gmpy2.mul_2exp(mpfr(significand), 1200)  # exact, then down again: exponents may be negative
        magnitude = gmpy2.div_2exp(magnitude, 1200 - max(exponent, 1) + layout.bias + layout.fraction)
        return -magnitude if sign < 0 else magnitude


def round_to(value: mpfr, format: Format = Format.FP32) -> int:
    """Code of an exact value, nearest even; the canonical NaN for a NaN."""
    layout = FLOATS[format]
    pad = 13 if format is Format.TF32 else 0
    if gmpy2.is_nan(value):
        return CANONICAL_NAN[format]
    sign = int(gmpy2.is_signed(value)) << layout.exponent + layout.fraction
    largest = (1 << layout.exponent) - 1 << layout.fraction
    with gmpy2.context(_EXACT):
        magnitude = abs(value)
    if gmpy2.is_infinite(magnitude):
        return (sign | largest) << pad
    if magnitude == 0:
        return sign << pad
    # Unit of the last place: 2^(exponent - fraction bits), not below the subnormals'.
    exponent = max(gmpy2.get_exp(magnitude) - 1, 1 - layout.bias)
    with gmpy2.context(_EXACT):
        units = gmpy2.mul_2exp(magnitude, 400)
        units = gmpy2.div_2exp(units, 400 + exponent - layout.fraction)
        whole = int(gmpy2.floor(units))
        rest = units - whole
    whole += rest > 0.5 or (rest == 0.5 and whole & 1)
    code = whole if whole < 1 << layout.fraction else whole + (exponent + layout.bias - 1 << layout.fraction)
    return (sign | min(code, largest)) << pad


def load(code: int, format: Format) -> int:
    """32-bit register value of an element."""
    code &= (1 << 8 * CONTAINER_BYTES[format]) - 1
    if format in (Format.FP32, Format.INT32, Format.UINT8):
        return code
    if format is Format.INT8:
        return (code ^ 0x80) - 0x80 & _MASK
    return round_to(to_mpfr(code, format))


def store(value: int, format: Format) -> int:
    """Element of a 32-bit register value."""
    match format:
        case Format.FP32 | Format.INT32:
            return value
        case Format.INT8:
            return _clamp(signed32(value), -128, 127) & 0xFF
        case Format.UINT8:
            return _clamp(signed32(value), 0, 255)
    return round_to(to_mpfr(value), format)


def _fma(a: int, b: int, c: int | None) -> int:
    """a * b + c; the bare product without c."""
    x, y = to_mpfr(a), to_mpfr(b)
    with gmpy2.context(_EXACT):
        if c is None:
            return round_to(x * y)
        return round_to(x * y + to_mpfr(c))


def _add(a: int, b: int) -> int:
    with gmpy2.context(_EXACT):
        return round_to(to_mpfr(a) + to_mpfr(b))


def _ordered(a: int, b: int, greater: bool) -> int:
    if _is_nan(a) or _is_nan(b):
        return _NAN
    x, y = to_mpfr(a), to_mpfr(b)
    if x == y:  # equal, or zeros of either sign
        return min(a, b) if greater else max(a, b)
    return a if (x > y) == greater else b


def _to_integer(a: int) -> int:
    if _is_nan(a):
        return 0
    value = to_mpfr(a)
    if gmpy2.is_infinite(value):
        return 0x80000000 if value < 0 else 0x7FFFFFFF
    with gmpy2.context(_EXACT):
        return _saturate(int(gmpy2.rint(value)))


def _divide(value: int, divisor: int) -> int:
    """Truncated toward zero."""
    return abs(value) // divisor * (1 if value >= 0 else -1)


def _double(a: int, multiplier: int, shift: int) -> int:
    scaled = signed32(_saturate(a << min(max(shift, 0), 31)))
    if scaled == multiplier == -(1 << 31):
        high = (1 << 31) - 1
    else:
        product = scaled * multiplier
        high = _divide(product + ((1 << 30) if product >= 0 else 1 - (1 << 30)), 1 << 31)
    divisor = 1 << min(max(-shift, 0), 31)
    # Ties away from zero: round the magnitude half up.
    magnitude = (2 * abs(high) + divisor) // (2 * divisor)
    return (magnitude if high >= 0 else -magnitude) & _MASK


def _single(a: int, multiplier: int, shift: int) -> int:
    shift = _clamp(shift, -31, 30)
    return (a * multiplier + (1 << 30 - shift) >> 31 - shift) & _MASK


def apply(op: VectorOp, a: int, b: int, old: int) -> int:
    """`a op b`, all as 32-bit patterns; `old` is the destination's value before."""
    x, y = signed32(a), signed32(b)
    shift = (old & 0xFF ^ 0x80) - 0x80
    match op:
        case VectorOp.NOP:
            return old
        case VectorOp.MOV:
            return a
        case VectorOp.FADD:
            return _add(a, b)
        case VectorOp.FSUB:
            return _add(a, b ^ 1 << 31)
        case VectorOp.FMUL:
            return _fma(a, b, None)
        case VectorOp.FMA:
            return _fma(a, b, old)
        case VectorOp.FMAX | VectorOp.FMIN:
            return _ordered(a, b, op is VectorOp.FMAX)
        case VectorOp.IADD:
            return x + y & _MASK
        case VectorOp.ISUB:
            return x - y & _MASK
        case VectorOp.IADDS:
            return _saturate(x + y)
        case VectorOp.IMUL:
            return x * y & _MASK
        case VectorOp.IMAX:
            return max(x, y) & _MASK
        case VectorOp.IMIN:
            return min(x, y) & _MASK
        case VectorOp.SHL:
            return a << (b & 31) & _MASK
        case VectorOp.SHR:
            return x >> (b & 31) & _MASK
        case VectorOp.ITOF:
            return round_to(mpfr(x, 64))
        case VectorOp.FTOI:
            return _to_integer(a)
        case VectorOp.REQD:
            return _double(x, y, shift)
        case VectorOp.REQS:
            return _single(x, y, shift)
    raise ValueError(op)
