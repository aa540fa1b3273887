"""A data-engine command as dimensions that move coordinates of a source tensor.

COPY, FILL and SLICE are one thing here: a COPY is a SLICE whose coordinates are its own indices, with nothing outside; a FILL has no
source.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import DataOp

__all__ = ["LIST", "Coordinate", "Dimension", "Move"]

#: The dimension of a gather's list, and the coordinate that it moves.
LIST = 4


@dataclass(frozen=True)
class Dimension:
    """Index i of `size` goes to byte `target` * i, and moves `coordinate` by `step` for every count + 1 of phase + i; between them are
    gaps."""

    size: int
    target: int
    coordinate: int
    step: int
    count: int
    phase: int


@dataclass(frozen=True)
class Coordinate:
    """`extent` elements of the source, `stride` byte apart; index 0 of every dimension that moves it stands at `offset`."""

    stride: int
    offset: int
    extent: int


class Move:
    """Members as the command's own, by dimension and coordinate; `source_bytes` and `target_bytes` are those of an element."""

    def __init__(self, command: SimpleNamespace):
        self.command = command
        self.mode = command.mode
        self.slices = self.mode.op is DataOp.SLICE
        self.reads = self.mode.op is not DataOp.FILL
        self.gathers = self.slices and bool(self.mode.gather)
        if self.mode.convert:
            codes = self.mode.source_format, self.mode.destination_format
            self.source_bytes, self.target_bytes = (CONTAINER_BYTES.get(code, 1) for code in codes)
            self.formats: tuple[Format, Format] | None = codes
        else:
            self.source_bytes = self.target_bytes = 1 << self.mode.element
            self.formats = None
        self.dimensions = [self._dimension(d) for d in range(5)]
        self.coordinates = dict(self._coordinates()) if self.reads else {}

    def _dimension(self, d: int) -> Dimension:
        size, target = getattr(self.command, f"size{d}"), getattr(self.command, f"dst_stride{d}")
        if not self.slices:
            return Dimension(size, target, d, 1, 0, 0)
        share = {3: self.mode.share3, 4: self.mode.share4}.get(d, 0)
        if self.gathers and d == LIST:
            return Dimension(size, target, LIST, 1, 0, 0)
        word = getattr(self.command, ("interior01", "interior01", "interior23", "interior23", "interior4")[d])
        count, phase = (word.count_b, word.phase_b) if d % 2 else (word.count_a, word.phase_a)
        return Dimension(size, target, share - 1 if share else d, getattr(self.command, f"step{d}"), count, phase)

    def _coordinates(self) -> Iterator[tuple[int, Coordinate]]:
        for k in range(5):
            stride = getattr(self.command, f"src_stride{k}")
            if not self.slices:
                yield k, Coordinate(stride, 0, self.dimensions[k].size)
            elif self.gathers and k == LIST:
                yield k, Coordinate(stride, 0, self.command.extent4)
            elif self.dimensions[k].coordinate == k:
                yield k, Coordinate(stride, getattr(self.command, f"offset{k}"), getattr(self.command, f"extent{k}"))
