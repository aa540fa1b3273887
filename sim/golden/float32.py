"""FP32 arithmetic on codes: IEEE 754-2019, round to nearest even, subnormals kept, every NaN result is 7FC00000.

Arguments and results are uint32 arrays (they broadcast). The processor's binary32 and binary64 arithmetic does the work; it
must not flush subnormals, which the tests check.
"""

import numpy as np

__all__ = ["NAN", "add", "fma", "maximum", "minimum", "mul", "pack", "round_sum", "sub", "unpack"]

NAN = np.uint32(0x7FC00000)
_ONE = np.int64(1)


def unpack(bits) -> np.ndarray:
    """Codes as numpy float32."""
    bits = np.asarray(bits)
    if bits.dtype != np.uint32:
        raise TypeError(f"codes of FP32 are uint32, not {bits.dtype}")
    return np.ascontiguousarray(bits).view(np.float32).reshape(bits.shape)


def pack(value: np.ndarray) -> np.ndarray:
    """Codes of numpy float32, with the canonical NaN."""
    value = np.asarray(value, np.float32)
    bits = np.ascontiguousarray(value).view(np.uint32).reshape(value.shape)
    return np.where(np.isnan(value), NAN, bits)


def _wide(bits) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return unpack(bits).astype(np.float64)


def round_sum(product: np.ndarray, addend: np.ndarray) -> np.ndarray:
    """The exact sum of two binary64 values, rounded once to float32; each is a FP32 value or a product of two.

    s, the binary64 sum, is rounded a second time to 24 bits or fewer. The result can only be wrong where s lies midway between two
    neighbours in FP32 and the exact sum does not: rounding is monotonic, so in all other cases both lie on the same side of
    every midpoint. A midpoint has at least 28 trailing zeros. Where such an s occurs, the error of the sum (Knuth's TwoSum, exact
    here because nothing over- or underflows in binary64) decides, by rounding s to odd (Boldo and Melquiond).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.asarray(product + addend)
        bits = total.view(np.int64)
        if not (bits & 0x0FFFFFFF).all():
            other = total - product
            error = (product - (total - other)) + (addend - other)
            # An even s with an error moves by one unit toward the exact sum, where it is odd. NaN errors (infinite s) compare false.
            outward = np.where(total < 0, error < 0, error > 0)
            inward = np.where(total < 0, error > 0, error < 0)
            even = ~bits & _ONE
            bits += even * outward
            bits -= even * inward
        return total.astype(np.float32)


def fma(a, b, c) -> np.ndarray:
    """a * b + c with one rounding (fusedMultiplyAdd). 0 * infinity and opposite infinities give the NaN."""
    with np.errstate(invalid="ignore"):
        return pack(round_sum(_wide(a) * _wide(b), _wide(c)))


def add(a, b) -> np.ndarray:
    """a + b. Opposite infinities give the NaN; x + -x is +0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return pack(unpack(a) + unpack(b))


def sub(a, b) -> np.ndarray:
    """a - b, which is a + (-b)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return pack(unpack(a) - unpack(b))


def mul(a, b) -> np.ndarray:
    """a * b. 0 * infinity gives the NaN."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return pack(unpack(a) * unpack(b))


def _ordered(bits) -> np.ndarray:
    """Integers in the order of the values, -0 below +0."""
    signed = np.asarray(bits, np.uint32).view(np.int32)
    return signed ^ ((signed >> 31) & np.int32(0x7FFFFFFF))


def _choose(a, b, first: np.ndarray) -> np.ndarray:
    missing = np.isnan(unpack(a)) | np.isnan(unpack(b))
    return np.where(missing, NAN, np.where(first, a, b))


def maximum(a, b) -> np.ndarray:
    """The greater one, -0 < +0; a NaN operand gives the NaN (`maximum` of IEEE 754-2019)."""
    return _choose(a, b, _ordered(a) >= _ordered(b))


def minimum(a, b) -> np.ndarray:
    """The lesser one, -0 < +0; a NaN operand gives the NaN (`minimum` of IEEE 754-2019)."""
    return _choose(a, b, _ordered(a) <= _ordered(b))
