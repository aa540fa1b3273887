"""One operation of a processing element: an accumulator plus the products of a group of lanes.

Terms of `docs/numerics.md`: the products of TF32, FP16 and BF16 and the accumulator are aligned to the largest exponent with
`align` fraction bits below it, truncated in magnitude, summed exactly and rounded once.
"""

from collections.abc import Iterable

import numpy as np

from rtl.formats import Format
from sim.golden import float32
from sim.golden.formats import NO_EXPONENT, decode, exponent_of

__all__ = ["check_align", "dot", "fused_sum", "overflow"]

#: Below the exponent of any product or FP32 value: the scale of a sum whose terms are all zeros.
_FLOOR = np.int16(-400)
#: Codes of 1.0 in binary64, and the sum of those of 2^n and 2^-n.
_UNIT = np.int64(1023 << 52)
_MIRROR = np.int64(2046 << 52)


def check_align(align: int, lanes: int) -> None:
    """Refuses a width with which a term could vanish that must not, or the sum of `lanes` products could leave 53 bits."""
    if not 23 <= align <= 48:
        raise ValueError(f"align: {align} is not in 23 to 48")
    if not 1 <= lanes <= 4:
        raise ValueError(f"lanes: {lanes} is not in 1 to 4 for a floating-point dot product")


def fused_sum(terms: Iterable[np.ndarray], largest: np.ndarray, c: np.ndarray, align: int, toward_zero: bool) -> np.ndarray:
    """Rounds `c` plus the `terms` to float32, all aligned to the largest exponent and truncated.

    `terms` are exact products in binary64 (overwritten; -0 takes no part), `largest` (int16) is the largest sum of exponents among
    those that are not zero, `c` is float32.

    Exact in binary64 arithmetic: scaled by 2^(align - largest exponent) a product lies below 2^(align + 2) and c below
    2^(align + 1), so that after `trunc` the terms are integers whose sum stays below 2^53 for four products and align <= 48.
    Scaling by powers of two is exact, since no value leaves 2^-1000 to 2^1000. The term of the largest exponent is never truncated
    to zero (a product of subnormals has 20 fraction bits, c 23), so a zero has the right sign by itself: -0 only if all are -0.
    Infinities and NaNs pass through every step as IEEE 754 wants.
    """
    word = c.view(np.uint32)
    exponent = np.maximum(((word >> 23) & 0xFF).astype(np.int16), 1) - np.int16(127)
    exponent[word << 1 == 0] = _FLOOR
    largest = np.maximum(np.maximum(largest, exponent), _FLOOR)
    code = ((align - largest).astype(np.int64) << 52) + _UNIT
    scale = code.view(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        total = c * scale
        np.trunc(total, out=total)
        for term in terms:
            term *= scale
            np.trunc(term, out=term)
            total += term
        total *= (_MIRROR - code).view(np.float64)
        result = total.astype(np.float32)
        if toward_zero:
            outside = np.abs(result) > np.abs(total)
            result = (result.view(np.uint32) - outside.astype(np.uint32)).view(np.float32)
    return result


def _integers(bits, unsigned: bool) -> np.ndarray:
    bits = np.asarray(bits, np.uint8)
    return (bits if unsigned else bits.view(np.int8)).astype(np.int64)


def _exact(a, b, c, valid, unsigned_a: bool) -> np.ndarray:
    products = _integers(a, unsigned_a) * _integers(b, False)
    if valid is not None:
        products = np.where(valid, products, 0)
    return products.sum(axis=-1) + np.asarray(c, np.uint32).view(np.int32)


def overflow(a, b, c, valid=None, unsigned_a: bool = False) -> np.ndarray:
    """Where the exact INT8 sum c + sum of a * b leaves int32: what sets the sticky flag of an integer operation."""
    exact = _exact(a, b, c, valid, unsigned_a)
    return exact != exact.astype(np.int32)


def dot(format: Format, a, b, c, valid=None, align: int = 40, toward_zero: bool = False, unsigned_a: bool = False) -> np.ndarray:
    """c + sum over the last axis of a * b, as one operation; the result is a uint32 array of codes (FP32, or INT32 for INT8).

    Parameters
    ----------
    format:
        Of a and b: FP32 (one lane: a fused multiply-add), TF32, FP16, BF16 (up to four lanes), INT8 (any number of lanes, modulo 2^32),
        UINT8 (INT8 with unsigned a).
    a, b:
        Codes, shape [..., lanes].
    c:
        uint32 codes of FP32, or of INT32 for INT8, shape [...].
    valid:
        Lanes that take part, all by default; at least one of each group. A lane that takes no part is not a zero.
    align, toward_zero:
        Alignment width F and rounding of the sum of TF32, FP16, BF16. Toward zero, overflow gives the largest finite number.
    unsigned_a:
        INT8 only: a is unsigned.
    """
    a, b, c = np.asarray(a), np.asarray(b), np.asarray(c)
    if format in (Format.INT8, Format.UINT8):
        return _exact(a, b, c, valid, unsigned_a or format is Format.UINT8).astype(np.uint32)
    if format is Format.FP32:
        if a.shape[-1] != 1 or b.shape[-1] != 1:
            raise ValueError(f"lanes: FP32 has one, not {max(a.shape[-1], b.shape[-1])}")
        result = float32.fma(a[..., 0], b[..., 0], c)
        return result if valid is None else np.where(np.asarray(valid)[..., 0], result, float32.pack(float32.unpack(c)))
    lanes = np.broadcast_shapes(a.shape, b.shape)[-1]
    check_align(align, lanes)
    with np.errstate(invalid="ignore"):
        products = decode(a, format) * decode(b, format)
    exponents = exponent_of(a, format) + exponent_of(b, format)
    if valid is not None:
        products, exponents = np.where(valid, products, -0.0), np.where(valid, exponents, np.int16(NO_EXPONENT))
    shape = np.broadcast_shapes(products.shape[:-1], c.shape)
    largest = np.broadcast_to(exponents.max(axis=-1), shape)
    terms = (np.broadcast_to(products[..., lane], shape).copy() for lane in range(lanes))
    start = np.broadcast_to(float32.unpack(c), shape).copy()
    return float32.pack(fused_sum(terms, largest, start, align, toward_zero))
