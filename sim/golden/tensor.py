"""Tensor core: runs a whole `TensorCommand` at once.

The operands are gathered as matrices A [M, K] and B [K, N] of number codes; `sim.golden.matmul` does the arithmetic.
"""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, FLOATS, Format
from rtl.isa import AlignMode, Status, TensorCommand
from sim.golden.command import SIZE_LIMIT, check_aligned, check_inside, check_sizes, decode, span, view
from sim.golden.formats import convert, dtype_of
from sim.golden.matmul import matmul, overflows
from sim.golden.outcome import Fault, Outcome

__all__ = ["check", "execute", "macs", "run"]

#: Elements of A that are gathered at a time; it bounds the memory that a large command takes.
_CHUNK = 1 << 22

_INTEGERS = (Format.INT8, Format.UINT8)
_COMPATIBLE = {AlignMode.RZ23: 23, AlignMode.RZ24: 24, AlignMode.RZ25: 25}


def macs(command: SimpleNamespace) -> int:
    """Products of one command."""
    return command.batch * command.oh * command.ow * command.kh * command.kw * command.channels * command.n


def check(config: ChipConfig, command: SimpleNamespace):
    """Raises the :class:`Fault` of a command that breaks a rule."""
    mode = command.mode
    legal = (Format.INT32,) if mode.a_format in _INTEGERS else (Format.FP32, Format.FP16, Format.BF16)
    if not isinstance(mode.a_format, Format) or mode.a_format is Format.INT32 or not config.lanes(mode.a_format):
        raise Fault(Status.UNSUPPORTED)
    if mode.d_format not in legal:
        raise Fault(Status.UNSUPPORTED)

    c = command
    check_sizes((c.kh, c.kw, c.channels, c.ow, c.oh, c.n, c.batch))
    depth = c.kh * c.kw * c.channels
    if depth > SIZE_LIMIT:
        raise Fault(Status.SIZE)

    element, d_element = CONTAINER_BYTES[mode.a_format], CONTAINER_BYTES[mode.d_format]
    row = () if mode.transpose_a else (c.a_ow,)
    check_aligned(element, (c.a_base, c.a_c, c.a_kw, c.a_kh, *row, c.a_oh, c.a_batch, c.b_base, c.b_k, c.b_batch))
    if mode.accumulate:
        check_aligned(4, (c.c_base, c.c_ow, c.c_oh, c.c_batch))
    if not mode.to_vector:
        check_aligned(d_element, (c.d_base, c.d_ow, c.d_oh, c.d_batch))

    window = (0, config.l1_bytes)
    check_inside(_span_a(command, config.lanes(mode.a_format), element), window)
    strides = ((c.n, c.b_k), (depth, element)) if mode.transpose_b else ((depth, c.b_k), (c.n, element))
    check_inside(span(c.b_base, ((c.batch, c.b_batch), *strides), element), window)
    if mode.accumulate:
        check_inside(span(c.c_base, ((c.batch, c.c_batch), (c.oh, c.c_oh), (c.ow, c.c_ow), (c.n, 4)), 4), window)
    if not mode.to_vector:
        dimensions = ((c.batch, c.d_batch), (c.oh, c.d_oh), (c.ow, c.d_ow), (c.n, d_element))
        check_inside(span(c.d_base, dimensions, d_element), window)


def _span_a(c: SimpleNamespace, lanes: int, element: int) -> tuple[int, int]:
    """Bytes of A: the outer box plus the groups of one tap, of which the last may be short; a plain box where A is transposed."""
    if c.mode.transpose_a:
        taps = ((c.batch, c.a_batch), (c.oh, c.a_oh), (c.kh, c.a_kh), (c.kw, c.a_kw))
        return span(c.a_base, (*taps, (c.channels, c.a_c), (c.ow, element)), element)
    outer = ((c.batch, c.a_batch), (c.oh, c.a_oh), (c.ow, c.a_ow), (c.kh, c.a_kh), (c.kw, c.a_kw))
    last = (c.channels - 1) // lanes
    short = c.channels - last * lanes
    # The extremes are among the first group, the last full one and the last one, since the groups are equally spaced.
    groups = [(last * c.a_c, short)] + [(group * c.a_c, lanes) for group in (0, last - 1) if 0 <= group < last]
    low = min(offset for offset, _ in groups)
    high = max(offset + length * element for offset, length in groups)
    first, final = span(c.a_base, outer, 1)
    return first + low, final + high - 1


def _gather_a(l1: np.ndarray, c: SimpleNamespace, base: int, rows: range, lanes: int) -> np.ndarray:
    """Codes of A [oh in rows, ow, k] as a matrix [M, K]."""
    dtype = dtype_of(c.mode.a_format)
    element = CONTAINER_BYTES[c.mode.a_format]
    base += rows.start * c.a_oh
    row = element if c.mode.transpose_a else c.a_ow
    outer = ((len(rows), c.a_oh), (c.ow, row), (c.kh, c.a_kh), (c.kw, c.a_kw))
    if c.mode.transpose_a:
        return view(l1, dtype, base, (*outer, (c.channels, c.a_c))).reshape(len(rows) * c.ow, c.kh * c.kw * c.channels)
    full, short = divmod(c.channels, lanes)
    parts = []
    if full:
        groups = view(l1, dtype, base, (*outer, (full, c.a_c), (lanes, element)))
        parts.append(groups.reshape(*groups.shape[:4], full * lanes))
    if short:
        parts.append(view(l1, dtype, base + full * c.a_c, (*outer, (short, element))))
    return np.concatenate(parts, axis=-1).reshape(len(rows) * c.ow, c.kh * c.kw * c.channels)


def _gather_b(l1: np.ndarray, c: SimpleNamespace, base: int) -> np.ndarray:
    """Codes of B as a matrix [K, N]."""
    dtype = dtype_of(c.mode.a_format)
    row, column = (dtype.itemsize, c.b_k) if c.mode.transpose_b else (c.b_k, dtype.itemsize)
    return view(l1, dtype, base, ((c.kh * c.kw * c.channels, row), (c.n, column))).copy()


def _product(config: ChipConfig, l1: np.ndarray, c: SimpleNamespace, batch: int) -> tuple[np.ndarray, bool]:
    """32-bit results [M, N] of one of the batch, and whether an INT8 sum left int32."""
    mode = c.mode
    lanes = config.lanes(mode.a_format)
    b = _gather_b(l1, c, c.b_base + batch * c.b_batch)
    step = max(1, _CHUNK // (c.ow * len(b)))
    results, overflow = [], False
    for start in range(0, c.oh, step):
        rows = range(start, min(start + step, c.oh))
        a = _gather_a(l1, c, c.a_base + batch * c.a_batch, rows, lanes)
        initial = None
        if mode.accumulate:
            base = c.c_base + batch * c.c_batch + start * c.c_oh
            initial = view(l1, np.uint32, base, ((len(rows), c.c_oh), (c.ow, c.c_ow), (c.n, 4))).reshape(-1, c.n).copy()
        results.append(
            matmul(
                mode.a_format, a, b, initial, lanes=lanes, align=_COMPATIBLE.get(mode.align, config.align),
                toward_zero=mode.align in _COMPATIBLE, unsigned_a=mode.a_format is Format.UINT8, tap=c.channels,
            )
        )
        if initial is not None and mode.a_format in _INTEGERS:
            overflow |= overflows(a, b, initial, lanes=lanes, unsigned_a=mode.a_format is Format.UINT8, tap=c.channels)
    return np.concatenate(results), overflow


def execute(config: ChipConfig, command: SimpleNamespace, l1: np.ndarray) -> Outcome:
    """Runs a command that :func:`check` has passed. `skip_zero` changes no bit, so nothing here reads it."""
    c, mode = command, command.mode
    products, overflow = [], False
    for batch in range(c.batch):
        product, left = _product(config, l1, c, batch)
        products.append(product)
        overflow |= left
    if mode.to_vector:
        tiles = range(0, c.n, config.pe_columns)
        return Outcome(rows=[product[:, t : t + config.pe_columns] for product in products for t in tiles], overflow=overflow)
    for batch, product in enumerate(products):
        codes = convert(product, Format.FP32, mode.d_format) if mode.d_format in FLOATS else product
        element = CONTAINER_BYTES[mode.d_format]
        dimensions = ((c.oh, c.d_oh), (c.ow, c.d_ow), (c.n, element))
        view(l1, f"u{element}", c.d_base + batch * c.d_batch, dimensions)[...] = codes.reshape(c.oh, c.ow, c.n)
    return Outcome(overflow=overflow)


def run(config: ChipConfig, words: Sequence[int], l1: np.ndarray) -> Outcome:
    """Checks and runs one command, given the words of its register file, on the bytes of L1."""
    command = decode(TensorCommand, words)
    try:
        check(config, command)
    except Fault as fault:
        return fault.outcome
    return execute(config, command, l1)
