"""MPFR (gmpy2) as the referee of FP32's operations, each with one rounding to nearest even."""

import operator
import struct

import gmpy2

__all__ = ["fma", "number", "operate"]

#: binary32: 24 bits of precision; MPFR's exponents are one more than IEEE's, and emin is that of the smallest subnormal.
_BINARY32 = gmpy2.context(precision=24, emin=-148, emax=128, subnormalize=True, round=gmpy2.RoundToNearest)
_OPERATIONS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "fma": gmpy2.fma}


def number(code: int) -> gmpy2.mpfr:
    """The number that a code stands for."""
    # Python's float is binary64: exact. A NaN's payload doesn't matter.
    return gmpy2.mpfr(struct.unpack("<f", struct.pack("<I", code))[0])


def operate(operation: str, *codes: int) -> int:
    """Code of the result of add, sub, mul or fma (a * b + c), with the canonical NaN."""
    numbers = [number(code) for code in codes]
    with _BINARY32:
        value = _OPERATIONS[operation](*numbers)
    return 0x7FC00000 if gmpy2.is_nan(value) else struct.unpack("<I", struct.pack("<f", float(value)))[0]


def fma(a: int, b: int, c: int) -> int:
    return operate("fma", a, b, c)
