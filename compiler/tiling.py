"""Automatic tiling: how a kernel is cut so that its operands fit into L1 twice, one tile computing while the next one loads.

A plan is chosen among all candidates by the cycles that `compiler.cost` estimates. The accumulation order never depends on it: K is cut
in ascending order of (kh, kw, channel), at whole groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

from compiler.cost import Cut, contraction_cycles
from compiler.errors import CompileError
from compiler.graph import Contraction, Map, Pool
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES

__all__ = ["Chunk", "Item", "Plan", "Rectangle", "Tiles", "aligned", "plan_contraction", "plan_cut", "plan_map", "plan_pool", "span"]

#: Buffers in L1 begin at multiples of this.
ALIGN = 16
#: Largest size field of a command.
LIMIT = 65535


def aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


@dataclass(frozen=True)
class Rectangle:
    """Outputs [oh0, oh1) x [ow0, ow1)."""

    oh0: int
    oh1: int
    ow0: int
    ow1: int

    @property
    def rows(self) -> int:
        return self.oh1 - self.oh0

    @property
    def columns(self) -> int:
        return self.ow1 - self.ow0


@dataclass(frozen=True)
class Chunk:
    """A part of K: taps [kh0, kh1) x [kw0, kw1), channels [c0, c1) of the group."""

    kh0: int
    kh1: int
    kw0: int
    kw1: int
    c0: int
    c1: int

    @property
    def taps(self) -> int:
        return (self.kh1 - self.kh0) * (self.kw1 - self.kw0)

    @property
    def channels(self) -> int:
        return self.c1 - self.c0

    @property
    def depth(self) -> int:
        return self.taps * self.channels


@dataclass(frozen=True)
class Item:
    """One tensor command: which outputs, which columns [n0, n1) of which group, which part of K."""

    group: int
    n0: int
    n1: int
    tile: Rectangle
    chunk: Chunk
    first: bool
    last: bool
    #: Number of B, where each row of outputs has its own.
    matrix: int = 0

    @property
    def input_key(self) -> tuple:
        return (self.group, self.tile, self.chunk)

    @property
    def weight_key(self) -> tuple:
        return (self.group, self.n0, self.chunk, self.matrix)


@dataclass(frozen=True)
class Plan:
    """Items in order, and the sizes in bytes of the L1 buffers: weights and inputs twice, partial sums once, results twice."""

    items: tuple[Item, ...]
    weights: int
    inputs: int
    partial: int
    outputs: int
    cycles: int

    @property
    def bytes(self) -> int:
        return _total((self.weights, self.inputs, self.partial, self.outputs))


@dataclass(frozen=True)
class Tiles:
    """Tiles of a kernel of the vector engine, and the bytes of its input and output buffers, each of which L1 holds twice."""

    tiles: tuple
    inputs: int
    outputs: int


def _total(sizes: tuple[int, int, int, int]) -> int:
    weights, inputs, partial, outputs = sizes
    return 2 * weights + 2 * inputs + partial + 2 * outputs


def span(count: int, stride: int, taps: int, dilation: int) -> int:
    """Inputs along one axis that `count` outputs need."""
    return (count - 1) * stride + (taps - 1) * dilation + 1


def cuts(total: int, step: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(0, total, step), total]))


def halvings(total: int) -> list[int]:
    """total, and about a half, a quarter ... of it, down to 1."""
    return list(dict.fromkeys(-(-total // (1 << shift)) for shift in range(total.bit_length() + 1)))


def _rectangles(h: int, w: int, th: int, tw: int) -> list[Rectangle]:
    return [Rectangle(*rows, *columns) for rows in cuts(h, th) for columns in cuts(w, tw)]


def _tile_sizes(h: int, w: int) -> Iterator[tuple[int, int]]:
    """(rows, columns) of a tile, the largest first: columns are cut only in single rows."""
    for th in halvings(h):
        for tw in halvings(w) if th == 1 else [w]:
            if th <= LIMIT and tw <= LIMIT:
                yield th, tw


def _chunkings(kh: int, kw: int, channels: int, lanes: int) -> Iterator[tuple[int, int, int]]:
    """Ways to cut K, as (kernel rows, taps in a row, channels) of a chunk, the coarsest first."""
    for rows in halvings(kh):
        yield rows, kw, channels
    for columns in halvings(kw)[1:]:
        yield 1, columns, channels
    for groups in halvings(-(-channels // lanes))[1:]:
        yield 1, 1, groups * lanes


def _widths(outputs: int, columns: int) -> list[int]:
    """Columns of an N tile: whole columns of PEs, and less only where nothing else fits."""
    whole = [min(outputs, -(-width // columns) * columns) for width in halvings(outputs)]
    return list(dict.fromkeys([width for width in whole if width <= LIMIT] + [n for n in (32, 16, 8, 4, 2, 1) if n < min(whole)]))


def _sizes(kernel: Contraction, cut: Cut) -> tuple[int, int, int, int] | None:
    """Bytes of the buffers for weights, inputs, partial sums and results; None where a command's sizes can't hold the tile."""
    kh, kw, channels, _ = kernel.extent
    depth = cut.kh * cut.kw * cut.channels
    if depth > LIMIT:
        return None
    e, area = CONTAINER_BYTES[kernel.x.format], cut.oh * cut.ow
    words = cut.n * ((kernel.bias is not None) + (0 if kernel.lanes is None else len(kernel.lanes.params)))
    rows, columns = span(cut.oh, kernel.stride[0], cut.kh, kernel.dilation[0]), span(cut.ow, kernel.stride[1], cut.kw, kernel.dilation[1])
    partial = 0 if (cut.kh, cut.kw, cut.channels) == (kh, kw, channels) else 4 * area * cut.n
    return (
        aligned(-(-depth * cut.n * e // 4) * 4 + 4 * words), aligned(rows * columns * cut.channels * e), aligned(partial),
        aligned(area * cut.n * kernel.out.element_bytes),
    )


def plan_contraction(kernel: Contraction, config: ChipConfig) -> Plan:
    """The best plan. Raises :class:`CompileError` if not even the smallest tile fits into L1."""
    kh, kw, channels, outputs = kernel.extent
    lanes = config.lanes(kernel.x.format)
    if lanes == 0:
        raise CompileError(f"{kernel.name}: {config.name} has no tensor format {kernel.x.format.name}")
    if kernel.tile is not None:
        return _forced(kernel, config, lanes)
    columns = outputs // kernel.groups
    best = None
    one = kernel.batched or kernel.transpose_a  # matrices, each of which is one row of outputs
    tiles = [(th, tw) for th, tw in _tile_sizes(kernel.out.h, kernel.out.w) if th == 1 or not one]
    for chunk in _chunkings(kh, kw, channels, lanes):
        for n, (th, tw) in product(_widths(columns, config.pe_columns), tiles):
            for outer_is_n in (True, False):
                cut = Cut(*chunk, n, th, tw, outer_is_n)
                sizes = _sizes(kernel, cut)
                if sizes is None or _total(sizes) > config.l1_bytes:
                    continue
                cycles = contraction_cycles(kernel, config, cut)
                if best is None or cycles < best[0]:
                    best = cycles, cut
    if best is None:
        raise CompileError(f"{kernel.name}: not even one output's operands fit into the {config.l1_bytes} byte of L1")
    return plan_cut(kernel, config, best[1])


def plan_cut(kernel: Contraction, config: ChipConfig, cut: Cut) -> Plan:
    """The plan of one way to cut a contraction. Raises :class:`CompileError` if its tiles are too large."""
    sizes = _sizes(kernel, cut)
    if sizes is None or _total(sizes) > config.l1_bytes:
        size = "more than a command's fields hold" if sizes is None else f"{_total(sizes)} byte of L1, {config.l1_bytes} are there"
        raise CompileError(f"{kernel.name}: its tiles take {size}")
    return Plan(_items(kernel, cut), *sizes, contraction_cycles(kernel, config, cut))


def _forced(kernel: Contraction, config: ChipConfig, lanes: int) -> Plan:
    rows, columns, channels = kernel.tile
    kh, kw, depth, outputs = kernel.extent
    if (kh, kw, kernel.out.h, kernel.groups) != (1, 1, 1, 1):
        raise CompileError(f"{kernel.name}: only a plain product can be cut by hand")
    if min(kernel.tile) < 1 or (channels < depth and channels % lanes):
        raise CompileError(
            f"{kernel.name}: a tile of {rows} x {columns} x {channels}; its sizes are 1 or more, the last one a multiple of the {lanes} "
            f"that make a group of {kernel.x.format.name}"
        )
    return plan_cut(kernel, config, Cut(1, 1, min(channels, depth), min(columns, outputs), 1, min(rows, kernel.out.w), True))


def _items(kernel: Contraction, cut: Cut) -> tuple[Item, ...]:
    kh, kw, channels, outputs = kernel.extent
    chunks = [
        Chunk(*rows, *taps, *part)
        for rows in cuts(kh, cut.kh) for taps in cuts(kw, cut.kw) for part in cuts(channels, cut.channels)
    ]
    columns = cuts(outputs // kernel.groups, cut.n)
    rectangles = _rectangles(kernel.out.h, kernel.out.w, cut.oh, cut.ow)
    pairs = list(product(columns, rectangles)) if cut.outer_is_n else [(n, r) for r, n in product(rectangles, columns)]
    return tuple(
        Item(group, *n, tile, chunk, index == 0, index == len(chunks) - 1, tile.oh0 if kernel.batched else 0)
        for group in range(kernel.groups) for n, tile in pairs for index, chunk in enumerate(chunks)
    )


def plan_pool(kernel: Pool, config: ChipConfig) -> Tiles:
    """The largest rectangles that fit into L1 twice."""
    e = kernel.x.element_bytes
    if kernel.x.c <= LIMIT:
        for th, tw in _tile_sizes(kernel.out.h, kernel.out.w):
            rows = span(th, kernel.stride[0], kernel.kernel[0], kernel.dilation[0])
            columns = span(tw, kernel.stride[1], kernel.kernel[1], kernel.dilation[1])
            inputs, outputs = aligned(rows * columns * kernel.x.c * e), aligned(th * tw * kernel.out.c * e)
            if 2 * (inputs + outputs) <= config.l1_bytes:
                return Tiles(tuple(_rectangles(kernel.out.h, kernel.out.w, th, tw)), inputs, outputs)
    raise CompileError(f"{kernel.name}: not even one output's window fits into the {config.l1_bytes} byte of L1")


def plan_map(kernel: Map, config: ChipConfig, parameters: int) -> Tiles:
    """Runs [first, end) of elements, in whole rows of `pe_columns` but for the last; `parameters` bytes of L1 are taken."""
    columns, total = config.pe_columns, kernel.out.elements
    bytes_in = sum(side.element_bytes for side in kernel.inputs)
    # Each of at most six buffers wastes less than ALIGN byte.
    room = (config.l1_bytes - parameters - 6 * ALIGN) // (2 * (bytes_in + kernel.out.element_bytes))
    step = min(room, LIMIT, -(-total // columns) * columns) // columns * columns
    if step < 1:
        raise CompileError(f"{kernel.name}: not even {columns} elements fit into the {config.l1_bytes} byte of L1")
    inputs = sum(aligned(step * side.element_bytes) for side in kernel.inputs)
    return Tiles(tuple(cuts(total, step)), inputs, aligned(step * kernel.out.element_bytes))
