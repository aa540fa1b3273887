"""The contract's arithmetic in plain numpy, apart from compiler and golden model: exact integers, correctly rounded FP32."""

import numpy as np

__all__ = ["convolve", "fma", "maximum_pool", "padded", "requantise", "same_pads"]


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """float32(a * b + c) with one rounding: the FP64 sum is rounded to odd first, which a rounding to FP32 can't tell from exact."""
    product, c = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + c
    part = total - product
    error = (product - (total - part)) + (c - part)
    bits = np.atleast_1d(total).view(np.int64).copy()
    nudge = (np.atleast_1d(error) != 0) & (bits & 1 == 0)
    bits += np.where(nudge, np.where((np.atleast_1d(error) > 0) == (np.atleast_1d(total) > 0), 1, -1), 0)
    return bits.view(np.float64).astype(np.float32).reshape(total.shape)


def same_pads(size: int, kernel: int, stride: int, dilation: int, upper: bool) -> tuple[int, int]:
    """Padding at the begin and at the end of auto_pad SAME_UPPER or SAME_LOWER."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def padded(x: np.ndarray, pads, value) -> np.ndarray:
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def _taps(x: np.ndarray, kernel, strides, dilations):
    """Input of each tap [1, C, oh, ow], kh outside and kw inside."""
    oh, ow = ((x.shape[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(2))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows, columns = i * dilations[0], j * dilations[1]
            yield i, j, x[:, :, rows :: strides[0], columns :: strides[1]][:, :, :oh, :ow]


def convolve(x, weights, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), groups=1, bias=None) -> np.ndarray:
    """Convolution of x [1, C, H, W], less its zero point, with weights [M, C / groups, kh, kw].

    Integers are exact. FP32 is a chain of fused multiply-adds from the bias (or +0) over (kh, kw, channel) in ascending order.
    """
    outputs, per_group = weights.shape[:2]
    each = outputs // groups
    total = None
    for i, j, tap in _taps(padded(x, pads, 0), weights.shape[2:], strides, dilations):
        if total is None:
            total = np.zeros((1, outputs, *tap.shape[2:]), np.float32 if x.dtype == np.float32 else np.int64)
            total = total if bias is None else total + np.asarray(bias, total.dtype).reshape(1, -1, 1, 1)
        for group in range(groups):
            mine = slice(group * each, (group + 1) * each)
            for channel in range(per_group):
                a = tap[:, group * per_group + channel : group * per_group + channel + 1]
                b = weights[mine, channel, i, j].reshape(1, -1, 1, 1)
                total[:, mine] = fma(a, b, total[:, mine]) if x.dtype == np.float32 else total[:, mine] + a.astype(np.int64) * b
    return total


def requantise(accumulators: np.ndarray, scale, zero: int, dtype, relu: bool = False) -> np.ndarray:
    """Nearest-even integer of float32(float32(acc) * scale), plus zero, clamped; a ReLU clamps at `zero`."""
    limits = np.iinfo(dtype)
    wrapped = (np.asarray(accumulators, np.int64) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    product = wrapped.astype(np.float32) * np.asarray(scale, np.float32)
    codes = np.clip(np.rint(product.astype(np.float64)), -(2.0**31), 2.0**31 - 1).astype(np.int64) + zero
    return np.clip(codes, max(limits.min, zero) if relu else limits.min, limits.max).astype(dtype)


def maximum_pool(x: np.ndarray, kernel, strides, pads, dilations, out) -> np.ndarray:
    """Maximum over windows; `out` (oh, ow) may reach beyond the padding."""
    least = -np.inf if x.dtype == np.float32 else np.iinfo(x.dtype).min
    reach = [(out[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 for i in range(2)]
    ends = [max(reach[i] - x.shape[2 + i] - pads[i], 0) for i in range(2)]
    taps = _taps(padded(x, (pads[0], pads[1], *ends), least), kernel, strides, dilations)
    return np.max([tap[:, :, : out[0], : out[1]] for _, _, tap in taps], axis=0)
