"""Arithmetic referees that share no code with the chip: gmpy2 for FP32, Python integers for sums of products; operands that hurt."""

import random
from functools import lru_cache
from typing import NamedTuple

from rtl.formats import Format
from verif.numerics.mpfr import fma

__all__ = ["Operand", "classify", "decode", "dot", "float_operand", "float_operations", "fma", "int_dot", "int_overflows"]

_NAN = 0x7FC00000
_INFINITY = 0x7F800000
#: Exponent bits, fraction bits, and low bits of the container that don't count.
_FIELDS = {Format.FP32: (8, 23, 0), Format.TF32: (8, 10, 13), Format.FP16: (5, 10, 0), Format.BF16: (8, 7, 0)}


class Operand(NamedTuple):
    """A finite number is +-significand * 2^(exponent - fraction bits of its format); `sign` is there for zeros."""

    finite: bool
    nan: bool
    sign: int
    significand: int  #: with its sign
    exponent: int  #: that of the smallest normal number for subnormals and zeros


@lru_cache(1 << 18)
def decode(code: int, format: Format) -> Operand:
    exponent_bits, fraction_bits, ignored = _FIELDS[format]
    code >>= ignored
    fraction, code = code & (1 << fraction_bits) - 1, code >> fraction_bits
    field, sign = code & (1 << exponent_bits) - 1, code >> exponent_bits
    special = field == (1 << exponent_bits) - 1
    significand = fraction | (field > 0) << fraction_bits
    exponent = max(field, 1) - (1 << exponent_bits - 1) + 1
    return Operand(not special, special and fraction > 0, sign, -significand if sign else significand, exponent)


@lru_cache(1 << 18)
def classify(code: int, format: Format) -> str:
    """ "zero", "subnormal", "normal", "infinity" or "NaN"."""
    number = decode(code, format)
    if not number.finite:
        return "NaN" if number.nan else "infinity"
    return "normal" if abs(number.significand) >> _FIELDS[format][1] else "subnormal" if number.significand else "zero"


def _round(total: int, unit: int, toward_zero: bool) -> int:
    """Bits of total * 2^unit in binary32."""
    magnitude = abs(total)
    # The last bit of the result, no lower than that of a subnormal.
    last = max(magnitude.bit_length() + unit - 24, -149)
    drop = last - unit
    if drop <= 0:
        kept = magnitude << -drop
    else:
        kept, rest = magnitude >> drop, magnitude & (1 << drop) - 1
        half = 1 << drop - 1
        kept += not toward_zero and (rest > half or (rest == half and kept & 1))
    # Subnormals have the field 0, and a carry out of the significand adds one to the field by itself.
    bits = kept + (last + 149 << 23)
    if bits >= _INFINITY:
        bits = _INFINITY - toward_zero
    return bits | (total < 0) << 31


def dot(format: Format, a: list[Operand], b: list[Operand], c: int, window: int, toward_zero: bool = False) -> int:
    """One operation of TF32, FP16 or BF16: the sum of binary32 `c` and the products, each cut `window` bits below the largest."""
    addend = decode(c, Format.FP32)
    pairs = list(zip(a, b, strict=True))
    if not (addend.finite and all(x.finite and y.finite for x, y in pairs)):
        return _special(pairs, addend)
    fraction = 2 * _FIELDS[format][1]
    terms = [(x.significand * y.significand, x.exponent + y.exponent, fraction) for x, y in pairs]
    terms = [term for term in terms if term[0]]
    if addend.significand:
        terms.append((addend.significand, addend.exponent, 23))
    if not terms:
        return (addend.sign and all(x.sign != y.sign for x, y in pairs)) << 31
    lowest = max(exponent for _, exponent, _ in terms) - window
    total = 0
    for significand, exponent, width in terms:
        up = exponent - width - lowest
        cut = abs(significand) << up if up >= 0 else abs(significand) >> -up
        total += cut if significand > 0 else -cut
    return _round(total, lowest, toward_zero) if total else 0


def _special(pairs: list[tuple[Operand, Operand]], addend: Operand) -> int:
    """The result of a sum with an infinity or a NaN in it."""
    infinities = set() if addend.finite else {addend.sign}
    invalid = addend.nan
    for x, y in pairs:
        if not (x.finite and y.finite):
            infinities.add(x.sign ^ y.sign)
            # 0 times an infinity is a NaN.
            invalid |= x.nan or y.nan or any(z.finite and not z.significand for z in (x, y))
    return _NAN if invalid or len(infinities) > 1 else _INFINITY | infinities.pop() << 31


def int_dot(a: list[int], b: list[int], c: int) -> int:
    """c + sum of a * b modulo 2^32; `b` as signed bytes, `a` as the values they stand for."""
    return (c + sum(x * y for x, y in zip(a, b, strict=True))) & 0xFFFFFFFF


def int_overflows(a: list[int], b: list[int], c: int) -> bool:
    """Whether the exact sum leaves int32, `c` being an int32 by its bits."""
    total = c - (c >> 31 << 32) + sum(x * y for x, y in zip(a, b, strict=True))
    return not -(1 << 31) <= total < 1 << 31


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
