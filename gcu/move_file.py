"""Files of `gcu move`: the specification of the move, and the tensors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compiler.element import ELEMENTS, Element
from compiler.errors import CompileError
from compiler.tensor_ops import Operation, parse
from gcu.errors import BadInput
from gcu.npy import read_npy
from rtl.isa import Space

__all__ = ["Spec", "load_spec", "load_tensor", "store_tensor"]

#: The type of an element in an .npy file; the first element of each type is what the file means without `dtype`.
_STORED = {
    "fp32": np.float32, "fp16": np.float16, "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16,
    "int32": np.int32, "uint32": np.uint32, "bf16": np.uint16, "tf32": np.float32,
}


@dataclass(frozen=True)
class Spec:
    """A move: from where to where, what, and the type of the input where the file's own doesn't say it."""

    source: Space
    target: Space
    operations: list[Operation]
    element: Element | None


def load_spec(path: Path) -> Spec:
    """Raises :class:`BadInput`."""
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON: {error}") from None
    try:
        return _spec(data)
    except CompileError as error:
        raise BadInput(f"{path}: {error}") from None


def _spec(data) -> Spec:
    if not isinstance(data, Mapping):
        raise CompileError('an object with "src", "dst" and "ops" is needed')
    for name in data:
        if name not in ("src", "dst", "ops", "dtype"):
            raise CompileError(f"unknown field {name!r}; it has src, dst, ops, dtype")
    spaces = []
    for name in ("src", "dst"):
        if name not in data:
            raise CompileError(f"the field {name!r} is missing")
        if data[name] not in Space.__members__:
            raise CompileError(f"{name}: {data[name]!r} is not one of {', '.join(Space.__members__)}")
        spaces.append(Space[data[name]])
    dtype = data.get("dtype")
    if dtype is not None and (not isinstance(dtype, str) or dtype not in _STORED):
        raise CompileError(f"dtype: {dtype!r} is not one of {', '.join(_STORED)}")
    if "ops" not in data:
        raise CompileError("the field 'ops' is missing")
    return Spec(spaces[0], spaces[1], parse(data["ops"]), None if dtype is None else ELEMENTS[dtype])


def load_tensor(path: Path | None, spec: Spec) -> tuple[np.ndarray, Element]:
    """Codes and type of the input; a single zero where the move needs none. Raises :class:`BadInput`."""
    if path is None:
        if spec.operations[0].name != "fill":
            raise BadInput("IN.npy is missing; only a chain that starts with fill needs no input")
        element = spec.element or ELEMENTS["fp32"]
        return np.zeros(1, f"u{element.bytes}"), element
    value = read_npy(path, str(path))
    if value.ndim == 0 or value.size == 0:
        raise BadInput(f"{path}: the shape is {list(value.shape)}; a tensor of rank 1 to 5 with at least one element is needed")
    names = [name for name, stored in _STORED.items() if value.dtype == stored]
    if not names:
        raise BadInput(f"{path}: {value.dtype} given; {', '.join(sorted({np.dtype(each).name for each in _STORED.values()}))} can be moved")
    if spec.element is not None and spec.element.name not in names:
        raise BadInput(f"{path}: {value.dtype} given, but dtype {spec.element.name} is {np.dtype(_STORED[spec.element.name])} in a file")
    # uint16 stands for the codes of BF16 wherever a format is needed.
    halves = names[0] == "uint16" and any(operation.name == "convert" for operation in spec.operations)
    element = spec.element or ELEMENTS["bf16" if halves else names[0]]
    return np.ascontiguousarray(value).view(f"u{value.itemsize}"), element


def store_tensor(path: Path, codes: np.ndarray, element: Element):
    with path.open("wb") as stream:  # by name, numpy would append .npy
        np.save(stream, codes.view(_STORED[element.name]))
