"""Moves of the data engine for `gcu bench`."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from compiler.element import ELEMENTS, Element
from compiler.tensor_move import Pass, plan
from compiler.tensor_ops import parse
from gcu.dram import checked, judge
from gcu.errors import CheckFailed
from gcu.expected import expected
from gcu.move import perform
from gcu.move_file import Spec
from rtl.config import ChipConfig
from rtl.isa import Space
from rtl.memory.address import ATOM_BYTES
from rtl.memory.timing import TimingSet
from sim.dram.requests import Requests
from sim.tools import build_folder

__all__ = ["move_figures", "reads_of", "split"]


def split(one: Pass, parts: int) -> Pass:
    """The pass, a single dense copy, as so many commands of equal size."""
    (whole,) = one.commands
    size, rest = divmod(whole.words["size0"], parts)
    element = one.tensor.element.bytes
    assert not rest and whole.words["src_stride0"] == whole.words["dst_stride0"] == element
    commands = tuple(
        replace(
            whole, words=whole.words | {"size0": size}, source=n * size * element, target=n * size * element,
            read=size * element, written=size * element,
        )
        for n in range(parts)
    )
    return replace(one, commands=commands)


def reads_of(spec: Spec, shape: list[int], element_bytes: int) -> Requests:
    """The reads of `gcu dram` for the atoms that a move's result comes from, in the order of the result; a tensor at address 0."""
    places = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
    atoms = expected(spec.operations, places, ELEMENTS["int32"]).reshape(-1).astype(np.int64) * element_bytes // ATOM_BYTES
    atoms = atoms[np.flatnonzero(np.diff(atoms, prepend=-1))]
    return Requests(np.zeros(len(atoms), bool), atoms)


def _given(spec: Spec, shape: list[int], element: Element, config: ChipConfig) -> float:
    """Bytes a cycle that the memory controller alone gives for the same addresses, whole atoms."""
    requests = reads_of(spec, shape, element.bytes)
    with tempfile.TemporaryDirectory(dir=build_folder()) as folder:
        result = checked(requests, config, TimingSet.load(config.dram_timing), Path(folder) / "commands.txt")
    judge(result)
    return ATOM_BYTES * len(requests) / result.measurement.clocks


def move_figures(bars: list[dict], config: ChipConfig, on: list[str], memory: str = "hbm") -> Iterator[tuple]:
    """Name, value, unit, bar and sense of each; one that ends badly has the value 0 and says how.

    Cycles are the engine's: from the acceptance of its first command to the end of its last one, less those without any.
    """
    for bar in bars:
        element, operations = ELEMENTS[bar.get("dtype", "fp32")], parse(bar["ops"])
        spec = Spec(Space[bar["route"][0]], Space[bar["route"][1]], operations, element)
        codes = np.random.default_rng(1).integers(0, 1 << 8 * element.bytes, bar["shape"], np.uint64).astype(f"u{element.bytes}")
        planned, parts = plan(operations, bar["shape"], element), bar.get("parts", 1)
        if parts > 1:
            planned = [split(planned[0], parts)]
        times = bar.get("times", 1)
        planned = [replace(each, commands=each.commands * times) for each in planned]
        name = f"{' to '.join(bar['route'])}: {bar['name']}{f', {times} in a row' if times > 1 else ''}"
        try:
            report, _, _ = perform(spec, codes, planned, config, memory, on)
        except CheckFailed as error:
            yield f"{name}: can't run: {error}", 0.0, "", 1.0, ">="
            continue
        cycles = sum(count for cause, count in report["stalls"].items() if cause != "idle")
        name, found = f"{name}, {cycles:,} cycles", report["bytes_written"] / cycles
        if "cycles" in bar:
            yield name, round(cycles / parts, 2), "cycles each", bar["cycles"], "<="
        elif "share" in bar:
            given = _given(spec, bar["shape"], element, config)
            yield f"{name}, {given:.2f} byte a cycle by gcu dram", round(100 * found / given, 2), "% of that", bar["share"], ">="
        else:
            yield name, round(100 * found / config.bus_bytes, 2), "% of the bus", bar["bar"], ">="
