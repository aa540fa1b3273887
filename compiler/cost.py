"""Cost model: cycles of a contraction under one way of cutting it, in closed form, to rank tilings. It decides speed, never a bit."""

from collections import Counter
from dataclasses import dataclass

from compiler.graph import Contraction
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES

__all__ = ["Cut", "contraction_cycles"]

#: Cycles that a tensor command costs beside its passes: its latency, some 40, where the one before doesn't hide it, and what its events
#: and moves add. Set so that layers as small as those of the digits stay whole, which is faster.
COMMAND = 120
#: Cycles from a data-engine command's issue to its first byte, roughly: checks, memory latency.
MOVE = 200
#: Cycles in which the sequencer issues the commands of an item, and a move, roughly: two for each instruction.
ISSUE_ITEM, ISSUE_MOVE = 80, 40


@dataclass(frozen=True)
class Cut:
    """Largest tile: kernel rows, taps in a row and channels of a chunk of K, columns, output rows and columns; which loop is outer."""

    kh: int
    kw: int
    channels: int
    n: int
    oh: int
    ow: int
    outer_is_n: bool


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _parts(total: int, step: int) -> Counter[int]:
    """Sizes of the pieces of `total` by how often they occur."""
    whole, rest = divmod(total, step)
    return Counter({size: count for size, count in ((step, whole), (rest, 1)) if size and count})


def _sum(parts: Counter[int], value) -> int:
    return sum(count * value(size) for size, count in parts.items())


def _walk(rows: int, accumulators: int, load: int) -> int:
    """Cycles of one pass over the rows of a tile, which are cut where the accumulators end."""
    whole, rest = divmod(rows, accumulators)
    return whole * max(accumulators, load) + (max(rest, load) if rest else 0)


def contraction_cycles(kernel: Contraction, config: ChipConfig, cut: Cut) -> int:
    """First load, then moves and computation side by side, then the last store. Every size below is summed over the exact pieces."""
    kh, kw, channels, outputs = kernel.extent
    e, lanes = CONTAINER_BYTES[kernel.x.format], config.lanes(kernel.x.format)
    (sh, sw), (dh, dw) = kernel.stride, kernel.dilation
    rows, columns, widths = _parts(kernel.out.h, cut.oh), _parts(kernel.out.w, cut.ow), _parts(outputs // kernel.groups, cut.n)
    tiles, slices = rows.total() * columns.total(), widths.total()
    taps_h, taps_w, parts = _parts(kh, cut.kh), _parts(kw, cut.kw), _parts(channels, cut.channels)
    chunks = taps_h.total() * taps_w.total() * parts.total()

    def reach(pieces: Counter[int], taps: Counter[int], stride: int, dilation: int) -> int:
        return sum(
            m * count * ((size - 1) * stride + (length - 1) * dilation + 1)
            for size, count in pieces.items() for length, m in taps.items()
        )

    # Bytes of all inputs once, and of all weights once; then how often each is loaded.
    inputs = e * reach(rows, taps_h, sh, dh) * reach(columns, taps_w, sw, dw) * channels
    weights = e * kh * kw * channels * (outputs // kernel.groups)
    input_times = 1 if chunks == 1 and (not cut.outer_is_n or tiles == 1) else slices
    weight_times = 1 if chunks == 1 and (cut.outer_is_n or slices == 1) and not kernel.batched else tiles
    stores = kernel.out.h * kernel.out.w * (outputs // kernel.groups) * kernel.out.element_bytes
    moves = (input_times * tiles + weight_times * slices) * chunks + tiles * slices
    moved = (inputs * input_times + weights * weight_times + stores) / config.bus_bytes + moves * MOVE / 2

    # A pass takes at least as long as the next weights take to load: rows of N elements, of which 32-bit ones take two accesses, or a
    # column of B each.
    load = config.pe_columns if kernel.transpose_b else lanes * config.pe_rows * (2 if e == 4 else 1)
    passes = _sum(parts, lambda size: _ceil(_ceil(size, lanes), config.pe_rows))
    area = sum(a * b * _walk(r * c, config.accumulator_rows, load) for r, a in rows.items() for c, b in columns.items())
    tensor = _sum(widths, lambda n: _ceil(n, config.pe_columns)) * area * kh * kw * passes + tiles * slices * chunks * COMMAND
    steps = 0 if kernel.lanes is None else max(len(kernel.lanes.steps), 1)
    vector = _sum(widths, lambda n: _ceil(n, config.vector_lanes)) * kernel.out.h * kernel.out.w * steps

    issue = tiles * slices * chunks * ISSUE_ITEM + moves * ISSUE_MOVE

    first = (inputs / (tiles * chunks) + weights / (slices * chunks)) / config.bus_bytes + MOVE
    last = stores / (tiles * slices) / config.bus_bytes + MOVE
    return int(first + kernel.groups * max(moved, tensor, vector, issue) + last)
