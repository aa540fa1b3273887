"""Facts about ONNX operators and layouts that lowering needs; every ValueError is a reason that the user reads."""

import numpy as np

from compiler.graph import Tensor
from rtl.formats import Format

__all__ = [
    "accumulator_bias", "groups", "layout", "matrix", "memory_order", "model_order", "reaches_below_zero", "signed_weights", "window",
]


def layout(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(h, w, c) of a tensor of the model: NCHW with N = 1, or up to three dimensions with the last innermost."""
    if len(shape) == 4:
        if shape[0] != 1:
            raise ValueError(f"a batch of {shape[0]}; one sample is one job, so give the model a batch of 1 or a symbolic one")
        return shape[2], shape[3], shape[1]
    if len(shape) > 4:
        raise ValueError(f"{len(shape)} dimensions are more than 4")
    padded = (1,) * (3 - len(shape)) + tuple(shape)
    return padded[0], padded[1], padded[2]


def memory_order(tensor: Tensor) -> np.ndarray:
    """The model's flat index of each element of a tensor without `order`, as it lies in memory."""
    natural = np.arange(tensor.elements)
    if len(tensor.shape) == 4:
        return natural.reshape(tensor.c, tensor.h, tensor.w).transpose(1, 2, 0).reshape(-1)
    return natural


def model_order(tensor: Tensor) -> np.ndarray:
    """As :func:`memory_order`, for any tensor."""
    return memory_order(tensor) if tensor.order is None else tensor.order


def reaches_below_zero(tensor: Tensor) -> bool:
    """Whether some code of the tensor's format means a negative number, so that a ReLU does something."""
    least = 0 if tensor.format is Format.UINT8 else -128
    return least < tensor.zero


def window(node, x_shape, out_shape, kernel) -> dict:
    """stride, pads (top, left, bottom, right) and dilation of a convolution or pooling with two spatial dimensions."""
    if len(x_shape) != 4 or len(kernel) != 2 or len(out_shape) != 4:
        raise ValueError(f"{len(x_shape) - 2} spatial dimensions; 2 are supported")
    attributes = node.attributes
    stride, dilation = (tuple(attributes.get(name, (1, 1))) for name in ("strides", "dilations"))
    pads = list(attributes.get("pads", (0, 0, 0, 0)))
    if [len(stride), len(dilation), len(pads)] != [2, 2, 4] or min(*stride, *dilation, *kernel) < 1:
        raise ValueError(f"kernel {list(kernel)}, strides {list(stride)}, dilations {list(dilation)}, pads {pads} make no window")
    mode = attributes.get("auto_pad", b"NOTSET")
    mode = mode.decode(errors="replace") if isinstance(mode, bytes) else mode
    for axis in range(2):
        reach = (out_shape[2 + axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        missing = max(reach - x_shape[2 + axis], 0)
        if mode == "SAME_UPPER":
            pads[axis] = missing // 2
        elif mode == "SAME_LOWER":
            pads[axis] = missing - missing // 2
        elif mode == "VALID":
            pads[axis] = 0
        if attributes.get("ceil_mode", 0) and (out_shape[2 + axis] - 1) * stride[axis] >= x_shape[2 + axis] + pads[axis]:
            raise ValueError("with ceil_mode a window would lie in the padding alone, where ONNX's tools disagree on the shape")
        # What the output reaches beyond the input is what counts: with ceil_mode it is more than `pads` says, with strides often less.
        pads[2 + axis] = max(reach - x_shape[2 + axis] - pads[axis], 0)
    if min(pads) < 0:
        raise ValueError(f"negative padding {pads}")
    return {"stride": stride, "pads": tuple(pads), "dilation": dilation}


def groups(count: int, channels: int, weights: tuple[int, ...]) -> int:
    """The number of groups of a convolution, checked against channels and weights [outputs, channels of a group, kh, kw]."""
    if count < 1 or weights[0] % count or weights[1] * count != channels:
        raise ValueError(f"{count} groups of weights of shape {list(weights)} don't match {channels} channels")
    return count


def signed_weights(weights: np.ndarray, zero: np.ndarray, axis: int) -> np.ndarray:
    """INT8 codes with zero point 0; `zero` is a scalar or runs along `axis`."""
    if weights.dtype not in (np.int8, np.uint8):
        raise ValueError(f"weights of {weights.dtype}; int8 and uint8 are supported")
    if zero.dtype != weights.dtype:
        raise ValueError(f"a zero point of {zero.dtype} doesn't go with weights of {weights.dtype}")
    if zero.size not in (1, weights.shape[axis]):
        raise ValueError(f"{zero.size} zero points of weights don't match {weights.shape[axis]} outputs")
    shape = [1] * weights.ndim
    shape[axis] = -1
    centred = weights.astype(np.int16) - zero.astype(np.int16).reshape(shape)
    if centred.min() < -128 or centred.max() > 127:
        raise ValueError(f"weights less their zero point reach from {centred.min()} to {centred.max()}, beyond int8")
    return centred.astype(np.int8)


def matrix(weights: np.ndarray, x: Tensor) -> np.ndarray:
    """K x N weights of a matrix product, their rows in the memory order of `x`."""
    if weights.ndim != 2:
        raise ValueError(f"weights of {weights.ndim} dimensions; a matrix is needed")
    if x.order is not None:
        if len(x.order) != len(weights):
            raise ValueError("its input was reshaped to an order that rows can't follow")
        weights = weights[x.order]
    elif len(x.shape) == 4:
        raise ValueError("a product over the last axis of a four-dimensional tensor has no kernel")
    if len(weights) != x.c:
        raise ValueError(f"{len(weights)} rows of weights don't match {x.c} columns of the input")
    return weights


def accumulator_bias(bias: np.ndarray | None, outputs: int, zero: int, weights: np.ndarray | None) -> np.ndarray | None:
    """The C operand: a row of biases, or None where it is nothing. INT8 `weights` take away what the activation's zero point adds
    (modulo 2^32); None stands for floating point.
    """
    if bias is not None:
        if bias.size not in (1, outputs):
            raise ValueError(f"a bias of {bias.size} values doesn't match {outputs} outputs")
        bias = np.repeat(bias, outputs) if bias.size == 1 else bias.reshape(-1)
    if weights is None:
        return None if bias is None else bias.astype(np.float32)
    total = np.zeros(outputs, np.int64) if bias is None else bias.astype(np.int64)
    total = total - zero * weights.astype(np.int64).sum((0, 1, 2))
    if not total.any():
        return None
    return (total & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
