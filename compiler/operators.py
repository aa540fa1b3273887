"""Facts about ONNX operators and layouts that lowering needs; every ValueError is a reason that the user reads."""

import numpy as np

from compiler.graph import Tensor
from rtl.formats import Format

__all__ = [
    "accumulator_bias", "layout", "matrix", "memory_order", "model_order", "reaches_below_zero", "signed_weights", "transposed", "window",
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
    if len(x_shape) != 4 or len(kernel) != 2:
        raise ValueError(f"{len(x_shape) - 2} spatial dimensions; 2 are supported")
    attributes = node.attributes
    stride = tuple(attributes.get("strides", (1, 1)))
    dilation = tuple(attributes.get("dilations", (1, 1)))
    mode = attributes.get("auto_pad", b"NOTSET")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    pads = list(attributes.get("pads", (0, 0, 0, 0)))
    for axis in range(2):
        reach = (out_shape[2 + axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        missing = max(reach - x_shape[2 + axis], 0)
        if mode == "SAME_UPPER":
            pads[axis], pads[2 + axis] = missing // 2, missing - missing // 2
        elif mode == "SAME_LOWER":
            pads[axis], pads[2 + axis] = missing - missing // 2, missing // 2
        else:
            # What the output reaches beyond the input is what counts: with ceil_mode it is more than `pads`.
            pads[2 + axis] = max(reach - x_shape[2 + axis] - pads[axis], 0)
    if min(pads) < 0:
        raise ValueError(f"negative padding {pads}")
    return {"stride": stride, "pads": (pads[0], pads[1], pads[2], pads[3]), "dilation": dilation}


def transposed(weights):
    """Weights of a Gemm with transB, as K x N."""
    if isinstance(weights, np.ndarray):
        return weights.T
    codes = getattr(weights, "codes", None)
    if codes is None:
        return weights
    return type(weights)(codes.T, weights.scale, weights.zero, 1 - weights.axis)


def signed_weights(weights: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """INT8 codes with zero point 0."""
    if weights.dtype == np.uint8:
        if not np.all(zero == 128):
            raise ValueError("uint8 weights run with a zero point of 128 only (they become int8 by flipping bit 7)")
        return (weights ^ np.uint8(128)).view(np.int8)
    if weights.dtype != np.int8:
        raise ValueError(f"weights of {weights.dtype}; int8 and uint8 are supported")
    if np.any(zero != 0):
        raise ValueError("int8 weights with a zero point other than 0 are not supported")
    return weights


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


def accumulator_bias(bias, weights: np.ndarray, zero: int, outputs: int, integer: bool) -> np.ndarray | None:
    """The C operand: bias, less what the activation's zero point adds (modulo 2^32), or None where both are nothing."""
    if bias is not None:
        bias = np.asarray(bias).reshape(-1)
        if bias.size == 1:
            bias = np.repeat(bias, outputs)
        if bias.size != outputs:
            raise ValueError(f"a bias of {bias.size} values doesn't match {outputs} outputs")
    if not integer:
        return None if bias is None else bias.astype(np.float32)
    total = np.zeros(outputs, np.int64) if bias is None else bias.astype(np.int64)
    total = total - zero * weights.astype(np.int64).sum((0, 1, 2))
    if bias is None and not total.any():
        return None
    return (total & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
