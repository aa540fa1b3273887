"""State of a lowering, and the table of operators: each is a function that reads the meanings of its inputs and sets its output's."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import ml_dtypes
import numpy as np

from compiler import operators
from compiler.errors import CompileError
from compiler.graph import Graph, Kernel, Map, Permute, Tensor
from compiler.meaning import Codes, Pending, QuantisedConstant, Sum, Transposed
from compiler.micro import add_real, dequantise, finish_float
from compiler.onnx_import import Model, Node
from rtl.formats import Format

__all__ = ["OPERATORS", "REAL", "Lowering", "Operator", "operator"]

FORMATS = {
    np.dtype(np.int8): Format.INT8, np.dtype(np.uint8): Format.UINT8, np.dtype(np.float32): Format.FP32,
    np.dtype(np.float16): Format.FP16, np.dtype(ml_dtypes.bfloat16): Format.BF16,
}

#: Formats of the model's float tensors.
REAL = (Format.FP32, Format.FP16, Format.BF16)

#: Stands for the outputs of a node that was refused, so that the nodes behind it aren't blamed.
_REFUSED = object()


@dataclass(frozen=True)
class Operator:
    """Lowers one node; `attributes` are those that it looks at, all others must be zero or absent."""

    lower: Callable[["Lowering", Node], None]
    attributes: tuple[str, ...]


#: Operators by their name in ONNX.
OPERATORS: dict[str, Operator] = {}


def operator(name: str, *attributes: str):
    """Puts a function into the table."""

    def register(function):
        OPERATORS[name] = Operator(function, attributes)
        return function

    return register


class Lowering:
    """Meanings by tensor name (`values`), and the kernels so far (`graph`)."""

    def __init__(self, model: Model):
        self.model = model
        self.graph = Graph(model.name)
        self.values: dict[str, Any] = dict(model.constants)
        self._node: Node | None = None
        self._uses = Counter([name for node in model.nodes for name in node.inputs] + list(model.outputs))

    def run(self) -> Graph:
        """Lowers every node. Raises :class:`CompileError` with all refusals in one line."""
        reasons = []
        for name in self.model.inputs:
            try:
                self.values[name] = tensor = self.tensor(name, self.format(name))
                self.graph.inputs.append(tensor)
            except CompileError as error:
                reasons.append(str(error))
                self.values[name] = _REFUSED
        for node in self.model.nodes:
            if not any(self.values.get(name) is _REFUSED for name in node.inputs):
                try:
                    self._lower(node)
                    continue
                except CompileError as error:
                    reasons.append(str(error))
            self.values |= dict.fromkeys(node.outputs, _REFUSED)
        if not reasons:
            try:
                self._outputs()
            except CompileError as error:
                reasons.append(str(error))
        if reasons:
            raise CompileError(f"{self.model.name}: {'; '.join(reasons)}")
        return self.graph

    def _lower(self, node: Node):
        self._node = node
        entry = OPERATORS[node.op]
        for attribute, value in node.attributes.items():
            if attribute not in entry.attributes and value:
                self.fail(f"attribute {attribute} = {value} is not supported")
        entry.lower(self, node)

    def _outputs(self):
        """Binds the model's outputs; one that shares its memory with an input or another output is copied."""
        roots = {id(tensor.root) for tensor in self.graph.inputs}
        for name in self.model.outputs:
            value = self.value(name)
            if isinstance(value, (np.ndarray, QuantisedConstant)):
                raise CompileError(f"output {name} is a constant")
            tensor = value if isinstance(value, Tensor) else self.real(value, name)
            if id(tensor.root) in roots:
                copy = replace(tensor, name=name, alias=None)
                size = tensor.element_bytes
                self.append(Permute(f"{name}_copy", (), tensor, copy, (tensor.elements, 1, 1), (size, 0, 0), (size, 0, 0)))
                tensor = copy
            roots.add(id(tensor.root))
            self.graph.outputs.append(replace(tensor, name=name, alias=tensor))

    def fail(self, reason: str) -> NoReturn:
        """Refuses the node."""
        raise CompileError(f"{self._node.op} {self._node.name!r}: {reason}")

    # Meanings and tensors

    def value(self, name: str):
        """The meaning of a tensor, None if there is none. One that several nodes read becomes memory first, so that each finds the same."""
        value = self.values.get(name) if name else None
        if isinstance(value, (Pending, Sum)) and self._uses[name] > 1:
            return self.real(value, name)
        return value

    def constant(self, name: str, what: str) -> np.ndarray:
        value = self.values.get(name)
        if not isinstance(value, np.ndarray):
            self.fail(f"{what} is not a constant")
        return value

    def memory(self, name: str) -> Tensor:
        """A tensor in memory (codes with no ReLU open, or floats) for the operators that take either."""
        value = self.value(name)
        if isinstance(value, Codes) and not value.relu:
            return value.tensor
        if isinstance(value, Tensor):
            return value
        if isinstance(value, (np.ndarray, QuantisedConstant)):
            self.fail(f"its input {name} is a constant")
        return self.real(value, name)

    def format(self, name: str) -> Format:
        dtype = self.model.dtypes[name]
        if dtype not in FORMATS:
            raise CompileError(f"{name} is {dtype}; int8, uint8, float32, float16 and bfloat16 run on the chip")
        return FORMATS[dtype]

    def tensor(self, name: str, format: Format, scale: np.float32 | None = None, zero: int = 0) -> Tensor:
        """A new tensor in the model's shape."""
        shape = self.model.shapes[name]
        try:
            h, w, c = operators.layout(shape)
        except ValueError as error:
            raise CompileError(f"{name}: {error}") from None
        return Tensor(name, h, w, c, format, tuple(shape), scale, zero)

    def append(self, kernel: Kernel):
        self.graph.kernels.append(kernel)

    def store(self, node: Node, tensor: Tensor):
        """The node's result: float tensors of the model stay a meaning, integer ones are the codes themselves."""
        is_float = self.format(node.outputs[0]) in REAL
        self.values[node.outputs[0]] = Codes(tensor) if is_float and tensor.format not in REAL else tensor

    def activation_scale(self, scale: str, zero: str, dtype: np.dtype) -> tuple[np.float32, int]:
        """Scale and zero point of a whole tensor of codes of type `dtype`."""
        value = self.constant(scale, "the scale")
        offset = self.constant(zero, "the zero point") if zero else np.zeros((), dtype)
        if value.size != 1 or offset.size != 1:
            self.fail("an activation has one scale and one zero point")
        if offset.dtype != dtype:
            self.fail(f"a zero point of {offset.dtype} doesn't go with codes of {dtype}")
        return np.float32(self.positive(value, "the scale").reshape(())), int(offset.reshape(()))

    def positive(self, scale: np.ndarray, what: str) -> np.ndarray:
        """A scale as FP32; refuses what isn't a positive number."""
        scale = np.asarray(scale).astype(np.float32)
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            bad = scale.reshape(-1)[~(np.isfinite(scale) & (scale > 0)).reshape(-1)][0]
            self.fail(f"{what} {bad} is not a positive number in the range of FP32")
        return scale

    def real(self, value, name: str) -> Tensor:
        """The float tensor `value` in memory, in the model's format; what was quantised in FP32."""
        if isinstance(value, Tensor) and value.format in REAL:
            return value
        if isinstance(value, Pending):
            kernel = value.kernel
            kernel.out = out = self.tensor(name, self.format(name))
            kernel.lanes = finish_float(value.scale, value.relu)
            self.append(kernel)
        elif isinstance(value, Codes):
            x = value.tensor
            out = replace(x, name=name, format=Format.FP32, scale=None, zero=0, alias=None)
            nodes = () if self._node is None else (self._node.name,)
            self.append(Map(name, nodes, x, out, dequantise(x.scale, x.zero, value.relu)))
        elif isinstance(value, Sum):
            x, y = (self.real(Codes(side), f"{name}_{place}") for place, side in (("x", value.x), ("y", value.y)))
            out = self.tensor(name, Format.FP32)
            out.order = x.order
            self.append(Map(name, value.nodes, x, out, add_real(value.relu), y))
        elif isinstance(value, Transposed):
            out = self.transposed(value.tensor, value.axes, name, value.nodes)
        else:
            self.fail(f"{name} is not a float tensor")
        self.values[name] = out
        return out

    def transposed(self, x: Tensor, axes: tuple[int, ...], name: str, nodes: tuple[str, ...]) -> Tensor:
        """A copy of a tensor of two or three dimensions with its axes in another order."""
        out = self.tensor(name, x.format, x.scale, x.zero)
        lead = 3 - len(axes)
        order = [*range(lead), *(lead + axis for axis in axes)]
        sizes, size = (x.h, x.w, x.c), x.element_bytes
        strides = (x.w * x.c * size, x.c * size, size)
        # From the innermost dimension of the result outwards.
        source = [(sizes[axis], strides[axis]) for axis in order[::-1]]
        targets = (size, out.c * size, out.w * out.c * size)
        self.append(Permute(name, nodes, x, out, tuple(n for n, _ in source), tuple(stride for _, stride in source), targets))
        return out
