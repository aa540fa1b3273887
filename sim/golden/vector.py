"""Vector engine: runs a whole `VectorCommand` at once, all elements of a tensor side by side in each step."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, FLOATS, Format
from rtl.isa import MicroOp, Status, VectorCommand, VectorOp, VectorSource
from sim.golden.command import check_aligned, check_inside, check_sizes, decode, decode_struct, span, view
from sim.golden.formats import convert, dtype_of
from sim.golden.lanes import operate
from sim.golden.outcome import Fault, Outcome

__all__ = ["accepts", "check", "execute", "micro_program", "run", "widths"]

_MOST_PARAMETERS = 4
_MOST_OPERATIONS = 8
_REDUCTIONS = (VectorOp.FADD, VectorOp.FMAX, VectorOp.FMIN, VectorOp.IADD, VectorOp.IMAX, VectorOp.IMIN)


def micro_program(command: SimpleNamespace) -> list[SimpleNamespace]:
    """The micro-operations of a command, at most eight."""
    words = (command.ops01, command.ops23, command.ops45, command.ops67)
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)]
    return [decode_struct(MicroOp, half) for half in halves[: command.mode.ops]]


def check(config: ChipConfig, command: SimpleNamespace):
    """Raises the :class:`Fault` of a command that breaks a rule."""
    c, mode = command, command.mode
    operations = micro_program(c)
    if not all(isinstance(step.op, VectorOp) for step in operations):
        raise Fault(Status.UNDEFINED_OPCODE)
    if c.kh * c.kw > 1 and mode.reduce not in _REDUCTIONS:
        raise Fault(Status.UNDEFINED_OPCODE)
    if not all(isinstance(source, VectorSource) for step in operations for source in (step.a, step.b)):
        raise Fault(Status.UNDEFINED_FIELD)
    if not all(isinstance(format, Format) for format in (mode.x_format, mode.y_format, mode.z_format)):
        raise Fault(Status.UNSUPPORTED)
    if mode.from_tensor and c.kh * c.kw > 1:
        raise Fault(Status.UNSUPPORTED)

    check_sizes((c.kh, c.kw, c.ow, c.oh, c.n))
    if mode.params > _MOST_PARAMETERS or mode.ops > _MOST_OPERATIONS:
        raise Fault(Status.SIZE)

    x, y, z = (CONTAINER_BYTES[format] for format in (mode.x_format, mode.y_format, mode.z_format))
    if not mode.from_tensor:
        check_aligned(x, (c.x_base, c.x_kw, c.x_kh, c.x_ow, c.x_oh))
    if mode.y_enable:
        check_aligned(y, (c.y_base, c.y_ow, c.y_oh))
    if mode.params:
        check_aligned(4, (c.p_base, c.p_stride))
    check_aligned(z, (c.z_base, c.z_ow, c.z_oh))

    window = (0, config.l1_bytes)
    if not mode.from_tensor:
        dimensions = ((c.oh, c.x_oh), (c.ow, c.x_ow), (c.kh, c.x_kh), (c.kw, c.x_kw), (c.n, x))
        check_inside(span(c.x_base, dimensions, x), window)
    if mode.y_enable:
        check_inside(span(c.y_base, ((c.oh, c.y_oh), (c.ow, c.y_ow), (c.n, y)), y), window)
    if mode.params:
        check_inside(span(c.p_base, ((mode.params, c.p_stride), (c.n, 4)), 4), window)
    check_inside(span(c.z_base, ((c.oh, c.z_oh), (c.ow, c.z_ow), (c.n, z)), z), window)


def widths(n: int, columns: int) -> list[int]:
    """Columns of each N tile."""
    return [min(columns, n - start) for start in range(0, n, columns)]


def accepts(config: ChipConfig, command: SimpleNamespace, tensor: SimpleNamespace) -> bool:
    """Whether a vector command takes exactly the rows that a tensor command with `to_vector` sends."""
    if not command.mode.from_tensor:
        return False
    mine, theirs = widths(command.n, config.pe_columns), widths(tensor.n, config.pe_columns)
    rows = [(width, command.oh * command.ow) for width in mine]
    sent = [(width, tensor.oh * tensor.ow) for _ in range(tensor.batch) for width in theirs]
    return _merge(rows) == _merge(sent)


def _merge(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Joins neighbouring runs of rows that have the same width."""
    merged: list[tuple[int, int]] = []
    for width, count in runs:
        if merged and merged[-1][0] == width:
            count += merged.pop()[1]
        merged.append((width, count))
    return merged


def _load(memory: np.ndarray, format: Format, base: int, dimensions) -> np.ndarray:
    """Elements as 32-bit lane values: FP32 from a floating format, else INT32."""
    codes = view(memory, dtype_of(format), base, dimensions).copy()
    if format in (Format.FP32, Format.INT32):
        return codes.view(np.uint32)
    if format in FLOATS:
        return convert(codes, format, Format.FP32)
    signed = codes.view(np.int8) if format is Format.INT8 else codes.view(np.uint8)
    return signed.astype(np.int32).view(np.uint32)


def _store(memory: np.ndarray, values: np.ndarray, format: Format, base: int, dimensions):
    """Lane values as elements: a floating format rounds FP32, an integer format saturates INT32."""
    if format in FLOATS:
        codes = values if format is Format.FP32 else convert(values, Format.FP32, format)
    else:
        least, most = {Format.INT8: (-128, 127), Format.UINT8: (0, 255), Format.INT32: (-(1 << 31), (1 << 31) - 1)}[format]
        codes = np.clip(values.view(np.int32), least, most)
    dtype = np.dtype(f"u{CONTAINER_BYTES[format]}")
    view(memory, dtype, base, dimensions)[...] = codes.astype(dtype)


def _from_tensor(command: SimpleNamespace, columns: int, rows: list[np.ndarray]) -> np.ndarray:
    """The tensor core's rows as [oh, ow, n]: they arrive N tile by N tile, row by row."""
    count = command.oh * command.ow
    if any(len(block) != count for block in rows):  # a batch: its blocks join to one tile
        stream = [row for block in rows for row in block]
        rows = [np.stack(stream[start : start + count]) for start in range(0, len(stream), count)]
    if [(len(tile), tile.shape[1]) for tile in rows] != [(count, width) for width in widths(command.n, columns)]:
        sent = ", ".join(f"{len(tile)} x {tile.shape[1]}" for tile in rows)
        raise ValueError(f"the tensor core's rows ({sent}) don't fit {count} x {command.n} of the vector command")
    return np.concatenate(rows, axis=1).reshape(command.oh, command.ow, command.n).astype(np.uint32)


def _reduced(command: SimpleNamespace, l1: np.ndarray) -> np.ndarray:
    """V0 after all taps, kh outside and kw inside."""
    c, mode = command, command.mode
    dimensions = ((c.kh, c.x_kh), (c.kw, c.x_kw), (c.oh, c.x_oh), (c.ow, c.x_ow), (c.n, CONTAINER_BYTES[mode.x_format]))
    taps = _load(l1, mode.x_format, c.x_base, dimensions).reshape(c.kh * c.kw, c.oh, c.ow, c.n)
    result = taps[0]
    for tap in taps[1:]:
        result = operate(mode.reduce, result, tap, result)
    return result


def execute(config: ChipConfig, command: SimpleNamespace, l1: np.ndarray, rows: list[np.ndarray] | None = None):
    """Runs a command that :func:`check` has passed; `rows` are the tensor core's, with `from_tensor`."""
    c, mode = command, command.mode
    shape = (c.oh, c.ow, c.n)
    zero = np.zeros(shape, np.uint32)
    values = dict.fromkeys(VectorSource, zero)
    values[VectorSource.V0] = _from_tensor(c, config.pe_columns, rows or []) if mode.from_tensor else _reduced(c, l1)
    if mode.y_enable:
        dimensions = ((c.oh, c.y_oh), (c.ow, c.y_ow), (c.n, CONTAINER_BYTES[mode.y_format]))
        values[VectorSource.V1] = _load(l1, mode.y_format, c.y_base, dimensions)
    if mode.params:
        parameters = view(l1, np.uint32, c.p_base, ((mode.params, c.p_stride), (c.n, 4))).copy()
        for index, parameter in enumerate(parameters):
            values[VectorSource(VectorSource.P0.value + index)] = np.broadcast_to(parameter, shape)
    values[VectorSource.S0] = np.full(shape, c.s0, np.uint32)
    values[VectorSource.S1] = np.full(shape, c.s1, np.uint32)
    for step in micro_program(c):
        destination = VectorSource(step.dst)
        values[destination] = operate(step.op, values[step.a], values[step.b], values[destination])
    dimensions = ((c.oh, c.z_oh), (c.ow, c.z_ow), (c.n, CONTAINER_BYTES[mode.z_format]))
    _store(l1, values[VectorSource.V0], mode.z_format, c.z_base, dimensions)


def run(config: ChipConfig, words: Sequence[int], l1: np.ndarray, rows: list[np.ndarray] | None = None) -> Outcome:
    """Checks and runs one command, given the words of its register file, on the bytes of L1."""
    command = decode(VectorCommand, words)
    try:
        check(config, command)
    except Fault as fault:
        return fault.outcome
    execute(config, command, l1, rows)
    return Outcome()
