"""`gcu numerics`: operand vectors through one processing element or one lane, compared bit for bit with the golden model."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gcu.errors import BadInput, CheckFailed
from gcu.output import check_writable, console, progress, table, write_json
from gcu.source import opened
from gcu.vector_file import digits_of, lines_of, read_vectors
from rtl.config import ChipConfig
from rtl.formats import Format
from sim.numerics.backends import Runner
from sim.numerics.operation import ALIGN_MODES, Convert, Dot, Fma, Operation, Requantise
from sim.tools import ToolError

__all__ = ["compare", "numerics", "operation_of"]

_FORMATS = {name.lower(): Format[name] for name in ("FP32", "TF32", "FP16", "BF16", "INT8", "INT32")}
#: Formats of each operation.
_OPS = {
    "fma": ("fp32",), "dot": ("tf32", "fp16", "bf16", "int8"), "convert": tuple(_FORMATS), "requant": ("int8",),
}
_RULES = ("tflite-double", "tflite-single", "onnx")


def numerics(
    format: str, op: str, config: ChipConfig, *, vectors: str | None, out: str, on: list[str] | None = None, align: int | None = None,
    round: str | None = None, unsigned_a: bool = False, source: str | None = None, mode: str | None = None, unsigned_out: bool = False,
    generate: int | None = None, seed: int = 1, json_to: str | None = None,
) -> dict:
    """Runs a file of vectors, or writes one; raises :class:`CheckFailed` at the first line where two back ends differ."""
    operation = operation_of(
        format, op, config, align=align, round=round, unsigned_a=unsigned_a, source=source, mode=mode, unsigned_out=unsigned_out
    )
    if (vectors is None) == (generate is None):
        raise BadInput("--vectors FILE runs the operations of a file, --generate N writes such a file to -o; give one of the two")
    check_writable("-o", out)
    check_writable("--json", json_to)
    if out == "-" == json_to:
        raise BadInput("-o and --json: both name standard output; give one of them a file")
    if generate is not None:
        return _generate(operation, format, op, generate, seed, out, json_to)
    names = _backends(on, operation)
    with ExitStack() as stack:
        stream = stack.enter_context(opened("--vectors", vectors))
        with progress("building") as update:
            update(0)
            try:
                runners = [stack.enter_context(Runner(name, operation, config)) for name in names]
            except ToolError as error:
                raise BadInput(str(error)) from None
        if vectors != "-" and os.fstat(stream.fileno()).st_size and _same_file(vectors, out):
            raise BadInput(f"-o {out}: the file of the vectors; name another one")
        target = stack.enter_context(_written(out))
        begin, count = time.perf_counter(), 0
        with progress(f"{op} {format} on {', '.join(names)}: operations") as update:
            for first, _, operands in read_vectors(stream, "standard input" if vectors == "-" else str(vectors), operation.fields):
                results, difference = compare(runners, operands)
                if difference is not None:
                    index, one, other = difference
                    raise CheckFailed(f"line {first + index}: " + _difference(operation, operands[index], one, other))
                text = np.full((len(results), operation.digits + 1), ord("\n"), np.uint8)
                text[:, :-1] = digits_of(results, operation.digits)
                target.write(text.tobytes())
                count += len(operands)
                update(count)
        seconds = time.perf_counter() - begin
    report = _report(operation, format, op, config, runners, count, seconds)
    _print(report, out, json_to)
    write_json(report, json_to)
    return report


def operation_of(
    format: str, op: str, config: ChipConfig, *, align: int | None = None, round: str | None = None, unsigned_a: bool = False,
    source: str | None = None, mode: str | None = None, unsigned_out: bool = False,
) -> Operation:
    """The operation that options ask for. Raises :class:`BadInput` for what doesn't go together."""
    if op not in _OPS:
        raise BadInput(f"--op: {op!r} is not one of {', '.join(_OPS)}")
    if format not in _OPS[op]:
        raise BadInput(f"--format: {op} has {', '.join(_OPS[op])}, not {format!r}")
    floating = op == "dot" and format != "int8"
    for option, given, wanted, of in (
        ("--align", align is not None, floating, "dot of tf32, fp16 and bf16"),
        ("--round", round is not None, floating, "dot of tf32, fp16 and bf16"),
        ("--unsigned-a", unsigned_a, op == "dot" and format == "int8", "dot of int8"),
        ("--from", source is not None, op == "convert", "convert"),
        ("--mode", mode is not None, op == "requant", "requant"), ("--unsigned-out", unsigned_out, op == "requant", "requant"),
    ):
        if given and not wanted:
            raise BadInput(f"{option}: belongs to {of}, not to {op} of {format}")
    if op in ("fma", "dot") and not config.lanes(_FORMATS[format]):
        raise BadInput(f"--format: configuration {config.name} has no {format}; it has {', '.join(config.formats).lower()}")
    if op == "fma":
        return Fma()
    if op == "convert":
        if source is not None and source not in _FORMATS:
            raise BadInput(f"--from: {source!r} is not one of {', '.join(_FORMATS)}")
        return Convert(_FORMATS[source or "fp32"], _FORMATS[format])
    if op == "requant":
        if mode not in _RULES:
            raise BadInput(f"--mode: requant needs one of {', '.join(_RULES)}" + (f", not {mode!r}" if mode else ""))
        return Requantise(mode, unsigned_out)
    if not floating:
        return Dot.of(Format.UINT8 if unsigned_a else Format.INT8, config)
    pair = (config.align if align is None else align, round or ("rz" if align in ALIGN_MODES and align != config.align else "rne"))
    if pair == (config.align, "rne"):
        return Dot.of(_FORMATS[format], config)
    if pair[0] in ALIGN_MODES and pair[1] == "rz":
        return Dot.of(_FORMATS[format], config, True, pair[0])
    raise BadInput(
        f"--align {pair[0]} --round {pair[1]}: the hardware of {config.name} has {config.align} with rne, and 23, 24 or 25 with rz"
    )


def compare(runners: list[Runner], operands: np.ndarray) -> tuple[np.ndarray, tuple[int, tuple[str, int], tuple[str, int]] | None]:
    """Results of the first back end; and where another one differs: (index, (name, value) of that one, (name, value) of the first)."""
    first, *others = runners
    results = first.run(operands)
    found = None
    for other in others:
        values = other.run(operands)
        differ = np.flatnonzero(values != results)
        if len(differ) and (found is None or differ[0] < found[0]):
            index = int(differ[0])
            found = index, (other.name, int(values[index])), (first.name, int(results[index]))
    return results, found


def _difference(operation: Operation, operands: np.ndarray, one: tuple[str, int], other: tuple[str, int]) -> str:
    shown = " ".join(f"{name}={int(value):0{digits}x}" for value, (name, digits) in zip(operands, operation.fields, strict=True))
    (name, value), (reference, expected) = one, other
    return f"{shown}: {name} has {value:0{operation.digits}x}, {reference} {expected:0{operation.digits}x}"


def _backends(on: list[str] | None, operation: Operation) -> list[str]:
    """What was asked for, the golden model first; by default golden and verilator, or golden where the chip lacks the operation."""
    if operation.hardware is None:
        return sorted(on or ["golden", "verilator"], key=["golden", "verilator", "icarus"].index)
    if on is None:
        print(f"gcu: {operation.hardware}; the golden model runs alone", file=sys.stderr)
    elif on != ["golden"]:
        raise BadInput(f"--on: {operation.hardware}; --on golden runs it")
    return ["golden"]


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(other) and os.path.samefile(one, other)


@contextmanager
def _written(path: str) -> Iterator[BinaryIO]:
    """The file comes under its name when it is whole; what was there before stays until then."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if Path(path).exists() and not Path(path).is_file():  # a device or a pipe
        with open(path, "wb") as stream:
            yield stream
        return
    temporary = Path(f"{path}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _generate(operation: Operation, format: str, op: str, count: int, seed: int, out: str, json_to: str | None) -> dict:
    from verif.numerics.vectors import vectors

    if count < 1:
        raise BadInput(f"--generate: {count} is not positive")
    digits = [digits for _, digits in operation.fields]
    done = 0
    with _written(out) as target, progress("vectors", count) as update:
        for operands in vectors(operation, count, seed):
            target.write(lines_of(operands, digits))
            done += len(operands)
            update(done)
    names = [name for name, _ in operation.fields]
    report = {"format": format, "op": op, "fields": names, "vectors": count, "seed": seed, "file": out}
    (console(json_to) if out != "-" else console("-")).print(f"{out}: {count:,} vectors of {op} {format}, seed {seed}")
    write_json(report, json_to)
    return report


def _report(operation: Operation, format: str, op: str, config: ChipConfig, runners: list[Runner], count: int, seconds: float) -> dict:
    report: dict = {"format": format, "op": op, "config": config.name, "fields": [name for name, _ in operation.fields]}
    if isinstance(operation, Dot) and operation.format in (Format.TF32, Format.FP16, Format.BF16):
        report |= {"align": operation.align, "round": "rz" if operation.toward_zero else "rne"}
    if isinstance(operation, Dot) and op == "dot" and format == "int8":
        report["unsigned_a"] = operation.format is Format.UINT8
    if isinstance(operation, Convert):
        report["from"] = operation.source.name.lower()
    if isinstance(operation, Requantise):
        report |= {"mode": operation.rule, "unsigned_out": operation.unsigned}
    return report | {
        "operations": count, "seconds": _short(seconds), "bit_exact": len(runners) > 1,
        "backends": [
            {
                "name": runner.name, "version": runner.version, "seconds": _short(runner.seconds),
                "operations_per_second": int(count / runner.seconds) if runner.seconds else None, "cycles": runner.cycles,
            }
            for runner in runners
        ],
    }


def _short(seconds: float) -> float:
    return float(f"{seconds:.3f}")


def _print(report: dict, out: str, json_to: str | None):
    answer = console("-" if out == "-" else json_to)
    rows = [[row["name"], row["version"], f"{row['seconds']:.2f}", f"{row['operations_per_second'] or 0:,}"] for row in report["backends"]]
    title = f"{report['op']} {report['format']}: {report['operations']:,} operations in {report['seconds']:.1f} s"
    answer.print(table(title, ["back end", "version", "seconds", "operations/s"], rows, left=2))
    names = ", ".join(row["name"] for row in report["backends"])
    if report["bit_exact"]:
        answer.print(f"{names}: the same {report['operations']:,} results, bit for bit")
    else:
        answer.print(f"{names} only: nothing to compare with")
