"""Referee of the numerics contract: Python integers and fractions, one operation at a time, written from `docs/numerics.md`.

It shares no code with the golden model or the hardware, down to the table of field widths. Slow on purpose: a reader can check it.
"""

from fractions import Fraction
from typing import NamedTuple

from rtl.formats import Format

__all__ = ["Number", "convert", "correctly_rounded", "dot", "fma", "parse", "requantise_double", "requantise_single", "round_to"]

#: Exponent bits, fraction bits, and ignored low bits of the container.
_WIDTHS = {Format.FP32: (8, 23, 0), Format.TF32: (8, 10, 13), Format.FP16: (5, 10, 0), Format.BF16: (8, 7, 0)}
_NAN = {Format.FP32: 0x7FC00000, Format.TF32: 0x7FC00000, Format.FP16: 0x7E00, Format.BF16: 0x7FC0}
_INTEGERS = {Format.INT8: (8, -128, 127), Format.UINT8: (8, 0, 255), Format.INT32: (32, -(2**31), 2**31 - 1)}


class Number(NamedTuple):
    """`kind` is "nan", "inf" or "finite"; a finite value is (-1)^sign * significand * 2^exponent, not normalised."""

    kind: str
    sign: int
    significand: int = 0
    exponent: int = 0

    @property
    def value(self) -> Fraction:
        return (-1) ** self.sign * self.significand * Fraction(2) ** self.exponent


def parse(code: int, format: Format) -> Number:
    """The number that a floating-point code stands for."""
    e_bits, f_bits, ignored = _WIDTHS[format]
    code >>= ignored
    sign, field, fraction = code >> (e_bits + f_bits), code >> f_bits & (2**e_bits - 1), code & (2**f_bits - 1)
    bias = 2 ** (e_bits - 1) - 1
    if field == 2**e_bits - 1:
        return Number("nan" if fraction else "inf", sign)
    if field == 0:
        return Number("finite", sign, fraction, 1 - bias - f_bits)
    return Number("finite", sign, fraction + 2**f_bits, field - bias - f_bits)


def _nearest_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole & 1))


def round_to(sign: int, magnitude: Fraction, format: Format, toward_zero: bool = False) -> int:
    """Code of a magnitude, rounded once to nearest even or toward zero."""
    e_bits, f_bits, ignored = _WIDTHS[format]
    bias = 2 ** (e_bits - 1) - 1
    top = sign << (e_bits + f_bits)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length() if magnitude else 1 - bias
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    exponent = max(exponent, 1 - bias)
    scaled = magnitude / Fraction(2) ** (exponent - f_bits)
    units = scaled.numerator // scaled.denominator if toward_zero else _nearest_even(scaled.numerator, scaled.denominator)
    if units == 2 ** (f_bits + 1):
        units, exponent = units // 2, exponent + 1
    if exponent > bias:
        code = ((2**e_bits - 1) << f_bits) - toward_zero
    elif units < 2**f_bits:
        code = units
    else:
        code = (exponent + bias) << f_bits | (units - 2**f_bits)
    return (top | code) << ignored


def convert(code: int, source: Format, target: Format) -> int:
    if source in _INTEGERS:
        bits, low, _ = _INTEGERS[source]
        value = code - (1 << bits) if low < 0 and code >> (bits - 1) else code
        number = Number("finite", int(value < 0), abs(value), 0)
    else:
        number = parse(code, source)
    if target in _INTEGERS:
        bits, low, high = _INTEGERS[target]
        if number.kind == "nan":
            return 0
        if number.kind == "inf":
            whole = low if number.sign else high
        else:
            whole = _nearest_even(number.value.numerator, number.value.denominator)
        return min(max(whole, low), high) % (1 << bits)
    if number.kind == "nan":
        return _NAN[target]
    if number.kind == "inf":
        e_bits, f_bits, ignored = _WIDTHS[target]
        return (number.sign << (e_bits + f_bits) | (2**e_bits - 1) << f_bits) << ignored
    return round_to(number.sign, abs(number.value), target)


def _special(products: list[tuple[Number, Number]], c: Number) -> int | None:
    """The result where a NaN or an infinity decides it."""
    signs = set() if c.kind != "inf" else {c.sign}
    invalid = c.kind == "nan"
    for a, b in products:
        kinds = {a.kind, b.kind}
        invalid |= "nan" in kinds
        if "inf" in kinds:
            invalid |= any(x.kind == "finite" and x.significand == 0 for x in (a, b))
            signs.add(a.sign ^ b.sign)
    if invalid or len(signs) == 2:
        return 0x7FC00000
    return 0x7F800000 | signs.pop() << 31 if signs else None


def _zero(signs: list[int]) -> int:
    return 0x80000000 if all(signs) else 0


def dot(format: Format, a: list[int], b: list[int], c: int, align: int = 40, toward_zero: bool = False) -> int:
    """The aligned, truncated sum of products of TF32, FP16 or BF16 and an FP32 accumulator."""
    products = [(parse(x, format), parse(y, format)) for x, y in zip(a, b, strict=True)]
    addend = parse(c, Format.FP32)
    special = _special(products, addend)
    if special is not None:
        return special
    fraction_bits = _WIDTHS[format][1]
    # (sign, integer significand, exponent of its unit, exponent that counts in the alignment)
    terms = [
        (x.sign ^ y.sign, x.significand * y.significand, x.exponent + y.exponent, x.exponent + y.exponent + 2 * fraction_bits)
        for x, y in products
    ]
    terms.append((addend.sign, addend.significand, addend.exponent, addend.exponent + 23))
    present = [term for term in terms if term[1]]
    if not present:
        return _zero([term[0] for term in terms])
    unit = max(term[3] for term in present) - align
    total = 0
    for sign, significand, exponent, _ in present:
        aligned = significand << (exponent - unit) if exponent >= unit else significand >> (unit - exponent)
        total += -aligned if sign else aligned
    if total == 0:
        return 0
    return round_to(int(total < 0), abs(total) * Fraction(2) ** unit, Format.FP32, toward_zero)


def correctly_rounded(format: Format, a: list[int], b: list[int], c: int) -> int:
    """The exact sum rounded once: fused multiply-add, and what the dot products are compared with."""
    products = [(parse(x, format), parse(y, format)) for x, y in zip(a, b, strict=True)]
    addend = parse(c, Format.FP32)
    special = _special(products, addend)
    if special is not None:
        return special
    terms = [(x.sign ^ y.sign, x.significand * y.significand, x.exponent + y.exponent) for x, y in products]
    terms.append((addend.sign, addend.significand, addend.exponent))
    if not any(term[1] for term in terms):
        return _zero([term[0] for term in terms])
    unit = min(term[2] for term in terms)
    total = sum((-1) ** sign * (significand << (exponent - unit)) for sign, significand, exponent in terms)
    return round_to(int(total < 0), abs(total) * Fraction(2) ** unit, Format.FP32) if total else 0


def fma(a: int, b: int, c: int) -> int:
    return correctly_rounded(Format.FP32, [a], [b], c)


def _int32(value: int) -> int:
    return min(max(value, -(2**31)), 2**31 - 1)


def requantise_double(acc: int, multiplier: int, shift: int) -> int:
    shift = min(max(shift, -31), 31)
    product = _int32(acc * 2 ** max(shift, 0)) * multiplier
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = _int32(abs(nudged) // 2**31 * (1 if nudged >= 0 else -1))
    quotient = Fraction(abs(high), 2 ** max(-shift, 0))
    nearest = int(quotient + Fraction(1, 2))
    return nearest if high >= 0 else -nearest


def requantise_single(acc: int, multiplier: int, shift: int) -> int:
    right = min(max(31 - shift, 1), 62)
    return ((acc * multiplier + 2 ** (right - 1)) // 2**right + 2**31) % 2**32 - 2**31
