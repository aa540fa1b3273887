"""The tensor core by the book: the results of one command, element by element, in exact arithmetic.

The order of work is that of the command's definition, not of the hardware; only `rows` and `skippable` follow the hardware's passes.
"""

from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import AlignMode, Status
from verif.tensor.checks import DOTS, INTEGERS, check, contraction, element
from verif.tensor.referee import classify, decode, dot, fma, int_dot, int_overflows

__all__ = ["Outcome", "execute"]

#: How a code of each operand format lies in memory.
_CODES = {
    Format.FP32: "<u4", Format.TF32: "<u4", Format.FP16: "<u2", Format.BF16: "<u2", Format.INT8: "<i1", Format.UINT8: "<u1",
}  # fmt: skip
#: F of the compatibility modes, which round toward zero.
_WINDOWS = {AlignMode.RZ23: 23, AlignMode.RZ24: 24, AlignMode.RZ25: 25}


@dataclass
class Outcome:
    """What a command does, and what a monitor may see of it."""

    status: Status
    address: int = 0
    #: Byte by address.
    written: dict[int, int] = field(default_factory=dict)
    #: Bytes of L1 that A, B and C take, by operand: a mask.
    read: dict[str, np.ndarray] = field(default_factory=dict)
    #: To the vector engine.
    beats: list[list[int]] = field(default_factory=list)
    #: Rows of A over all passes, and those of them that `skip_zero` allows to skip.
    rows: int = 0
    skippable: int = 0
    #: Rows of zeros after the first pass that must not be skipped.
    kept: int = 0
    #: Classes of the operands in A and B.
    classes: set[str] = field(default_factory=set)
    #: The sum of a group of INT8 left int32.
    overflow: bool = False


def _convert(bits: list[list[int]], format: Format) -> np.ndarray:
    """Codes of results in D's format, as rows of bytes."""
    if format in (Format.FP32, Format.INT32):
        return np.array(bits, "<u4").view(np.uint8)
    values = np.array(bits, np.uint32).view(np.float32)
    kind, nan = {Format.FP16: (np.float16, 0x7E00), Format.BF16: (ml_dtypes.bfloat16, 0x7FC0)}[format]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        codes = values.astype(kind).view("<u2")
    return np.where(np.isnan(values), np.uint16(nan), codes).astype("<u2").view(np.uint8)


class _Operands:
    """Addresses and codes of A, B and C of one batch, as lists of rows."""

    def __init__(self, config: ChipConfig, command: dict, batch: int, memory: np.ndarray, read: dict[str, np.ndarray]):
        mode = command["mode"]
        format = mode["a_format"]
        size, lanes = CONTAINER_BYTES[format], config.lanes(format)

        def steps(*loops: tuple[str, int]) -> np.ndarray:
            """Sums of index * stride over nested loops, the first outermost."""
            total = np.zeros(1, np.int64)
            for loop, stride in loops:
                total = (total[:, None] + np.arange(command[loop]) * stride).ravel()
            return total

        def base(operand: str) -> int:
            return command[f"{operand}_base"] + batch * command[f"{operand}_batch"]

        taps = steps(("kh", command["a_kh"]), ("kw", command["a_kw"]))
        channel = np.arange(command["channels"])
        if mode.get("transpose_a"):
            pixels, channels = steps(("oh", command["a_oh"]), ("ow", size)), channel * command["a_c"]
        else:
            pixels = steps(("oh", command["a_oh"]), ("ow", command["a_ow"]))
            channels = channel // lanes * command["a_c"] + channel % lanes * size
        by_k, by_n = (size, command["b_k"]) if mode.get("transpose_b") else (command["b_k"], size)
        at = {
            "a": base("a") + pixels[:, None] + (taps[:, None] + channels).ravel(),
            # By columns: B is wanted one column at a time.
            "b": base("b") + np.arange(command["n"])[:, None] * by_n + np.arange(contraction(command)) * by_k,
        }
        self.d_at = steps(("oh", command["d_oh"]), ("ow", command["d_ow"])) + base("d")
        if mode.get("accumulate"):
            at["c"] = base("c") + steps(("oh", command["c_oh"]), ("ow", command["c_ow"]))[:, None] + 4 * np.arange(command["n"])
        codes = {}
        for operand, addresses in at.items():
            spread = addresses[..., None] + np.arange(element(command, operand))
            read.setdefault(operand, np.zeros(len(memory), bool))[spread] = True
            kind = "<u4" if operand == "c" else "<i1" if operand == "b" and format is Format.UINT8 else _CODES[format]
            codes[operand] = memory[spread].view(kind)[..., 0].tolist()
        self.a, self.b = codes["a"], codes["b"]
        self.c = codes.get("c", [[0] * command["n"]] * len(self.a))


def _is_zero(format: Format, code: int) -> bool:
    return code == 0 if format in INTEGERS else classify(code, format) == "zero"


def execute(config: ChipConfig, command: dict, memory: np.ndarray) -> Outcome:
    """Runs a command on `memory`, which it changes."""
    outcome = Outcome(*check(config, command))
    if outcome.status is not Status.OK:
        return outcome
    mode = command["mode"]
    format, d_format = mode["a_format"], mode["d_format"]
    lanes = config.lanes(format)
    align = AlignMode(mode.get("align", 0))
    window, toward_zero = _WINDOWS.get(align, config.align), align in _WINDOWS
    # Groups: slices of k, each one operation.
    taps, channels = command["kh"] * command["kw"], command["channels"]
    groups = [
        slice(tap * channels + first, tap * channels + min(first + lanes, channels))
        for tap in range(taps)
        for first in range(0, channels, lanes)
    ]
    dense = mode.get("transpose_a") or command["a_c"] == lanes * CONTAINER_BYTES[format]
    chain = config.pe_rows if dense else 1
    passes = [list(range(tap, min(tap + chain, end))) for tap, end in _taps(len(groups), taps, chain)]

    def step(a: list, b: list, c: int) -> int:
        if format is Format.FP32:
            return fma(a[0], b[0], c)
        if format in DOTS:
            return dot(format, a, b, c, window, toward_zero)
        outcome.overflow |= int_overflows(a, b, c)
        return int_dot(a, b, c)

    old = memory.copy()
    for batch in range(command["batch"]):
        operands = _Operands(config, command, batch, old, outcome.read)
        a, b = operands.a, operands.b
        signed_zero = np.zeros((len(groups), len(a), command["n"]), bool)  # where `c` of a group is -0
        if format not in INTEGERS:
            outcome.classes |= {classify(code, format) for code in {code for row in (*a, *b) for code in row}}
        if format in DOTS:
            a_terms, b_terms = ([[decode(code, format) for code in row] for row in rows] for rows in (a, b))
        else:
            a_terms, b_terms = a, b
        a_groups, b_groups = ([[row[group] for group in groups] for row in rows] for rows in (a_terms, b_terms))
        results = []
        for m, row in enumerate(a_groups):
            results.append([])
            for n, column in enumerate(b_groups):
                value = operands.c[m][n]
                for number, (x, y) in enumerate(zip(row, column, strict=True)):
                    if value == 0x80000000:
                        signed_zero[number, m, n] = True
                    value = step(x, y, value)
                results[m].append(value)
        tiles = range(0, command["n"], config.pe_columns)
        outcome.rows += len(tiles) * len(a) * len(passes)
        if mode.get("skip_zero"):
            zeros, skippable = _zero_rows(config, format, groups, passes, a, b, signed_zero)
            outcome.skippable += skippable
            outcome.kept += zeros - skippable
        if mode.get("to_vector"):
            for tile in tiles:
                end = min(tile + config.pe_columns, command["n"])
                outcome.beats += [
                    [row[n] if n < end else 0 for n in range(first, first + config.vector_lanes)]
                    for row in results
                    for first in range(tile, end, config.vector_lanes)
                ]
        else:
            for d_at, code in zip(operands.d_at.tolist(), _convert(results, d_format).tolist(), strict=True):
                outcome.written.update(enumerate(code, d_at))
    for address, byte in outcome.written.items():
        memory[address] = byte
    return outcome


def _taps(groups: int, taps: int, chain: int) -> list[tuple[int, int]]:
    """(first group, end of its tap) of each pass: up to `chain` groups of one tap."""
    each = groups // taps
    return [(tap * each + first, (tap + 1) * each) for tap in range(taps) for first in range(0, each, chain)]


def _zero_rows(config, format, groups, passes, a, b, signed_zero) -> tuple[int, int]:
    """Rows of zeros after the first pass of a tile, and those that can't change a bit: weights finite, no accumulator -0."""
    integer = format in INTEGERS
    zero = [[all(_is_zero(format, code) for code in row[group]) for group in groups] for row in a]
    finite = [[integer or all(decode(code, format).finite for code in row[group]) for group in groups] for row in b]
    zeros = skippable = 0
    for tile in range(0, len(b), config.pe_columns):
        columns = range(tile, min(tile + config.pe_columns, len(b)))
        for members in passes[1:]:
            harmless = all(finite[n][group] for n in columns for group in members)
            blocked = np.zeros(len(a), bool) if integer else signed_zero[members[0]][:, columns].any(axis=1)
            for row, stop in zip(zero, blocked, strict=True):
                if all(row[group] for group in members):
                    zeros += 1
                    skippable += harmless and not stop
    return zeros, skippable
