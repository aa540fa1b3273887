"""Data engine: runs a whole `DataCommand` at once, between L1, L2 and the partition's window of L3."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import numpy as np

from rtl.config import ChipConfig
from rtl.isa import DataCommand, DataOp, Space, Status
from sim.golden.command import check_aligned, check_inside, check_sizes, decode, span, view
from sim.golden.outcome import Fault, Outcome

__all__ = ["check", "execute", "run"]

_RANK = range(5)


def _each(command: SimpleNamespace, name: str) -> list[int]:
    return [getattr(command, f"{name}{d}") for d in _RANK]


def _inside(command: SimpleNamespace) -> list[range]:
    """For each dimension, the indices i whose source index offset + i * step lies inside the extent: always one run."""
    runs = []
    for size, offset, step, extent in zip(*(_each(command, name) for name in ("size", "offset", "step", "extent")), strict=True):
        first, last = 0, size - 1
        if step == 0:
            first, last = (0, last) if 0 <= offset < extent else (0, -1)
        elif step > 0:
            first, last = max(first, -(offset // step)), min(last, (extent - 1 - offset) // step)
        else:
            first, last = max(first, -((extent - 1 - offset) // -step)), min(last, offset // -step)
        runs.append(range(first, max(first, last + 1)))
    return runs


def _source(command: SimpleNamespace) -> tuple[int, list[range]] | None:
    """Base and index runs of the part of the source that is read; None where nothing is."""
    if command.mode.op is DataOp.FILL:
        return None
    if command.mode.op is DataOp.COPY:
        return command.src_base, [range(size) for size in _each(command, "size")]
    runs = _inside(command)
    virtual = command.src_base - (command.src_base >> 31 << 32)
    base = virtual + sum(run.start * stride for run, stride in zip(runs, _each(command, "src_stride"), strict=True))
    return (base, runs) if all(len(run) for run in runs) else None


def _dimensions(sizes: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(sizes, strides, strict=True))[::-1]


def check(config: ChipConfig, command: SimpleNamespace, window: tuple[int, int], cluster: bool = False):
    """Raises the :class:`Fault` of a command that breaks a rule. `window` is the partition's part of L3, [base, limit)."""
    mode = command.mode
    if not isinstance(mode.op, DataOp):
        raise Fault(Status.UNDEFINED_OPCODE)
    reads = mode.op is not DataOp.FILL
    if mode.element == 3 or not isinstance(mode.source, Space) or not isinstance(mode.destination, Space):
        raise Fault(Status.UNSUPPORTED)
    if cluster and (mode.destination is Space.L1 or (reads and mode.source is Space.L1)):
        raise Fault(Status.UNSUPPORTED)

    check_sizes(_each(command, "size"))
    if mode.op is DataOp.SLICE:
        check_sizes(_each(command, "extent"))
        if not all(-(1 << 15) <= step < 1 << 15 for step in _each(command, "step")):
            raise Fault(Status.SIZE)

    element = 1 << mode.element
    if reads:
        check_aligned(element, (command.src_base, *_each(command, "src_stride")))
    check_aligned(element, (command.dst_base, *_each(command, "dst_stride")))

    windows = {Space.L1: (0, config.l1_bytes), Space.L2: (0, config.l2_bytes), Space.L3: window}
    source = _source(command)
    if source is not None:
        base, runs = source
        dimensions = _dimensions([len(run) for run in runs], _each(command, "src_stride"))
        check_inside(span(base, dimensions, element), windows[mode.source])
    dimensions = _dimensions(_each(command, "size"), _each(command, "dst_stride"))
    check_inside(span(command.dst_base, dimensions, element), windows[mode.destination])


def execute(command: SimpleNamespace, spaces: Mapping[Space, np.ndarray]):
    """Runs a command that :func:`check` has passed on the bytes of each space."""
    mode = command.mode
    dtype = np.dtype(f"<u{1 << mode.element}")
    dimensions = _dimensions(_each(command, "size"), _each(command, "dst_stride"))
    destination = view(spaces[mode.destination], dtype, command.dst_base, dimensions)
    source = _source(command)
    result = None
    if source is not None:
        base, runs = source
        dimensions = _dimensions([len(run) for run in runs], _each(command, "src_stride"))
        result = view(spaces[mode.source], dtype, base, dimensions).copy()
    if mode.op is not DataOp.COPY:
        filled = np.full(destination.shape, command.fill & (1 << 8 * dtype.itemsize) - 1, dtype)
        if source is not None:
            filled[tuple(slice(run.start, run.stop) for run in source[1][::-1])] = result
        result = filled
    destination[...] = result


def run(
    config: ChipConfig, words: Sequence[int], spaces: Mapping[Space, np.ndarray], window: tuple[int, int] | None = None,
    cluster: bool = False,
) -> Outcome:
    """Checks and runs one command, given the words of its register file. Without `window` all of L3 is open."""
    command = decode(DataCommand, words)
    try:
        check(config, command, window or (0, config.l3_bytes), cluster)
    except Fault as fault:
        return fault.outcome
    execute(command, spaces)
    return Outcome()
