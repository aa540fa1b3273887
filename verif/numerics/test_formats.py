"""Conversions: golden model against exact fractions, numpy and ml_dtypes."""

import ml_dtypes
import numpy as np
import pytest

from rtl.formats import Format
from sim.golden.formats import NO_EXPONENT, Kind, classify, convert, decode, dtype_of, exponent_of
from verif.numerics import exact
from verif.numerics.operands import centred, corners, mixed, random_codes

FLOATS = (Format.FP32, Format.TF32, Format.FP16, Format.BF16)
INTEGERS = (Format.INT8, Format.UINT8, Format.INT32)
ALL = FLOATS + INTEGERS
NAN = 0x7FC00000


def operands(format: Format, rng: np.random.Generator, count: int) -> np.ndarray:
    """All codes of 8 bits; else corners and random codes, with integers and halves for the conversion to integers."""
    if format in (Format.INT8, Format.UINT8):
        return np.arange(256, dtype=np.uint8)
    if format is Format.INT32:
        powers = np.concatenate([(1 << np.arange(32)) + offset for offset in (-3, -1, 0, 1, 3)])
        few = rng.integers(0, 512, count) << rng.integers(0, 24, count)
        return np.concatenate([powers, -powers, few, -few, rng.integers(-300, 300, count)]).astype(np.uint32)
    halves = (np.arange(-1100, 1100) / 4).astype(np.float32)
    ties = convert(halves.view(np.uint32), Format.FP32, format)
    return np.concatenate([corners(format), ties, mixed(rng, format, count), centred(rng, format, count, 34)])


@pytest.mark.parametrize("target", ALL, ids=lambda f: f.name)
@pytest.mark.parametrize("source", ALL, ids=lambda f: f.name)
def test_every_pair_is_the_exact_value_rounded_once(source, target, seed):
    codes = operands(source, np.random.default_rng(seed), 600)
    result = convert(codes, source, target)
    assert result.dtype == dtype_of(target)
    for code, got in zip(codes.tolist(), result.tolist(), strict=True):
        assert got == exact.convert(code, source, target), f"{code:x}: {got:x}"


def peer(source: Format, bits: np.ndarray) -> np.ndarray:
    kind = {Format.FP16: np.float16, Format.BF16: ml_dtypes.bfloat16, Format.FP32: np.float32}[source]
    return bits.view(kind)


@pytest.mark.parametrize("source", (Format.FP16, Format.BF16), ids=lambda f: f.name)
def test_every_16_bit_code_widens_as_in_numpy(source):
    codes = np.arange(65536).astype(np.uint16)
    value = peer(source, codes)
    with np.errstate(invalid="ignore"):
        value = value.astype(np.float32)
    wide = np.where(np.isnan(value), np.uint32(NAN), value.view(np.uint32))
    assert np.array_equal(convert(codes, source, Format.FP32), wide)
    back = convert(wide, Format.FP32, source)
    assert np.array_equal(back, np.where(np.isnan(value), back[0x7FFF], codes))
    assert back[0x7FFF] == {Format.FP16: 0x7E00, Format.BF16: 0x7FC0}[source]


@pytest.mark.parametrize("target", (Format.FP16, Format.BF16), ids=lambda f: f.name)
def test_narrowing_as_in_numpy(target, seed):
    rng = np.random.default_rng(seed)
    # Every 16-bit neighbourhood of FP16 and BF16 values: the middle, and one to either side of it.
    middles = (np.arange(65536, dtype=np.uint32) << 16)[:, None] + np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    codes = np.concatenate([middles.ravel(), random_codes(rng, Format.FP32, 1 << 19), centred(rng, Format.FP32, 1 << 19, 26)])
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = codes.view(np.float32).astype({Format.FP16: np.float16, Format.BF16: ml_dtypes.bfloat16}[target])
    nan = {Format.FP16: 0x7E00, Format.BF16: 0x7FC0}[target]
    expected = np.where(np.isnan(codes.view(np.float32)), nan, narrow.view(np.uint16))
    assert np.array_equal(convert(codes, Format.FP32, target), expected)


@pytest.mark.parametrize("target", FLOATS, ids=lambda f: f.name)
@pytest.mark.parametrize("source", INTEGERS, ids=lambda f: f.name)
def test_integers_never_round_twice(source, target, seed):
    """INT32 to a 16-bit format through FP32 would: 2^24 + 2^16 + 1 lies above a tie of BF16, its FP32 neighbour on it."""
    codes = operands(source, np.random.default_rng(seed), 2000)
    value = codes.view({Format.INT8: np.int8, Format.UINT8: np.uint8, Format.INT32: np.int32}[source])
    if target is Format.FP32:
        assert np.array_equal(convert(codes, source, target), value.astype(np.float32).view(np.uint32))
    if source is Format.INT32 and target is Format.BF16:
        assert convert(np.uint32([0x01010001]), source, target)[0] == 0x4B81
    for code, got in zip(codes[:400].tolist(), convert(codes, source, target)[:400].tolist(), strict=True):
        assert got == exact.convert(code, source, target)


def test_directed_codes():
    def one(code, source, target):
        return int(convert(np.array([code], dtype_of(source)), source, target)[0])

    assert one(0x7F800001, Format.TF32, Format.FP32) == 0x7F800000  # the low bits go before the value is classified
    assert one(0x7F800001, Format.FP32, Format.TF32) == NAN
    assert one(0xFF802000, Format.TF32, Format.FP32) == NAN
    assert one(0x3F801000, Format.FP32, Format.TF32) == 0x3F800000  # ties to even
    assert one(0x3F803000, Format.FP32, Format.TF32) == 0x3F804000
    assert one(0x7F7FFFFF, Format.FP32, Format.TF32) == 0x7F800000
    assert one(0x477FEFFF, Format.FP32, Format.FP16) == 0x7BFF
    assert one(0x477FF000, Format.FP32, Format.FP16) == 0x7C00
    assert one(0x33000000, Format.FP32, Format.FP16) == 0x0000  # half the smallest subnormal
    assert one(0x33000001, Format.FP32, Format.FP16) == 0x0001
    assert one(0xB3000000, Format.FP32, Format.FP16) == 0x8000
    assert one(0x7FC00000, Format.FP32, Format.INT8) == 0
    assert one(0xFF800000, Format.FP32, Format.INT32) == 0x80000000
    assert one(0x4F000000, Format.FP32, Format.INT32) == 0x7FFFFFFF
    assert one(0x3F000000, Format.FP32, Format.INT8) == 0
    assert one(0x3FC00000, Format.FP32, Format.INT8) == 2
    assert one(0xBF800000, Format.FP32, Format.UINT8) == 0
    assert one(0xFFFFFFFF, Format.INT32, Format.UINT8) == 0
    assert one(0xFF, Format.UINT8, Format.INT8) == 0x7F
    assert one(0x80, Format.INT8, Format.INT32) == 0xFFFFFF80


@pytest.mark.parametrize("format", FLOATS, ids=lambda f: f.name)
def test_classes_exponents_and_values(format, seed):
    codes = np.concatenate([corners(format), mixed(np.random.default_rng(seed), format, 1000)])
    kinds, exponents, values = classify(codes, format), exponent_of(codes, format), decode(codes, format)
    fraction = {Format.FP32: 23, Format.TF32: 10, Format.FP16: 10, Format.BF16: 7}[format]
    for code, kind, exponent, value in zip(codes.tolist(), kinds.tolist(), exponents.tolist(), values.tolist(), strict=True):
        number = exact.parse(code, format)
        if number.kind != "finite":
            assert kind == (Kind.NAN if number.kind == "nan" else Kind.INFINITE)
            assert np.isnan(value) if number.kind == "nan" else value == (-1) ** number.sign * np.inf
        elif number.significand == 0:
            assert (kind, exponent) == (Kind.ZERO, NO_EXPONENT)
            assert value == 0 and np.signbit(value) == number.sign
        else:
            assert kind == (Kind.NORMAL if number.significand >> fraction else Kind.SUBNORMAL)
            assert exponent == number.exponent + fraction
            assert value == number.value


def test_codes_of_the_wrong_type_are_refused():
    with pytest.raises(TypeError, match="codes of FP16 are uint16, not uint32"):
        convert(np.zeros(3, np.uint32), Format.FP16, Format.FP32)
