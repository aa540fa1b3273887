"""Runs a solver's inputs in Amaranth's simulator: a second judge, a waveform, and a table of the ports by clock."""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Fragment, Value
from amaranth.lib import data, enum, wiring
from amaranth.sim import Simulator

from sim.verilog.emit import ports_of

__all__ = ["Replayed", "replay"]


@dataclass(frozen=True)
class Replayed:
    """What the simulator saw: the assert that failed in the last clock, the covers that it met, every port by clock (the members of a
    struct apart, "timing.tRC"), and the same as a table."""

    failed: str | None
    covered: tuple[str, ...]
    values: tuple[dict[str, int], ...]
    table: str


def _fields(name: str, value) -> list[tuple[str, Value, type | None]]:
    """(row of the table, value, enum) of a port: the members of a struct each have a row."""
    if isinstance(value, data.View):
        layout = value.shape()
        layout = layout if isinstance(layout, data.Layout) else layout.as_shape()
        return [row for key, _ in layout for row in _fields(f"{name}.{key}", value[key])]
    shape = value.shape()
    kind = shape if isinstance(shape, type) and issubclass(shape, enum.Enum) else None
    return [(name, Value.cast(value), kind)]


def replay(harness: wiring.Component, inputs: "list[dict[str, int]]", vcd: "Path | None" = None) -> Replayed:
    """`inputs` for each clock from reset."""
    ports = {name: value for name, _, value in ports_of(harness)}
    constants = set(getattr(harness, "constants", ()))
    rows = []
    for path, _, value in harness.signature.flatten(harness):
        name = "__".join(map(str, path))
        rows += [(row, signal, kind, name in constants) for row, signal, kind in _fields(name, value)]
    values: list[dict[str, int]] = []
    seen: list[list[str]] = []

    async def bench(ctx):
        for clock in inputs:
            for name, value in clock.items():
                ctx.set(ports[name], value)
            values.append({name: ctx.get(signal) for name, signal, _, _ in rows})
            seen.append([_text(values[-1][name], kind) for name, _, kind, _ in rows])
            await ctx.tick()

    simulator = Simulator(Fragment.get(harness, None))
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    failed = None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), simulator.write_vcd(str(vcd)) if vcd else contextlib.nullcontext():
        try:
            simulator.run()
        except AssertionError as error:
            failed = str(error)
    covered = re.findall(r"^Coverage hit at .*:\d+: (.*)$", printed.getvalue(), re.MULTILINE)
    name = None
    if failed is not None:
        kind, _, name = failed.partition(" violated")
        name = name.removeprefix(": ") if kind == "Assertion" else failed
    return Replayed(name, tuple(covered), tuple(values), _table(rows, seen))


def _text(number: int, kind: "type | None") -> str:
    if kind is not None and number in {int(each.value) for each in kind}:
        return kind(number).name
    return str(number) if number < 1 << 16 else f"0x{number:x}"


def _table(rows, seen: list[list[str]]) -> str:
    """Constants in a line of their own; then a row for each port and a column for each clock. A repeated value is a dot."""
    lines = []
    fixed = [f"{name}={seen[0][index]}" for index, (name, _, _, constant) in enumerate(rows) if constant]
    if fixed:
        lines += ["constants: " + " ".join(fixed)]
    columns = [[str(clock), *values] for clock, values in enumerate(seen, 1)]
    widths = [max(map(len, column)) for column in columns]
    left = max(5, *(len(name) for name, _, _, constant in rows if not constant))

    def line(title: str, cells: list[str]) -> str:
        return f"{title:<{left}}  " + " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))

    lines.append(line("clock", [column[0] for column in columns]))
    for index, (name, _, _, constant) in enumerate(rows):
        if not constant:
            cells = [column[index + 1] for column in columns]
            cells = [cell if number == 0 or cell != cells[number - 1] else "." for number, cell in enumerate(cells)]
            lines.append(line(name, cells))
    return "\n".join(lines)
