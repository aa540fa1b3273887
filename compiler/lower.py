"""Model to kernels: quantisation patterns become integer arithmetic, activations and requantisation become micro-programs.

A float tensor of the model is first only a *meaning* (codes with a scale, an accumulator that waits for its requantisation, a sum); it
becomes memory where a QuantizeLinear or an operator needs it. So QDQ graphs, QLinear operators and plain FP32 take the same way.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from compiler import operators
from compiler.errors import CompileError
from compiler.graph import Contraction, Graph, Kernel, Map, Permute, Pool, Tensor
from compiler.micro import add_real, dequantise, finish_float, finish_integer, quantise, relu_real, rescale, sum_codes
from compiler.onnx_import import Model, Node
from rtl.formats import Format

__all__ = ["lower"]

FORMATS = {np.dtype(np.int8): Format.INT8, np.dtype(np.uint8): Format.UINT8, np.dtype(np.float32): Format.FP32}


@dataclass(frozen=True)
class Codes:
    """A float tensor given by quantised codes, perhaps after a ReLU that hasn't been done yet."""

    tensor: Tensor
    relu: bool = False


@dataclass(frozen=True)
class QuantisedConstant:
    """DequantizeLinear of a constant."""

    codes: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    axis: int

    @property
    def value(self) -> np.ndarray:
        shape = [1] * self.codes.ndim
        if self.scale.size > 1:
            shape[self.axis] = -1
        centred = self.codes.astype(np.int64) - self.zero.astype(np.int64).reshape(shape if self.zero.size > 1 else ())
        return centred.astype(np.float32) * self.scale.reshape(shape if self.scale.size > 1 else ())


@dataclass(frozen=True)
class Pending:
    """A contraction whose accumulators mean `scale` (per channel; None in FP32) times themselves."""

    kernel: Contraction
    scale: np.ndarray | None
    shape: tuple[int, ...]
    relu: bool = False


@dataclass(frozen=True)
class Sum:
    """Sum of two quantised tensors."""

    x: Tensor
    y: Tensor
    shape: tuple[int, ...]
    nodes: tuple[str, ...]
    relu: bool = False


def lower(model: Model) -> Graph:
    """The kernels of a model. Raises :class:`CompileError` that names every node which can't run, with the reason."""
    missing = [f"{node.op} {node.name!r}" for node in model.nodes if not hasattr(_Lowering, f"_{node.op}")]
    if missing:
        known = ", ".join(sorted(name[1:] for name in vars(_Lowering) if name[1:2].isupper()))
        raise CompileError(f"{model.name}: no kernel for {', '.join(missing)}; the operators that run are {known}")
    return _Lowering(model).run()


class _Lowering:
    def __init__(self, model: Model):
        self.model = model
        self.graph = Graph(model.name)
        self.values: dict[str, object] = dict(model.constants)
        self.node: Node | None = None
        self.uses = Counter([name for node in model.nodes for name in node.inputs] + list(model.outputs))

    def run(self) -> Graph:
        for name in self.model.inputs:
            self.values[name] = tensor = self._tensor(name, self._format(name))
            self.graph.inputs.append(tensor)
        for node in self.model.nodes:
            self.node = node
            getattr(self, f"_{node.op}")(node)
        for name in self.model.outputs:
            value = self._value(name)
            if isinstance(value, np.ndarray):
                raise CompileError(f"{self.model.name}: output {name} is a constant")
            tensor = value if isinstance(value, Tensor) else self._real(value, name)
            self.graph.outputs.append(replace(tensor, name=name, alias=tensor))
        return self.graph

    def _fail(self, reason: str):
        raise CompileError(f"{self.model.name}: {self.node.op} {self.node.name!r}: {reason}")

    # Tensors

    def _value(self, name: str):
        """The meaning of a tensor. One that several nodes read becomes memory first, so that each finds the same."""
        value = self.values.get(name)
        if isinstance(value, (Pending, Sum)) and self.uses[name] > 1:
            return self._real(value, name)
        return value

    def _format(self, name: str) -> Format:
        dtype = self.model.dtypes[name]
        if dtype not in FORMATS:
            raise CompileError(f"{self.model.name}: {name} is {dtype}; int8, uint8 and float32 run on the chip")
        return FORMATS[dtype]

    def _tensor(self, name: str, format: Format, shape=None, scale=None, zero=0, order=None) -> Tensor:
        shape = self.model.shapes[name] if shape is None else shape
        try:
            h, w, c = operators.layout(shape)
        except ValueError as error:
            raise CompileError(f"{self.model.name}: {name}: {error}") from None
        return Tensor(name, h, w, c, format, tuple(shape), scale, zero, order)

    def _append(self, kernel: Kernel):
        self.graph.kernels.append(kernel)

    def _scalar(self, name: str, what: str) -> np.ndarray:
        value = self.values.get(name)
        if not isinstance(value, np.ndarray):
            self._fail(f"{what} is not a constant")
        return value

    def _activation_scale(self, scale: str, zero: str) -> tuple[np.float32, int]:
        value = self._scalar(scale, "the scale")
        offset = self._scalar(zero, "the zero point") if zero else np.zeros((), np.uint8)
        if value.size != 1 or offset.size != 1:
            self._fail("an activation has one scale and one zero point")
        if not (np.isfinite(value).all() and (value > 0).all()):
            self._fail(f"the scale {value} is not a positive number")
        return np.float32(value.reshape(())), int(offset.reshape(()))

    def _data(self, name: str):
        """A tensor in memory (codes with no ReLU open, or FP32) for the operators that take either."""
        value = self._value(name)
        if isinstance(value, Codes) and not value.relu:
            return value.tensor
        if isinstance(value, Tensor):
            return value
        if isinstance(value, (np.ndarray, QuantisedConstant)):
            self._fail(f"input {name} is a constant")
        return self._real(value, name)

    def _real(self, value, name: str) -> Tensor:
        """The float tensor `value` as FP32 in memory."""
        if isinstance(value, Tensor) and value.format is Format.FP32:
            return value
        if isinstance(value, Pending):
            kernel = value.kernel
            kernel.out = self._tensor(name, Format.FP32, value.shape)
            kernel.lanes = finish_float(value.scale, value.relu)
            self._append(kernel)
            out = kernel.out
        elif isinstance(value, Codes):
            out = replace(value.tensor, name=name, format=Format.FP32, scale=None, zero=0, alias=None)
            lanes = dequantise(value.tensor.scale, value.tensor.zero, value.relu)
            self._append(Map(name, self._names(), value.tensor, out, lanes))
        elif isinstance(value, Sum):
            x, y = (self._real(Codes(side), f"{name}_{place}") for place, side in (("x", value.x), ("y", value.y)))
            out = self._tensor(name, Format.FP32, value.shape)
            self._append(Map(name, value.nodes, x, out, add_real(value.relu), y))
        else:
            raise CompileError(f"{self.model.name}: {name} has no value on the chip")
        self.values[name] = out
        return out

    def _names(self) -> tuple[str, ...]:
        return (self.node.name,) if self.node else ()

    # Quantisation

    def _DequantizeLinear(self, node: Node):
        value = self.values[node.input(0)]
        if isinstance(value, np.ndarray):
            scale = self._scalar(node.input(1), "the scale").astype(np.float32)
            zero = self._scalar(node.input(2), "the zero point") if node.input(2) else np.zeros(scale.shape, value.dtype)
            self.values[node.outputs[0]] = QuantisedConstant(value, scale, zero, node.attributes.get("axis", 1) % max(value.ndim, 1))
            return
        if not isinstance(value, Tensor) or value.format is Format.FP32:
            self._fail("its input is not a tensor of codes")
        scale, zero = self._activation_scale(node.input(1), node.input(2))
        self.values[node.outputs[0]] = Codes(replace(value, scale=scale, zero=zero, alias=value))

    def _QuantizeLinear(self, node: Node):
        name = node.outputs[0]
        scale, zero = self._activation_scale(node.input(1), node.input(2))
        value = self._value(node.input(0))
        out = self._tensor(name, self._format(name), scale=scale, zero=zero)
        self.values[name] = self._quantised(value, out, node)

    def _quantised(self, value, out: Tensor, node: Node) -> Tensor:
        """Codes of a float value in the scale and format of `out`."""
        if isinstance(value, Pending):
            kernel = value.kernel
            kernel.out = out
            kernel.nodes += (node.name,)
            ratio = (value.scale / out.scale).astype(np.float32) if value.scale is not None else None
            kernel.lanes = finish_integer(ratio, out, value.relu)
            self._append(kernel)
            return out
        if isinstance(value, Sum):
            self._append(Map(node.name, (*value.nodes, node.name), value.x, out, sum_codes(value.x, value.y, out, value.relu), value.y))
            return out
        if isinstance(value, Codes):
            x = value.tensor
            out.order = x.order
            same = x.format is out.format and x.scale == out.scale and x.zero == out.zero
            if same and not (value.relu and operators.reaches_below_zero(x)):
                out.alias = x
                return out
            self._append(Map(node.name, (node.name,), x, out, rescale(x, out, value.relu)))
            return out
        if isinstance(value, Tensor) and value.format is Format.FP32:
            out.order = value.order
            self._append(Map(node.name, (node.name,), value, out, quantise(out)))
            return out
        return self._fail("its input is not a float tensor")

    # Contractions

    def _Conv(self, node: Node):
        weights = self.values[node.input(1)]
        self._contraction(node, node.input(0), weights, self.values.get(node.input(2)), is_conv=True)

    def _Gemm(self, node: Node):
        attributes = node.attributes
        if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
            self._fail("transA, and alpha or beta other than 1, are not supported")
        weights = self.values[node.input(1)]
        if attributes.get("transB", 0):
            weights = operators.transposed(weights)
        self._contraction(node, node.input(0), weights, self.values.get(node.input(2)))

    def _MatMul(self, node: Node):
        self._contraction(node, node.input(0), self.values[node.input(1)], None)

    def _contraction(self, node: Node, x_name: str, weights, bias, is_conv=False):
        value = self._value(x_name)
        if isinstance(weights, QuantisedConstant):
            if not isinstance(value, Codes) or value.relu:
                self._fail("quantised weights need an activation straight from DequantizeLinear")
            axis = 0 if is_conv else 1
            if weights.scale.size > 1 and weights.axis != axis:
                self._fail(f"the weights' scale runs along axis {weights.axis}; per output channel is axis {axis}")
            scale = (value.tensor.scale * weights.scale.reshape(-1)).astype(np.float32)
            bias_codes = None
            if bias is not None:
                real = bias.value if isinstance(bias, QuantisedConstant) else bias
                bias_codes = np.rint(real.astype(np.float64).reshape(-1) / scale.astype(np.float64)).astype(np.int64)
            self._pending(node, value.tensor, weights.codes, weights.zero, scale, bias_codes, is_conv)
        elif isinstance(weights, np.ndarray) and weights.dtype == np.float32:
            x = self._real(value, x_name) if not isinstance(value, np.ndarray) else self._fail("both operands are constants")
            if bias is not None and not isinstance(bias, np.ndarray):
                bias = bias.value if isinstance(bias, QuantisedConstant) else self._fail("the bias is not a constant")
            self._pending(node, x, weights, None, None, bias, is_conv)
        else:
            self._fail("the weights must be a constant: float32, or int8 through DequantizeLinear")

    def _pending(self, node: Node, x: Tensor, weights, weight_zero, scale, bias, is_conv):
        """Puts a contraction with accumulators of meaning `scale` under the node's output."""
        try:
            if weight_zero is not None:
                weights = operators.signed_weights(weights, weight_zero)
            if is_conv:
                geometry = operators.window(node, self.model.shapes[node.input(0)], self.model.shapes[node.outputs[0]], weights.shape[2:])
                groups = node.attributes.get("group", 1)
                weights = weights.transpose(2, 3, 1, 0)
            else:
                geometry, groups = {}, 1
                weights = operators.matrix(weights, x)[None, None]
        except ValueError as error:
            self._fail(str(error))
        if is_conv and x.order is not None:
            self._fail("its input was reshaped to an order that a window can't walk")
        outputs = weights.shape[3]
        if scale is not None and scale.size == 1:
            scale = np.repeat(scale, outputs)
        bias = operators.accumulator_bias(bias, weights, x.zero if scale is not None else 0, outputs, scale is not None)
        out = self._tensor(node.outputs[0], Format.FP32, self.model.shapes[node.outputs[0]])
        kernel = Contraction(node.name, (node.name,), x, out, np.ascontiguousarray(weights), bias, groups=groups, **geometry)
        self.values[node.outputs[0]] = Pending(kernel, scale, self.model.shapes[node.outputs[0]])

    def _QLinearConv(self, node: Node):
        self._qlinear(node, is_conv=True, bias=node.input(8))

    def _QLinearMatMul(self, node: Node):
        self._qlinear(node, is_conv=False, bias="")

    def _qlinear(self, node: Node, is_conv: bool, bias: str):
        x = self.values[node.input(0)]
        if not isinstance(x, Tensor):
            self._fail("its input is not an activation")
        x_scale, x_zero = self._activation_scale(node.input(1), node.input(2))
        weights = self._scalar(node.input(3), "the weight")
        w_scale = self._scalar(node.input(4), "the weights' scale").astype(np.float32).reshape(-1)
        w_zero = self._scalar(node.input(5), "the weights' zero point")
        y_scale, y_zero = self._activation_scale(node.input(6), node.input(7))
        codes = self._scalar(bias, "the bias").astype(np.int64) if bias else None
        source = replace(x, scale=x_scale, zero=x_zero, alias=x)
        self._pending(node, source, weights, w_zero, (x_scale * w_scale).astype(np.float32), codes, is_conv)
        name = node.outputs[0]
        pending = self.values[name]
        out = self._tensor(name, self._format(name), scale=y_scale, zero=y_zero)
        pending.kernel.out = out
        pending.kernel.lanes = finish_integer((pending.scale / y_scale).astype(np.float32), out, False)
        self._append(pending.kernel)
        self.values[name] = out

    # Elementwise and pooling

    def _Relu(self, node: Node):
        value = self._value(node.input(0))
        name = node.outputs[0]
        if isinstance(value, Codes):
            self.values[name] = replace(value, relu=True)
        elif isinstance(value, Pending):
            value.kernel.nodes += (node.name,)
            self.values[name] = replace(value, relu=True)
        elif isinstance(value, Sum):
            self.values[name] = replace(value, relu=True, nodes=(*value.nodes, node.name))
        elif isinstance(value, Tensor) and value.format is Format.FP32:
            out = replace(value, name=name, alias=None)
            self._append(Map(node.name, (node.name,), value, out, relu_real()))
            self.values[name] = out
        else:
            self._fail("on integers without a scale it has no kernel")

    def _Add(self, node: Node):
        sides = [self._value(name) for name in node.inputs]
        for index, other in ((0, 1), (1, 0)):
            # The bias of a MatMul.
            if isinstance(sides[index], Pending) and isinstance(sides[other], (np.ndarray, QuantisedConstant)) and not sides[index].relu:
                return self._late_bias(node, sides[index], sides[other])
        if any(isinstance(side, (np.ndarray, QuantisedConstant)) for side in sides):
            self._fail("a constant operand is only supported as the bias of MatMul")
        shape = self.model.shapes[node.outputs[0]]
        if any(self.model.shapes[name] != shape for name in node.inputs):
            self._fail("its operands have different shapes; broadcasting has no kernel")
        if all(isinstance(side, Codes) and not side.relu for side in sides):
            if any(side.tensor.order is not None for side in sides):
                self._fail("an operand was reshaped to another order")
            self.values[node.outputs[0]] = Sum(sides[0].tensor, sides[1].tensor, shape, (node.name,))
            return None
        x, y = (self._real(side, name) for side, name in zip(sides, node.inputs, strict=True))
        out = self._tensor(node.outputs[0], Format.FP32)
        self._append(Map(node.name, (node.name,), x, out, add_real(False), y))
        self.values[node.outputs[0]] = out
        return None

    def _late_bias(self, node: Node, pending: Pending, bias):
        outputs = pending.kernel.weights.shape[3]
        value = bias.value if isinstance(bias, QuantisedConstant) else bias
        if value.size not in (1, outputs) or (value.ndim and value.shape[-1] not in (1, outputs)):
            self._fail(f"a bias of shape {value.shape} doesn't match {outputs} outputs")
        if pending.kernel.bias is not None and pending.scale is None:
            self._fail("a second bias would change the order of the sum")
        if pending.scale is not None:
            value = np.rint(value.reshape(-1).astype(np.float64) / pending.scale.astype(np.float64)).astype(np.int64)
        extra = operators.accumulator_bias(value, pending.kernel.weights, 0, outputs, pending.scale is not None)
        kernel = pending.kernel
        kernel.bias = extra if kernel.bias is None else (kernel.bias + extra)
        kernel.nodes += (node.name,)
        self.values[node.outputs[0]] = pending

    def _MaxPool(self, node: Node):
        if len(node.outputs) > 1 and node.outputs[1]:
            self._fail("its second output (the indices) has no kernel")
        x = self._data(node.input(0))
        if x.order is not None:
            self._fail("its input was reshaped to another order")
        try:
            shapes = self.model.shapes
            geometry = operators.window(node, shapes[node.input(0)], shapes[node.outputs[0]], node.attributes["kernel_shape"])
        except ValueError as error:
            self._fail(str(error))
        out = self._tensor(node.outputs[0], x.format, scale=x.scale, zero=x.zero)
        self._append(Pool(node.name, (node.name,), x, out, tuple(node.attributes["kernel_shape"]), **geometry))
        self._store(node, out)

    # Shapes

    def _Flatten(self, node: Node):
        self._reshape(node)

    def _Reshape(self, node: Node):
        self._scalar(node.input(1), "the shape")
        self._reshape(node)

    def _Identity(self, node: Node):
        self.values[node.outputs[0]] = self.values[node.input(0)]

    def _reshape(self, node: Node):
        """New shape, same memory, wherever the order allows; a four-dimensional result gets its channels innermost by a copy."""
        x = self._data(node.input(0))
        shape = self.model.shapes[node.outputs[0]]
        order = operators.model_order(x)
        flat = self._tensor(f"{node.outputs[0]}", x.format, shape, x.scale, x.zero)
        wanted = operators.memory_order(flat)
        if np.array_equal(order, wanted):
            flat.alias = x
        elif len(shape) != 4:
            flat.alias, flat.order = x, order
        else:
            if not np.array_equal(order, np.arange(x.elements)):
                self._fail("a reshape between two channel-last orders has no kernel")
            size = x.element_bytes
            plane = flat.h * flat.w
            self._append(Permute(
                node.name, (node.name,), x, flat, (flat.c, plane, 1), (plane * size, size, 0), (size, flat.c * size, 0),
            ))
        self._store(node, flat)

    def _store(self, node: Node, tensor: Tensor):
        """The node's result: float tensors of the model stay a meaning, integer ones are the codes themselves."""
        is_float = self.model.dtypes[node.outputs[0]] == np.float32
        self.values[node.outputs[0]] = Codes(tensor) if is_float and tensor.format is not Format.FP32 else tensor
