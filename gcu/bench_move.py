"""Moves of the data engine for `gcu bench`."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from compiler.element import ELEMENTS
from compiler.tensor_move import Pass, plan
from compiler.tensor_ops import parse
from gcu.errors import CheckFailed
from gcu.move import perform
from gcu.move_file import Spec
from rtl.config import ChipConfig
from rtl.isa import Space

__all__ = ["move_figures", "split"]


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


def move_figures(bars: list[dict], config: ChipConfig, on: list[str], memory: str = "hbm") -> Iterator[tuple]:
    """Name, value, unit, bar and sense of each; one that ends badly has the value 0 and says how."""
    for bar in bars:
        element, operations = ELEMENTS[bar.get("dtype", "fp32")], parse(bar["ops"])
        spec = Spec(Space[bar["route"][0]], Space[bar["route"][1]], operations, element)
        codes = np.random.default_rng(1).integers(0, 1 << 8 * element.bytes, bar["shape"], np.uint64).astype(f"u{element.bytes}")
        planned, parts = plan(operations, bar["shape"], element), bar.get("parts", 1)
        if parts > 1:
            planned = [split(planned[0], parts)]
        name = f"{' to '.join(bar['route'])}: {bar['name']}"
        try:
            report, _, _ = perform(spec, codes, planned, config, memory, on)
        except CheckFailed as error:
            yield f"{name}: can't run: {error}", 0.0, "", 1.0, ">="
            continue
        name = f"{name}, {report['cycles']:,} cycles"
        if "cycles" in bar:
            yield name, round(report["cycles"] / parts, 2), "cycles each", bar["cycles"], "<="
        else:
            yield name, round(100 * report["bytes_per_cycle"] / config.bus_bytes, 2), "% of the bus", bar.get("bar"), ">="
