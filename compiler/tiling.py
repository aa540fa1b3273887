"""Automatic tiling: how a kernel is cut so that its operands fit into L1 twice, one tile computing while the next one loads.

A plan is chosen among all candidates by the cycles that `cost` estimates. The accumulation order never depends on it: K is cut in
ascending order of (kh, kw, channel), at whole groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from compiler.errors import CompileError
from compiler.graph import Contraction, Kernel, Pool
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format

__all__ = ["Chunk", "Item", "Plan", "Rectangle", "plan_contraction", "plan_pool"]

#: Buffers in L1 begin at multiples of this.
ALIGN = 16
#: Largest size field of a command.
LIMIT = 65535
#: Cycles from a command's issue to its first effect, roughly.
COMMAND = 60


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
    def depth(self) -> int:
        return (self.kh1 - self.kh0) * (self.kw1 - self.kw0) * (self.c1 - self.c0)


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

    @property
    def input_key(self) -> tuple:
        return (self.group, self.tile, self.chunk)

    @property
    def weight_key(self) -> tuple:
        return (self.group, self.n0, self.chunk)


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
        return 2 * self.weights + 2 * self.inputs + self.partial + 2 * self.outputs


def span(count: int, stride: int, taps: int, dilation: int) -> int:
    """Inputs along one axis that `count` outputs need."""
    return (count - 1) * stride + (taps - 1) * dilation + 1


def cuts(total: int, step: int) -> list[tuple[int, int]]:
    edges = [*range(0, total, step), total]
    return list(pairwise(edges))


def halvings(total: int) -> list[int]:
    """total, and about a half, a quarter ... of it, down to 1."""
    sizes, parts = [], 1
    while not sizes or sizes[-1] > 1:
        size = -(-total // parts)
        if not sizes or size != sizes[-1]:
            sizes.append(size)
        parts *= 2
    return sizes


def _rectangles(h: int, w: int, th: int, tw: int) -> list[Rectangle]:
    return [Rectangle(*rows, *columns) for rows in cuts(h, th) for columns in cuts(w, tw)]


def _chunkings(kh: int, kw: int, channels: int, group: int) -> Iterator[list[Chunk]]:
    """Ways to cut K, the coarsest first: whole, by kernel rows, by taps, by channels within a tap."""
    for rows in halvings(kh):
        yield [Chunk(*row, 0, kw, 0, channels) for row in cuts(kh, rows)]
    for columns in halvings(kw)[1:]:
        yield [Chunk(*row, *column, 0, channels) for row in cuts(kh, 1) for column in cuts(kw, columns)]
    for groups in halvings(-(-channels // group))[1:]:
        yield [
            Chunk(*row, *column, *part) for row in cuts(kh, 1) for column in cuts(kw, 1) for part in cuts(channels, groups * group)
        ]


def plan_contraction(kernel: Contraction, config: ChipConfig) -> Plan:
    """The best plan. Raises :class:`CompileError` if not even the smallest tile fits into L1."""
    kh, kw, channels, outputs = kernel.weights.shape
    group_outputs = outputs // kernel.groups
    lanes = config.lanes(kernel.x.format)
    if lanes == 0:
        raise CompileError(f"{kernel.name}: {config.name} has no tensor format {kernel.x.format.name}")
    widths = [group_outputs, *(n for n in (64, 32, 16, 8, 4, 2, 1) if n < group_outputs)]
    best = None
    for chunks in _chunkings(kh, kw, channels, lanes):
        if max(chunk.depth for chunk in chunks) > LIMIT:
            continue
        for nt in widths:
            for th in halvings(kernel.out.h):
                # Columns are cut only where single rows don't fit.
                for tw in halvings(kernel.out.w) if th == 1 else [kernel.out.w]:
                    plan = _plan(kernel, config, lanes, chunks, nt, th, tw)
                    if plan is not None and (best is None or plan.cycles < best.cycles):
                        best = plan
        if best is not None:
            return best
    raise CompileError(f"{kernel.name}: not even one output's operands fit into the {config.l1_bytes} byte of L1")


def _plan(kernel: Contraction, config: ChipConfig, lanes: int, chunks: list[Chunk], nt: int, th: int, tw: int) -> Plan | None:
    e = CONTAINER_BYTES[kernel.x.format]
    weights = max(c.depth for c in chunks) * nt * e
    weights = aligned(weights + 3) + 4 * nt * (kernel.bias is not None) + 4 * nt * (0 if kernel.lanes is None else len(kernel.lanes.params))
    loads = [_input_elements(kernel, th, tw, c) for c in chunks]
    if max(loads) > LIMIT * 16 or nt * tw > LIMIT * 16:
        return None
    inputs = max(loads) * e
    result = CONTAINER_BYTES[Format.INT32] if kernel.lanes is None else kernel.out.element_bytes
    partial = th * tw * nt * 4 if len(chunks) > 1 else 0
    sizes = [aligned(size) for size in (weights, inputs, partial, th * tw * nt * result)]
    if 2 * sizes[0] + 2 * sizes[1] + sizes[2] + 2 * sizes[3] > config.l1_bytes:
        return None
    rectangles = _rectangles(kernel.out.h, kernel.out.w, th, tw)
    columns = cuts(kernel.weights.shape[3] // kernel.groups, nt)
    best = None
    for outer_is_n in (True, False):
        pairs = [(n, r) for n in columns for r in rectangles] if outer_is_n else [(n, r) for r in rectangles for n in columns]
        items = tuple(
            Item(g, *n, r, chunk, index == 0, index == len(chunks) - 1)
            for g in range(kernel.groups) for n, r in pairs for index, chunk in enumerate(chunks)
        )
        cycles = _cycles(kernel, config, lanes, items, e)
        if best is None or cycles < best.cycles:
            best = Plan(items, *sizes, cycles)
    return best


def _input_elements(kernel: Contraction, th: int, tw: int, chunk: Chunk) -> int:
    rows = span(th, kernel.stride[0], chunk.kh1 - chunk.kh0, kernel.dilation[0])
    columns = span(tw, kernel.stride[1], chunk.kw1 - chunk.kw0, kernel.dilation[1])
    return rows * columns * (chunk.c1 - chunk.c0)


def _cycles(kernel: Contraction, config: ChipConfig, lanes: int, items: tuple[Item, ...], e: int) -> int:
    """Loads, computation and stores overlap, but for the first load."""
    moved, compute, first = 0, 0, None
    previous = None
    for item in items:
        tile, chunk = item.tile, item.chunk
        if previous is None or previous.input_key != item.input_key:
            moved += _input_elements(kernel, tile.rows, tile.columns, chunk) * e + COMMAND * config.bus_bytes
        if previous is None or previous.weight_key != item.weight_key:
            moved += chunk.depth * (item.n1 - item.n0) * e + COMMAND * config.bus_bytes
        first = moved if first is None else first
        groups = -(-(chunk.c1 - chunk.c0) // lanes)
        passes = (chunk.kh1 - chunk.kh0) * (chunk.kw1 - chunk.kw0) * -(-groups // config.pe_rows)
        compute += -(-(item.n1 - item.n0) // config.pe_columns) * max(tile.rows * tile.columns, 8) * passes + COMMAND
        if item.last:
            moved += tile.rows * tile.columns * (item.n1 - item.n0) * kernel.out.element_bytes
        previous = item
    return (first or 0) // config.bus_bytes + max(moved // config.bus_bytes, compute)


def plan_pool(kernel: Pool, config: ChipConfig) -> tuple[list[Rectangle], int, int]:
    """(tiles, input bytes, output bytes) with both twice in L1; the largest tiles that fit."""
    return _plan_rows(kernel, config, kernel.kernel, kernel.stride, kernel.dilation)


def _plan_rows(kernel: Kernel, config: ChipConfig, taps, stride, dilation) -> tuple[list[Rectangle], int, int]:
    e = kernel.x.element_bytes
    for th in halvings(kernel.out.h):
        for tw in halvings(kernel.out.w) if th == 1 else [kernel.out.w]:
            rows, columns = span(th, stride[0], taps[0], dilation[0]), span(tw, stride[1], taps[1], dilation[1])
            inputs, outputs = aligned(rows * columns * kernel.x.c * e), aligned(th * tw * kernel.out.c * e)
            if 2 * (inputs + outputs) <= config.l1_bytes:
                return _rectangles(kernel.out.h, kernel.out.w, th, tw), inputs, outputs
    raise CompileError(f"{kernel.name}: not even one output's window fits into the {config.l1_bytes} byte of L1")
