"""Operators that give a tensor another shape."""

import numpy as np

from compiler import operators
from compiler.graph import Permute
from compiler.lowering import Lowering, operator
from compiler.meaning import QuantisedConstant
from compiler.onnx_import import Node

__all__: list[str] = []


@operator("Identity")
def _identity(lowering: Lowering, node: Node):
    lowering.values[node.outputs[0]] = lowering.value(node.input(0))


@operator("Flatten", "axis")
@operator("Reshape", "allowzero")
@operator("Squeeze", "axes")
@operator("Unsqueeze", "axes")
def _reshape(lowering: Lowering, node: Node):
    """New shape, same memory, wherever the order allows; a four-dimensional result gets its channels innermost by a copy."""
    if node.input(1):
        lowering.constant(node.input(1), "the shape")
    name = node.outputs[0]
    value = lowering.value(node.input(0))
    if isinstance(value, np.ndarray):
        lowering.values[name] = value.reshape(lowering.model.shapes[name])
        return
    if isinstance(value, QuantisedConstant):
        lowering.fail("on a quantised constant it has no kernel")
    x = lowering.memory(node.input(0))
    flat = lowering.tensor(name, x.format, x.scale, x.zero)
    order, wanted = operators.model_order(x), operators.memory_order(flat)
    if np.array_equal(order, wanted):
        flat.alias = x
    elif len(flat.shape) != 4:
        flat.alias, flat.order = x, order
    else:
        if not np.array_equal(order, np.arange(x.elements)):
            lowering.fail("a reshape between two channel-last orders has no kernel")
        size, plane = x.element_bytes, flat.h * flat.w
        lowering.append(Permute(
            node.name, (node.name,), x, flat, (flat.c, plane, 1), (plane * size, size, 0), (size, flat.c * size, 0),
        ))
    lowering.store(node, flat)
