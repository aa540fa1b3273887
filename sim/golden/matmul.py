"""Matrix product of codes, accumulated in the groups of the tensor core.

Every result is a chain of operations of `sim/golden/dot.py` along K, so its bits depend on the length of a group and on
nothing else: not on the tiling, not on the configuration.
"""

from collections.abc import Iterator

import numpy as np

from rtl.formats import Format
from sim.golden import float32
from sim.golden.dot import check_align, fused_sum
from sim.golden.formats import decode, dtype_of, exponent_of

__all__ = ["groups", "matmul", "overflows"]

#: Elements of a block of results: a dozen of temporaries of 8 byte each stay in the second-level cache.
_BLOCK = 8192
#: Elements of A that an integer product widens at a time.
_WIDEN = 1 << 22


def groups(k: int, lanes: int, tap: int | None = None) -> Iterator[slice]:
    """The groups along K, ascending: up to `lanes` elements each, none across a multiple of `tap`.

    Raises ValueError where `k` is not a whole number of taps.
    """
    tap = tap or max(k, 1)
    if k % tap:
        raise ValueError(f"tap: {tap} does not divide K = {k}")
    for start in range(0, k, tap):
        for first in range(start, start + tap, lanes):
            yield slice(first, min(first + lanes, start + tap))


def _blocks(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    wide = min(columns, _BLOCK) or 1
    high = max(_BLOCK // wide, 1)
    for row in range(0, rows, high):
        for column in range(0, columns, wide):
            yield slice(row, row + high), slice(column, column + wide)


def _integer(a, b, c, unsigned_a: bool) -> np.ndarray:
    """The products in floating point: exact while every partial sum, in any order, is an integer below 2^24 or 2^53."""
    bound = a.shape[1] * (255 if unsigned_a else 128) * 128
    assert bound < 1 << 53
    kind = np.float32 if bound < 1 << 24 else np.float64
    left = a if unsigned_a else a.view(np.int8)
    right = np.ascontiguousarray(b).view(np.int8).astype(kind)
    result = np.empty((a.shape[0], b.shape[1]), np.uint32)
    step = max(_WIDEN // max(a.shape[1], 1), 1)
    for row in range(0, a.shape[0], step):
        result[row : row + step] = (left[row : row + step].astype(kind) @ right).astype(np.int64).astype(np.uint32)
    return result if c is None else result + c


def _float(format: Format, a, b, start: np.ndarray, steps: list[slice], align: int, toward_zero: bool) -> np.ndarray:
    """`a` is [K, M], `b` [K, N], `start` and the result [M, N] float32."""
    left, right = decode(a, format), decode(b, format)
    if format is not Format.FP32:
        left_exponent, right_exponent = exponent_of(a, format), exponent_of(b, format)
    result = np.empty_like(start)
    for rows, columns in _blocks(*start.shape):
        total = np.ascontiguousarray(start[rows, columns])
        x, y = left[:, rows, None], right[:, None, columns]
        if format is Format.FP32:
            for step in steps:
                for k in range(step.start, step.stop):
                    total = float32.round_sum(x[k] * y[k], total.astype(np.float64))
        else:
            ex, ey = left_exponent[:, rows, None], right_exponent[:, None, columns]
            for step in steps:
                lanes = range(step.start, step.stop)
                largest = ex[step.start] + ey[step.start]
                for k in lanes[1:]:
                    np.maximum(largest, ex[k] + ey[k], out=largest)
                total = fused_sum((x[k] * y[k] for k in lanes), largest, total, align, toward_zero)
        result[rows, columns] = total
    return result


def matmul(
    format: Format,
    a,
    b,
    c=None,
    *,
    lanes: int,
    align: int = 40,
    toward_zero: bool = False,
    unsigned_a: bool = False,
    tap: int | None = None,
) -> np.ndarray:
    """A (M x K) times B (K x N), plus C: uint32 codes (M x N) of FP32, or of INT32 for INT8 and UINT8.

    Parameters
    ----------
    format:
        Of a and b: FP32, TF32, FP16, BF16, INT8, or UINT8 (INT8 with unsigned a).
    a, b:
        Codes, [M, K] and [K, N].
    c:
        uint32 codes [M, N] that the accumulation starts with; +0 by default.
    lanes:
        Length of a group: 1 for FP32, up to 4 for TF32, FP16 and BF16; it doesn't change INT8's bits.
    align, toward_zero, unsigned_a:
        As in `sim.golden.dot.dot`.
    tap:
        Elements of K after which a new group starts (the channels of one tap of a convolution); K by default.

    Integers run at the speed of the BLAS library, floating point at above 100 million products a second and core.
    """
    a, b = np.asarray(a), np.asarray(b)
    for name, codes in (("a", a), ("b", b)):
        if codes.dtype != dtype_of(format):
            raise TypeError(f"{name}: codes of {format.name} are {dtype_of(format)}, not {codes.dtype}")
        if codes.ndim != 2:
            raise ValueError(f"{name}: {codes.ndim} dimensions, not 2")
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"a is {a.shape[0]} x {a.shape[1]} and b is {b.shape[0]} x {b.shape[1]}: K differs")
    shape = a.shape[0], b.shape[1]
    if c is not None:
        c = np.asarray(c)
        if c.dtype != np.uint32 or c.shape != shape:
            raise ValueError(f"c is {c.dtype} {list(c.shape)}, not uint32 {list(shape)}")
    steps = list(groups(a.shape[1], lanes, tap))
    if format in (Format.INT8, Format.UINT8):
        return _integer(a, b, c, unsigned_a or format is Format.UINT8)
    if format is Format.FP32:
        if lanes != 1:
            raise ValueError(f"lanes: FP32 has one, not {lanes}")
    else:
        check_align(align, lanes)
    start = np.zeros(shape, np.float32) if c is None else float32.unpack(c)
    left, right = np.ascontiguousarray(a.T), b
    with np.errstate(over="ignore", invalid="ignore"):
        if shape[0] > shape[1]:  # the longer side innermost
            return float32.pack(_float(format, right, left, start.T, steps, align, toward_zero).T)
        return float32.pack(_float(format, left, right, start, steps, align, toward_zero))


def overflows(a, b, c, *, lanes: int, unsigned_a: bool = False, tap: int | None = None) -> bool:
    """Whether the exact sum of a group of INT8 products and its accumulator leaves int32 anywhere in A x B + C: the sticky flag.

    Parameters as for :func:`matmul`. Up to the first group that overflows the accumulators are exact, so the exact sums up to each
    group decide. Few results come near the limits: bounds on their partial sums leave out the others.
    """
    low, high = -(1 << 31), (1 << 31) - 1
    start = np.asarray(c).view(np.int32).astype(np.int64)
    left, right = (a if unsigned_a else a.view(np.int8)).astype(np.float64), np.ascontiguousarray(b).view(np.int8).astype(np.float64)
    bound = a.shape[1] * (255 if unsigned_a else 128) * 128
    if not start.size or (start.max() + bound <= high and start.min() - bound >= low):
        return False
    total, reach = left @ right, np.abs(left) @ np.abs(right)
    suspects = np.argwhere((start + (reach + total) / 2 > high) | (start - (reach - total) / 2 < low))
    ends = [group.stop - 1 for group in groups(a.shape[1], lanes, tap)]
    step = max(_WIDEN // max(a.shape[1], 1), 1)
    for first in range(0, len(suspects), step):
        rows, columns = suspects[first : first + step].T
        sums = np.cumsum(left[rows] * right[:, columns].T, axis=1)[:, ends] + start[rows, columns, None]
        if (sums > high).any() or (sums < low).any():
            return True
    return False
