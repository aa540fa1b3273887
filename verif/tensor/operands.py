"""Contents of operands in L1: numbers that neither overflow nor cancel out of sight, and numbers that hurt."""

import random

import numpy as np

from rtl.formats import Format

__all__ = ["fill"]

#: Bits, exponent bits, fraction bits of the codes. TF32 has 13 fraction bits that don't count: junk.
_FIELDS = {Format.FP32: (32, 8, 23), Format.TF32: (32, 8, 23), Format.FP16: (16, 5, 10), Format.BF16: (16, 8, 7)}


def _floats(rng: random.Random, draw: np.random.Generator, count: int, format: Format) -> np.ndarray:
    bits, exponent_bits, fraction_bits = _FIELDS[format]
    top, bias, most = 1 << bits - 1, (1 << exponent_bits - 1) - 1, (1 << exponent_bits) - 1
    # Close together: cancellation; +-14: alignment; any exponent: overflow, underflow, subnormals.
    spread = rng.choice((2, 2, 14, 14, bias))
    exponents = np.clip(draw.integers(bias - spread, bias + spread, count, endpoint=True), 0, most)
    fractions = draw.integers(0, 1 << fraction_bits, count)
    if rng.random() < 0.3:  # few bits: ties and exact sums
        fractions &= draw.choice([0, 0, 1 << fraction_bits - 1, 3 << fraction_bits - 2, 1 << fraction_bits - 7], count)
    codes = exponents << fraction_bits | fractions | draw.integers(0, 2, count) * top
    infinity = most << fraction_bits
    edges = [
        0, 1, 2, (1 << fraction_bits) - 1, 1 << fraction_bits, bias << fraction_bits, infinity - 1, infinity, infinity + 1,
        infinity + (1 << fraction_bits - 1), infinity + (1 << fraction_bits) - 1,
    ]  # fmt: skip
    hurts = draw.random(count) < rng.choice((0, 0, 0, 0.02, 0.25))
    return np.where(hurts, draw.choice(edges, count) | draw.integers(0, 2, count) * top, codes).astype(f"<u{bits // 8}")


def _integers(rng: random.Random, draw: np.random.Generator, count: int, format: Format) -> np.ndarray:
    if format is Format.INT32:
        # Near the ends of int32, where a group overflows, or anywhere.
        reach = rng.choice((1 << 8, 1 << 17, 1 << 31))
        ends = draw.choice([-(1 << 31), (1 << 31) - 1, 0], count) + draw.integers(-reach, reach, count)
        return (ends & 0xFFFFFFFF).astype("<u4")
    codes = draw.integers(0, 256, count)
    return np.where(draw.random(count) < rng.choice((0, 0.3)), draw.choice([0, 1, 0x7F, 0x80, 0xFF], count), codes).astype(np.uint8)


def fill(rng: random.Random, memory: np.ndarray, place: range, format: Format, zeros: bool = False):
    """Fills the bytes of `place` with elements of `format`; with `zeros`, about half of them in runs of +0 and -0."""
    draw = np.random.default_rng(rng.getrandbits(64))
    size = 4 if format is Format.INT32 else 1 if format not in _FIELDS else _FIELDS[format][0] // 8
    count = -(-len(place) // size)
    codes = (_floats if format in _FIELDS else _integers)(rng, draw, count, format)
    if zeros:
        at = 0
        longest = rng.choice((4, 16, 64))
        while at < count:
            run = rng.randint(1, longest)
            negative = draw.integers(0, 2, count)[at : at + run] if format in _FIELDS else np.zeros(1, int)
            codes[at : at + run] = negative.astype(codes.dtype) << (8 * size - 1)
            at += run + rng.randint(1, longest)
        if format is Format.TF32:
            codes |= draw.integers(0, 1 << 13, count).astype(codes.dtype)
    memory[place.start : place.stop] = codes.view(np.uint8)[: len(place)]
