"""Operand classes for the lane and the converters: corners of each format, and random numbers that meet near them."""

import random

__all__ = ["corner", "float_bits", "fma_operands", "integer_bits", "operands"]

_FLOAT_CORNERS = [
    0x00000000, 0x00000001, 0x00000002, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x33800000, 0x34000000, 0x3EFFFFFF,
    0x3F000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FC00000, 0x40200000, 0x4B000000, 0x4B7FFFFF, 0x4EFFFFFF, 0x4F000000, 0x4F7FFFFF,
    0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF,
    # Around FP16's least subnormal, least normal and overflow.
    0x33000000, 0x33000001, 0x33C00000, 0x387FC000, 0x387FE000, 0x387FF000, 0x38800000, 0x477FE000, 0x477FEFFF, 0x477FF000, 0x47800000,
]
_INTEGER_CORNERS = [
    0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x00FFFFFF, 0x01000000, 0x01000001, 0x01000003, 0x3FFFFFFF, 0x40000000, 0x7FFFFF80, 0x7FFFFFBF,
    0x7FFFFFC0, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xC0000000, 0xFFFFFF7F, 0xFFFFFF80, 0xFFFFFFFE, 0xFFFFFFFF,
]


def corner(rng: random.Random, kind: str) -> int:
    if kind == "float":
        return rng.choice(_FLOAT_CORNERS) | rng.getrandbits(1) << 31
    return rng.choice(_INTEGER_CORNERS)


def float_bits(rng: random.Random, around: int | None = None) -> int:
    """FP32: a corner, any bits, or an exponent near `around` (default: any) with a fraction that is dense, sparse or nearly full."""
    draw = rng.random()
    if draw < 0.2:
        return corner(rng, "float")
    if draw < 0.3:
        return rng.getrandbits(32)
    centre = rng.choice([0, 1, 30, 100, 127, 157, 230, 254]) if around is None else around
    exponent = min(max(centre + rng.randint(-4, 4), 0), 254)
    fraction = rng.choice([
        rng.getrandbits(23), 1 << rng.randrange(23), (1 << 23) - (1 << rng.randrange(23)), 0, rng.getrandbits(11) << 12, rng.getrandbits(4),
    ])
    return rng.getrandbits(1) << 31 | exponent << 23 | fraction


def integer_bits(rng: random.Random) -> int:
    draw = rng.random()
    if draw < 0.25:
        return corner(rng, "integer")
    value = rng.getrandbits(rng.randint(1, 32))
    return (value if draw < 0.6 else -value) & 0xFFFFFFFF


def fma_operands(rng: random.Random) -> tuple[int, int, int]:
    """a, b, c whose product and addend lie near each other, cancel, or meet at the edge of the window."""
    a, b = float_bits(rng), float_bits(rng)
    ea, eb = max(a >> 23 & 255, 1), max(b >> 23 & 255, 1)
    c = float_bits(rng, ea + eb - 127 + rng.choice([-50, -26, -25, -24, -3, 0, 0, 1, 24, 25, 26, 27]))
    if rng.random() < 0.5:
        c = c & 0x7FFFFFFF | (~(a ^ b) & 1 << 31)  # opposite signs
    return a, b, c


def operands(rng: random.Random, op) -> tuple[int, int, int]:
    """Operands a, b and the destination's old value for one `VectorOp`."""
    match op.name:
        case "FMA":
            return fma_operands(rng)
        case "FADD" | "FSUB" | "FMAX" | "FMIN":
            a = float_bits(rng)
            b = rng.choice([float_bits(rng), float_bits(rng, a >> 23 & 255), a, a ^ 1 << 31])
            return a, b, rng.getrandbits(32)
        case "FMUL":
            a = float_bits(rng)
            return a, float_bits(rng, rng.choice([127, 254 - (a >> 23 & 255), 127 - (a >> 23 & 255)])), rng.getrandbits(32)
        case "FTOI":
            return float_bits(rng, rng.randint(120, 160)), rng.getrandbits(32), rng.getrandbits(32)
        case "REQD" | "REQS":
            multiplier = rng.choice([rng.getrandbits(30) | 1 << 30, 1 << 30, 0x7FFFFFFF, 0x80000000, integer_bits(rng)])
            a = rng.choice([integer_bits(rng), rng.getrandbits(20), -rng.getrandbits(20) & 0xFFFFFFFF, 0x80000000])
            shift = rng.choice([rng.randint(-40, 40), rng.randint(-12, 2), rng.randint(-128, 127)])
            return a, multiplier, rng.getrandbits(24) << 8 | shift & 0xFF
    return integer_bits(rng), integer_bits(rng), rng.getrandbits(32)
