"""Cost model: cycles of a contraction under one way of cutting it, in closed form, to rank tilings. It decides speed, never a bit."""

from collections import Counter
from dataclasses import dataclass

from compiler.graph import Contraction
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES

__all__ = ["Cut", "contraction_cycles", "tensor_cycles"]

#: Cycles of a tensor command beside its passes: from its issue to its first row, and from its last row to its end.
COMMAND = 40
#: Cycles of a data-engine command beside its bytes, on the way there and back; and of each run of bytes that lie side by side in memory.
MOVE, RUN = 80, 4
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


def tensor_cycles(kernel: Contraction, config: ChipConfig, cut: Cut) -> int:
    """Cycles of all tensor commands with their operands in L1.

    A pass takes a cycle a row, and at least as long as the next weights take to load: rows of N elements, of which 32-bit ones take two
    accesses, or a column of B each. A command that adds to the sums of the one before waits for them, and its C takes a second cycle a row.
    """
    kh, kw, channels, outputs = kernel.extent
    lanes = config.lanes(kernel.x.format)
    rows, columns, widths = _parts(kernel.out.h, cut.oh), _parts(kernel.out.w, cut.ow), _parts(outputs // kernel.groups, cut.n)
    parts = _parts(channels, cut.channels)
    chunks = _parts(kh, cut.kh).total() * _parts(kw, cut.kw).total() * parts.total()
    load = config.pe_columns if kernel.transpose_b else lanes * config.pe_rows * (2 if CONTAINER_BYTES[kernel.x.format] == 4 else 1)
    passes = kh * kw * _sum(parts, lambda size: _ceil(_ceil(size, lanes), config.pe_rows))
    area = sum(a * b * _walk(r * c, config.accumulator_rows, load) for r, a in rows.items() for c, b in columns.items())
    tiles_n = _sum(widths, lambda n: _ceil(n, config.pe_columns))
    commands = rows.total() * columns.total() * widths.total() * chunks
    sums = (chunks - 1) * kernel.out.h * kernel.out.w * (tiles_n + widths.total())
    return tiles_n * area * passes + commands * COMMAND + sums


def _runs(whole: int, each: int, parts: int) -> int:
    """Runs of bytes: `whole` where nothing is cut, else one for `each` line of each of the `parts`."""
    return whole if parts == 1 else each * parts


def contraction_cycles(kernel: Contraction, config: ChipConfig, cut: Cut) -> int:
    """First load, then moves and computation side by side, then the last store. Every size below is summed over the exact pieces."""
    kh, kw, channels, outputs = kernel.extent
    e = CONTAINER_BYTES[kernel.x.format]
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

    # Bytes of all inputs once, of all weights once and of all results, each with its runs; then how often each is loaded. Channels, columns
    # or outputs that are cut leave runs of one pixel, or of one element of K. Constant weights lie as each command wants them.
    pixels = reach(rows, taps_h, sh, dh), reach(columns, taps_w, sw, dw)
    inputs = e * pixels[0] * pixels[1] * channels
    input_runs = _runs(pixels[0] * columns.total() * taps_w.total(), pixels[0] * pixels[1], parts.total() * kernel.groups)
    if kernel.transpose_a:
        input_runs = channels * tiles
    depth = kh * kw * channels
    weights = e * depth * (outputs // kernel.groups)
    weight_runs = slices * chunks
    if kernel.y is not None:
        weight_runs = _runs(slices, outputs, chunks) if kernel.transpose_b else _runs(chunks, depth, slices)
    input_times = 1 if chunks == 1 and (not cut.outer_is_n or tiles == 1) else slices
    weight_times = 1 if chunks == 1 and (cut.outer_is_n or slices == 1) and not kernel.batched else tiles
    area = kernel.out.h * kernel.out.w
    stores = area * (outputs // kernel.groups) * kernel.out.element_bytes
    store_runs = _runs(kernel.out.h * columns.total(), area, slices * kernel.groups)

    moves = (input_times * tiles + weight_times * slices) * chunks + tiles * slices
    bytes_moved = inputs * input_times + weights * weight_times + stores
    runs = input_runs * input_times + weight_runs * weight_times + store_runs
    moved = bytes_moved / config.bus_bytes + runs * RUN + moves * MOVE
    tensor = tensor_cycles(kernel, config, cut)
    steps = 0 if kernel.lanes is None else max(len(kernel.lanes.steps), 1)
    vector = _sum(widths, lambda n: _ceil(n, config.vector_lanes)) * area * steps

    issue = tiles * slices * chunks * ISSUE_ITEM + moves * ISSUE_MOVE

    first = (inputs / tiles + weights / slices) / chunks / config.bus_bytes + (input_runs / tiles + weight_runs / slices) / chunks * RUN
    last = (stores / config.bus_bytes + store_runs * RUN) / (tiles * slices)
    return int(first + kernel.groups * max(moved, tensor, vector, issue) + last + 2 * MOVE)
