"""Arithmetic referees that share no code with the chip: gmpy2 for FP32, Python integers for INT8; and operands that hurt."""

import random
import struct

import gmpy2

__all__ = ["float_operand", "float_operations", "fma", "int_dot"]

_NAN = 0x7FC00000
#: binary32 with subnormals and rounding to nearest even; MPFR subnormalises without rounding twice.
_BINARY32 = gmpy2.ieee(32)
_BINARY32.round = gmpy2.RoundToNearest


def _value(bits: int) -> gmpy2.mpfr:
    # Python's float is binary64: exact. A NaN's payload doesn't matter.
    return gmpy2.mpfr(struct.unpack("<f", struct.pack("<I", bits))[0])


def fma(a: int, b: int, c: int) -> int:
    """Bits of a * b + c, rounded once to nearest even, in binary32; every NaN is 7FC00000."""
    result = _BINARY32.fma(_value(a), _value(b), _value(c))
    if gmpy2.is_nan(result):
        return _NAN
    return struct.unpack("<I", struct.pack("<f", float(result)))[0]


def int_dot(a: list[int], b: list[int], c: int) -> int:
    """c + sum of a * b modulo 2^32; `b` as signed bytes, `a` as the values they stand for."""
    return (c + sum(x * y for x, y in zip(a, b, strict=True))) & 0xFFFFFFFF


#: One or more of each class: zeros, subnormals, the edges of the normal range, ones and their neighbours, infinities, NaNs.
_CLASSES = (
    0x00000000, 0x00000001, 0x00000002, 0x00400000, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x3F7FFFFF, 0x3F800000, 0x3F800001,
    0x3FC00000, 0x34000000, 0x33800000, 0x4B800000, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000,
)  # fmt: skip


def float_operand(rng: random.Random) -> int:
    """A binary32 pattern: any bits, a class, or a sparse significand (for ties) with any exponent."""
    kind = rng.randrange(4)
    if kind == 0:
        return rng.getrandbits(32)
    if kind == 1:
        return rng.choice(_CLASSES) | rng.getrandbits(1) << 31
    exponent = rng.choice((rng.randrange(256), rng.randint(100, 150), rng.randint(0, 2), rng.randint(120, 134)))
    fraction = (1 << rng.randrange(24)) ^ (1 << rng.randrange(24)) if kind == 2 else rng.getrandbits(23)
    return (fraction + rng.choice((-1, 0, 0, 1)) & 0x7FFFFF) | exponent << 23 | rng.getrandbits(1) << 31


def float_operations(rng: random.Random, count: int):
    """(a, b, c): pairs of classes, then random ones, half with `c` near the product (cancellation, ties, sticky bits)."""
    signed = [bits | sign for bits in _CLASSES for sign in (0, 1 << 31)]
    for a in signed:
        for b in signed[::2]:
            yield a, b, rng.choice(signed)
            yield a, b, rng.choice(signed)
    for a in signed[::2]:
        for c in signed:
            yield a, rng.choice(signed), c
    for _ in range(count):
        a, b, c = (float_operand(rng) for _ in range(3))
        kind = rng.randrange(4)
        if kind < 2:
            near = fma(a, b, 0)
            exponent = min(max((near >> 23 & 0xFF) + (rng.randint(-50, 50) if kind else rng.randint(-2, 2)), 0), 254)
            fraction = near & 0x7FFFFF if rng.random() < 0.7 else rng.getrandbits(23)
            fraction = fraction + rng.choice((0, 0, -1, 1, 2)) & 0x7FFFFF
            c = fraction | exponent << 23 | (near ^ rng.choice((0, 1 << 31, 1 << 31)) & 1 << 31) & 1 << 31
        yield a, b, c
