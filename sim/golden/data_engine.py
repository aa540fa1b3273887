"""Data engine: runs a whole `DataCommand` at once, between L1, L2 and the partition's window of L3."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import DataCommand, Space, Status
from sim.golden import formats
from sim.golden.command import decode, view
from sim.golden.data_move import LIST, Dimension, Move
from sim.golden.data_rules import check_rules
from sim.golden.outcome import Fault, Outcome

__all__ = ["check", "execute", "run"]


def check(config: ChipConfig, command: SimpleNamespace, window: tuple[int, ...], cluster: bool = False):
    """Raises the :class:`Fault` of a command that breaks a rule of `docs/data_engine.md`. `window` is the partition's part of L3,
    [base, limit); then, if given, whether it may be read and written."""
    check_rules(config, Move(command), window, cluster)


def execute(command: SimpleNamespace, spaces: Mapping[Space, np.ndarray]):
    """Runs a command that :func:`check` has passed on the bytes of each space. Raises the :class:`Fault` of a bad list entry at its end."""
    move = Move(command)
    shape = [(each.size, each.target) for each in reversed(move.dimensions)]
    target = view(spaces[move.mode.destination], f"u{move.target_bytes}", command.dst_base, shape)
    fill = np.array(command.fill & (1 << 8 * move.target_bytes) - 1, target.dtype)
    if not move.reads:
        target[...] = fill
        return
    if not move.slices:
        strides = [(each.size, move.coordinates[each.coordinate].stride) for each in reversed(move.dimensions)]
        target[...] = _converted(move, view(spaces[move.mode.source], f"u{move.source_bytes}", command.src_base, strides).copy())
        return
    entries, bad = _entries(move, spaces)
    inside, address = _places(move, entries)
    # Bases and strides are multiples of the element, so places count in elements.
    source = spaces[move.mode.source]
    source = source[: len(source) // move.source_bytes * move.source_bytes].view(f"<u{move.source_bytes}")
    codes = np.broadcast_to(fill, inside.shape).copy()
    codes[inside] = _converted(move, source[address[inside] // move.source_bytes])
    target[...] = codes
    if bad is not None:
        raise Fault(Status.INDEX, bad)


def _converted(move: Move, codes: np.ndarray) -> np.ndarray:
    if move.formats is None or move.formats == (Format.FP32, Format.FP32):
        return codes
    source, target = move.formats
    return formats.convert(codes.astype(formats.dtype_of(source), copy=False), source, target)


def _entries(move: Move, spaces: Mapping[Space, np.ndarray]) -> tuple[np.ndarray, int | None]:
    """The list of a gather, -1 where an entry names no row; and the address of the first of these."""
    if not move.gathers:
        return np.zeros(0, np.int64), None
    base = move.command.index_base
    entries = view(spaces[move.mode.index], "i4", base, [(move.dimensions[LIST].size, 4)]).astype(np.int64)
    bad = (entries < 0) | (entries >= move.coordinates[LIST].extent)
    return np.where(bad, -1, entries), base + 4 * int(bad.argmax()) if bad.any() else None


def _places(move: Move, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every index, the outermost dimension first: does it have a source element, and at which address."""
    shape = tuple(each.size for each in reversed(move.dimensions))
    inside, address = np.ones(shape, bool), np.full(shape, move.command.src_base, np.int64)
    for k, coordinate in move.coordinates.items():
        place = np.array(coordinate.offset, np.int64)
        for d, dimension in enumerate(move.dimensions):
            if dimension.coordinate == k:
                moved, gap = (entries, np.zeros(len(entries), bool)) if move.gathers and d == LIST else _steps(dimension)
                axes = (-1, *[1] * d)
                place = place + moved.reshape(axes)
                inside &= ~gap.reshape(axes)
        inside &= (place >= 0) & (place < coordinate.extent)
        address += place * coordinate.stride
    return inside, address


def _steps(dimension: Dimension) -> tuple[np.ndarray, np.ndarray]:
    """How far each index moves the coordinate, and whether it is a gap."""
    at = dimension.phase + np.arange(dimension.size)
    return at // (dimension.count + 1) * dimension.step, at % (dimension.count + 1) != 0


def run(
    config: ChipConfig, words: Sequence[int], spaces: Mapping[Space, np.ndarray], window: tuple[int, ...] | None = None,
    cluster: bool = False,
) -> Outcome:
    """Checks and runs one command, given the words of its register file. Without `window` all of L3 is open."""
    command = decode(DataCommand, words)
    try:
        check(config, command, window or (0, config.l3_bytes), cluster)
        execute(command, spaces)
    except Fault as fault:
        return fault.outcome
    return Outcome()
