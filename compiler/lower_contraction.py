"""Conv, Gemm, MatMul, QLinearConv, QLinearMatMul: a contraction whose accumulators wait for what happens to them next."""

import numpy as np

from compiler import operators
from compiler.graph import Contraction, Tensor
from compiler.lower_quantise import ratio
from compiler.lowering import REAL, Lowering, operator
from compiler.meaning import Codes, Pending, QuantisedConstant, Transposed
from compiler.micro import finish_integer
from compiler.onnx_import import Node
from rtl.formats import Format

__all__ = ["add_bias"]

_WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


@operator("Conv", *_WINDOW)
def _conv(lowering: Lowering, node: Node):
    _contraction(lowering, node, lowering.value(node.input(1)), lowering.value(node.input(2)), is_conv=True)


@operator("Gemm", "alpha", "beta", "transA", "transB")
def _gemm(lowering: Lowering, node: Node):
    attributes = node.attributes
    if attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
        lowering.fail("alpha or beta other than 1 are not supported")
    flip_a, flip_b = (bool(attributes.get(name, 0)) for name in ("transA", "transB"))
    weights = lowering.value(node.input(1))
    if flip_b and isinstance(weights, (np.ndarray, QuantisedConstant)):
        weights, flip_b = weights.T if isinstance(weights, np.ndarray) else weights.transposed, False
    _contraction(lowering, node, weights, lowering.value(node.input(2)), is_conv=False, flip=(flip_a, flip_b))


@operator("MatMul")
def _matmul(lowering: Lowering, node: Node):
    _contraction(lowering, node, lowering.value(node.input(1)), None, is_conv=False)


def _contraction(lowering: Lowering, node: Node, weights, bias, is_conv: bool, flip: tuple[bool, bool] = (False, False)):
    name = node.input(0)
    value = lowering.value(name)
    if isinstance(value, (np.ndarray, QuantisedConstant)):
        lowering.fail(f"its input {name} is a constant")
    if bias is not None:
        if not isinstance(bias, (np.ndarray, QuantisedConstant)):
            lowering.fail("the bias is not a constant")
        shape = bias.shape if isinstance(bias, np.ndarray) else bias.codes.shape
        if shape and shape[-1] != np.prod(shape):
            lowering.fail(f"a bias of shape {list(shape)} is not one value per output")
    if isinstance(weights, QuantisedConstant):
        if not isinstance(value, Codes) or value.relu or flip[0]:
            lowering.fail("quantised weights need an activation straight from DequantizeLinear, not transposed")
        axis = 0 if is_conv else weights.codes.ndim - 1
        if max(weights.scale.size, weights.zero.size) > 1 and weights.axis != axis:
            lowering.fail(f"the weights' quantisation runs along axis {weights.axis}; per output channel is axis {axis}")
        scale = lowering.positive(value.tensor.scale * weights.scale.reshape(-1), "the scale of the accumulators")
        x, weights, zero = value.tensor, weights.codes, weights.zero
        row = None if bias is None else _bias_row(lowering, bias, scale)
        kernel, scale = _kernel(lowering, node, x, weights, zero, scale, row, is_conv)
    elif is_conv and not isinstance(weights, np.ndarray):
        lowering.fail("the weights must be a constant: of floats, or int8 through DequantizeLinear")
    else:
        if isinstance(weights, np.ndarray) and lowering.format(node.input(1)) not in REAL:
            lowering.fail("the weights must be floats, or int8 through DequantizeLinear")
        x, flip_a = (lowering.real(value, name), False) if is_conv else _operand(lowering, value, name, flip[0])
        row, scale = None if bias is None else _bias_row(lowering, bias, None), None
        if isinstance(weights, np.ndarray) and not flip_a:
            kernel, _ = _kernel(lowering, node, x, weights, None, None, row, is_conv)
        else:
            kernel = _product(lowering, node, x, flip_a, weights, flip[1], row)
    lowering.values[node.outputs[0]] = Pending(kernel, scale, lowering.model.shapes[node.outputs[0]])


def _operand(lowering: Lowering, value, name: str, flip: bool) -> tuple[Tensor, bool]:
    """A matrix in memory, and whether it lies there transposed."""
    if isinstance(value, Transposed) and value.is_matrix:
        return value.tensor, not flip
    return lowering.real(value, name), flip


def _product(lowering: Lowering, node: Node, x: Tensor, flip_a: bool, weights, flip_b: bool, bias: np.ndarray | None) -> Contraction:
    """A product that reads A or B as an activation, either of them perhaps transposed."""
    operands: dict = {"transpose_a": flip_a}
    if isinstance(weights, np.ndarray):
        if weights.ndim != 2:
            lowering.fail(f"weights of {weights.ndim} dimensions; a matrix is needed")
        operands["weights"] = np.ascontiguousarray(weights)[None, None]
        sides: tuple[Tensor, ...] = (x,)
    else:
        y, flip_b = _operand(lowering, weights, node.input(1), flip_b)
        operands |= {"y": y, "transpose_b": flip_b}
        sides = (x, y)
    if any(side.order is not None or not 2 <= len(side.shape) <= 3 for side in sides):
        lowering.fail("a product of activations takes matrices, or rows of matrices, that weren't reshaped")
    out = lowering.tensor(node.outputs[0], lowering.format(node.outputs[0]))
    kernel = Contraction(node.name, (node.name,), x, out, **operands)
    if kernel.batched and kernel.y.h != x.h:
        lowering.fail("its operands have different numbers of matrices; broadcasting has no kernel")
    try:
        kernel.bias = operators.accumulator_bias(bias, kernel.extent[3], 0, None)
    except ValueError as error:
        lowering.fail(str(error))
    return kernel


def _bias_row(lowering: Lowering, bias: np.ndarray | QuantisedConstant, scale: np.ndarray | None) -> np.ndarray:
    """A bias as one row: FP32, or with `scale` in units of the accumulators (its own codes where they have that scale, else to nearest)."""
    quantised = isinstance(bias, QuantisedConstant)
    if scale is None:
        return (bias.value if quantised else bias).reshape(-1)
    real = (bias.exact if quantised else bias.astype(np.float64)).reshape(-1)
    if real.size != scale.size and 1 not in (real.size, scale.size):
        lowering.fail(f"a bias of {real.size} values doesn't match {scale.size} scales of weights")
    if quantised and not bias.zero.any() and bias.scale.size in (1, scale.size) and (bias.scale.reshape(-1) == scale).all():
        return bias.codes.reshape(-1).astype(np.int64)
    units = np.rint(real / scale.astype(np.float64))
    if not (np.abs(units) < 2.0**31).all():
        lowering.fail(f"a bias of {np.abs(real).max():g} is beyond the accumulators, whose unit is {scale.min():g}")
    return units.astype(np.int64)


def _kernel(
    lowering: Lowering, node: Node, x: Tensor, weights: np.ndarray, zero: np.ndarray | None, scale: np.ndarray | None,
    bias: np.ndarray | None, is_conv: bool,
) -> tuple[Contraction, np.ndarray | None]:
    """The kernel, and the meaning of its accumulators by output; `zero` is None in FP32."""
    shapes = lowering.model.shapes
    try:
        if zero is not None:
            weights = operators.signed_weights(weights, zero, 0 if is_conv else -1)
        if is_conv:
            if x.order is not None:
                raise ValueError("its input was reshaped to an order that a window can't walk")
            kernel_shape = node.attributes.get("kernel_shape", weights.shape[2:])
            if tuple(kernel_shape) != weights.shape[2:]:
                raise ValueError(f"kernel_shape {list(kernel_shape)} doesn't match weights of shape {list(weights.shape)}")
            geometry = operators.window(node, shapes[node.input(0)], shapes[node.outputs[0]], weights.shape[2:])
            geometry["groups"] = operators.groups(node.attributes.get("group", 1), x.c, weights.shape)
            weights = weights.transpose(2, 3, 1, 0)
        else:
            geometry = {}
            weights = operators.matrix(weights, x)[None, None]
        outputs = weights.shape[3]
        if scale is not None:
            if scale.size not in (1, outputs):
                raise ValueError(f"{scale.size} scales of weights don't match {outputs} outputs")
            scale = np.repeat(scale, outputs) if scale.size == 1 else scale
        bias = operators.accumulator_bias(bias, outputs, x.zero if zero is not None else 0, None if zero is None else weights)
    except ValueError as error:
        lowering.fail(str(error))
    # Whoever takes the accumulators says what becomes of them.
    out = lowering.tensor(node.outputs[0], Format.FP32)
    return Contraction(node.name, (node.name,), x, out, np.ascontiguousarray(weights), bias, **geometry), scale


def add_bias(lowering: Lowering, node: Node, pending: Pending, bias: np.ndarray | QuantisedConstant):
    """A constant that is added to a contraction of which nothing else is known yet becomes its bias."""
    kernel, outputs = pending.kernel, pending.kernel.extent[3]
    shape = bias.shape if isinstance(bias, np.ndarray) else bias.codes.shape
    axis = 1 if len(pending.shape) == 4 else len(pending.shape) - 1
    full = (1,) * (len(pending.shape) - len(shape)) + tuple(shape)
    wanted = tuple(outputs if d == axis else 1 for d in range(len(pending.shape)))
    if len(shape) > len(pending.shape) or full not in (wanted, (1,) * len(wanted)):
        lowering.fail(f"a constant of shape {list(shape)} is not a bias per output channel")
    if kernel.bias is not None and pending.scale is None:
        lowering.fail("a second bias would change the order of the sum")
    row = _bias_row(lowering, bias, pending.scale)
    extra = operators.accumulator_bias(row, outputs, 0, None if pending.scale is None else kernel.weights)
    if extra is not None:
        # INT32 sums modulo 2^32, as the accumulators do.
        kernel.bias = extra if kernel.bias is None else kernel.bias + extra
    kernel.nodes += (node.name,)
    lowering.values[node.outputs[0]] = pending


@operator("QLinearConv", *_WINDOW)
def _qlinear_conv(lowering: Lowering, node: Node):
    _qlinear(lowering, node, node.input(8), is_conv=True)


@operator("QLinearMatMul")
def _qlinear_matmul(lowering: Lowering, node: Node):
    _qlinear(lowering, node, "", is_conv=False)


def _qlinear(lowering: Lowering, node: Node, bias: str, is_conv: bool):
    name, dtypes = node.outputs[0], lowering.model.dtypes
    x = lowering.value(node.input(0))
    if not isinstance(x, Tensor):
        lowering.fail("its input is not an activation")
    weights = lowering.constant(node.input(3), "the weight")
    x = x.seen_as(*lowering.activation_scale(node.input(1), node.input(2), dtypes[node.input(0)]))
    w_scale = lowering.positive(lowering.constant(node.input(4), "the weights' scale").reshape(-1), "the weights' scale")
    w_zero = lowering.constant(node.input(5), "the weights' zero point")
    out = lowering.tensor(name, lowering.format(name), *lowering.activation_scale(node.input(6), node.input(7), dtypes[name]))
    codes = lowering.constant(bias, "the bias").astype(np.int64) if bias else None
    scale = lowering.positive(x.scale * w_scale, "the scale of the accumulators")
    kernel, scale = _kernel(lowering, node, x, weights, w_zero, scale, codes, is_conv)
    kernel.out = out
    kernel.lanes = finish_integer(ratio(lowering, scale, out), out, False)
    lowering.append(kernel)
    lowering.values[name] = out
