"""`gcu run`: a model file on the chip. Every output bit of the RTL is compared with the golden model."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compiler.compile import Compiled, Layer, compile_model
from compiler.errors import CompileError
from gcu import inputs
from gcu.errors import BadInput, CheckFailed
from gcu.examples import EXAMPLES
from gcu.execute import check_outcomes, claimed, describe, dram_traces, execute, stalls, wave_files
from gcu.layers import layer_rows
from gcu.output import check_writable, console, table, write_json
from gcu.perfetto import save_trace
from gcu.timeline import draw
from gcu.waves.show import show_waves
from rtl.config import ChipConfig
from rtl.isa import Engine
from sim.job import Job
from sim.tools import build_folder
from sim.workload import Outcome, Segment, Workload

__all__ = ["run"]

#: Values in the host player's script and log bound the samples of one run.
_ROOM = 65536

#: What --inject calls the model's constants in memory.
_CONSTANTS = "constants"


@dataclass(frozen=True)
class Placed:
    """A compiled model with its samples in L3."""

    compiled: Compiled
    workload: Workload
    samples: int
    #: Outputs by sample: indices into the workload's reads.
    outputs: tuple[tuple[int, ...], ...]
    #: Layers whose result stays in memory, with the index of its read (of the last sample).
    kept: tuple[tuple[Layer, int], ...]


def run(
    model: str, config: ChipConfig, *, on: list[str], input: Path | None = None, samples: int | None = None, strict: bool = False,
    waves: bool = False, inject: str | None = None, folder: Path | None = None, json_to: str | None = None, seed: int = 1,
) -> dict:
    """Compiles and runs; raises :class:`BadInput` before anything runs, :class:`CheckFailed` after."""
    del strict  # every node runs on the chip or is refused, so there is nothing that strictness could forbid
    check_writable("-o", folder, folder=True)
    check_writable("--json", json_to)
    example = EXAMPLES.get(model)
    path = example.path if example else Path(model)
    if not example and path.suffix != ".onnx" and not path.exists():
        raise BadInput(f"model {model!r} is neither a file nor one of {', '.join(EXAMPLES)}")
    try:
        compiled = compile_model(path, config)
    except CompileError as error:
        raise BadInput(str(error)) from None
    if input is not None:
        values, labels = inputs.from_file(input, compiled, samples)
    elif example:
        values, labels = inputs.from_example(example, compiled, example.default_samples if samples is None else samples)
    else:
        values, labels = inputs.random(compiled, 1 if samples is None else samples, seed)
    flip = None if inject is None else _parse_inject(inject, compiled, on)
    placed = _place(compiled, values, config)
    folder = build_folder() / "runs" / f"{path.stem}_{config.name}" if folder is None else folder
    tags = {layer.tag: layer.name for layer in compiled.layers}
    out = console(json_to)
    out.print(
        f"{path.name}: {len(compiled.layers)} layers, {sum(layer.macs for layer in compiled.layers):,} MACs, {compiled.instructions} "
        f"instructions, {compiled.statistics['constants']:,} byte of constants; {placed.samples} sample{'s' * (placed.samples > 1)} on "
        f"{config.name}"
    )
    with claimed(folder):
        damaged = _damaged(placed, flip[1]) if flip is not None and flip[0] == _CONSTANTS else None
        outcomes = execute(placed.workload, on, folder, waves=waves, damaged=damaged)
        dram = check_outcomes(placed.workload, outcomes, folder)
        if flip is not None and flip[0] != _CONSTANTS:
            _flip(placed, outcomes, *flip)
        report = {
            "model": path.name, "config": config.name, "fingerprint": f"{config.fingerprint:#018x}", "samples": placed.samples,
            "backends": describe(outcomes), "dram": dram, "layers": [], "outputs": {}, "accuracy": None, "compared": 0, "bit_exact": None,
        }
        timed = next((outcome for outcome in outcomes.values() if outcome.clocks is not None), None)
        if timed is not None:
            report |= _timing(placed, config, timed)
            _print_layers(report, out)
            report["timeline"] = str(draw(timed, compiled, config, folder / "timeline.png"))
            report["trace"] = str(save_trace(timed, config, tags, dram_traces(timed.backend, config, folder), folder / "trace.json"))
        compared, mismatch = _compare(placed, outcomes)
        report["compared"], report["bit_exact"] = compared, mismatch is None and len(outcomes) > 1
        decoded = _decode(placed, next(iter(outcomes.values())) if timed is None else timed)
        report["outputs"] = {name: value.reshape(len(value), -1).tolist() for name, value in decoded.items()}
        np.savez(folder / "outputs.npz", **decoded)
        if labels is not None:
            scores = next(iter(decoded.values())).reshape(placed.samples, -1)
            right = int((scores.argmax(1) == labels).sum())
            report["accuracy"] = right / placed.samples
            where = "the golden model" if timed is None else "the RTL"
            out.print(f"accuracy: {100 * right / placed.samples:.1f} % ({right} of {placed.samples} samples right), run on {where}")
        if waves:
            files = wave_files(outcomes, folder)
            report |= show_waves(files, folder, config, tags, f"{compiled.name} on {config.name}, first sample")
        _print_end(report, outcomes, mismatch, out)
        write_json(report, json_to)
        if mismatch is not None:
            raise CheckFailed(mismatch)
        if flip is not None:
            raise CheckFailed(f"--inject {flip[0]}:{flip[1]}: no value differs; this bit doesn't matter to the result")
        return report


def _place(compiled: Compiled, values: dict[str, np.ndarray], config: ChipConfig) -> Placed:
    """Inputs, outputs and arguments of every sample behind the program; one job a sample."""
    count = len(next(iter(values.values())))
    rows_a_job = 16 + 10 + 24 * (config.sips + 1)
    if count * rows_a_job > _ROOM - 16:
        raise BadInput(f"--samples: {count} are more than the {(_ROOM - 16) // rows_a_job} of one run on {config.name}")
    segments = [Segment(address, data) for address, data in compiled.segments]
    place = compiled.end

    def take(size: int) -> int:
        nonlocal place
        address = place
        place = -(-(place + size) // 256) * 256
        return address

    bindings = sorted((*compiled.inputs, *compiled.outputs), key=lambda binding: binding.argument)
    reads: list[tuple[int, int]] = []
    jobs, outputs = [], []
    for sample in range(count):
        arguments, indices = [], []
        for binding in bindings:
            address = take(binding.bytes)
            arguments.append(address)
            if binding in compiled.inputs:
                try:
                    segments.append(Segment(address, binding.encode(values[binding.name][sample])))
                except CompileError as error:
                    raise BadInput(str(error)) from None
            else:
                indices.append(len(reads))
                reads.append((address, binding.bytes))
        table_address = take(4 * len(arguments))
        segments.append(Segment(table_address, np.array(arguments, "<u4").tobytes()))
        jobs.append(Job(compiled.image, table_address, len(arguments)))
        outputs.append(tuple(indices))
    kept = []
    for layer in compiled.layers:
        if layer.address is not None:
            kept.append((layer, len(reads)))
            reads.append((layer.address, layer.out.bytes))
    try:
        workload = Workload(config, tuple(segments), tuple(jobs), tuple(reads), "hbm")
    except ValueError as error:
        raise BadInput(f"{count} samples: {error}") from None
    return Placed(compiled, workload, count, tuple(outputs), tuple(kept))


# Injection


def _parse_inject(text: str, compiled: Compiled, on: list[str]) -> tuple[str, int]:
    what, _, bit = text.partition(":")
    names = ["output", _CONSTANTS, *(layer.name for layer in compiled.layers if layer.address is not None)]
    drawn = bit.startswith("seed=")
    digits = bit.removeprefix("seed=")
    if what not in names or not (digits.isascii() and digits.isdigit()):
        raise BadInput(f"--inject: {text!r} is not WHAT:BIT with WHAT one of {', '.join(names)} and BIT a number or seed=NUMBER")
    if what == _CONSTANTS:
        size = sum(len(data) for _, data in _constants(compiled))
    else:
        size = compiled.outputs[0].bytes if what == "output" else next(layer.out.bytes for layer in compiled.layers if layer.name == what)
    if drawn and size:
        bit = str(random.Random(int(digits)).randrange(8 * size))
    if int(bit) >= 8 * size:
        raise BadInput(f"--inject: {what} has {8 * size} bits, there is no bit {bit}")
    if len(on) < 2:
        raise BadInput("--inject: needs the RTL and something to compare it with, such as --on golden,verilator")
    return what, int(bit)


def _constants(compiled: Compiled) -> list[tuple[int, bytes]]:
    """(address, bytes) of the model's constants: all segments but the program."""
    return [(address, data) for address, data in compiled.segments if not address <= compiled.image < address + len(data)]


def _damaged(placed: Placed, bit: int) -> Workload:
    """The workload with one bit of the constants inverted, in the memory's contents before the run."""
    place, segments = bit // 8, list(placed.workload.segments)
    constants = {address for address, _ in _constants(placed.compiled)}
    for number, segment in enumerate(segments):
        if segment.address in constants:
            if 0 <= place < len(segment.data):
                wrong = bytearray(segment.data)
                wrong[place] ^= 1 << bit % 8
                segments[number] = Segment(segment.address, bytes(wrong))
            place -= len(segment.data)
    return replace(placed.workload, segments=tuple(segments))


def _flip(placed: Placed, outcomes: dict[str, Outcome], what: str, bit: int):
    """Inverts one bit on the way from the simulated memory to the comparison, in the first back end that isn't golden."""
    victim = next(outcome for name, outcome in outcomes.items() if name != "golden")
    index = placed.outputs[0][0] if what == "output" else next(read for layer, read in placed.kept if layer.name == what)
    data = bytearray(victim.reads[index])
    data[bit // 8] ^= 1 << bit % 8
    victim.reads[index] = bytes(data)


# Comparison


def _compare(placed: Placed, outcomes: dict[str, Outcome]) -> tuple[int, str | None]:
    """(number of values compared, the first difference as text). The reference is the golden model, or else the first back end."""
    names = list(outcomes)
    compared = 0
    first_difference = None
    last = placed.compiled.layers[-1]
    producers = {id(layer.out.root): layer for layer in placed.compiled.layers}
    for name in names[1:]:
        for layer, index in placed.kept:
            text, count = _difference(layer.name, layer.out, layer.dtype, outcomes, names[0], name, index, placed.samples - 1)
            compared += count
            first_difference = first_difference or text
        for sample, indices in enumerate(placed.outputs):
            for binding, index in zip(placed.compiled.outputs, indices, strict=True):
                layer = producers.get(id(binding.tensor.root), last)
                text, count = _difference(layer.name, binding.tensor, binding.dtype, outcomes, names[0], name, index, sample)
                compared += count
                first_difference = first_difference or text
    return compared, first_difference


def _difference(layer, tensor, dtype, outcomes, reference: str, other: str, index: int, sample: int) -> tuple[str | None, int]:
    expected, found = (np.frombuffer(outcomes[name].reads[index], np.uint8) for name in (reference, other))
    count = tensor.elements
    if np.array_equal(expected, found):
        return None, count
    wanted, got = (tensor.decode(outcomes[name].reads[index], dtype) for name in (reference, other))
    bits_wanted, bits_got = (np.ascontiguousarray(v).view(np.uint8).reshape(*v.shape, -1) for v in (wanted, got))
    places = np.argwhere((bits_wanted != bits_got).any(-1))
    where = tuple(int(i) for i in places[0])
    return (
        f"layer {layer}, sample {sample}, index {list(where)}: {other} has {got[where]}, {reference} {wanted[where]} "
        f"({len(places)} of {count} values differ)"
    ), count


def _decode(placed: Placed, outcome: Outcome) -> dict[str, np.ndarray]:
    return {
        binding.name: np.stack([binding.decode(outcome.reads[indices[number]]) for indices in placed.outputs])
        for number, binding in enumerate(placed.compiled.outputs)
    }


# Report


def _timing(placed: Placed, config: ChipConfig, timed: Outcome) -> dict:
    cycles = [job.cycles for job in timed.jobs]
    return {
        "layers": layer_rows(timed, placed.compiled, config, placed.samples),
        "cycles_per_sample": sum(cycles) / len(cycles),
        "clocks": timed.clocks,
        "records_lost": timed.records_lost,
        "stalls": {
            engine.name.lower(): {
                cause: sum(stalls(counters, engine)[cause] for counters in timed.counters) / placed.samples
                for cause in stalls(timed.counters[0], engine)
            }
            for engine in (Engine.TENSOR, Engine.VECTOR, Engine.DATA, Engine.SEQUENCER)
        },
    }


def _print_layers(report: dict, out):
    rows = [
        [row["name"], row["kind"], row["engine"], f"{row['cycles']:,.0f}", f"{row['macs']:,}",
         "" if row["utilisation"] is None else f"{100 * row['utilisation']:.1f} %",
         f"{row['bytes_read']:,.0f}", f"{row['bytes_written']:,.0f}",
         *(f"{row['stalls'][cause]:,.0f}" for cause in ("operand", "memory", "event", "accumulator"))]
        for row in report["layers"]
    ]
    columns = ["layer", "kind", "engine", "cycles", "MACs", "utilisation", "read", "written", "operand", "memory", "event", "accumulator"]
    out.print(table(f"per sample, {report['cycles_per_sample']:,.0f} cycles; bytes from and to memory; stall cycles over all engines",
                    columns, rows, left=3))
    causes = ["busy", "operand", "memory", "event", "accumulator", "skipped", "idle"]
    lanes = [[engine, *(f"{counts[cause]:,.0f}" for cause in causes)] for engine, counts in report["stalls"].items()]
    out.print(table("cycles per sample by engine and cause", ["engine", *causes], lanes))


def _print_end(report: dict, outcomes: dict[str, Outcome], mismatch: str | None, out):
    for row in report["backends"]:
        if row["clocks"] is not None:
            speed = f"{row['clocks']:,} clocks in {row['seconds']:.1f} s, {row['clocks_per_second']:,} a second"
            out.print(f"{row['name']} {row['version']}: {speed}")
    for name, found in report["dram"].items():
        count = sum(found["commands"].values())
        out.print(f"DRAM {name}: {count:,} commands, {found['refreshes']} refreshes, 0 violations (device and offline checker)")
    if len(outcomes) > 1 and mismatch is None:
        names = [name for name in outcomes if name != "golden"]
        pair = f"RTL == golden ({', '.join(names)})" if "golden" in outcomes else " == ".join(names)
        out.print(f"{pair}: {report['compared']:,} values compared, all bits equal")
    for key in ("timeline", "trace", "waves", "views", "wave_picture"):
        for path in [report[key]] if isinstance(report.get(key), str) else report.get(key, []):
            out.print(f"{key.replace('_', ' ')}: {path}")
