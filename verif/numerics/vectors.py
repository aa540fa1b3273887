"""Streams of operands for single operations, directed and random, the same for the same seed.

FP32 fma has the classes of Berkeley TestFloat's level 1: every triple of corner numbers, and draws around them; the other operations have
corners, random codes and exponents of a chosen spread. `gcu numerics --generate` writes them, `gcu bench --only numerics` runs them.
"""

from collections.abc import Iterator

import numpy as np

from rtl.formats import FLOATS, Format
from sim.numerics.operation import Convert, Dot, Fma, Operation, Requantise
from verif.numerics.operands import centred, mixed, random_codes

__all__ = ["FMA_GRID", "fma_corners", "vectors"]

#: Operands that are made at a time.
_BLOCK = 9 << 14

#: Vectors of an fma stream that holds every triple of corners: 9 of each, as TestFloat's level 1 has.
FMA_GRID = 9 * 88**3
#: Walks over all triples, since it has no factor in common with their number.
_STRIDE = 421_171
_SIGN = np.uint32(1 << 31)


def vectors(operation: Operation, count: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of operands [operations, fields] of an operation, `count` in all."""
    rng = np.random.default_rng(seed)
    draw = {Fma: _fma, Dot: _dot, Convert: _convert, Requantise: _requantise}[type(operation)]
    for first in range(0, count, _BLOCK):
        columns = draw(operation, rng, first, min(_BLOCK, count - first))
        yield np.stack([np.asarray(column, np.uint32) for column in columns], axis=1)


def fma_corners() -> np.ndarray:
    """88 numbers: both signs of eleven exponents (subnormal, least, around 2^-24, 2^-2 to 2^2 and 2^24, greatest, special) with the
    fractions zero, one, greatest less one and greatest."""
    exponents = np.uint32([0, 1, 103, 125, 126, 127, 128, 129, 151, 254, 255])
    fractions = np.uint32([0, 1, (1 << 23) - 2, (1 << 23) - 1])
    codes = (exponents[:, None] << np.uint32(23) | fractions).ravel()
    return np.concatenate([codes, codes | _SIGN])


def _ragged(rng: np.random.Generator, count: int) -> np.ndarray:
    """Any exponent, with a fraction that is dense, has a run of zeros or ones at its end, or few bits at its start."""
    code = random_codes(rng, Format.FP32, count)
    tail = (np.uint32(1) << rng.integers(0, 24, count).astype(np.uint32)) - np.uint32(1)
    return np.choose(rng.integers(0, 3, count), [code, code & ~tail, code | tail])


def _fma(_: Fma, rng: np.random.Generator, first: int, count: int) -> list[np.ndarray]:
    """By i mod 9: the grid of corners; the grid with one operand drawn anew (three kinds); all drawn; cancellation of product and c;
    near ties; around the subnormals; any codes."""
    index = np.arange(first, first + count)
    corner = fma_corners()
    triple = index // 9 * _STRIDE % len(corner) ** 3
    grid = [corner[triple // len(corner) ** power % len(corner)] for power in range(3)]
    kind = index % 9
    result = [np.where((kind == 1 + place) | (kind == 4), _ragged(rng, count), grid[place]) for place in range(3)]
    for number, draw in ((5, _cancelling), (6, _near_ties), (7, _around_subnormals)):
        chosen = kind == number
        for column, values in zip(result, draw(rng, np.count_nonzero(chosen)), strict=True):
            column[chosen] = values
    chosen = kind == 8
    for column in result:
        column[chosen] = random_codes(rng, Format.FP32, np.count_nonzero(chosen))
    return result


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """FP32 near a * b: an operand, so its rounding is of no account."""
    with np.errstate(all="ignore"):
        return (a.view(np.float32) * b.view(np.float32)).view(np.uint32)


def _cancelling(rng, count):
    """c lies within a few units in the last place of -(a * b)."""
    a, b = _ragged(rng, count), centred(rng, Format.FP32, count, 40)
    near = _product(a, b) ^ _SIGN
    return a, b, near + rng.integers(-3, 4, count).astype(np.uint32)


def _near_ties(rng, count):
    """Products of few bits, and an addend that a tie of the 24-bit result is decided by: its last bits, a tiny or a distant number."""
    a = centred(rng, Format.FP32, count, 3) & np.uint32(0xFFFFF800)
    b = centred(rng, Format.FP32, count, 3) & np.uint32(0xFFFFF000)
    addends = [
        centred(rng, Format.FP32, count, 3) & np.uint32(0xFFFFFF00), centred(rng, Format.FP32, count, 24, -70),
        centred(rng, Format.FP32, count, 26) & np.uint32(0xFF800000),
    ]
    return a, b, np.choose(rng.integers(0, 3, count), addends)


def _around_subnormals(rng, count):
    """Products and sums around 2^-126 and 2^-149."""
    a, b = centred(rng, Format.FP32, count, 3, -70), centred(rng, Format.FP32, count, 14, -66)
    coarse = rng.integers(0, 2, count) == 0
    few = np.uint32(0xFFFF0000)
    c = rng.integers(0, 1 << 25, count).astype(np.uint32) | rng.integers(0, 2, count).astype(np.uint32) << np.uint32(31)
    return np.where(coarse, a & few, a), np.where(coarse, b & few, b), c


def _dot(operation: Dot, rng: np.random.Generator, _: int, count: int) -> list[np.ndarray]:
    """Floating point: half with exponents within 14 of zero, half of all classes. INT8: random codes with many extremes."""
    format, shape = operation.format, (count, 2 * operation.lanes)
    if format not in FLOATS:
        codes = np.where(rng.random(shape) < 0.2, rng.choice(np.uint8([0, 1, 0x7F, 0x80, 0xFF]), shape), rng.integers(0, 256, shape))
        edges = np.uint32([0, 0x7FFFFFFF, 0x80000000, 0x7FFF0000, 0x8000FFFF, 0xFFFFFFFF])
        c = np.where(rng.random(count) < 0.2, rng.choice(edges, count), random_codes(rng, Format.FP32, count))
        return [*codes.T, c]
    plain = rng.integers(0, 2, count) == 0
    codes = np.where(plain[:, None], centred(rng, format, shape, 14), mixed(rng, format, shape))
    return [*codes.T, np.where(plain, centred(rng, Format.FP32, count, 14), mixed(rng, Format.FP32, count))]


def _integers(rng: np.random.Generator, count: int) -> np.ndarray:
    """INT32 of all magnitudes."""
    return rng.integers(-(1 << 31), 1 << 31, count) >> rng.integers(0, 31, count) & 0xFFFFFFFF


def _convert(operation: Convert, rng: np.random.Generator, _: int, count: int) -> list[np.ndarray]:
    """Floating point: all classes, ties of narrower formats, the range of integers and of FP16. Integers: all magnitudes."""
    source = operation.source
    if source is Format.INT32:
        return [_integers(rng, count)]
    if source is Format.INT8:
        return [rng.integers(0, 256, count)]
    wide = mixed(rng, source, count)
    if source is Format.FP32:
        place = np.choose(rng.integers(0, 2, count), [np.uint32(13), np.uint32(16)])
        tie = _ragged(rng, count) >> place << place | np.uint32(1) << (place - np.uint32(1))
        few = centred(rng, source, count, 4, -18) & np.uint32(0xFFFFF000)
        return [np.choose(rng.integers(0, 4, count), [wide, tie, few, centred(rng, source, count, 32)])]
    return [np.where(rng.integers(0, 2, count) == 0, wide, random_codes(rng, source, count))]


def _requantise(operation: Requantise, rng: np.random.Generator, _: int, count: int) -> list[np.ndarray]:
    """Accumulators of all magnitudes; multipliers as TFLite makes them and any; shifts near those that matter and any."""
    acc, zero = _integers(rng, count), rng.integers(0, 256, count)
    if operation.rule == "onnx":
        usual = np.abs(rng.normal(0, 0.02, count)).astype(np.float32).view(np.uint32)
        return [acc, np.where(rng.random(count) < 0.8, usual, mixed(rng, Format.FP32, count)), zero]
    multiplier = np.where(rng.random(count) < 0.7, rng.integers(1 << 30, 1 << 31, count), rng.integers(0, 1 << 32, count))
    shift = np.where(rng.random(count) < 0.8, rng.integers(-24, 4, count), rng.integers(-128, 128, count))
    return [acc, multiplier, shift & 0xFF, zero]
