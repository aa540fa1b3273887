"""Referee of dot products over whole arrays: the numerics page in int64, for finite normal operands of moderate exponents.

It shares no code with golden model or hardware; `verif/numerics/exact.py`, which knows every class of operand, checks it.
"""

import numpy as np

from rtl.formats import Format

__all__ = ["correctly_rounded_dot", "dot"]

_FIELDS = {Format.FP32: (8, 23, 0), Format.TF32: (8, 10, 13), Format.FP16: (5, 10, 0), Format.BF16: (8, 7, 0)}


def _parts(codes: np.ndarray, format: Format) -> tuple[np.ndarray, np.ndarray]:
    """Signed significand as an integer, and the exponent of its unit. Asserts that every number is normal."""
    exponent_bits, fraction_bits, ignored = _FIELDS[format]
    word = codes.astype(np.int64) >> ignored
    field = word >> fraction_bits & (1 << exponent_bits) - 1
    assert ((field > 0) & (field < (1 << exponent_bits) - 1)).all(), "a zero, subnormal, infinity or NaN"
    significand = (word & (1 << fraction_bits) - 1) | 1 << fraction_bits
    sign = word >> (exponent_bits + fraction_bits) & 1
    return np.where(sign, -significand, significand), field - ((1 << exponent_bits - 1) - 1) - fraction_bits


def _terms(format: Format, a: np.ndarray, b: np.ndarray, c: np.ndarray):
    """Significands and unit exponents of the products and of c, side by side; and fraction bits of each."""
    (x, p), (y, q), (z, r) = _parts(a, format), _parts(b, format), _parts(c, Format.FP32)
    fraction = np.array([2 * _FIELDS[format][1]] * a.shape[1] + [23])
    return np.concatenate([x * y, z[:, None]], axis=1), np.concatenate([p + q, r[:, None]], axis=1), fraction


def _codes(value: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """FP32 of value * 2^unit; the integer is rounded once, and no result is subnormal."""
    rounded = np.ldexp(value.astype(np.float32), unit.astype(np.int32))
    assert ((np.abs(rounded) >= np.float32(2.0**-126)) | (value == 0)).all() and np.isfinite(rounded).all()
    return rounded.view(np.uint32)


def dot(format: Format, a: np.ndarray, b: np.ndarray, c: np.ndarray, align: int = 40) -> np.ndarray:
    """Codes of c + sum of a * b: aligned to the largest exponent, truncated `align` bits below it, rounded once to nearest even."""
    significand, unit, fraction = _terms(format, a, b, c)
    lowest = (unit + fraction).max(axis=1) - align
    shift = unit - lowest[:, None]
    magnitude = np.abs(significand)
    aligned = np.where(shift >= 0, magnitude << np.maximum(shift, 0), magnitude >> np.minimum(np.maximum(-shift, 0), 63))
    return _codes(np.where(significand < 0, -aligned, aligned).sum(axis=1), lowest)


def correctly_rounded_dot(format: Format, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Codes of the exact sum, rounded once to nearest even. Exact for exponents that lie within 14 of zero.

    Sum and error of each addition are kept apart (Knuth's TwoSum). All terms are multiples of 2^-50 below 2^33, and so all errors are
    multiples of 2^-50 below 2^-18: their sum is exact in binary64.
    """
    significand, unit, _ = _terms(format, a, b, c)
    terms = np.ldexp(significand.astype(np.float64), unit.astype(np.int32))
    assert (np.abs(terms) < 2.0**31).all() and (terms * 2.0**50 == np.rint(terms * 2.0**50)).all()
    total, errors = terms[:, 0], np.zeros(len(terms))
    for column in terms.T[1:]:
        total, error = _two_sum(total, column)
        errors = errors + error
    high, low = _two_sum(total, errors)
    # To odd, so that the second rounding sees on which side of a tie the exact sum lies.
    bits = high.view(np.int64).copy()
    even = (low != 0) & (bits & 1 == 0)
    bits += np.where(even, np.where((low > 0) == (high > 0), 1, -1), 0)
    rounded = bits.view(np.float64).astype(np.float32)
    return np.where(rounded == 0, np.float32(0), rounded).view(np.uint32)


def _two_sum(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)
