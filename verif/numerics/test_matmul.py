"""Accumulation over K: golden matrix product against chains of exact operations, and against numpy for integers."""

import time

import numpy as np
import pytest

from rtl.formats import Format
from sim.golden import matmul as module
from sim.golden.dot import dot
from sim.golden.matmul import groups, matmul, overflows
from verif.numerics import exact
from verif.numerics.operands import centred, mixed

FLOATS = (Format.FP32, Format.TF32, Format.FP16, Format.BF16)
by_name = pytest.mark.parametrize("format", FLOATS, ids=lambda f: f.name)


def lanes_of(format: Format) -> int:
    return 1 if format is Format.FP32 else 4


def chain(format: Format, a: list[int], b: list[int], c: int, tap: int, align: int, toward_zero: bool) -> int:
    """One result by exact operations; the grouping is written a second time here."""
    lanes = lanes_of(format)
    for start in range(0, len(a), tap):
        x, y = a[start : start + tap], b[start : start + tap]
        while x:
            head, x = x[:lanes], x[lanes:]
            tail, y = y[:lanes], y[lanes:]
            c = exact.fma(head[0], tail[0], c) if lanes == 1 else exact.dot(format, head, tail, c, align, toward_zero)
    return c


def compare(format: Format, a, b, c, tap: int, align: int = 40, toward_zero: bool = False) -> None:
    options = {"lanes": lanes_of(format), "align": align, "toward_zero": toward_zero, "tap": tap}
    result = matmul(format, a, b, c, **options)
    assert result.dtype == np.uint32 and result.shape == (a.shape[0], b.shape[1])
    start = np.zeros(result.shape, np.uint32) if c is None else c
    for m in range(a.shape[0]):
        for n in range(b.shape[1]):
            want = chain(format, a[m].tolist(), b[:, n].tolist(), int(start[m, n]), tap, align, toward_zero)
            assert result[m, n] == want, f"[{m}, {n}]: {result[m, n]:08x}, not {want:08x}"


@by_name
@pytest.mark.parametrize(("m", "n", "k", "tap"), [(5, 7, 18, 18), (9, 3, 18, 6), (1, 1, 7, 7), (1, 6, 1, 1), (4, 1, 12, 3)])
def test_shapes_and_taps(format, m, n, k, tap, seed):
    rng = np.random.default_rng(seed)
    for draw in (mixed, lambda rng, format, shape: centred(rng, format, shape, 6)):
        a, b = draw(rng, format, (m, k)), draw(rng, format, (k, n))
        compare(format, a, b, None, tap)
        compare(format, a, b, mixed(rng, Format.FP32, (m, n)), tap)


@by_name
def test_compatibility_mode(format, seed):
    rng = np.random.default_rng(seed)
    a, b = centred(rng, format, (6, 26), 5), centred(rng, format, (26, 5), 5)
    for align in (23, 24, 25):
        compare(format, a, b, None, 26, align, format is not Format.FP32)


@by_name
def test_minus_zero_survives(format):
    """-0 as C with products of -0 stays -0 over a last group that isn't full: missing lanes are no +0."""
    minus = {Format.FP32: 1 << 31, Format.TF32: 1 << 31, Format.FP16: 1 << 15, Format.BF16: 1 << 15}[format]
    kind = np.uint32 if minus >> 16 else np.uint16
    a, b = np.full((2, 5), minus, kind), np.full((5, 3), 0, kind)
    assert (matmul(format, a, b, np.full((2, 3), 0x80000000, np.uint32), lanes=lanes_of(format)) == 0x80000000).all()
    assert (matmul(format, a, b, lanes=lanes_of(format)) == 0).all()


@by_name
def test_bits_do_not_depend_on_tiling(format, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    a, b, c = centred(rng, format, (37, 24), 6), centred(rng, format, (24, 53), 6), centred(rng, Format.FP32, (37, 53), 6)
    whole = matmul(format, a, b, c, lanes=lanes_of(format))
    for block in (1, 50, 300):
        monkeypatch.setattr(module, "_BLOCK", block)
        assert np.array_equal(matmul(format, a, b, c, lanes=lanes_of(format)), whole)
    part = matmul(format, a[:, :8], b[:8], c, lanes=lanes_of(format))
    assert np.array_equal(matmul(format, a[:, 8:], b[8:], part, lanes=lanes_of(format)), whole)
    assert np.array_equal(matmul(format, a[5:9], b[:, 7:], c[5:9, 7:], lanes=lanes_of(format)), whole[5:9, 7:])


@by_name
def test_a_larger_product_equals_its_chain_of_operations(format, seed):
    """More than one block each way: the same chain with `dot`, which `test_dot.py` compares with exact integers."""
    rng = np.random.default_rng(seed)
    lanes = lanes_of(format)
    a, b = mixed(rng, format, (70, 22)), mixed(rng, format, (22, 130))
    total = np.zeros((70, 130), np.uint32)
    for part in groups(22, lanes):
        x, y = np.broadcast_arrays(a[:, None, part], b.T[None, :, part])
        total = dot(format, x, y, total)
    assert np.array_equal(matmul(format, a, b, lanes=lanes), total)
    assert np.array_equal(matmul(format, np.ascontiguousarray(b.T), a.T, lanes=lanes), total.T)


@pytest.mark.parametrize("unsigned_a", (False, True))
@pytest.mark.parametrize("k", (1, 8, 100, 600, 3000))
def test_int8(k, unsigned_a, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (11, k), np.uint8), rng.integers(0, 256, (k, 13), np.uint8)
    a[:2], b[:, :2] = 0xFF if unsigned_a else 0x80, 0x80
    a[2:4], b[:, 2:4] = 0xFF if unsigned_a else 0x81, 0x7F  # odd products: sums past 2^24 that float32 can't hold
    c = rng.integers(0, 1 << 32, (11, 13), np.uint32, endpoint=False)
    exact_sum = (a if unsigned_a else a.view(np.int8)).astype(object) @ b.view(np.int8).astype(object)
    for start in (None, c):
        want = (exact_sum + (0 if start is None else start.astype(object))) % 2**32
        format = Format.UINT8 if unsigned_a else Format.INT8
        for options in ({"lanes": 8, "unsigned_a": unsigned_a}, {"lanes": 4, "unsigned_a": unsigned_a, "tap": 1}):
            assert (matmul(Format.INT8, a, b, start, **options) == want).all()
        assert (matmul(format, a, b, start, lanes=8) == want).all()


@pytest.mark.parametrize("unsigned_a", (False, True))
@pytest.mark.parametrize("lanes, tap", [(8, 60), (4, 60), (8, 5), (4, 12)])
def test_overflow_flag(lanes, tap, unsigned_a, seed, monkeypatch):
    """Sums that start near the limits, against exact sums group by group; most walk over the limit and back, or don't reach it."""
    rng = np.random.default_rng([seed, lanes, tap])
    seen = set()
    for number in range(60):
        a, b = rng.integers(0, 256, (3, 60), np.uint8), rng.integers(0, 256, (60, 4), np.uint8)
        near = rng.integers(0, 2 ** int(rng.integers(15, 25)), (3, 4))
        c = np.where(rng.integers(0, 2, (3, 4)), 2**31 - 1 - near, near - 2**31).astype(np.int32).view(np.uint32)
        monkeypatch.setattr(module, "_WIDEN", int(rng.choice([60, 200, 1 << 22])))
        total, left = c.view(np.int32).astype(object), False
        for start in range(0, 60, tap):
            for first in range(start, start + tap, lanes):
                part = slice(first, min(first + lanes, start + tap))
                x = (a[:, part] if unsigned_a else a[:, part].view(np.int8)).astype(object)
                total = total + x @ b[part].view(np.int8).astype(object)
                left |= bool(((total >= 2**31) | (total < -(2**31))).any())
        assert overflows(a, b, c, lanes=lanes, unsigned_a=unsigned_a, tap=tap) == left, number
        seen.add(left)
    assert seen == {False, True}


def test_groups_restart_at_every_tap():
    assert [(part.start, part.stop) for part in groups(12, 4, 6)] == [(0, 4), (4, 6), (6, 10), (10, 12)]
    assert [(part.start, part.stop) for part in groups(5, 8)] == [(0, 5)]


def test_bad_arguments_are_refused():
    a = np.zeros((2, 6), np.uint16)
    with pytest.raises(ValueError, match=r"^tap: 4 does not divide K = 6$"):
        matmul(Format.FP16, a, a.T, lanes=4, tap=4)
    with pytest.raises(ValueError, match=r"^a is 2 x 6 and b is 2 x 6: K differs$"):
        matmul(Format.FP16, a, a, lanes=4)
    with pytest.raises(TypeError, match=r"^a: codes of BF16 are uint16, not uint32$"):
        matmul(Format.BF16, a.astype(np.uint32), a.T, lanes=4)
    with pytest.raises(ValueError, match=r"^c is float32 \[2, 2\], not uint32 \[2, 2\]$"):
        matmul(Format.FP16, a, a.T, np.zeros((2, 2), np.float32), lanes=4)


#: Products a second that the golden model must reach on one core, with a wide margin below what it does.
RATES = {Format.INT8: 100e6, Format.FP16: 5e6, Format.BF16: 5e6, Format.TF32: 5e6, Format.FP32: 5e6}


@pytest.mark.parametrize("format", RATES, ids=lambda f: f.name)
def test_speed(format, seed):
    rng = np.random.default_rng(seed)
    size = 512 if format is Format.INT8 else 128
    if format is Format.INT8:
        a, b = (rng.integers(0, 256, (size, size), np.uint8) for _ in range(2))
    else:
        a, b = (mixed(rng, format, (size, size)) for _ in range(2))
    start = time.process_time()
    matmul(format, a, b, lanes=8 if format is Format.INT8 else lanes_of(format))
    rate = size**3 / (time.process_time() - start)
    print(f"golden model, {format.name}: {rate / 1e6:.0f} million MAC/s")
    assert rate > RATES[format]
