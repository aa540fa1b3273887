"""The command line. Exit status: 0 good, 1 a check failed, 2 bad input; the last two with one line that says what."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from gcu.errors import BadInput, CheckFailed

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="minigcu: generate the chip, run models on its RTL, check every bit.",
)

Config = Annotated[str, typer.Option("--config", help="Preset (tiny, small, i20_slice, i10_slice, t20_slice) or a TOML file.")]
Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Also write the answer as JSON; - for standard output.")]
On = Annotated[str, typer.Option("--on", help="Back ends: golden, verilator, icarus, separated by commas.")]
Waves = Annotated[bool, typer.Option("--waves", help="Record a waveform of the first job, with a ready view.")]


def _config(name: str):
    from rtl.config import ChipConfig, ConfigError
    from rtl.memory.timing import TimingError, TimingSet

    try:
        config = ChipConfig.load(name)
        TimingSet.load(config.dram_timing)
    except ConfigError as error:
        raise BadInput(str(error)) from None
    except TimingError as error:
        raise BadInput(f"configuration {name}: dram_timing: {error}") from None
    return config


@app.command()
def doctor(json_to: Json = None):
    """Say which tools are there, which are missing, and how to get them."""
    from gcu.doctor import doctor as command

    command(json_to)


@app.command()
def verilog(
    config: Config = "small",
    folder: Annotated[Path, typer.Option("-o", metavar="DIR", help="Where to write.")] = Path("build/verilog"),
    json_to: Json = None,
):
    """Write the chip as SystemVerilog, with a manifest and a FuseSoC core file."""
    chosen = _config(config)
    from gcu.verilog import verilog as command

    command(chosen, folder, json_to)


@app.command()
def run(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An ONNX file, or a bundled example: digits.")],
    input: Annotated[Path | None, typer.Option("--input", metavar="FILE.npz", help="Inputs by name, one sample or many.")] = None,
    samples: Annotated[int | None, typer.Option("--samples", metavar="N", help="How many samples to run.")] = None,
    on: On = "golden,verilator",
    config: Config = "small",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a model that doesn't run on the chip alone.")] = False,
    waves: Waves = False,
    inject: Annotated[str | None, typer.Option("--inject", metavar="WHAT:BIT", help="Invert a bit of a result; must end with 1.")] = None,
    folder: Annotated[Path | None, typer.Option("-o", metavar="DIR", help="Where the run's files go.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of random inputs, where none are given.")] = 1,
    json_to: Json = None,
):
    """Compile a model, run it, check every bit of the RTL against the golden model, report per layer."""
    chosen = _config(config)
    from gcu.execute import parse_backends
    from gcu.run import run as command

    command(
        model, chosen, on=parse_backends(on, waves=waves), input=input, samples=samples, strict=strict, waves=waves, inject=inject,
        folder=folder, json_to=json_to, seed=seed,
    )


@app.command()
def waves(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run with --waves, or a waveform in it.")],
    open_viewer: Annotated[bool, typer.Option("--open", help="Start GTKWave or Surfer with the view.")] = False,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw the view; signals where the window is short.")] = None,
    begin: Annotated[int | None, typer.Option("--from", metavar="T", min=0, help="First clock.")] = None,
    end: Annotated[int | None, typer.Option("--to", metavar="T", min=1, help="The clock after the last.")] = None,
    diff: Annotated[Path | None, typer.Option("--diff", metavar="RUN", help="Find the first clock in which the two runs part.")] = None,
    json_to: Json = None,
):
    """Show the waveform of a run: a ready view, a picture, or where it parts from another run's."""
    from gcu.waves.command import waves as command

    command(run, open_viewer=open_viewer, png=png, begin=begin, end=end, other=diff, json_to=json_to)


@app.command()
def gemm(
    m: Annotated[int, typer.Argument(metavar="M")],
    n: Annotated[int, typer.Argument(metavar="N")],
    k: Annotated[int, typer.Argument(metavar="K")],
    dtype: Annotated[str, typer.Option("--dtype", help="fp32, tf32, fp16, bf16 or int8.")],
    a: Annotated[Path | None, typer.Option("--a", metavar="F.npy", help="A, M x K; random without it.")] = None,
    b: Annotated[Path | None, typer.Option("--b", metavar="F.npy", help="B, K x N; random without it.")] = None,
    out_dtype: Annotated[str | None, typer.Option("--out-dtype", help="Format of C: fp32, fp16, bf16; int32 or int8 from int8.")] = None,
    out: Annotated[Path | None, typer.Option("-o", metavar="C.npy", help="Where to write C.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of random operands.")] = 1,
    memory: Annotated[str, typer.Option("--memory", help="ideal: operands in L1; hbm: everything from L3 to L3.")] = "ideal",
    transpose_a: Annotated[bool, typer.Option("--transpose-a", help="A is stored K x M; the hardware transposes.")] = False,
    transpose_b: Annotated[bool, typer.Option("--transpose-b", help="B is stored N x K; the hardware transposes.")] = False,
    special: Annotated[float, typer.Option("--special", metavar="SHARE", help="Share of infinities, NaNs, subnormals, zeros.")] = 0.0,
    scale: Annotated[float | None, typer.Option("--scale", metavar="S", help="With --out-dtype int8: C = sum * S, saturated.")] = None,
    skip_zero: Annotated[bool, typer.Option("--skip-zero", help="Let rows of zeros pass by the array.")] = False,
    tile: Annotated[str | None, typer.Option("--tile", metavar="MxNxK", help="With hbm: the size of one command.")] = None,
    on: On = "golden,verilator",
    config: Config = "small",
    waves: Waves = False,
    json_to: Json = None,
):
    """Multiply A (M x K) by B (K x N) on the chip: cycles, utilisation, stalls, the result."""
    chosen = _config(config)
    if memory not in ("ideal", "hbm"):
        raise BadInput(f"--memory: {memory!r} is not ideal or hbm")
    from gcu.execute import parse_backends
    from gcu.gemm import gemm as command

    command(
        m, n, k, dtype, chosen, a=a, b=b, out_dtype=out_dtype, out=out, seed=seed, memory=memory, on=parse_backends(on, waves=waves),
        json_to=json_to, waves=waves, transpose_a=transpose_a, transpose_b=transpose_b, special=special, scale=scale,
        skip_zero=skip_zero, tile=tile,
    )


@app.command()
def move(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.json", help="What to move: src, dst, ops.")],
    tensor: Annotated[Path | None, typer.Argument(metavar="IN.npy", help="The tensor; a chain that starts with fill needs none.")] = None,
    *,
    out: Annotated[Path, typer.Option("-o", metavar="OUT.npy", help="Where to write the result.")],
    passes: Annotated[bool, typer.Option("--passes", help="Allow several passes where the hardware doesn't fuse.")] = False,
    memory: Annotated[str, typer.Option("--memory", help="hbm: controller and device; ideal: a memory without contention.")] = "hbm",
    on: On = "golden,verilator",
    config: Config = "small",
    waves: Waves = False,
    json_to: Json = None,
):
    """Move a tensor by the data engine: slice, transpose, pad, gather, convert and more; cycles, bytes per cycle, the result."""
    chosen = _config(config)
    if memory not in ("ideal", "hbm"):
        raise BadInput(f"--memory: {memory!r} is not ideal or hbm")
    from gcu.execute import parse_backends
    from gcu.move import move as command

    command(spec, tensor, chosen, out=out, passes=passes, memory=memory, on=parse_backends(on, waves=waves), json_to=json_to, waves=waves)


@app.command()
def numerics(
    format: Annotated[str, typer.Option("--format", help="fp32, tf32, fp16, bf16, int8, int32.")],
    op: Annotated[str, typer.Option("--op", help="fma, dot, convert or requant.")],
    out: Annotated[str, typer.Option("-o", metavar="FILE", help="Where the results go, one a line; - for standard output.")],
    vectors: Annotated[str | None, typer.Option("--vectors", metavar="FILE", help="Operands, a line each; - for stdin.")] = None,
    align: Annotated[int | None, typer.Option("--align", help="dot: alignment width; 40, or 23 to 25 (compatibility).")] = None,
    rounding: Annotated[str | None, typer.Option("--round", help="dot: rne, or rz in the compatibility mode.")] = None,
    unsigned_a: Annotated[bool, typer.Option("--unsigned-a", help="dot of int8: a is unsigned.")] = False,
    source: Annotated[str | None, typer.Option("--from", metavar="FORMAT", help="convert: format of the operand; fp32 by default.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="requant: tflite-double, tflite-single or onnx.")] = None,
    unsigned_out: Annotated[bool, typer.Option("--unsigned-out", help="requant: to UINT8.")] = False,
    generate: Annotated[int | None, typer.Option("--generate", metavar="N", help="Write N directed vectors to -o, and stop.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of --generate.")] = 1,
    on: Annotated[str | None, typer.Option("--on", help="Back ends: golden, verilator, icarus; golden,verilator by default.")] = None,
    config: Config = "small",
    json_to: Json = None,
):
    """Stream operand vectors through one processing element or vector lane, and compare every bit."""
    chosen = _config(config)
    from gcu.execute import parse_backends
    from gcu.numerics import numerics as command

    command(
        format, op, chosen, vectors=vectors, out=out, on=None if on is None else parse_backends(on), align=align, round=rounding,
        unsigned_a=unsigned_a, source=source, mode=mode, unsigned_out=unsigned_out, generate=generate, seed=seed, json_to=json_to,
    )


@app.command()
def dram(
    trace: Annotated[str, typer.Option("--trace", metavar="FILE", help="Requests, 'R 0xADDRESS' or 'W 0xADDRESS' a line; - for stdin.")],
    timing: Annotated[str | None, typer.Option("--timing", metavar="NAME or FILE.toml", help="Timing set; the configuration's.")] = None,
    refresh: Annotated[str, typer.Option("--refresh", help="per-bank, or all-bank: all banks at once.")] = "per-bank",
    commands: Annotated[Path | None, typer.Option("--commands", metavar="FILE", help="Write the DRAM command trace.")] = None,
    clocks: Annotated[int | None, typer.Option("--clocks", metavar="N", help="Measure N clocks; the whole trace without it.")] = None,
    stall: Annotated[float, typer.Option("--stall", metavar="SHARE", help="Share of clocks in which responses are not taken.")] = 0.0,
    identifiers: Annotated[int | None, typer.Option("--ids", metavar="N", help="AXI identifiers used; all without it.")] = None,
    outstanding: Annotated[int | None, typer.Option("--outstanding", metavar="N", help="Requests in flight at the most.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the stalls.")] = 1,
    picture: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw banks, data bus and latency.")] = None,
    first: Annotated[int | None, typer.Option("--from", metavar="T", help="First clock of the picture.")] = None,
    last: Annotated[int | None, typer.Option("--to", metavar="T", help="Clock after the picture's last.")] = None,
    config: Annotated[str | None, typer.Option("--config", help="Preset or TOML file; a whole channel of 512 MiB without it.")] = None,
    json_to: Json = None,
):
    """Run a request trace through memory controller and device: % of peak, latency, refreshes, violations."""
    chosen = None if config is None else _config(config)
    from gcu.dram import dram as command

    if (first is None) != (last is None):
        raise BadInput("--from, --to: one is given without the other; the picture needs both, or neither")
    window = None if first is None or last is None else (first, last)
    command(
        trace, chosen, timing=timing, commands=commands, clocks=clocks, seed=seed, stall=stall, identifiers=identifiers,
        outstanding=outstanding, picture=picture, window=window, refresh=refresh, json_to=json_to,
    )


@app.command()
def ppa(
    block: Annotated[str | None, typer.Option("--block", help="One block (pe, tensor, vector, ...); all without it.")] = None,
    liberty: Annotated[Path | None, typer.Option("--liberty", metavar="FILE", help="Cells: a .lib or .lib.gz; else generic gates.")] = None,
    config: Config = "small",
    json_to: Json = None,
):
    """Synthesise the blocks: area, cells, flip-flops, delay."""
    chosen = _config(config)
    from gcu.ppa import ppa as command

    command(block, chosen, liberty=liberty, json_to=json_to)


@app.command()
def bench(
    only: Annotated[str | None, typer.Option("--only", metavar="WHAT", help="gemm, move, numerics, speed, dram or ppa; else all.")] = None,
    liberty: Annotated[Path | None, typer.Option("--liberty", metavar="FILE", help="Cells for ppa: a .lib or .lib.gz file.")] = None,
    traces: Annotated[Path | None, typer.Option("--traces", metavar="DIR", help="Write the request traces of dram, and stop.")] = None,
    long: Annotated[bool, typer.Option("--long", help="dram: also ten million clocks on each of several timing sets.")] = False,
    config: Config = "small",
    json_to: Json = None,
):
    """Measure what the project promises, and judge it by its bars."""
    chosen = _config(config)
    from gcu.bench import bench as command

    command(only, chosen, liberty=liberty, traces=traces, long=long, json_to=json_to)


@app.command()
def regress(
    sim: Annotated[str, typer.Option("--sim", help="Simulators of the testbenches: icarus, verilator, separated by commas.")]
    = "icarus,verilator",
    block: Annotated[str | None, typer.Option("--block", metavar="BLOCK,...", help="Folders of verif/; all without it.")] = None,
    keyword: Annotated[str | None, typer.Option("-k", metavar="EXPRESSION", help="Tests by name, as pytest's -k.")] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Seeds of each test that has one.")] = 1,
    long: Annotated[bool, typer.Option("--long", help="Also the long tier.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="Local processes; one a core without it.")] = None,
    scheduler: Annotated[str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A dask scheduler's, tcp://HOST:PORT.")] = None,
    fault: Annotated[str | None, typer.Option("--break", metavar="TEXT", help="Break the designs of testbenches named so.")] = None,
    mutate: Annotated[str | None, typer.Option("--mutate", metavar="TARGET,...", help="Which faults in a block its tests find.")] = None,
    mutants: Annotated[int, typer.Option("--mutants", metavar="N", help="With --mutate: faults, each on its own.")] = 200,
    draw: Annotated[int, typer.Option("--draw", metavar="SEED", help="With --mutate: draws the faults.")] = 1,
    faults: Annotated[str | None, typer.Option("--faults", metavar="TARGET", help="What becomes of bits that turn over.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", help="With --faults: runs, with one upset each.")] = 500,
    code: Annotated[bool, typer.Option("--code-coverage", help="Count lines, branches and toggles, on Verilator.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show the test database, and run nothing.")] = False,
    folder: Annotated[Path, typer.Option("-o", metavar="DIR", help="Where reports and history go.")] = Path("build/regress"),
    json_to: Json = None,
):
    """Run the tests on local cores or a dask cluster; JUnit XML and an HTML report."""
    campaign_of = "--faults" if faults is not None else "--mutate" if mutate is not None else None
    if campaign_of:
        others = {
            "--mutate": faults is not None and mutate, "--block": block, "-k": keyword, "--seeds": seeds != 1, "--break": fault,
            "--code-coverage": code, "--list": listing, "--long": faults is not None and long,
        }
        if clash := next((name for name, given in others.items() if given), None):
            raise BadInput(f"{clash} is none of {campaign_of}'s options; one of them at a time")
    if faults is not None:
        from gcu.regress.faults import faults as upsets

        upsets(faults, count=count, workers=workers, scheduler=scheduler, folder=folder, json_to=json_to)
        return
    if mutate is not None:
        from gcu.regress.mutants import mutate as campaign

        campaign(
            mutate.split(","), count=mutants, seed=draw, long=long, workers=workers, scheduler=scheduler, folder=folder, json_to=json_to,
        )
        return
    from gcu.regress.command import Selection
    from gcu.regress.command import regress as command

    selection = Selection(sim.split(","), block.split(",") if block else [], keyword, seeds, long, fault, code)
    command(
        selection, workers=workers, scheduler=scheduler, folder=folder, json_to=json_to, listing=listing,
        command=shlex.join(["gcu", *sys.argv[1:]]),
    )


def main():
    """Runs the command line; no traceback reaches the user unless GCU_TRACEBACK is set."""
    try:
        app(sys.argv[1:] or ["--help"], standalone_mode=False)
        status = 0
    except BadInput as error:
        print(f"gcu: {_one_line(error)}", file=sys.stderr)
        status = 2
    except CheckFailed as error:
        print(f"gcu: FAILED: {_one_line(error)}", file=sys.stderr)
        status = 1
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        usage = f"; gcu {context.info_name} --help says more" if context is not None and context.parent else "; gcu --help says more"
        print(f"gcu: {_one_line(error.format_message()).rstrip('.')}{usage}", file=sys.stderr)
        status = 2
    except typer.Exit as error:
        status = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("gcu: interrupted", file=sys.stderr)
        status = 130
    except OSError as error:
        print(f"gcu: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        status = 2
    except Exception as error:
        if os.environ.get("GCU_TRACEBACK"):
            raise
        print(f"gcu: internal error, {type(error).__name__}: {_one_line(error)} (GCU_TRACEBACK=1 shows where)", file=sys.stderr)
        status = 1
    sys.exit(status)


def _one_line(error) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
