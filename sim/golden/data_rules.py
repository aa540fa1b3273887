"""The rules of a data-engine command, in the order of `docs/data_engine.md`. The first broken one is the command's status."""

import math

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import DataOp, Space, Status
from sim.golden.command import SIZE_LIMIT, check_aligned, check_inside, check_sizes, span
from sim.golden.data_move import LIST, Move
from sim.golden.outcome import Fault

__all__ = ["check_rules"]

_OFFSETS, _STEPS, _ROWS = range(-65536, 65536), range(-32768, 32768), range(1, 2**31)


def check_rules(config: ChipConfig, move: Move, window: tuple[int, ...], cluster: bool):
    """Raises the :class:`Fault` of the first broken rule."""
    if not isinstance(move.mode.op, DataOp):
        raise Fault(Status.UNDEFINED_OPCODE)
    if _unsupported(move, cluster):
        raise Fault(Status.UNSUPPORTED)
    _check_sizes(move)
    _check_alignment(move)
    _check_bounds(config, move, window)


def _unsupported(move: Move, cluster: bool) -> bool:
    mode, op = move.mode, move.mode.op
    spaces = [mode.source, mode.destination]
    used = [mode.destination]
    if move.reads:
        used.append(mode.source)
    if mode.gather:
        spaces.append(mode.index)
        used.append(mode.index)
    wrong = [
        mode.reserved != 0,
        any(not isinstance(code, Format) for code in (mode.source_format, mode.destination_format)) if mode.convert else mode.element == 3,
        any(not isinstance(space, Space) for space in spaces),
        cluster and Space.L1 in used,
        op is not DataOp.SLICE and any((mode.gather, mode.share3, mode.share4)),
        op is DataOp.FILL and any((mode.convert, mode.tile)),
        mode.gather and mode.share4,
        op is not DataOp.FILL and mode.tile and not _fits_tiles(move),
    ]
    return any(wrong)


def _fits_tiles(move: Move) -> bool:
    """Dense in dimension 0 of the destination and 1 of the source, and no gap anywhere."""
    first, second = move.dimensions[:2]
    dense = first.target == move.target_bytes and move.command.src_stride1 == move.source_bytes
    return dense and first.step == second.step == 1 and not any(dimension.count for dimension in move.dimensions)


def _check_sizes(move: Move):
    check_sizes(dimension.size for dimension in move.dimensions)
    if not move.slices:
        return
    for k, coordinate in move.coordinates.items():
        rows = move.gathers and k == LIST
        if not (coordinate.extent in _ROWS if rows else 1 <= coordinate.extent <= SIZE_LIMIT) or coordinate.offset not in _OFFSETS:
            raise Fault(Status.SIZE)
    if any(each.step not in _STEPS or each.phase > each.count for each in move.dimensions):
        raise Fault(Status.SIZE)


def _check_alignment(move: Move):
    command = move.command
    check_aligned(move.target_bytes, [command.dst_base, *(each.target for each in move.dimensions)])
    if move.reads:
        check_aligned(move.source_bytes, [command.src_base, *(each.stride for each in move.coordinates.values())])
    if move.gathers:
        check_aligned(4, [command.index_base])


def _check_bounds(config: ChipConfig, move: Move, window: tuple[int, ...]):
    base, limit, may_read, may_write = (*window, True, True)[:4]
    spaces = {Space.L1: (0, config.l1_bytes), Space.L2: (0, config.l2_bytes), Space.L3: (base, limit)}

    def check(space: Space, box: tuple[int, int], allowed: bool):
        if space is Space.L3 and not allowed:
            raise Fault(Status.ADDRESS, box[0])
        check_inside(box, spaces[space])

    command = move.command
    if move.reads:
        source = [(each.extent, each.stride) for each in move.coordinates.values()]
        check(move.mode.source, span(command.src_base, source, move.source_bytes), may_read)
    if move.gathers:
        check(move.mode.index, span(command.index_base, [(move.dimensions[LIST].size, 4)], 4), may_read)
    low, high = span(command.dst_base, [(each.size, each.target) for each in move.dimensions], move.target_bytes)
    check(move.mode.destination, (low, high), may_write)
    if math.prod(each.size for each in move.dimensions) * move.target_bytes > high - low + 1:
        raise Fault(Status.SIZE)
