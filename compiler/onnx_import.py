"""ONNX file in, a list of plain nodes out: checked, with every shape known. Nothing here knows the chip."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from compiler.errors import CompileError

__all__ = ["Model", "Node", "load"]

#: Older sets of operators have other meanings under the same names.
OLDEST = 7
#: Elements of one tensor, so that a damaged shape doesn't take all of the host's memory.
LIMIT = 1 << 26


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


def load(source: str | Path | onnx.ModelProto, operators: Collection[str]) -> Model:
    """Reads a model file or takes a model, of which nodes may have the named operators (and Constant).

    Raises :class:`CompileError` for one that is missing, broken, of unknown shape or with other operators, and then names them all.
    """
    proto, name = _read(source)
    try:
        _check_operators(proto.graph, name, operators)
        _fix_batch(proto)
        return _model(_checked(proto, name), name)
    except CompileError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, MemoryError, RuntimeError) as error:
        # What onnx's own helpers raise on the parts of a damaged file that its checker lets through.
        raise CompileError(f"{name}: a damaged model ({type(error).__name__}: {_first_line(error)})") from None


def _read(source) -> tuple[onnx.ModelProto, str]:
    if isinstance(source, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(source)
        return proto, proto.graph.name or "model"
    path = Path(source)
    try:
        proto = onnx.load(str(path))
    except OSError as error:
        raise CompileError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # the protobuf decoder's exception types are its own
        raise CompileError(f"{path}: not an ONNX file, or a truncated one ({_first_line(error)})") from None
    if not proto.graph.node:
        raise CompileError(f"{path}: not an ONNX file, or one without nodes")
    return proto, path.name


def _title(node: onnx.NodeProto, index: int) -> str:
    return node.name or f"{node.op_type}_{index}"


def _check_operators(graph: onnx.GraphProto, name: str, operators: Collection[str]):
    missing = []
    for index, node in enumerate(graph.node):
        own = node.domain in ("", "ai.onnx")
        if not own or node.op_type not in (*operators, "Constant"):
            missing.append(f"{'' if own else node.domain + '.'}{node.op_type} {_title(node, index)!r}")
    if missing:
        raise CompileError(f"{name}: no kernel for {', '.join(missing)}; the operators that run are {', '.join(operators)}")
    if graph.sparse_initializer:
        raise CompileError(f"{name}: sparse constants are not supported")


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
            if dim.dim_param and dim.dim_param in symbols:
                dim.dim_value = 1
    del proto.graph.value_info[:]


def _checked(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with inferred shapes."""
    try:
        onnx.checker.check_model(proto)
        proto = shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        raise CompileError(f"{name}: {_first_line(error)}") from None
    version = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if version < OLDEST:
        raise CompileError(f"{name}: operator set {version} is older than {OLDEST}; onnx.version_converter makes a newer one")
    return proto


def _model(proto: onnx.ModelProto, name: str) -> Model:
    graph = proto.graph
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, np.dtype] = {}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for index, node in enumerate(graph.node):
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type != "Constant":
            nodes.append(Node(node.op_type, _title(node, index), tuple(node.input), tuple(node.output), attributes))
        elif "value" in attributes:
            constants[node.output[0]] = numpy_helper.to_array(attributes["value"])
        else:
            raise CompileError(f"{name}: Constant {_title(node, index)!r}: only tensors are read, not {', '.join(attributes)}")
    for info in (*graph.input, *graph.value_info, *graph.output):
        shapes[info.name], dtypes[info.name] = _type(info, name)
    for key, value in constants.items():
        shapes[key], dtypes[key] = value.shape, value.dtype
        if not value.size:
            raise CompileError(f"{name}: the constant {key} is empty")
    for node in nodes:
        for output in node.outputs:
            if output and output not in shapes:
                raise CompileError(f"{name}: {node.op} {node.name!r}: the shape of {output} can't be inferred")
    inputs = tuple(info.name for info in graph.input if info.name not in constants)
    return Model(name, tuple(nodes), constants, shapes, dtypes, inputs, tuple(info.name for info in graph.output))


def _type(info: onnx.ValueInfoProto, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of a tensor."""
    if info.type.WhichOneof("value") != "tensor_type":
        raise CompileError(f"{name}: {info.name} is not a tensor")
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        raise CompileError(f"{name}: the shape of {info.name} is not known; give the model fixed shapes")
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    if any(dim is None or dim < 1 for dim in dims):
        shape = ", ".join("?" if dim is None else str(dim) for dim in dims)
        raise CompileError(f"{name}: the shape of {info.name} is not known: [{shape}]; give the model fixed shapes")
    if math.prod(dims) >= LIMIT:
        raise CompileError(f"{name}: {info.name} of shape {dims} is too large")
    return tuple(dims), np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
