"""The streams of `gcu numerics` and `gcu bench`: hardware against golden model and referees, on directed vectors of every operation."""

import numpy as np
import pytest

from gcu.bench import dot_figures, fma_figures
from rtl.config import ChipConfig
from rtl.formats import Format
from sim.golden import float32
from sim.numerics.backends import Runner
from sim.numerics.operation import Convert, Dot, Fma, Requantise
from verif.numerics import exact, integers, mpfr
from verif.numerics.operands import centred
from verif.numerics.vectors import FMA_GRID, fma_corners, vectors

SMALL = ChipConfig.load("small")
FORMATS = (Format.FP32, Format.TF32, Format.FP16, Format.BF16, Format.INT8, Format.INT32)
HALF = (Format.TF32, Format.FP16, Format.BF16)
OPERATIONS = [
    Fma(), *(Dot.of(format, SMALL) for format in (*HALF, Format.INT8, Format.UINT8)),
    *(Dot.of(format, SMALL, True, align) for format in HALF for align in (23, 24, 25)),
    *(op for source in FORMATS for target in FORMATS if (op := Convert(source, target)).hardware is None),
    *(Requantise(rule, unsigned) for rule in ("tflite-double", "tflite-single", "onnx") for unsigned in (False, True)),
]


def run(name: str, operation, operands: np.ndarray) -> np.ndarray:
    with Runner(name, operation, SMALL) as runner:
        return runner.run(operands)


def check(operation, operands: np.ndarray, name: str):
    expected, results = run("golden", operation, operands), run(name, operation, operands)
    wrong = np.flatnonzero(expected != results)
    assert not len(wrong), f"{operation}: {[f'{x:x}' for x in operands[wrong[0]]]}: {results[wrong[0]]:x}, golden {expected[wrong[0]]:x}"


def test_every_operation(simulator, seed):
    count = 20_000 if simulator == "verilator" else 40
    for operation in OPERATIONS:
        check(operation, np.concatenate(list(vectors(operation, count, seed))), simulator)


def test_streams_end_where_they_should():
    """Two streams back to back, one of a single operation: nothing is left in the pipeline."""
    operands = np.concatenate(list(vectors(Fma(), 100, 1)))
    expected = run("golden", Fma(), operands)
    with Runner("verilator", Fma(), SMALL) as runner:
        parts = [runner.run(part) for part in (operands[:1], operands[1:40], operands[40:40], operands[40:])]
        assert np.array_equal(np.concatenate(parts), expected)
        assert runner.operations == 100 and runner.cycles == 100 + 4 * 5  # six clocks through the unit


def test_integers_to_narrow_floats_have_no_hardware():
    assert {op.target for op in (Convert(Format.INT32, target) for target in FORMATS) if op.hardware} == set(HALF)


def test_fma_vectors(seed):
    corners = fma_corners()
    assert len(set(corners.tolist())) == 88 and FMA_GRID == 6_133_248
    count = 9 * 3000
    operands = np.concatenate(list(vectors(Fma(), count, seed)))
    assert np.array_equal(operands, np.concatenate(list(vectors(Fma(), count, seed)))), "the same seed, other vectors"
    assert operands.shape == (count, 3) and np.isin(operands[::9], corners).all()
    grid = {tuple(row) for row in operands[::9].tolist()}
    assert len(grid) == 3000, "the walk over the triples repeats itself"
    results = float32.fma(*(np.ascontiguousarray(column) for column in operands.T))
    kinds = results >> 23 & 0xFF
    # Every kind of result: exact cancellation, subnormals, overflow, NaN, and plain numbers.
    assert min(np.count_nonzero(x) for x in (results << 1 == 0, (kinds == 0) & (results << 1 != 0), results << 1 == 0xFF000000,
                                             results == 0x7FC00000, (kinds > 60) & (kinds < 200))) > 20  # fmt: skip


def test_integer_referee(seed):
    """Whole arrays in int64 against one operation at a time in Python's integers."""
    rng = np.random.default_rng(seed)
    for format in HALF:
        codes, c = centred(rng, format, (1500, 8), 14), centred(rng, Format.FP32, 1500, 14)
        a, b = codes[:, :4], codes[:, 4:]
        b[:300, 0] = b[:300, 1]  # cancellation, and with it low terms that decide
        a[:300, 0] = a[:300, 1] ^ a.dtype.type(1 << (8 * a.itemsize - 1))
        rows = list(zip(a.tolist(), b.tolist(), c.tolist(), strict=True))
        assert integers.dot(format, a, b, c).tolist() == [exact.dot(format, *row) for row in rows]
        assert integers.correctly_rounded_dot(format, a, b, c).tolist() == [exact.correctly_rounded(format, *row) for row in rows]
    with pytest.raises(AssertionError, match="subnormal"):
        integers.dot(Format.FP16, np.uint16([[1]]), np.uint16([[0x3C00]]), np.uint32([0x3F800000]))


def test_mpfr_referee(seed):
    for operands in vectors(Fma(), 2000, seed):
        assert all(mpfr.fma(*row) == exact.fma(*row) for row in operands.tolist())


def test_figures_of_the_benchmark():
    small = {"vectors": 20_000, "mpfr": 1000, "seconds": 60, "exact": 100, "spread": 14, "differs": 0.02}
    figures = [*fma_figures(SMALL, small), *dot_figures(SMALL, Format.BF16, small)]
    assert all(figure.ok for figure in figures), [figure for figure in figures if not figure.ok]
    assert len(figures) == 7


@pytest.mark.long
def test_whole_grid(seed):
    """Every triple of corners, nine vectors each, as many as TestFloat's level 1 has."""
    for operands in vectors(Fma(), FMA_GRID, seed):
        check(Fma(), operands, "verilator")
