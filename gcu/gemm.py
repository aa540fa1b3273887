"""`gcu gemm`: one matrix product, C = A x B, on the chip."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compiler.assembler import Program, assemble
from compiler.compile import compile_graph
from compiler.errors import CompileError
from compiler.graph import Contraction, Graph, Tensor
from compiler.moves import Address, Dimension, move
from gcu.errors import BadInput, CheckFailed
from gcu.execute import check_outcomes, claimed, describe, execute, stalls
from gcu.output import check_writable, console, table, write_json
from gcu.wave_picture import show_waves
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Engine, Space, TensorMode
from rtl.tensor.formats import IMPLEMENTED
from sim.job import Job
from sim.tools import build_folder
from sim.workload import Outcome, Segment, Workload

__all__ = ["gemm"]

DTYPES = {
    "fp32": (Format.FP32, np.float32), "tf32": (Format.TF32, np.float32), "fp16": (Format.FP16, np.float16),
    "bf16": (Format.BF16, np.uint16), "int8": (Format.INT8, np.int8),
}
_RESULTS = {Format.FP32: np.float32, Format.INT32: np.int32, Format.FP16: np.float16, Format.BF16: np.uint16}
_NATURAL = {Format.FP32: "fp32", Format.TF32: "fp32", Format.FP16: "fp16", Format.BF16: "bf16", Format.INT8: "int32"}

#: L3 places of the ideal-memory workload: images, operands, result.
_IMAGES, _DATA = 0x0000, 0x4000


@dataclass(frozen=True)
class Product:
    """Operands of one product, and what is asked of it."""

    m: int
    n: int
    k: int
    format: Format
    result: Format
    a: np.ndarray
    b: np.ndarray


def gemm(
    m: int, n: int, k: int, dtype: str, config: ChipConfig, *, a: Path | None = None, b: Path | None = None, out_dtype: str | None = None,
    out: Path | None = None, seed: int = 1, memory: str = "ideal", on: list[str], json_to: str | None = None, waves: bool = False,
) -> dict:
    """Runs the product; raises :class:`CheckFailed` if the back ends disagree."""
    check_writable("-o", out)
    check_writable("--json", json_to)
    product = _product(m, n, k, dtype, config, a, b, out_dtype, seed, memory)
    workload, measured = (_ideal if memory == "ideal" else _hbm)(product, config)
    folder = build_folder() / "runs" / f"gemm_{m}x{n}x{k}_{dtype}_{config.name}_{memory}"
    with claimed(folder):
        outcomes = execute(workload, on, folder, waves=waves)
        dram = check_outcomes(workload, outcomes, folder)
        results = {
            name: np.frombuffer(outcome.reads[0], _RESULTS[product.result]).reshape(m, n) for name, outcome in outcomes.items()
        }
        first = next(iter(results))
        for name, result in results.items():
            differ = np.argwhere(result.view(np.uint8) != results[first].view(np.uint8))
            if len(differ):
                row, column = differ[0][0], differ[0][1] // result.itemsize
                raise CheckFailed(
                    f"C[{row}, {column}]: {name} has {result[row, column]}, {first} {results[first][row, column]}; "
                    f"{len(differ)} byte differ"
                )
        if out is not None:
            with out.open("wb") as stream:  # by name, numpy would append .npy
                np.save(stream, results[first])
        report = _report(product, config, memory, outcomes, measured, seed)
        report["dram"] = dram
        _print(report, outcomes, measured, json_to)
        if waves:
            shown = show_waves(outcomes, folder, config, None, f"{dtype} {m} x {n} x {k} on {config.name}, {memory} memory")
            report |= shown
            console(json_to).print("\n".join([*shown["waves"], *shown["views"], shown["wave_picture"]]))
        write_json(report, json_to)
        return report


def _product(m, n, k, dtype, config, a, b, out_dtype, seed, memory) -> Product:
    for name, value in (("M", m), ("N", n), ("K", k)):
        if not 1 <= value <= 65535:
            raise BadInput(f"{name}: {value} is not in 1 to 65535")
    if dtype not in DTYPES:
        raise BadInput(f"--dtype: {dtype!r} is not one of {', '.join(DTYPES)}")
    format, kind = DTYPES[dtype]
    if config.lanes(format) == 0:
        raise BadInput(f"--dtype: configuration {config.name} has no {dtype}; it has {', '.join(config.formats).lower()}")
    if format not in IMPLEMENTED:
        known = ", ".join(name for name, (each, _) in DTYPES.items() if each in IMPLEMENTED)
        raise BadInput(f"--dtype: the tensor core runs {known} so far, not {dtype}")
    natural = _NATURAL[format]
    if out_dtype not in (None, natural):
        raise BadInput(f"--out-dtype: {dtype} gives {natural}, not {out_dtype}")
    result = Format[natural.upper()]
    _check_room(m, n, k, format, result, config, memory)
    rng = np.random.default_rng(seed)
    operands = []
    for name, path, shape in (("--a", a, (m, k)), ("--b", b, (k, n))):
        operands.append(_random(rng, shape, kind) if path is None else _load(name, path, shape, np.dtype(kind)))
    return Product(m, n, k, format, result, *operands)


def _sizes(m: int, n: int, k: int, format: Format, result: Format) -> list[int]:
    """Bytes of A, B and C, in whole lines of 16 byte."""
    e, r = CONTAINER_BYTES[format], CONTAINER_BYTES[result]
    return [-(-size // 16) * 16 for size in (m * k * e, k * n * e, m * n * r)]


def _check_room(m: int, n: int, k: int, format: Format, result: Format, config: ChipConfig, memory: str):
    """Raises :class:`BadInput` for a product that doesn't fit, before its operands are made."""
    size = sum(_sizes(m, n, k, format, result))
    if size > config.l3_bytes:
        raise BadInput(f"A, B and C take {size} byte, but device memory of {config.name} has {config.l3_bytes}; take smaller matrices")
    if memory == "ideal" and size > config.l1_bytes:
        raise BadInput(
            f"A, B and C take {size} byte, but L1 of {config.name} has {config.l1_bytes}; --memory hbm runs it tiled through L3"
        )


def _random(rng: np.random.Generator, shape, kind) -> np.ndarray:
    """Codes over their whole range; floats of all magnitudes around one."""
    if kind is np.int8:
        return rng.integers(-128, 128, shape, dtype=np.int8)
    return (rng.standard_normal(shape) * np.exp2(rng.integers(-4, 5, shape))).astype(kind)


def _load(name: str, path: Path, shape, dtype: np.dtype) -> np.ndarray:
    try:
        with path.open("rb") as stream:
            value = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{name} {path}: {getattr(error, 'strerror', None) or 'not an .npy file'}") from None
    except MemoryError:
        raise BadInput(f"{name} {path}: larger than this machine's memory") from None
    if not isinstance(value, np.ndarray):
        raise BadInput(f"{name} {path}: an .npz archive; one .npy array is needed")
    if value.dtype != dtype or value.shape != shape:
        raise BadInput(f"{name} {path}: {value.dtype} {list(value.shape)} given, {dtype} {list(shape)} needed")
    return value


def _ideal(product: Product, config: ChipConfig) -> tuple[Workload, int]:
    """Three jobs: A and B into L1, the product (the one that is measured), C out of L1."""
    m, n, k = product.m, product.n, product.k
    e, r = CONTAINER_BYTES[product.format], CONTAINER_BYTES[product.result]
    sizes = _sizes(m, n, k, product.format, product.result)
    a_l1, b_l1, c_l1 = 0, sizes[0], sizes[0] + sizes[1]
    a_l3, b_l3, c_l3 = _DATA, _DATA + sizes[0], -(-(_DATA + sizes[0] + sizes[1]) // 256) * 256
    load, multiply, store = Program(), Program(), Program()
    for source, target, count in ((a_l3, a_l1, m * k), (b_l3, b_l1, k * n)):
        move(load, Address(Space.L3, source), Address(Space.L1, target), [Dimension(count, e, e)], e, 1)
    move(store, Address(Space.L1, c_l1), Address(Space.L3, c_l3), [Dimension(m * n, r, r)], r, 3)
    multiply.set(
        Engine.TENSOR, mode=TensorMode.const({"a_format": product.format, "d_format": product.result}), tag=2, kh=1, kw=1, channels=k,
        ow=m, oh=1, n=n, batch=1, a_base=a_l1, a_c=config.lanes(product.format) * e, a_ow=k * e, b_base=b_l1, b_k=n * e, d_base=c_l1,
        d_ow=n * r,
    )
    multiply.run(Engine.TENSOR)
    segments, jobs = [Segment(a_l3, product.a.tobytes()), Segment(b_l3, product.b.tobytes())], []
    place = _IMAGES
    for program in (load, multiply, store):
        program.end()
        image = assemble(config, {0: program}).to_bytes()
        segments.append(Segment(place, image))
        jobs.append(Job(place, 0, 0))
        place += -(-len(image) // 256) * 256
    assert place <= _DATA
    return Workload(config, tuple(segments), tuple(jobs), ((c_l3, m * n * r),), "ideal", recorded_jobs=3), 1


def _hbm(product: Product, config: ChipConfig) -> tuple[Workload, int]:
    """One job, tiled by the compiler, everything from L3 to L3."""
    m, n, k = product.m, product.n, product.k
    a = Tensor("A", 1, m, k, product.format, (m, k))
    c = Tensor("C", 1, m, n, product.result, (m, n))
    weights = product.b[None, None]
    try:
        compiled = compile_graph(Graph("gemm", [Contraction("gemm", ("gemm",), a, c, weights)], [a], [c]), config)
    except CompileError as error:
        raise BadInput(str(error)) from None
    place = compiled.end
    arguments = place
    a_l3 = arguments + 256
    c_l3 = -(-(a_l3 + a.bytes) // 256) * 256
    segments = [Segment(address, data) for address, data in compiled.segments]
    segments.append(Segment(arguments, np.array([a_l3, c_l3], "<u4").tobytes()))
    segments.append(Segment(a_l3, product.a.tobytes()))
    try:
        return Workload(config, tuple(segments), (Job(compiled.image, arguments, 2),), ((c_l3, c.bytes),), "hbm"), 0
    except ValueError as error:
        raise BadInput(str(error)) from None


def _report(product: Product, config: ChipConfig, memory: str, outcomes: dict[str, Outcome], measured: int, seed: int) -> dict:
    macs = product.m * product.n * product.k
    peak = config.macs_per_cycle(product.format)
    report = {
        "m": product.m, "n": product.n, "k": product.k, "dtype": product.format.name.lower(), "out_dtype": product.result.name.lower(),
        "config": config.name, "memory": memory, "seed": seed, "cycles": None, "macs": macs, "peak_macs_per_cycle": peak,
        "utilisation": None, "stalls": {}, "bit_exact": len(outcomes) > 1, "backends": describe(outcomes),
    }
    timed = next((outcome for outcome in outcomes.values() if outcome.clocks is not None), None)
    if timed is not None:
        job = timed.jobs[measured]
        _check_clocks(timed, measured)
        report["cycles"] = job.cycles
        report["utilisation"] = macs / (peak * job.cycles)
        report["stalls"] = {
            engine.name.lower(): stalls(timed.counters[measured], engine) for engine in (Engine.TENSOR, Engine.VECTOR, Engine.DATA)
        }
    return report


def _check_clocks(outcome: Outcome, measured: int):
    """The hardware's own count against what the harness saw: the counters of a lane add up to the job, the probes see its commands."""
    job = outcome.jobs[measured]
    for (lane, engine), causes in outcome.counters[measured].items():
        if sum(causes.values()) != job.total:
            raise CheckFailed(f"counters of lane {lane} {engine.name} add up to {sum(causes.values())} cycles, the job took {job.total}")
    if not job.cycles <= job.total <= outcome.clocks:
        raise CheckFailed(f"cycles {job.cycles}, total {job.total} and the harness's {outcome.clocks} clocks contradict each other")


def _print(report: dict, outcomes: dict[str, Outcome], measured: int, json_to: str | None):
    out = console(json_to)
    title = f"{report['dtype']} {report['m']} x {report['n']} x {report['k']} on {report['config']}, {report['memory']} memory"
    rows = [
        [row["name"], row["version"], row["cycles"][measured] if row["cycles"] else "", row["clocks"] or "", row["clocks_per_second"] or ""]
        for row in report["backends"]
    ]
    out.print(table(title, ["back end", "version", "cycles", "clocks in all", "clocks/s"], rows, left=2))
    if report["cycles"] is not None:
        causes = ", ".join(f"{cause} {count}" for cause, count in report["stalls"]["tensor"].items() if count)
        out.print(f"utilisation {100 * report['utilisation']:.1f} % of {report['peak_macs_per_cycle']} MAC/cycle; tensor core: {causes}")
    names = ", ".join(outcomes)
    if len(outcomes) > 1:
        out.print(f"{names}: the same {report['m'] * report['n']:,} values, bit for bit")
    else:
        out.print(f"{names} only: nothing to compare with")
