"""Model to kernels: quantisation patterns become integer arithmetic, activations and requantisation become micro-programs.

A float tensor of the model is first only a *meaning* (codes with a scale, an accumulator that waits for its requantisation, a sum); it
becomes memory where a QuantizeLinear or an operator needs it. So QDQ graphs, QLinear operators and plain FP32 take the same way.
"""

import numpy as np

# These fill the table of operators.
from compiler import lower_contraction, lower_elementwise, lower_quantise, lower_shape  # noqa: F401
from compiler.graph import Graph
from compiler.lowering import OPERATORS, Lowering
from compiler.onnx_import import Model

__all__ = ["SUPPORTED", "lower"]

#: Operators that run, by name.
SUPPORTED = tuple(sorted(OPERATORS))


def lower(model: Model) -> Graph:
    """The kernels of a model whose operators are all in `SUPPORTED`. Raises :class:`CompileError`: all refused nodes, with the reasons."""
    # A number that leaves FP32's range is looked for where it matters, and refused by name.
    with np.errstate(all="ignore"):
        return Lowering(model).run()
