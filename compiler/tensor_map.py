"""Where each element of a tensor comes from: index maps that compose.

All operations but im2col act axis by axis, so that a chain of them is one array of source indices for each axis, whatever the chain.
What can be a command is decided once, by looking at the arrays (`compiler/tensor_move.py`), not by rules for pairs of operations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.element import Element, convert, encode
from compiler.errors import CompileError, NotFused

__all__ = ["RANK", "Axis", "TensorMap", "Windows"]

#: Dimensions of a command, and so of a tensor.
RANK = 5


@dataclass(frozen=True)
class Axis:
    """`places[i]` is the index along the axis `source` of the source tensor; -k where the k-th fill of the chain stands instead. Without a
    `source` the tensor doesn't vary along this axis. `listed`: the places go into a list in memory."""

    source: int | None
    places: np.ndarray
    listed: bool = False


@dataclass(frozen=True)
class Windows:
    """Convolution windows of a whole N, H, W, C tensor; `pad` is top, left, bottom, right."""

    shape: tuple[int, ...]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int, int, int]

    @property
    def rows(self) -> tuple[int, int]:
        """Places of a window, down and across. Raises :class:`CompileError` if there are none."""
        result = []
        sides = zip(self.shape[1:3], self.kernel, self.stride, self.dilation, self.pad[:2], self.pad[2:], strict=True)
        for n, k, s, d, before, after in sides:
            span = (k - 1) * d + 1
            if n + before + after < span:
                raise CompileError(f"a window of {span} is larger than the padded {n + before + after} elements")
            result.append((n + before + after - span) // s + 1)
        return result[0], result[1]


@dataclass(frozen=True)
class TensorMap:
    """A tensor as a function of a source tensor of shape `origin` and type `source`. Its own type is `element`; `fills` are the codes of
    what fills it, in its type, by their number in the chain. The later fill stands where two meet."""

    origin: tuple[int, ...]
    source: Element
    element: Element
    axes: tuple[Axis, ...]
    fills: tuple[int, ...] = ()
    windows_of: Windows | None = None
    is_converted: bool = False

    @classmethod
    def whole(cls, shape: Sequence[int], element: Element) -> "TensorMap":
        return cls(tuple(shape), element, element, tuple(Axis(axis, np.arange(n)) for axis, n in enumerate(shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        if self.windows_of is not None:
            rows, (kh, kw) = self.windows_of.rows, self.windows_of.kernel
            return (self.windows_of.shape[0] * rows[0] * rows[1], kh * kw * self.windows_of.shape[3])
        return tuple(len(axis.places) for axis in self.axes)

    @property
    def is_whole(self) -> bool:
        """The source tensor as it is, its type apart."""
        return self.windows_of is None and len(self.axes) == len(self.origin) and all(
            axis.source == number and not axis.listed and len(axis.places) == n and (axis.places == np.arange(n)).all()
            for number, (axis, n) in enumerate(zip(self.axes, self.origin, strict=True))
        )

    def _plain(self):
        if self.windows_of is not None:
            raise NotFused("im2col fuses with a conversion alone")

    def transposed(self, axes: Sequence[int]) -> "TensorMap":
        self._plain()
        return replace(self, axes=tuple(self.axes[axis] for axis in axes))

    def picked(self, places: Mapping[int, np.ndarray], listed: bool = False) -> "TensorMap":
        """The elements at `places` of some axes, all of them inside."""
        self._plain()
        axes = list(self.axes)
        for axis, at in places.items():
            old = axes[axis]
            axes[axis] = replace(old, places=old.places[at], listed=old.listed or (listed and old.source is not None))
        return replace(self, axes=tuple(axes))

    def filled(self, places: Sequence[np.ndarray], value: int | float) -> "TensorMap":
        """The elements at `places` of every axis; `value` where one is outside."""
        self._plain()
        code, number, axes = encode(value, self.element), len(self.fills) + 1, []
        for axis, at in zip(self.axes, places, strict=True):
            inside = (at >= 0) & (at < len(axis.places))
            axes.append(replace(axis, places=np.where(inside, axis.places[np.where(inside, at, 0)], -number)))
        return replace(self, axes=tuple(axes), fills=(*self.fills, code))

    def extended(self, shape: Sequence[int]) -> "TensorMap":
        """With further axes in front, along which nothing changes."""
        self._plain()
        return replace(self, axes=(*(Axis(None, np.zeros(n, np.int64)) for n in shape), *self.axes))

    def constant(self, shape: Sequence[int], value: int | float) -> "TensorMap":
        """`value` everywhere; nothing of the source is left."""
        empty = replace(self, axes=(), windows_of=None).extended(shape)
        number = len(self.fills) + 1
        return replace(
            empty, axes=tuple(replace(axis, places=np.full(len(axis.places), -number)) for axis in empty.axes),
            fills=(*self.fills, encode(value, self.element)),
        )

    def windows(self, kernel, stride, dilation, pad, value: int | float) -> "TensorMap":
        if not self.is_whole:
            raise NotFused("im2col fuses with a conversion alone")
        windows = Windows(self.shape, tuple(kernel), tuple(stride), tuple(dilation), tuple(pad))
        assert windows.rows
        return replace(self, windows_of=windows, fills=(*self.fills, encode(value, self.element)))

    def converted(self, element: Element) -> "TensorMap":
        if self.element.format is None:
            raise CompileError(f"{self.element.name} has no number format of the chip; dtype says which one it is")
        if self.is_converted:
            raise NotFused("a command converts once")
        fills = tuple(convert(code, self.element, element) for code in self.fills)
        return replace(self, element=element, fills=fills, is_converted=True)

    def fill(self) -> int:
        """The one code that fills the tensor. Raises :class:`NotFused` if two different ones are needed; 0 where none is."""
        if self.windows_of is not None:
            return self.fills[-1]
        lowest = [max(0, -int(axis.places.max())) for axis in self.axes]
        needed = {
            number for axis, each in enumerate(self.axes) for number in np.unique(-each.places[each.places < 0]).tolist()
            if all(low <= number for other, low in enumerate(lowest) if other != axis)
        }
        codes = {self.fills[number - 1] for number in needed}
        if len(codes) > 1:
            raise NotFused("a command has one value of fill, and two different ones are needed")
        return codes.pop() if codes else 0
