"""MPFR (gmpy2) as the referee of FP32's fused multiply-add."""

import struct

import gmpy2

__all__ = ["BINARY32", "fma"]

#: binary32: 24 bits of precision; MPFR's exponents are one more than IEEE's, and emin is that of the smallest subnormal.
BINARY32 = gmpy2.context(precision=24, emin=-148, emax=128, subnormalize=True, round=gmpy2.RoundToNearest)


def _number(code: int) -> gmpy2.mpfr:
    return gmpy2.mpfr(struct.unpack("<f", struct.pack("<I", code))[0])


def fma(a: int, b: int, c: int) -> int:
    """Code of a * b + c, with the canonical NaN."""
    numbers = [_number(code) for code in (a, b, c)]
    with BINARY32:
        value = gmpy2.fma(*numbers)
    return 0x7FC00000 if gmpy2.is_nan(value) else struct.unpack("<I", struct.pack("<f", float(value)))[0]
