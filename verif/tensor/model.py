"""The tensor core by the book: checks and results of one command, element by element, in exact arithmetic."""

import itertools
import struct
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Status
from verif.tensor.referee import fma, int_dot

__all__ = ["Outcome", "box", "check", "execute"]

_FLOATS = (Format.FP32,)
_SIZES = ("kh", "kw", "channels", "ow", "oh", "n", "batch")


@dataclass
class Outcome:
    """What a command does: status, bytes written, beats to the vector engine, rows of A that enter the array."""

    status: Status
    address: int = 0
    written: dict[int, int] = field(default_factory=dict)
    beats: list[list[int]] = field(default_factory=list)
    rows: int = 0


def _span(size: int, stride: int) -> tuple[int, int]:
    reach = (size - 1) * stride
    return min(reach, 0), max(reach, 0)


def box(config: ChipConfig, command: dict, operand: str) -> tuple[int, int]:
    """Lowest and highest byte that a command touches in one operand, relative to its base."""
    mode = command["mode"]
    format = mode["a_format"]
    rows = [_span(command["batch"], command[f"{operand}_batch"])]
    if operand == "b":
        k = command["kh"] * command["kw"] * command["channels"]
        inner = (0, command["n"] * CONTAINER_BYTES[format] - 1)
        rows.append(_span(k, command["b_k"]))
    else:
        rows += [_span(command[size], command[f"{operand}_{size}"]) for size in ("ow", "oh")]
        if operand == "a":
            lanes, size = config.lanes(format), CONTAINER_BYTES[format]
            rows += [_span(command[tap], command[f"a_{tap}"]) for tap in ("kh", "kw")]
            starts = range(0, command["channels"], lanes)
            groups = [(i * command["a_c"], min(lanes, command["channels"] - first) * size) for i, first in enumerate(starts)]
            inner = (min(at for at, _ in groups), max(at + count - 1 for at, count in groups))
        else:
            size = CONTAINER_BYTES[mode["d_format"]] if operand == "d" else 4
            inner = (0, command["n"] * size - 1)
    return sum(low for low, _ in rows) + inner[0], sum(high for _, high in rows) + inner[1]


def check(config: ChipConfig, command: dict) -> tuple[Status, int]:
    """Status of a command, and the address that is wrong. Words are 32-bit patterns or signed strides."""
    mode = command["mode"]
    a_format, d_format = mode["a_format"], mode["d_format"]
    if a_format not in (Format.FP32, Format.INT8, Format.UINT8) or not config.lanes(a_format):
        return Status.UNSUPPORTED, 0
    results = (Format.FP32, Format.FP16, Format.BF16) if a_format in _FLOATS else (Format.INT32,)
    if d_format not in results or mode.get("transpose_a") or mode.get("transpose_b"):
        return Status.UNSUPPORTED, 0
    if any(not 1 <= command[size] <= 65535 for size in _SIZES):
        return Status.SIZE, 0
    if command["kh"] * command["kw"] * command["channels"] > 65535:
        return Status.SIZE, 0
    used = ["a", "b", *(["c"] if mode.get("accumulate") else []), *([] if mode.get("to_vector") else ["d"])]
    elements = {"a": CONTAINER_BYTES[a_format], "b": CONTAINER_BYTES[a_format], "c": 4, "d": CONTAINER_BYTES[d_format]}
    for operand in used:
        if any(value % elements[operand] for name, value in command.items() if name.startswith(f"{operand}_")):
            return Status.ALIGNMENT, 0
    for operand in used:
        low, high = (command[f"{operand}_base"] + offset for offset in box(config, command, operand))
        if low < 0:
            return Status.ADDRESS, low & 0xFFFFFFFF
        if high >= config.l1_bytes:
            return Status.ADDRESS, high & 0xFFFFFFFF
    return Status.OK, 0


def _convert(bits: int, format: Format) -> bytes:
    if format in (Format.FP32, Format.INT32):
        return struct.pack("<I", bits)
    value = np.array([bits], np.uint32).view(np.float32)
    if np.isnan(value[0]):
        return struct.pack("<H", {Format.FP16: 0x7E00, Format.BF16: 0x7FC0}[format])
    with np.errstate(over="ignore", under="ignore"):
        return value.astype({Format.FP16: np.float16, Format.BF16: ml_dtypes.bfloat16}[format]).tobytes()


def execute(config: ChipConfig, command: dict, memory: np.ndarray) -> Outcome:
    """Runs a command on `memory`, which it changes."""
    outcome = Outcome(*check(config, command))
    if outcome.status is not Status.OK:
        return outcome
    mode = command["mode"]
    format = mode["a_format"]
    size, lanes = CONTAINER_BYTES[format], config.lanes(format)
    kind = {Format.FP32: "<u4", Format.INT8: "<i1", Format.UINT8: "<u1"}[format]
    old = memory.copy()

    def word(address: int) -> int:
        return int(old[address : address + 4].view("<u4")[0])

    places = list(itertools.product(range(command["oh"]), range(command["ow"])))
    taps = list(itertools.product(range(command["kh"]), range(command["kw"])))
    offsets = [
        kh * command["a_kh"] + kw * command["a_kw"] + channel // lanes * command["a_c"] + channel % lanes * size
        for kh, kw in taps
        for channel in range(command["channels"])
    ]
    for batch in range(command["batch"]):
        results = {}
        b_at = command["b_base"] + batch * command["b_batch"]
        rows_b = []
        for k in range(len(offsets)):
            at = b_at + k * command["b_k"]
            rows_b.append(old[at : at + command["n"] * size].view("<i1" if size == 1 else "<u4").tolist())
        for oh, ow in places:
            a_at = command["a_base"] + batch * command["a_batch"] + oh * command["a_oh"] + ow * command["a_ow"]
            row_a = [int(old[a_at + offset : a_at + offset + size].view(kind)[0]) for offset in offsets]
            c_at = command["c_base"] + batch * command["c_batch"] + oh * command["c_oh"] + ow * command["c_ow"]
            d_at = command["d_base"] + batch * command["d_batch"] + oh * command["d_oh"] + ow * command["d_ow"]
            for n in range(command["n"]):
                value = word(c_at + 4 * n) if mode.get("accumulate") else 0
                column = [row[n] for row in rows_b]
                if format is Format.FP32:
                    for a, b in zip(row_a, column, strict=True):
                        value = fma(a, b, value)
                else:
                    value = int_dot(row_a, column, value)
                results[oh, ow, n] = value
                if not mode.get("to_vector"):
                    code = _convert(value, mode["d_format"])
                    outcome.written.update({d_at + n * len(code) + i: byte for i, byte in enumerate(code)})
        if mode.get("to_vector"):
            for tile in range(0, command["n"], config.pe_columns):
                for oh, ow in places:
                    end = min(tile + config.pe_columns, command["n"])
                    for first in range(tile, end, config.vector_lanes):
                        lane = range(first, first + config.vector_lanes)
                        outcome.beats.append([results[oh, ow, n] if n < end else 0 for n in lane])
    for address, byte in outcome.written.items():
        memory[address] = byte
    groups = config.pe_rows if config.pe_rows == 1 or command["a_c"] == lanes * size else 1
    passes = len(taps) * -(-command["channels"] // (groups * lanes))
    outcome.rows = command["batch"] * -(-command["n"] // config.pe_columns) * len(places) * passes
    return outcome
