"""FP32 operations of the golden model against MPFR (gmpy2) and exact integers."""

import struct

import gmpy2
import numpy as np
import pytest

from rtl.formats import Format
from sim.golden import float32
from verif.numerics import exact, mpfr
from verif.numerics.operands import centred, corners, cross, mixed

NAN = 0x7FC00000


def compare(operation: str, *operands: np.ndarray) -> None:
    result = getattr(float32, operation)(*operands)
    assert result.dtype == np.uint32
    for *codes, got in zip(*(array.tolist() for array in operands), result.tolist(), strict=True):
        expected = mpfr.operate(operation, *codes)
        assert got == expected, f"{operation} {' '.join(f'{code:08x}' for code in codes)}: {got:08x}, not {expected:08x}"


def near_ties(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """fma operands whose sum lies on, or just beside, a tie of the 24-bit result: few product bits and a distant, tiny or equal c."""
    a, b, c = (centred(rng, Format.FP32, count, 3) for _ in range(3))
    a &= np.uint32(0xFFFFF800)
    b &= np.uint32(0xFFFFF000)
    kind = rng.integers(0, 4, count)
    tiny = centred(rng, Format.FP32, count, 24, -70)
    product = float32.mul(a, b) ^ np.uint32(0x80000000)
    power = (centred(rng, Format.FP32, count, 26)) & np.uint32(0xFF800000)
    return [a, b, np.choose(kind, [c & np.uint32(0xFFFFFF00), tiny, product, power])]


def around_subnormals(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Products and sums around 2^-126 and 2^-149."""
    a = centred(rng, Format.FP32, count, 3, -70)
    b = centred(rng, Format.FP32, count, 14, -66)
    c = rng.integers(0, 1 << 25, count).astype(np.uint32) | rng.integers(0, 2, count).astype(np.uint32) << 31
    few = np.uint32(0xFFFF0000)
    coarse = rng.integers(0, 2, count) == 0
    return [np.where(coarse, a & few, a), np.where(coarse, b & few, b), c]


def any_class(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    return [mixed(rng, Format.FP32, count) for _ in range(3)]


def test_fma_on_all_corner_triples():
    codes = corners(Format.FP32)
    compare("fma", *cross(codes, codes, codes[::2]))


@pytest.mark.parametrize("kind", ("mixed", "near_ties", "around_subnormals"))
def test_fma_random(kind, seed):
    rng = np.random.default_rng(seed)
    count = 30_000
    draw = {"near_ties": near_ties, "around_subnormals": around_subnormals}.get(kind, any_class)
    compare("fma", *draw(rng, count))


def test_fma_where_two_roundings_differ():
    """The binary64 sum lies midway between two FP32 values and the exact sum beside it, on either side."""

    def code(value: float) -> int:
        return struct.unpack("<I", struct.pack("<f", value))[0]

    unit = 2.0**-23
    below = (2.0**-24 * (1 + unit), 1 - unit)  # 2^-24 - 2^-70
    above = (2.0**-24 * (1 + 2896 * unit), 1 - 2895 * unit)  # 2^-24 + 4688 * 2^-70
    even, odd = (1 + 2.0**-12, 1 + 2.0**-12), (1 + 2.0**-12, 1 + 3 * 2.0**-12)  # ties: 1 + 2^-11 + 2^-24, 1 + 2^-10 + 3 * 2^-24
    cases = [
        (below, 1 + unit, 1 + unit),
        (above, 1.0, 1 + unit),
        (even, 2.0**-90, 1 + 2.0**-11 + unit),
        (even, 0.0, 1 + 2.0**-11),
        (even, -(2.0**-90), 1 + 2.0**-11),
        (odd, 2.0**-90, 1 + 2.0**-10 + 2 * unit),
        (odd, 0.0, 1 + 2.0**-10 + 2 * unit),
        (odd, -(2.0**-90), 1 + 2.0**-10 + unit),
    ]
    for (a, b), c, expected in cases:
        for sign in (1, -1):
            operands = [np.uint32([code(value)]) for value in (sign * a, b, sign * c)]
            assert float32.fma(*operands)[0] == code(sign * expected), (a, b, c, sign)
            compare("fma", *operands)


def test_fma_against_exact_integers(seed):
    rng = np.random.default_rng(seed)
    parts = [near_ties(rng, 3000), around_subnormals(rng, 3000), any_class(rng, 3000)]
    a, b, c = (np.concatenate(codes) for codes in zip(*parts, strict=True))
    for x, y, z, got in zip(a.tolist(), b.tolist(), c.tolist(), float32.fma(a, b, c).tolist(), strict=True):
        assert got == exact.fma(x, y, z), f"{x:08x} {y:08x} {z:08x}"


@pytest.mark.parametrize("operation", ("add", "sub", "mul"))
def test_two_operands(operation, seed):
    rng = np.random.default_rng(seed)
    codes = corners(Format.FP32)
    compare(operation, *cross(codes, codes))
    compare(operation, mixed(rng, Format.FP32, 20_000), mixed(rng, Format.FP32, 20_000))
    a, b, c = around_subnormals(rng, 10_000)
    compare(operation, *((a, b) if operation == "mul" else (c, c[::-1])))


def test_maximum_and_minimum(seed):
    codes = np.concatenate([corners(Format.FP32), mixed(np.random.default_rng(seed), Format.FP32, 150)])
    a, b = cross(codes, codes)
    greater, lesser = float32.maximum(a, b).tolist(), float32.minimum(a, b).tolist()
    for x, y, high, low in zip(a.tolist(), b.tolist(), greater, lesser, strict=True):
        p, q = mpfr.number(x), mpfr.number(y)
        if gmpy2.is_nan(p) or gmpy2.is_nan(q):
            assert (high, low) == (NAN, NAN)
        else:
            x_first = p < q or (p == q and x >> 31 >= y >> 31)
            assert (low, high) == ((x, y) if x_first else (y, x))


def test_shapes_broadcast():
    a, b = np.full((3, 1), 0x3F800000, np.uint32), np.full((1, 4), 0x40000000, np.uint32)
    assert np.array_equal(float32.fma(a, b, np.uint32(0x3F800000)), np.full((3, 4), 0x40400000))
    assert float32.add(np.uint32(0x3F800000), np.uint32(0x3F800000)) == 0x40000000


@pytest.mark.long
def test_fma_long(seed):
    rng = np.random.default_rng(seed)
    codes = corners(Format.FP32)
    compare("fma", *cross(codes, codes, codes))
    for _ in range(10):
        for draw in (any_class, near_ties, around_subnormals):
            compare("fma", *draw(rng, 200_000))
