"""Relu, Add and MaxPool."""

from dataclasses import replace

import numpy as np

from compiler import operators
from compiler.graph import Map, Pool, Tensor
from compiler.lower_contraction import add_bias
from compiler.lowering import REAL, Lowering, operator
from compiler.meaning import Codes, Pending, QuantisedConstant, Sum, Transposed
from compiler.micro import add_real, relu_real
from compiler.onnx_import import Node

__all__: list[str] = []


@operator("Relu")
def _relu(lowering: Lowering, node: Node):
    value, name = lowering.value(node.input(0)), node.outputs[0]
    if isinstance(value, Codes):
        lowering.values[name] = replace(value, relu=True)
    elif isinstance(value, Pending):
        value.kernel.nodes += (node.name,)
        lowering.values[name] = replace(value, relu=True)
    elif isinstance(value, Sum):
        lowering.values[name] = replace(value, relu=True, nodes=(*value.nodes, node.name))
    elif isinstance(value, Transposed) or (isinstance(value, Tensor) and value.format in REAL):
        value = lowering.real(value, node.input(0))
        out = replace(value, name=name, alias=None)
        lowering.append(Map(node.name, (node.name,), value, out, relu_real()))
        lowering.values[name] = out
    elif isinstance(value, (np.ndarray, QuantisedConstant)):
        lowering.fail("its input is a constant")
    else:
        lowering.fail("on integers without a scale it has no kernel")


@operator("Add")
def _add(lowering: Lowering, node: Node):
    constants = (np.ndarray, QuantisedConstant)
    sides = [lowering.value(name) for name in node.inputs]
    for side, other in (sides, sides[::-1]):
        if isinstance(side, Pending) and isinstance(other, constants) and not side.relu:
            add_bias(lowering, node, side, other)
            return
    if any(isinstance(side, constants) for side in sides):
        lowering.fail("a constant operand is only supported as the bias of a Conv, Gemm or MatMul, straight behind it")
    shape = lowering.model.shapes[node.outputs[0]]
    if any(lowering.model.shapes[name] != shape for name in node.inputs):
        lowering.fail("its operands have different shapes; broadcasting has no kernel")
    if all(isinstance(side, Codes) and not side.relu for side in sides):
        x, y = (side.tensor for side in sides)
        _check_orders(lowering, x, y)
        lowering.values[node.outputs[0]] = Sum(x, y, shape, (node.name,))
        return
    x, y = (lowering.real(side, name) for side, name in zip(sides, node.inputs, strict=True))
    _check_orders(lowering, x, y)
    out = replace(lowering.tensor(node.outputs[0], lowering.format(node.outputs[0])), order=x.order)
    lowering.append(Map(node.name, (node.name,), x, out, add_real(False), y))
    lowering.values[node.outputs[0]] = out


def _check_orders(lowering: Lowering, x: Tensor, y: Tensor):
    if x.order is y.order is None:
        return
    if not np.array_equal(operators.model_order(x), operators.model_order(y)):
        lowering.fail("its operands lie in memory in different orders (one of them was reshaped)")


@operator("MaxPool", "auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides")
def _max_pool(lowering: Lowering, node: Node):
    if len(node.outputs) > 1 and node.outputs[1]:
        lowering.fail("its second output (the indices) has no kernel")
    x, shapes = lowering.memory(node.input(0)), lowering.model.shapes
    kernel = tuple(node.attributes.get("kernel_shape", ()))
    try:
        geometry = operators.window(node, shapes[node.input(0)], shapes[node.outputs[0]], kernel)
    except ValueError as error:
        lowering.fail(str(error))
    out = lowering.tensor(node.outputs[0], x.format, x.scale, x.zero)
    lowering.append(Pool(node.name, (node.name,), x, out, kernel, **geometry))
    lowering.store(node, out)
