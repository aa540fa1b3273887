"""The operation of a processing element: golden model against exact Python integers."""

import numpy as np
import pytest

from rtl.formats import Format
from sim.golden.dot import dot, overflow
from verif.numerics import exact
from verif.numerics.operands import centred, corners, cross, mixed, random_codes

FOUR = (Format.TF32, Format.FP16, Format.BF16)
MODES = ((40, False), (23, True), (24, True), (25, True))
ONE = {Format.TF32: 0x3F800000, Format.FP16: 0x3C00, Format.BF16: 0x3F80}
NEGATIVE = {Format.TF32: 0x80000000, Format.FP16: 0x8000, Format.BF16: 0x8000}
TYPES = {Format.TF32: np.uint32, Format.FP16: np.uint16, Format.BF16: np.uint16}
by_name = pytest.mark.parametrize("format", FOUR, ids=lambda f: f.name)


def compare(format: Format, a, b, c, valid=None, align: int = 40, toward_zero: bool = False) -> None:
    result = dot(format, a, b, c, valid, align, toward_zero)
    assert result.dtype == np.uint32
    for index, (x, y, z, got) in enumerate(zip(a.tolist(), b.tolist(), c.tolist(), result.tolist(), strict=True)):
        if valid is not None:
            x, y = ([v for v, take in zip(codes, valid[index], strict=True) if take] for codes in (x, y))
        want = exact.dot(format, x, y, z, align, toward_zero)
        assert got == want, f"{[hex(v) for v in (*x, *y, z)]}: {got:08x}, not {want:08x}"


def cancelling(rng: np.random.Generator, format: Format, count: int) -> list[np.ndarray]:
    """Two products cancel all but the last bits, so that what was truncated beside them shows."""
    a, b = centred(rng, format, (count, 4), 12), centred(rng, format, (count, 4), 12)
    a[:, 1], b[:, 1] = a[:, 0] ^ NEGATIVE[format], b[:, 0] ^ rng.integers(0, 2, count).astype(a.dtype)
    order = rng.permuted(np.tile(np.arange(4), (count, 1)), axis=1)
    return [np.take_along_axis(a, order, 1), np.take_along_axis(b, order, 1), centred(rng, Format.FP32, count, 24)]


def window(rng: np.random.Generator, format: Format, count: int, align: int) -> list[np.ndarray]:
    """One large term and small ones whose bits straddle the lower end of the alignment window."""
    spread = 12 if format is Format.FP16 else 3
    low = 0 if format is Format.FP16 else -(align // 2)
    a, b = (centred(rng, format, (count, 4), spread, low) for _ in range(2))
    c = centred(rng, Format.FP32, count, 4, 12 if format is Format.FP16 else 0)
    large = rng.integers(0, 2, count) == 0
    c[large] = centred(rng, Format.FP32, int(large.sum()), 4, -align)
    a[large, 0], b[large, 0] = ONE[format], ONE[format]
    return [a, b, c]


def ties(rng: np.random.Generator, format: Format, count: int) -> list[np.ndarray]:
    """c of 24 bits, and powers of two at and around half its last place."""
    a, b = (np.full((count, 4), ONE[format]) for _ in range(2))
    step = {Format.TF32: 1 << 23, Format.FP16: 1 << 10, Format.BF16: 1 << 7}[format]
    sign = NEGATIVE[format] * rng.integers(0, 2, (count, 4))
    a = (a - step * rng.integers(8, 15, (count, 4))) | sign
    b = b - step * rng.integers(8, 15, (count, 4))
    return [a.astype(TYPES[format]), b.astype(TYPES[format]), centred(rng, Format.FP32, count, 4)]


def any_class(rng: np.random.Generator, format: Format, count: int) -> list[np.ndarray]:
    return [mixed(rng, format, (count, 4)), mixed(rng, format, (count, 4)), mixed(rng, Format.FP32, count)]


def spread(rng: np.random.Generator, format: Format, count: int) -> list[np.ndarray]:
    return [centred(rng, format, (count, 4), 14), centred(rng, format, (count, 4), 14), centred(rng, Format.FP32, count, 28)]


def tiny(rng: np.random.Generator, format: Format, count: int) -> list[np.ndarray]:
    """Subnormal accumulators, and products (of subnormals in FP16) around the smallest one where the format reaches it."""
    a, b = (centred(rng, format, (count, 4), 6, -15 if format is Format.FP16 else -75) for _ in range(2))
    c = rng.integers(0, 2, count) << 31 | rng.integers(0, 1 << 24, count) >> rng.integers(0, 24, count)
    return [a, b, c.astype(np.uint32)]


DRAWS = {"any_class": any_class, "spread": spread, "cancelling": cancelling, "ties": ties, "tiny": tiny}


@by_name
@pytest.mark.parametrize(("align", "toward_zero"), MODES)
@pytest.mark.parametrize("kind", ("any_class", "spread", "cancelling", "window", "ties", "tiny"))
def test_random(format, align, toward_zero, kind, seed):
    rng = np.random.default_rng(seed)
    operands = window(rng, format, 1500, align) if kind == "window" else DRAWS[kind](rng, format, 1500)
    compare(format, *operands, align=align, toward_zero=toward_zero)


@by_name
@pytest.mark.parametrize(("align", "toward_zero"), MODES)
def test_all_pairs_of_corners(format, align, toward_zero, seed):
    """Every pair of classes as one product, among zeros or finite corners, with every class of accumulator."""
    rng = np.random.default_rng(seed)
    codes = corners(format)
    finite = codes[:28]
    x, y = cross(codes, codes)
    lane = rng.integers(0, 4, x.size)
    for others in (codes[:1], finite):
        a, b = rng.choice(others, (x.size, 4)), rng.choice(others, (x.size, 4))
        a[np.arange(x.size), lane], b[np.arange(x.size), lane] = x, y
        compare(format, a, b, rng.choice(corners(Format.FP32), x.size), align=align, toward_zero=toward_zero)


@by_name
@pytest.mark.parametrize("align", (23, 30, 48))
def test_other_widths(format, align, seed):
    """Both ends of the parameter, with the largest significands: the sum of five terms just fits."""
    rng = np.random.default_rng(seed)
    compare(format, *window(rng, format, 500, align), align=align)
    full = {Format.TF32: 0x7F7FE000, Format.FP16: 0x7BFF, Format.BF16: 0x7F7F}[format]
    half = {Format.TF32: 0x3FFFE000, Format.FP16: 0x3FFF, Format.BF16: 0x3FFF}[format]
    for code in (full, half):
        for c in (0x3FFFFFFF, 0xBFFFFFFF, 0x7F7FFFFF, 0xFF7FFFFF):
            a = np.full((1, 4), code, TYPES[format])
            compare(format, a, np.full_like(a, half), np.uint32([c]), align=align)
            compare(format, a, np.full_like(a, half), np.uint32([c]), align=align, toward_zero=True)


@by_name
def test_zeros_keep_the_sign_rule(format):
    zero, minus = 0, NEGATIVE[format]
    for signs in range(512):
        a = np.array([[minus if signs >> lane & 1 else zero for lane in range(4)]], TYPES[format])
        b = np.array([[ONE[format] | (minus if signs >> (4 + lane) & 1 else zero) for lane in range(4)]], TYPES[format])
        compare(format, a, b, np.uint32([0x80000000 if signs >> 8 else 0]))


@by_name
def test_lanes_that_take_no_part(format, seed):
    """They are no zeros: -0 stays -0 beside them, and their infinities and NaNs don't count."""
    rng = np.random.default_rng(seed)
    count = 1500
    valid = rng.integers(0, 2, (count, 4)).astype(bool)
    valid[~valid.any(axis=1), 0] = True
    zeros = rng.integers(0, 3, (count, 4)) == 0
    a = np.where(zeros, rng.choice(corners(format)[:2], (count, 4)), mixed(rng, format, (count, 4)))
    a[: count // 3] = rng.choice(corners(format)[:2], (count // 3, 4))
    b = mixed(rng, format, (count, 4))
    c = np.where(rng.integers(0, 2, count), mixed(rng, Format.FP32, count), np.uint32(0x80000000))
    compare(format, a, b, c, valid)
    ones = np.full((1, 4), ONE[format], TYPES[format])
    minus = np.full((1, 4), NEGATIVE[format], TYPES[format])
    assert dot(format, minus, ones, np.uint32([0x80000000]), np.array([[1, 0, 0, 0]], bool)) == 0x80000000
    assert dot(format, minus * 0, ones, np.uint32([0x80000000]), np.array([[1, 0, 0, 0]], bool)) == 0


@by_name
def test_order_does_not_matter(format, seed):
    rng = np.random.default_rng(seed)
    a, b, c = mixed(rng, format, (4000, 4)), mixed(rng, format, (4000, 4)), mixed(rng, Format.FP32, 4000)
    for _ in range(4):
        order = rng.permutation(4)
        assert np.array_equal(dot(format, a, b, c), dot(format, a[:, order], b[:, order], c))


def test_directed():
    """Cases known from the literature on the units that the compatibility mode stands for, and a window's edge."""

    def one(format, a, b, c, **options):
        kind = TYPES[format]
        return int(dot(format, np.array([a], kind), np.array([b], kind), np.uint32([c]), **options)[0])

    tiny = [0x0C00] * 4  # 2^-12; the products are 2^-24
    sums = {23: 0x3F800000, 24: 0x3F800002, 25: 0x3F800002, 40: 0x3F800002}
    for align, expected in sums.items():
        assert one(Format.FP16, tiny, tiny, 0x3F800000, align=align, toward_zero=align < 40) == expected
    half = [0x0C00, 0, 0, 0]  # one product of 2^-24: a tie that goes to even, or is cut
    assert one(Format.FP16, half, half, 0x3F800001) == 0x3F800002
    assert one(Format.FP16, half, half, 0x3F800001, align=25, toward_zero=True) == 0x3F800001
    # 1 - 1 + x shows what is cut from x: nothing of 2^-40, all of 2^-41 (in magnitude, so of -2^-41 too), with F = 40.
    ones = [0x3F80, 0x3F80, 0x3F80, 0]
    assert one(Format.BF16, [0x3F80, 0xBF80, 0x2B80, 0], ones, 0) == 0x2B800000
    assert one(Format.BF16, [0x3F80, 0xBF80, 0x2B00, 0], ones, 0) == 0
    assert one(Format.BF16, [0x3F80, 0xBF80, 0xAB00, 0], ones, 0) == 0
    assert one(Format.BF16, [0x3F80, 0xBF80, 0x2B00, 0], ones, 0, align=41) == 0x2B000000
    # Toward zero, overflow gives the largest finite number; an infinite operand still gives an infinity.
    big = [0x7F7F, 0x7F7F, 0, 0]
    assert one(Format.BF16, big, big, 0, align=24, toward_zero=True) == 0x7F7FFFFF
    assert one(Format.BF16, big, big, 0) == 0x7F800000
    assert one(Format.BF16, [0x7F80, 0, 0, 0], [0xBF80, 0, 0, 0], 0, align=24, toward_zero=True) == 0xFF800000
    # TF32 operands: the low 13 bits are no NaN payload.
    assert one(Format.TF32, [0x7F800001, 0, 0, 0], [0x3F801FFF, 0, 0, 0], 0) == 0x7F800000


def differing(seed: int, align: int, count: int) -> float:
    """Share of random operations, exponents within 14 of 0, that differ from the correctly rounded sum."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for format in FOUR:
        a, b = (centred(rng, format, (count, 4), 14) for _ in range(2))
        c = centred(rng, Format.FP32, count, 14)
        result = dot(format, a, b, c, align=align).tolist()
        rows = zip(a.tolist(), b.tolist(), c.tolist(), result, strict=True)
        wrong += sum(exact.correctly_rounded(format, x, y, z) != got for x, y, z, got in rows)
    return wrong / (3 * count)


def test_rarely_differs_from_correct_rounding(seed):
    assert differing(seed, 40, 30_000) < 0.0002
    assert 0.001 < differing(seed, 30, 3_000) < 0.012


@pytest.mark.parametrize("unsigned_a", (False, True))
@pytest.mark.parametrize("lanes", (8, 4))
def test_int8(lanes, unsigned_a, seed):
    rng = np.random.default_rng(seed)
    count = 4000
    extremes = np.uint8([0, 1, 0x7F, 0x80, 0x81, 0xFF])
    a, b = (np.where(rng.integers(0, 2, (count, lanes)), rng.choice(extremes, (count, lanes)),
                     rng.integers(0, 256, (count, lanes))).astype(np.uint8) for _ in range(2))  # fmt: skip
    a[: count // 2], b[: count // 2] = a[: count // 2, :1], b[: count // 2, :1]
    edge = rng.choice(np.uint32([0x7FFFFFFF, 0x80000000]), count) + rng.integers(-300_000, 300_000, count).astype(np.uint32)
    c = np.where(rng.integers(0, 2, count), edge, random_codes(rng, Format.FP32, count)).astype(np.uint32)
    valid = rng.integers(0, 4, (count, lanes)) > 0
    for mask in (None, valid):
        result = dot(Format.INT8, a, b, c, mask, unsigned_a=unsigned_a)
        flags = overflow(a, b, c, mask, unsigned_a)
        assert 0 < flags.sum() < count
        if unsigned_a:
            assert np.array_equal(result, dot(Format.UINT8, a, b, c, mask))
        take = np.ones((count, lanes), bool) if mask is None else mask
        for x, y, z, used, got, flag in zip(a.tolist(), b.tolist(), c.tolist(), take, result.tolist(), flags, strict=True):
            total = z - (z >> 31 << 32)
            for p, q, on in zip(x, y, used, strict=True):
                total += on * (p - (0 if unsigned_a else p >> 7 << 8)) * (q - (q >> 7 << 8))
            assert got == total % 2**32
            assert flag == (not -(2**31) <= total < 2**31)


def test_fp32_is_one_fused_multiply_add(seed):
    rng = np.random.default_rng(seed)
    a, b, c = (mixed(rng, Format.FP32, shape) for shape in ((2000, 1), (2000, 1), 2000))
    for x, y, z, got in zip(a[:, 0].tolist(), b[:, 0].tolist(), c.tolist(), dot(Format.FP32, a, b, c).tolist(), strict=True):
        assert got == exact.fma(x, y, z)


def test_bad_parameters_are_refused():
    a = np.zeros((1, 4), np.uint16)
    with pytest.raises(ValueError, match=r"^align: 49 is not in 23 to 48$"):
        dot(Format.FP16, a, a, np.uint32([0]), align=49)
    with pytest.raises(ValueError, match=r"^lanes: 5 is not in 1 to 4 for a floating-point dot product$"):
        dot(Format.FP16, np.zeros((1, 5), np.uint16), np.zeros((1, 5), np.uint16), np.uint32([0]))
    with pytest.raises(ValueError, match=r"^lanes: FP32 has one, not 4$"):
        dot(Format.FP32, np.zeros((1, 4), np.uint32), np.zeros((1, 4), np.uint32), np.uint32([0]))


@pytest.mark.long
@by_name
def test_long(format, seed):
    rng = np.random.default_rng(seed)
    count = 100_000
    for align, toward_zero in MODES:
        for draw in DRAWS.values():
            compare(format, *draw(rng, format, count), align=align, toward_zero=toward_zero)
        compare(format, *window(rng, format, count, align), align=align, toward_zero=toward_zero)


@pytest.mark.long
def test_share_of_differences_long(seed):
    assert differing(seed, 40, 500_000) < 0.0002
