"""What numpy makes of a chain of tensor operations: the referee of `gcu move`, which knows neither commands nor index maps."""

import itertools
from collections.abc import Sequence

import numpy as np

from compiler.element import ELEMENTS, Element
from compiler.tensor_ops import Operation
from rtl.formats import Format
from sim.golden import formats

__all__ = ["expected"]


def expected(operations: Sequence[Operation], codes: np.ndarray, element: Element) -> np.ndarray:
    """Codes (unsigned integers) after the operations, given those of an array of `element`."""
    for operation in operations:
        if operation.name == "convert":
            target = ELEMENTS[operation.fields["dtype"]]
            codes, element = _convert(codes, element, target), target
        else:
            fields = {name: value for name, value in operation.fields.items() if name not in ("value", "fill")}
            value = operation.fields.get("value", operation.fields.get("fill"))
            code = None if value is None else _code(value, element)
            codes = _STEPS[operation.name](codes, code, **fields)
    return np.ascontiguousarray(codes)


def _code(value: float, element: Element) -> np.generic:
    kind = np.dtype(f"u{element.bytes}")
    if element.floating:
        return formats.encode(value, element.format)[()]
    return np.array(int(value) & (1 << 8 * element.bytes) - 1).astype(kind)[()]


def _convert(codes: np.ndarray, source: Element, target: Element) -> np.ndarray:
    # FP32 to FP32 passes every bit.
    same = source.format is target.format is Format.FP32
    return codes if same else formats.convert(codes, source.format, target.format)


def _slice(x: np.ndarray, code, offset, size, stride) -> np.ndarray:
    result = np.full(size, code, x.dtype)
    places = [o + t * np.arange(n) for o, n, t in zip(offset, size, stride or [1] * x.ndim, strict=True)]
    inside = [np.flatnonzero((at >= 0) & (at < n)) for at, n in zip(places, x.shape, strict=True)]
    result[np.ix_(*inside)] = x[np.ix_(*(at[good] for at, good in zip(places, inside, strict=True)))]
    return result


def _deslice(x: np.ndarray, code, offset, into) -> np.ndarray:
    result = np.full(into, code, x.dtype)
    result[tuple(slice(o, o + n) for o, n in zip(offset, x.shape, strict=True))] = x
    return result


def _pad(x: np.ndarray, code, low, high, interior) -> np.ndarray:
    none = [0] * x.ndim
    low, high, interior = low or none, high or none, interior or none
    spread = np.full([(n - 1) * (gaps + 1) + 1 for n, gaps in zip(x.shape, interior, strict=True)], code, x.dtype)
    spread[tuple(slice(None, None, gaps + 1) for gaps in interior)] = x
    padded = np.pad(spread, [(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True)], constant_values=code)
    return padded[tuple(slice(max(-a, 0), n - max(-b, 0)) for a, b, n in zip(low, high, padded.shape, strict=True))]


def _im2col(x: np.ndarray, code, kernel, stride, dilation, pad) -> np.ndarray:
    top, left, bottom, right = pad
    x = np.pad(x, [(0, 0), (top, bottom), (left, right), (0, 0)], constant_values=code)
    windows = np.lib.stride_tricks.sliding_window_view(x, [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)], axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]  # N, OH, OW, C, KH, KW
    n, rows, columns, channels = windows.shape[:4]
    result = np.empty((n, rows, columns, *kernel, channels), x.dtype)
    for h, w in itertools.product(range(kernel[0]), range(kernel[1])):
        result[:, :, :, h, w] = windows[..., h, w]
    return result.reshape(n * rows * columns, -1)


_STEPS = {
    "slice": _slice,
    "deslice": _deslice,
    "transpose": lambda x, _, axes: np.transpose(x, axes),
    "pad": _pad,
    "mirror": lambda x, _, axes: np.flip(x, axes),
    "broadcast": lambda x, _, shape: np.broadcast_to(x, shape),
    "fill": lambda x, code, shape: np.full(shape, code, x.dtype if code is None else code.dtype),
    "gather": lambda x, _, axis, indices: np.take(x, indices, axis),
    "im2col": _im2col,
}
