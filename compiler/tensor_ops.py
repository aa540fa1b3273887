"""Operations on a tensor as a user writes them, and what each makes of a :class:`TensorMap`. The fields are in `docs/command_line.md`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.element import ELEMENTS
from compiler.errors import CompileError
from compiler.tensor_map import RANK, TensorMap

__all__ = ["OPERATIONS", "Operation", "apply", "parse"]


@dataclass(frozen=True)
class Operation:
    """One operation: its place in the list, its name, its fields with their defaults filled in."""

    number: int
    name: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        return f"op {self.number} ({self.name})"


def parse(ops: Any) -> list[Operation]:
    """Operations from decoded JSON. Raises :class:`CompileError` for names, fields and types that aren't known."""
    if not isinstance(ops, list) or not ops:
        raise CompileError("ops: a list of at least one operation is needed")
    result = []
    for number, each in enumerate(ops):
        if not isinstance(each, dict) or not isinstance(each.get("op"), str):
            raise CompileError(f"op {number}: an object with a text \"op\" is needed")
        name = each["op"]
        if name not in OPERATIONS:
            raise CompileError(f"op {number}: {name!r} is not one of {', '.join(OPERATIONS)}")
        known, required = _FIELDS[name], [field for field, (_, default) in _FIELDS[name].items() if default is _NEEDED]
        for field in each:
            if field != "op" and field not in known:
                raise CompileError(f"op {number} ({name}): unknown field {field!r}; it has {', '.join(known)}")
        for field in required:
            if field not in each:
                raise CompileError(f"op {number} ({name}): the field {field!r} is missing")
        fields = {}
        for field, (check, default) in known.items():
            value = each.get(field, default)
            if field in each and not check(value):
                raise CompileError(f"op {number} ({name}): {field}: {value!r} is not {_NAMES[check]}")
            fields[field] = value
        result.append(Operation(number, name, fields))
    return result


def apply(operation: Operation, tensor: TensorMap) -> TensorMap:
    """The tensor after the operation. Raises :class:`CompileError` that names it."""
    try:
        result = OPERATIONS[operation.name](tensor, **operation.fields)
        if len(result.shape) > RANK:
            raise CompileError(f"the result has rank {len(result.shape)}; the data engine has {RANK} dimensions")
        if min(result.shape, default=1) < 1:
            raise CompileError(f"the result's shape {list(result.shape)} has an axis without elements")
    except CompileError as error:
        raise type(error)(f"{operation}: {error}") from None
    return result


# Types of fields


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31


def _list(value) -> bool:
    return isinstance(value, list) and all(_whole(each) for each in value)


def _number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value) -> bool:
    return isinstance(value, str)


_NAMES = {_whole: "an integer", _list: "a list of integers", _number: "a number", _text: "a text"}
_NEEDED = object()
_FIELDS: dict[str, dict[str, tuple[Callable, Any]]] = {
    "slice": {"offset": (_list, _NEEDED), "size": (_list, _NEEDED), "stride": (_list, None), "fill": (_number, 0)},
    "deslice": {"offset": (_list, _NEEDED), "into": (_list, _NEEDED), "value": (_number, 0)},
    "transpose": {"axes": (_list, _NEEDED)},
    "pad": {"low": (_list, None), "high": (_list, None), "interior": (_list, None), "value": (_number, 0)},
    "mirror": {"axes": (_list, _NEEDED)},
    "broadcast": {"shape": (_list, _NEEDED)},
    "fill": {"shape": (_list, _NEEDED), "value": (_number, _NEEDED)},
    "gather": {"axis": (_whole, _NEEDED), "indices": (_list, _NEEDED)},
    "im2col": {
        "kernel": (_list, _NEEDED), "stride": (_list, [1, 1]), "dilation": (_list, [1, 1]), "pad": (_list, [0, 0, 0, 0]),
        "value": (_number, 0),
    },
    "convert": {"dtype": (_text, _NEEDED)},
}


def _per_axis(tensor: TensorMap, name: str, value: Sequence[int] | None, default: int) -> list[int]:
    if value is None:
        return [default] * len(tensor.shape)
    if len(value) != len(tensor.shape):
        raise CompileError(f"{name} has {len(value)} entries, the tensor {list(tensor.shape)} has rank {len(tensor.shape)}")
    return list(value)


def _axes(tensor: TensorMap, axes: Sequence[int]) -> list[int]:
    rank = len(tensor.shape)
    for axis in axes:
        if not -rank <= axis < rank:
            raise CompileError(f"axis {axis} is not in 0 to {rank - 1}")
    result = [axis % rank for axis in axes]
    for axis in result:
        if result.count(axis) > 1:
            raise CompileError(f"axes {list(axes)} repeat axis {axis}")
    return result


# What they do


def _slice(tensor: TensorMap, offset, size, stride, fill) -> TensorMap:
    offset, size = _per_axis(tensor, "offset", offset, 0), _per_axis(tensor, "size", size, 1)
    stride = _per_axis(tensor, "stride", stride, 1)
    if 0 in stride:
        raise CompileError(f"stride {stride} has a 0; broadcast repeats elements")
    _positive("size", size)
    places = [o + t * np.arange(n) for o, n, t in zip(offset, size, stride, strict=True)]
    return tensor.filled(places, fill)


def _deslice(tensor: TensorMap, offset, into, value) -> TensorMap:
    offset, into = _per_axis(tensor, "offset", offset, 0), _per_axis(tensor, "into", into, 1)
    _positive("into", into)
    for axis, (o, n, large) in enumerate(zip(offset, tensor.shape, into, strict=True)):
        if o < 0 or o + n > large:
            raise CompileError(f"axis {axis}: a block of {n} at {o} doesn't lie inside of the {large} of \"into\"")
    return tensor.filled([np.arange(large) - o for o, large in zip(offset, into, strict=True)], value)


def _transpose(tensor: TensorMap, axes) -> TensorMap:
    if len(axes) != len(tensor.shape):
        raise CompileError(f"{len(axes)} axes given, the tensor {list(tensor.shape)} has rank {len(tensor.shape)}")
    return tensor.transposed(_axes(tensor, axes))


def _pad(tensor: TensorMap, low, high, interior, value) -> TensorMap:
    low, high = _per_axis(tensor, "low", low, 0), _per_axis(tensor, "high", high, 0)
    interior = _per_axis(tensor, "interior", interior, 0)
    if min(interior, default=0) < 0:
        raise CompileError(f"interior {interior} has a negative number")
    places = []
    for axis, (n, before, after, gaps) in enumerate(zip(tensor.shape, low, high, interior, strict=True)):
        size = before + (n - 1) * (gaps + 1) + 1 + after
        if size < 1:
            raise CompileError(f"axis {axis}: nothing is left of {n} elements")
        _positive("the padded shape", [size])
        element, gap = np.divmod(np.arange(size) - before, gaps + 1)
        places.append(np.where(gap == 0, element, -1))
    return tensor.filled(places, value)


def _mirror(tensor: TensorMap, axes) -> TensorMap:
    flipped = _axes(tensor, axes)
    return tensor.picked({axis: np.arange(tensor.shape[axis])[::-1] for axis in flipped})


def _broadcast(tensor: TensorMap, shape) -> TensorMap:
    _positive("shape", shape)
    new = len(shape) - len(tensor.shape)
    if new < 0 or any(n not in (1, wide) for n, wide in zip(tensor.shape, shape[new:], strict=True)):
        raise CompileError(f"{list(tensor.shape)} can't be broadcast to {shape}")
    wider = tensor.picked({axis: np.zeros(shape[new + axis], np.int64) for axis, n in enumerate(tensor.shape) if n != shape[new + axis]})
    return wider.extended(shape[:new])


def _fill(tensor: TensorMap, shape, value) -> TensorMap:
    _positive("shape", shape)
    return tensor.constant(shape, value)


def _gather(tensor: TensorMap, axis, indices) -> TensorMap:
    (axis,) = _axes(tensor, [axis])
    if not indices:
        raise CompileError("indices: at least one is needed")
    n = tensor.shape[axis]
    for place, index in enumerate(indices):
        if not 0 <= index < n:
            raise CompileError(f"index {index} at place {place} is outside of the tensor: axis {axis} has 0 to {n - 1}")
    return tensor.picked({axis: np.array(indices, np.int64)}, listed=True)


def _im2col(tensor: TensorMap, kernel, stride, dilation, pad, value) -> TensorMap:
    for name, given, count in (("kernel", kernel, 2), ("stride", stride, 2), ("dilation", dilation, 2), ("pad", pad, 4)):
        if len(given) != count:
            raise CompileError(f"{name} has {len(given)} entries, {count} are needed")
    for name, given in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        _positive(name, given)
    if min(pad) < 0:
        raise CompileError(f"pad {pad} has a negative number")
    if len(tensor.shape) != 4:
        raise CompileError(f"a tensor of shape N, H, W, C is needed, not {list(tensor.shape)}")
    return tensor.windows(kernel, stride, dilation, pad, value)


def _convert(tensor: TensorMap, dtype) -> TensorMap:
    if dtype not in _CONVERTIBLE:
        raise CompileError(f"dtype: {dtype!r} is not one of {', '.join(_CONVERTIBLE)}")
    return tensor.converted(ELEMENTS[dtype])


def _positive(name: str, values: Sequence[int]):
    if not values or min(values) < 1:
        raise CompileError(f"{name} {list(values)}: sizes are 1 or more")
    if max(values) > _MOST:
        raise CompileError(f"{name} {list(values)}: more elements along an axis than {_MOST}")


#: No space has more elements than this; it keeps mistyped sizes from taking the machine's memory.
_MOST = 1 << 26
_CONVERTIBLE = ("fp32", "fp16", "bf16", "tf32", "int8", "int32")

OPERATIONS: dict[str, Callable[..., TensorMap]] = {
    "slice": _slice, "deslice": _deslice, "transpose": _transpose, "pad": _pad, "mirror": _mirror, "broadcast": _broadcast,
    "fill": _fill, "gather": _gather, "im2col": _im2col, "convert": _convert,
}
