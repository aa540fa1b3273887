"""ONNX file in, a list of plain nodes out: checked, with every shape known. Nothing here knows the chip."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from compiler.errors import CompileError

__all__ = ["Model", "Node", "load"]


@dataclass(frozen=True)
class Node:
    """One node of the model; `inputs` holds "" where an optional input is absent."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict = field(default_factory=dict)

    def input(self, index: int) -> str:
        return self.inputs[index] if index < len(self.inputs) else ""


@dataclass(frozen=True)
class Model:
    """Nodes in topological order, constants by name, and the shape and numpy type of every tensor. The batch is 1."""

    name: str
    nodes: tuple[Node, ...]
    constants: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, np.dtype]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def load(source: str | Path | onnx.ModelProto) -> Model:
    """Reads a model file or takes a model. Raises :class:`CompileError` for one that is missing, broken or of unknown shape."""
    proto, name = _read(source)
    _fix_batch(proto)
    try:
        onnx.checker.check_model(proto)
        proto = shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, shape_inference.InferenceError, ValueError) as error:
        raise CompileError(f"{name}: {_first_line(error)}") from None
    graph = proto.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for index, node in enumerate(graph.node):
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = _constant(node, attributes, name)
            continue
        if node.domain not in ("", "ai.onnx"):
            raise CompileError(f"{name}: node {node.name or index}: {node.domain}.{node.op_type} is not an operator of ONNX itself")
        nodes.append(Node(node.op_type, node.name or f"{node.op_type}_{index}", tuple(node.input), tuple(node.output), attributes))
    shapes, dtypes = {}, {}
    for info in (*graph.input, *graph.value_info, *graph.output):
        if info.type.WhichOneof("value") != "tensor_type":
            raise CompileError(f"{name}: {info.name} is not a tensor")
        kind = info.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
        if any(dim is None or dim < 1 for dim in dims):
            raise CompileError(f"{name}: the shape of {info.name} is not known: {dims}; give the model fixed shapes")
        shapes[info.name] = tuple(dims)
        dtypes[info.name] = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    for key, value in constants.items():
        shapes[key], dtypes[key] = value.shape, value.dtype
    for node in nodes:
        for output in node.outputs:
            if output and output not in shapes:
                raise CompileError(f"{name}: {node.op} {node.name}: the shape of {output} can't be inferred")
    inputs = tuple(info.name for info in graph.input if info.name not in constants)
    return Model(name, tuple(nodes), constants, shapes, dtypes, inputs, tuple(info.name for info in graph.output))


def _read(source) -> tuple[onnx.ModelProto, str]:
    if isinstance(source, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(source)
        return proto, proto.graph.name or "model"
    path = Path(source)
    try:
        return onnx.load(str(path)), path.name
    except OSError as error:
        raise CompileError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # the protobuf decoder's exception types are its own
        raise CompileError(f"{path}: not an ONNX file, or a truncated one ({_first_line(error)})") from None


def _fix_batch(proto: onnx.ModelProto):
    """A symbolic first dimension of an input is the batch: one sample is one job, so it becomes 1. Inferred shapes follow from it."""
    symbols = set()
    for info in proto.graph.input:
        dims = info.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            symbols.add(dims[0].dim_param)
            dims[0].dim_value = 1
    for info in proto.graph.output:
        for dim in info.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value") and dim.dim_param in symbols:
                dim.dim_value = 1
    del proto.graph.value_info[:]


def _constant(node, attributes: dict, name: str) -> np.ndarray:
    if "value" not in attributes:
        raise CompileError(f"{name}: Constant {node.output[0]}: only tensors are read, not {', '.join(attributes)}")
    return numpy_helper.to_array(attributes["value"])


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
