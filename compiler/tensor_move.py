"""A chain of tensor operations as data-engine commands: one pass where the hardware fuses them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.assembler import Program
from compiler.element import Element
from compiler.errors import CompileError, NotFused
from compiler.tensor_map import RANK, TensorMap, Windows
from compiler.tensor_ops import Operation, apply
from compiler.tensor_walk import LIMIT, Walk, cut, fit, merge
from rtl.isa import DataOp, Engine, Space

__all__ = ["Command", "Pass", "Place", "commands", "emit", "plan"]

_LIST = 4  # the dimension of a gather's list
#: Commands that one pass may be cut into, so that a program stays small.
_MOST = 1024


@dataclass(frozen=True)
class Place:
    """An address."""

    space: Space
    address: int


@dataclass(frozen=True)
class Command:
    """Words of a command whose source, target and list lie at 0; `mode` without spaces. `read` and `written` count bytes."""

    mode: dict[str, Any]
    words: dict[str, int]
    source: int
    target: int
    read: int
    written: int
    #: Where its list starts in the list of the pass, in bytes.
    index: int = 0


@dataclass(frozen=True)
class Pass:
    """One pass over the data: the operations in it, what they make, its commands and the list of its gather (int32)."""

    operations: tuple[Operation, ...]
    tensor: TensorMap
    commands: tuple[Command, ...]
    entries: np.ndarray | None

    @property
    def source_bytes(self) -> int:
        return math.prod(self.tensor.origin) * self.tensor.source.bytes

    @property
    def target_bytes(self) -> int:
        return math.prod(self.tensor.shape) * self.tensor.element.bytes


def plan(operations: Sequence[Operation], shape: Sequence[int], element: Element, passes: bool = False) -> list[Pass]:
    """The operations in one pass, or with `passes` in several, each as long as it can be. Raises :class:`CompileError` that names the
    operation that can't be; as :class:`NotFused` where only the chain can't."""
    if len(shape) > RANK or not shape:
        raise CompileError(f"a tensor of rank {len(shape)}: the data engine moves rank 1 to {RANK}")
    try:
        return [_fused(operations, shape, element)]
    except NotFused:
        if not passes:
            raise _breaks(operations, shape, element) from None
    for length in range(len(operations) - 1, 0, -1):
        try:
            first = _fused(operations[:length], shape, element)
        except NotFused:
            continue
        return [first, *plan(operations[length:], first.tensor.shape, first.tensor.element, passes)]
    raise _breaks(operations, shape, element)


def _fused(operations: Sequence[Operation], shape: Sequence[int], element: Element) -> Pass:
    tensor = TensorMap.whole(shape, element)
    for operation in operations:
        tensor = apply(operation, tensor)
    made = commands(tensor)
    entries = next((axis.places.astype("<i4") for axis in tensor.axes if axis.listed), None)
    return Pass(tuple(operations), tensor, tuple(made), entries if any(each.mode.get("gather") for each in made) else None)


def _breaks(operations: Sequence[Operation], shape: Sequence[int], element: Element) -> CompileError:
    """What the first operation does that can't join those before it."""
    for length in range(1, len(operations) + 1):
        try:
            _fused(operations[:length], shape, element)
        except NotFused as error:
            name = str(operations[length - 1])
            reason = str(error).removeprefix(f"{name}: ")
            if length == 1:
                return CompileError(f"{name}: the hardware can't do it: {reason}")
            return NotFused(f"{name} doesn't fuse with what is before it: {reason}")
    raise AssertionError("the chain fuses")


def commands(tensor: TensorMap) -> list[Command]:
    """The commands of one pass. Raises :class:`NotFused` for what no command can do, :class:`CompileError` for what takes too many."""
    made = list(itertools.islice(_windows(tensor, tensor.windows_of) if tensor.windows_of else _axes(tensor), _MOST + 1))
    if len(made) > _MOST:
        raise CompileError(f"more than {_MOST} commands are needed; make the tensor smaller")
    return made


def _strides(shape: Sequence[int], element: int) -> list[int]:
    """Of a dense tensor, outermost axis first."""
    return [element * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _mode(tensor: TensorMap, op: DataOp, **more) -> dict[str, Any]:
    if tensor.is_converted and op is not DataOp.FILL:
        return {"op": op, "convert": 1, "source_format": tensor.source.format, "destination_format": tensor.element.format, **more}
    return {"op": op, "element": tensor.element.bytes.bit_length() - 1, **more}


def _axes(tensor: TensorMap) -> Iterator[Command]:
    code = tensor.fill()
    lists = [number for number, axis in enumerate(tensor.axes) if axis.listed]
    if len(lists) > 1:
        raise NotFused("a command has one list of indices")
    pitches, targets = _strides(tensor.origin, tensor.source.bytes), _strides(tensor.shape, tensor.element.bytes)
    if any((axis.places < 0).all() for axis in tensor.axes):
        yield from _filling(tensor, tensor.shape, targets, code, 0)
        return
    # Plain axes of any size can be cut later; the others are cut here, while each element's place is still known.
    ranges = []
    for axis in tensor.axes:
        n = len(axis.places)
        whole = n <= LIMIT or (not axis.listed and (axis.places >= 0).all())
        part = n if whole else LIMIT // 2 + 1
        ranges.append([slice(start, min(start + part, n)) for start in range(0, n, part)])
    for chosen in itertools.product(*ranges):
        begin = sum(part.start * target for part, target in zip(chosen, targets, strict=True))
        parts = [axis.places[part] for axis, part in zip(tensor.axes, chosen, strict=True)]
        if any((places < 0).all() for places in parts):
            yield from _filling(tensor, [len(places) for places in parts], targets, code, begin)
            continue
        # Along an axis without a source nothing changes but what fills it.
        origins = [(0, 1) if axis.source is None else (pitches[axis.source], tensor.origin[axis.source]) for axis in tensor.axes]
        walks = merge([
            fit(places, pitch, target, elements, axis.listed)
            for axis, places, target, (pitch, elements) in zip(*map(reversed, (tensor.axes, parts, targets, origins)), strict=True)
        ])
        index = 4 * chosen[lists[0]].start if lists else 0
        for source, target, piece in cut(walks, RANK):
            yield from _ordered(tensor, piece, code, source, begin + target, index)


def _filling(tensor: TensorMap, shape: Sequence[int], targets: Sequence[int], code: int, begin: int) -> Iterator[Command]:
    """A box of fill of that shape at `begin`."""
    walks = merge([Walk(n, 0, target) for n, target in zip(reversed(shape), reversed(targets), strict=True)])
    for _, target, piece in cut(walks, RANK):
        yield _command(tensor, DataOp.FILL, piece, code, begin + target)


def _ordered(tensor: TensorMap, walks: list[Walk], code: int, source: int, target: int, index: int) -> Iterator[Command]:
    """One command, with tiles where the innermost elements of source and target lie along different axes."""
    element, inner = tensor.source.bytes, walks[0]
    source += sum(walk.base for walk in walks)
    dense = [walk for walk in walks[1:] if walk.stride == element and walk.entries is None][: inner.stride != element]
    gaps, lists = any(walk.count for walk in walks), [walk for walk in walks if walk.entries is not None]
    if gaps and (lists or (dense and inner.stride)):
        raise NotFused(f"interior padding doesn't fuse with a {'gather' if lists else 'transposition'}")
    tile = bool(dense) and inner.entries is None and not gaps
    if tile:
        walks = [inner, dense[0], *(walk for walk in walks[1:] if walk is not dense[0])]
    if all(walk.plain for walk in walks):
        yield _command(tensor, DataOp.COPY, walks, 0, target, source=source, tile=tile)
    else:
        others = [walk for walk in walks if walk.entries is None]
        if lists:
            others += [Walk(1, 0, 0)] * (_LIST - len(others)) + lists
        yield _command(tensor, DataOp.SLICE, others, code, target, source=source, tile=tile, index=index)


def _command(
    tensor: TensorMap, op: DataOp, walks: Sequence[Walk], code: int, target: int, *, source: int = 0, tile: bool = False, index: int = 0,
) -> Command:
    words = {} if op is DataOp.COPY else {"fill": code}
    gathers = any(walk.entries is not None for walk in walks)
    interior = []
    for d in range(RANK):
        walk = walks[d] if d < len(walks) else Walk(1, 0, 0)
        words |= {f"size{d}": walk.size, f"dst_stride{d}": walk.target}
        if op is not DataOp.FILL:
            words[f"src_stride{d}"] = walk.stride
        if op is DataOp.SLICE:
            words |= {f"offset{d}": walk.offset, f"step{d}": 1, f"extent{d}": walk.size if walk.plain else walk.extent or 0}
        interior += [(walk.count, walk.phase)]
    if op is DataOp.SLICE:
        words |= _interior(interior)
    moved = math.prod(walk.inside for walk in walks) * tensor.source.bytes if op is not DataOp.FILL else 0
    listed = sum(4 * walk.size for walk in walks if walk.entries is not None)
    written = math.prod(walk.size for walk in walks) * tensor.element.bytes
    more: dict[str, Any] = ({"tile": 1} if tile else {}) | ({"gather": 1} if gathers else {})
    return Command(_mode(tensor, op, **more), words, source, target, moved + listed, written, index)


def _interior(pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    padded = [*pairs, (0, 0)]
    names = ("interior01", "interior23", "interior4")
    return {
        name: {"count_a": a[0], "phase_a": a[1], "count_b": b[0], "phase_b": b[1]}
        for name, a, b in zip(names, padded[::2], padded[1::2], strict=True)
    }


def _windows(tensor: TensorMap, windows: Windows) -> Iterator[Command]:
    """Convolution windows: dimensions (channel, kw, kh, ow, oh), one command for an image; or, where channels and kw lie side by side,
    (kw and channel, kh, image, ow, oh), one command for all."""
    images, height, width, channels = windows.shape
    (kh, kw), (rows, columns), (down, across) = windows.kernel, windows.rows, windows.stride
    dilation_h, dilation_w = (1 if k == 1 else d for k, d in zip(windows.kernel, windows.dilation, strict=True))
    top, left = windows.pad[:2]
    e_s, e_d = tensor.source.bytes, tensor.element.bytes
    c, x, y = channels * e_s, kw * channels * e_d, kh * kw * channels * e_d
    together = dilation_w == 1 and max(width * channels, left * channels, kw * channels) <= LIMIT and across * channels < LIMIT // 2
    # (size, target stride, step, coordinate's stride, offset, extent) of each dimension; extent 0 where the coordinate is another's.
    tail = [(columns, y, across * (channels if together else 1), 0, 0, 0), (rows, columns * y, down, 0, 0, 0)]
    down_side = (kh, x, dilation_h, width * c, -top, height)
    image = rows * columns * y
    if together:
        each = (images, image, 1, height * width * c, 0, images)
        head = [(kw * channels, e_d, 1, e_s, -left * channels, width * channels), down_side, each]
        parts = [(0, 0)]
    else:
        head = [(channels, e_d, 1, e_s, 0, channels), (kw, channels * e_d, dilation_w, c, -left, width), down_side]
        parts = [(n * height * width * c, n * image) for n in range(images)]
    dimensions = [*head, *tail]
    if any(size > LIMIT or step >= LIMIT // 2 or offset < -LIMIT - 1 or extent > LIMIT for size, _, step, _, offset, extent in dimensions):
        raise CompileError(f"im2col: a size, stride, dilation or pad is more than the {LIMIT} elements of a command's dimension")
    words: dict[str, Any] = {"fill": tensor.fill(), **_interior([(0, 0)] * RANK)}
    for d, (size, target, step, stride, offset, extent) in enumerate(dimensions):
        words |= {
            f"size{d}": size, f"dst_stride{d}": target, f"step{d}": step, f"src_stride{d}": stride, f"offset{d}": offset,
            f"extent{d}": extent,
        }
    inside = [
        sum(0 <= o * s + k * d - before < n for o in range(count) for k in range(size))
        for count, s, size, d, before, n in ((rows, down, kh, dilation_h, top, height), (columns, across, kw, dilation_w, left, width))
    ]
    mode = _mode(tensor, DataOp.SLICE, share3=1 if together else 2, share4=2 if together else 3)
    for source, target in parts:
        share = images if together else 1
        yield Command(mode, words, source, target, math.prod(inside) * channels * share * e_s, rows * columns * y * share)


def emit(program: Program, one: Pass, source: Place, target: Place, entries: Place | None, tag: int):
    """Sets and runs the commands of a pass; each one that reads what an earlier one writes waits for it by itself."""
    for command in one.commands:
        mode = command.mode | {"source": source.space, "destination": target.space}
        words: dict[str, Any] = dict(command.words)
        if entries is not None and command.mode.get("gather"):
            mode["index"] = entries.space
            words["index_base"] = entries.address + command.index
        if command.mode["op"] is not DataOp.FILL:
            words["src_base"] = source.address + command.source
        program.set(Engine.DATA, mode=mode, tag=tag, dst_base=target.address + command.target, **words)
        program.run(Engine.DATA)
