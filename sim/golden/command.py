"""Words of a command register file as named fields, and the checks that the engines share.

A command is checked whole before its first access, in the order codes, sizes, alignment, bounds; the first rule broken gives its
status and the command has no effect. All arithmetic is on Python integers, so nothing wraps.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from types import SimpleNamespace

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data, enum

from rtl.isa import Status
from sim.golden.outcome import Fault

__all__ = ["SIZE_LIMIT", "Dimensions", "check_aligned", "check_inside", "check_sizes", "decode", "decode_struct", "span", "view"]

#: The greatest size of a dimension.
SIZE_LIMIT = 65535

#: (size, stride in bytes) of each dimension of an operand.
Dimensions = Sequence[tuple[int, int]]


@cache
def _layout(struct) -> list[tuple[str, int, int, bool, type | None]]:
    """Name, offset, width, signedness and nested type of each member of an Amaranth struct."""
    members = []
    for name, field in data.Layout.cast(struct):
        shape = Shape.cast(field.shape)
        nested = field.shape if isinstance(field.shape, type) else None
        members.append((name, field.offset, shape.width, shape.signed, nested))
    return members


def decode_struct(struct, bits: int) -> SimpleNamespace:
    """Members of an Amaranth struct by name. An enum member stays an integer where its code is undefined."""
    result = SimpleNamespace()
    for name, offset, width, signed, nested in _layout(struct):
        value = bits >> offset & (1 << width) - 1
        if signed and value >> (width - 1):
            value -= 1 << width
        if nested is not None and issubclass(nested, enum.Enum):
            value = nested._value2member_map_.get(value, value)
        elif nested is not None:
            value = decode_struct(nested, value)
        setattr(result, name, value)
    return result


def decode(struct, words: Sequence[int]) -> SimpleNamespace:
    """Fields of a command from the 32-bit words of its register file, in order of their `field` numbers."""
    if len(words) != len(_layout(struct)):
        raise ValueError(f"{struct.__name__} has {len(_layout(struct))} words, not {len(words)}")
    return decode_struct(struct, sum((int(word) & 0xFFFFFFFF) << 32 * index for index, word in enumerate(words)))


def check_sizes(sizes: Iterable[int]):
    """Every size is 1 to 65535, else SIZE."""
    if not all(1 <= size <= SIZE_LIMIT for size in sizes):
        raise Fault(Status.SIZE)


def check_aligned(element: int, values: Iterable[int]):
    """Bases and strides are multiples of the element's bytes, else ALIGNMENT."""
    if any(value % element for value in values):
        raise Fault(Status.ALIGNMENT)


def span(base: int, dimensions: Dimensions, element: int) -> tuple[int, int]:
    """Lowest and highest byte address that a strided box of elements touches."""
    offsets = [(size - 1) * stride for size, stride in dimensions]
    low = base + sum(offset for offset in offsets if offset < 0)
    high = base + sum(offset for offset in offsets if offset > 0) + element - 1
    return low, high


def check_inside(bounds: tuple[int, int], window: tuple[int, int]):
    """The bytes `bounds[0]` to `bounds[1]` lie inside [window[0], window[1]), else ADDRESS with the byte that doesn't."""
    low, high = bounds
    if low < window[0]:
        raise Fault(Status.ADDRESS, low)
    if high >= window[1]:
        raise Fault(Status.ADDRESS, high)


def view(memory: np.ndarray, dtype, base: int, dimensions: Dimensions) -> np.ndarray:
    """The strided box as a numpy view into `memory` (bytes); the first dimension is the outermost. numpy checks the bounds again."""
    shape = [size for size, _ in dimensions]
    strides = [stride for _, stride in dimensions]
    return np.ndarray(shape, np.dtype(dtype).newbyteorder("<"), buffer=memory, offset=base, strides=strides)
