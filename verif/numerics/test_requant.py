"""Requantisation: golden model against exact integers and fractions, and the properties that define the three roundings."""

from fractions import Fraction

import gmpy2
import numpy as np
import pytest

from sim.golden import requant
from sim.golden.requant import finish, requantise_double, requantise_onnx, requantise_single
from verif.numerics import exact

LOW, HIGH = -(2**31), 2**31 - 1
EDGES = np.array([LOW, LOW + 1, -(2**30) - 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30 - 1, 2**30, 2**30 + 1, HIGH - 1, HIGH])


def operands(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """acc and multiplier of every magnitude; shifts as a model has them, and every 8-bit shift. All edges against all edges first."""
    acc, multiplier, shift = (grid.ravel() for grid in np.meshgrid(EDGES, EDGES, np.arange(-128, 128, 5), indexing="ij"))
    whole = rng.integers(LOW, HIGH, (2, count), endpoint=True)
    usual = rng.integers(0, 4, count) > 0
    columns = [
        np.concatenate([acc, whole[0] >> rng.integers(0, 32, count)]),
        np.concatenate([multiplier, np.where(usual, rng.integers(2**30, 2**31, count), whole[1])]),
        np.concatenate([shift, np.where(usual, rng.integers(-12, 3, count), rng.integers(-128, 128, count))]),
    ]
    return [column.astype(kind) for column, kind in zip(columns, (np.int32, np.int32, np.int8), strict=True)]


@pytest.mark.parametrize("name", ("requantise_double", "requantise_single"))
def test_against_exact_integers(name, seed):
    golden, referee = getattr(requant, name), getattr(exact, name)
    columns = operands(np.random.default_rng(seed), 30_000)
    result = golden(*columns)
    assert result.dtype == np.int32
    for acc, multiplier, shift, got in zip(*(column.tolist() for column in columns), result.tolist(), strict=True):
        assert got == referee(acc, multiplier, shift), (acc, multiplier, shift)


def test_known_values_of_the_double_rounding():
    half = 1 << 30
    assert requantise_double(LOW, LOW, 0) == HIGH  # the one product that doesn't fit
    assert requantise_double(1, half, 0) == 1  # 0.5: a tie of the high multiply goes up
    assert requantise_double(-1, half, 0) == 0  # -0.5
    # Twice the value times one half is the value, so the right shift's own ties show.
    acc = np.arange(-64, 65)
    for shift in range(1, 5):
        high = requantise_double(acc * 2, half, 0)
        assert np.array_equal(high, acc)
        away = [int(gmpy2.rint_round(gmpy2.mpfr(int(value)) / 2**shift)) for value in acc]
        assert requantise_double(acc * 2, half, -shift).tolist() == away
    # Two roundings differ from one: 0.5 * 2^-1 + a little.
    assert requantise_double(3, half, -1) == 1 and requantise_single(3, half, -1) == 1
    assert requantise_double(1, half, -1) == 1 and requantise_single(1, half, -1) == 0
    # The left shift saturates before the multiplication.
    assert requantise_double(2**24, 2**30, 8) == 2**30  # (2^31 - 1) / 2, a tie
    assert requantise_double(-(2**24), 2**30, 8) == -(2**30)


def test_known_values_of_the_single_rounding():
    half = 1 << 30
    assert requantise_single(1, half, 0) == 1  # ties go up
    assert requantise_single(-1, half, 0) == 0
    assert requantise_single(-3, half, 0) == -1
    # Beyond int32 the low 32 bits are left.
    assert requantise_single(HIGH, HIGH, 30) == LOW + 1  # 2^61 - 2^31 + 1
    assert requantise_single(3 << 24, HIGH, 7) == HIGH - 2  # 3 * 2^31 - 3


def test_distance_from_the_real_product(seed):
    """The single rounding is within half a unit of the real product, the double one within one; neither leaves the range."""
    rng = np.random.default_rng(seed)
    acc, multiplier = rng.integers(-(2**24), 2**24, 5000), rng.integers(2**30, 2**31, 5000)
    shift = rng.integers(-20, 1, 5000)
    single, double = requantise_single(acc, multiplier, shift), requantise_double(acc, multiplier, shift)
    for a, m, s, x, y in zip(*(column.tolist() for column in (acc, multiplier, shift, single, double)), strict=True):
        real = Fraction(a * m, 2 ** (31 - s))
        assert abs(x - real) <= Fraction(1, 2)
        assert abs(y - real) < 1


def test_monotonic(seed):
    acc = np.sort(np.random.default_rng(seed).integers(LOW, HIGH, 20_000)).astype(np.int32)
    for golden, shifts in ((requantise_double, (-31, -9, 0, 4, 31)), (requantise_single, (-31, -9, 0))):
        for shift in shifts:
            assert (np.diff(golden(acc, 1_518_500_250, shift).astype(np.int64)) >= 0).all()


def test_onnx_against_mpfr(seed):
    rng = np.random.default_rng(seed)
    acc = np.concatenate([EDGES, rng.integers(-70_000, 70_000, 4000), rng.integers(LOW, HIGH, 6000)]).astype(np.int32)
    scale = np.exp2(rng.uniform(-24, 2, acc.size)).astype(np.float32)
    scale[::3] = np.exp2(rng.integers(-20, 2, scale[::3].size)).astype(np.float32)
    single = gmpy2.context(precision=24, emin=-148, emax=128, subnormalize=True, round=gmpy2.RoundToNearest)
    for a, s, got in zip(acc.tolist(), scale.tolist(), requantise_onnx(acc, scale).tolist(), strict=True):
        with single:
            product = gmpy2.mpfr(a) * gmpy2.mpfr(s)
        assert got == min(max(int(gmpy2.rint(gmpy2.mpfr(product))), LOW), HIGH)


def test_onnx_directed():
    # float32(acc) itself rounds: 2^24 + 1 becomes 2^24.
    assert requantise_onnx(2**24 + 1, np.float32(1)) == 2**24
    assert requantise_onnx(np.array([1, 3, -1, -3, 5]), np.float32(0.5)).tolist() == [0, 2, 0, -2, 2]
    assert requantise_onnx(np.array([1, 0]), np.float32("inf")).tolist() == [HIGH, 0]  # 0 * infinity is a NaN
    assert requantise_onnx(LOW, np.float32(3)) == LOW


def test_finish_adds_exactly_and_clamps():
    assert finish(np.array([HIGH, LOW, 3, -200, 100], np.int32), 100, -128, 127).tolist() == [127, -128, 103, -100, 127]
    assert finish(np.array([HIGH, LOW], np.int32), np.array([-1, 1]), LOW, HIGH).tolist() == [HIGH - 1, LOW + 1]
    assert finish(np.int32(7), -3, 0, 255).dtype == np.int32
