"""QuantizeLinear and DequantizeLinear."""

import numpy as np

from compiler import operators
from compiler.graph import Map, Tensor
from compiler.lowering import REAL, Lowering, operator
from compiler.meaning import Codes, Pending, QuantisedConstant, Sum, Transposed
from compiler.micro import finish_integer, quantise, rescale, sum_codes
from compiler.onnx_import import Node
from rtl.formats import Format

__all__ = ["ratio"]


def ratio(lowering: Lowering, scale: np.ndarray | None, out: Tensor) -> np.ndarray | None:
    """Multipliers that take accumulators to codes of `out`."""
    return None if scale is None else lowering.positive(scale / out.scale, "the ratio of scales")


def _along(lowering: Lowering, node: Node, value: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Scale, zero point (or None) and axis of the quantisation of a constant."""
    scale = lowering.positive(lowering.constant(node.input(1), "the scale"), "the scale")
    zero = lowering.constant(node.input(2), "the zero point") if node.input(2) else None
    axis = node.attributes.get("axis", 1)
    axis = axis + value.ndim if axis < 0 else axis
    for what, part in (("scale", scale), ("zero point", zero)):
        if part is not None and part.size != 1 and (part.ndim != 1 or not 0 <= axis < value.ndim or part.size != value.shape[axis]):
            lowering.fail(f"a {what} of shape {list(part.shape)} doesn't run along axis {axis} of {list(value.shape)}")
    return scale, zero, axis


def _only_float32(lowering: Lowering, name: str):
    if lowering.model.dtypes[name] != np.float32:
        lowering.fail(f"{name} is {lowering.model.dtypes[name]}; only float32 is quantised")


@operator("DequantizeLinear", "axis")
def _dequantize_linear(lowering: Lowering, node: Node):
    value = lowering.values.get(node.input(0))
    if isinstance(value, np.ndarray):
        scale, zero, axis = _along(lowering, node, value)
        if value.dtype not in (np.int8, np.uint8, np.int32):
            lowering.fail(f"a constant of {value.dtype}; int8, uint8 and int32 are supported")
        zero = np.zeros((), value.dtype) if zero is None else zero
        lowering.values[node.outputs[0]] = QuantisedConstant(value, scale, zero, axis)
        return
    if not isinstance(value, Tensor) or value.format in REAL:
        lowering.fail("its input is not a tensor of codes")
    _only_float32(lowering, node.outputs[0])
    scale, zero = lowering.activation_scale(node.input(1), node.input(2), lowering.model.dtypes[node.input(0)])
    lowering.values[node.outputs[0]] = Codes(value.seen_as(scale, zero))


@operator("QuantizeLinear", "axis", "saturate", "output_dtype")
def _quantize_linear(lowering: Lowering, node: Node):
    name = node.outputs[0]
    value = lowering.value(node.input(0))
    if isinstance(value, np.ndarray):
        lowering.values[name] = _quantised_constant(lowering, node, value)
        return
    format = lowering.format(name)
    if format in REAL:
        lowering.fail("its output is not a tensor of codes")
    _only_float32(lowering, node.input(0))
    scale, zero = lowering.activation_scale(node.input(1), node.input(2), lowering.model.dtypes[name])
    lowering.values[name] = _quantised(lowering, value, lowering.tensor(name, format, scale, zero), node)


def _quantised_constant(lowering: Lowering, node: Node, value: np.ndarray) -> np.ndarray:
    """Codes of a constant, as ONNX computes them."""
    dtype = lowering.model.dtypes[node.outputs[0]]
    if value.dtype != np.float32 or dtype not in (np.int8, np.uint8):
        lowering.fail(f"a constant of {value.dtype} to {dtype}; float32 to int8 and uint8 are supported")
    scale, zero, axis = _along(lowering, node, value)
    shape = [-1 if d == axis else 1 for d in range(value.ndim)]
    scale, zero = (part if part.size == 1 else part.reshape(shape) for part in (scale, np.zeros((), dtype) if zero is None else zero))
    limits = np.iinfo(dtype)
    codes = np.rint(np.nan_to_num(value) / scale).astype(np.float64) + zero.astype(np.float64)
    return np.clip(codes, limits.min, limits.max).astype(dtype).reshape(value.shape)


def _quantised(lowering: Lowering, value, out: Tensor, node: Node) -> Tensor:
    """Codes of a float value in the scale and format of `out`."""
    if isinstance(value, Pending):
        kernel = value.kernel
        kernel.out = out
        kernel.nodes += (node.name,)
        kernel.lanes = finish_integer(ratio(lowering, value.scale, out), out, value.relu)
        lowering.append(kernel)
        return out
    if isinstance(value, Sum):
        out.order = value.x.order
        lanes = sum_codes(value.x, value.y, out, value.relu)
        lowering.append(Map(node.name, (*value.nodes, node.name), value.x, out, lanes, value.y))
        return out
    if isinstance(value, Codes):
        x = value.tensor
        out.order = x.order
        same = x.format is out.format and x.scale == out.scale and x.zero == out.zero
        if same and not (value.relu and operators.reaches_below_zero(x)):
            out.alias = x
            return out
        lowering.append(Map(node.name, (node.name,), x, out, rescale(x, out, value.relu)))
        return out
    if isinstance(value, Transposed):
        value = lowering.real(value, node.input(0))
    if isinstance(value, Tensor) and value.format is Format.FP32:
        out.order = value.order
        lowering.append(Map(node.name, (node.name,), value, out, quantise(out)))
        return out
    return lowering.fail("its input is not a float tensor")
