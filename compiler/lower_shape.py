"""Operators that give a tensor another shape."""

import numpy as np

from compiler import operators
from compiler.graph import Permute
from compiler.lowering import REAL, Lowering, operator
from compiler.meaning import QuantisedConstant, Transposed
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


@operator("Transpose", "perm")
def _transpose(lowering: Lowering, node: Node):
    """Of floats a meaning, since a product reads its operands either way; of codes a copy."""
    name, value = node.outputs[0], lowering.value(node.input(0))
    rank = len(lowering.model.shapes[name])
    axes = tuple(node.attributes.get("perm", range(rank)[::-1]))
    if isinstance(value, np.ndarray):
        lowering.values[name] = np.transpose(value, axes)
        return
    if isinstance(value, QuantisedConstant):
        if axes != (1, 0):
            lowering.fail("of a quantised constant only a matrix is transposed")
        lowering.values[name] = value.transposed
        return
    if rank > 3:
        lowering.fail(f"of {rank} dimensions it has no kernel; 2 and 3 are supported")
    x = lowering.memory(node.input(0))
    if x.order is not None:
        lowering.fail("its input was reshaped to an order that it can't walk")
    if axes == tuple(range(rank)):
        lowering.values[name] = value
    elif x.format in REAL:
        lowering.values[name] = Transposed(x, axes, (node.name,))
    else:
        lowering.store(node, lowering.transposed(x, axes, name, (node.name,)))
