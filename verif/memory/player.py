"""Plays command traces to the device model on a simulator, hundreds in one run: one build serves every timing set."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtl.memory.dfi import ColumnOperation, RowOperation
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import DEVICE_SOURCES, RULES, timing_plusargs
from sim.native.harness import Harness, build
from sim.tools import build_folder
from verif.memory.cases import Command

__all__ = ["ROWS", "Verdict", "library", "loop", "play"]

#: Rows of the device of `device_bench.sv`.
ROWS = 64

_BENCH = Path(__file__).with_name("device_bench.sv")
_MAIN = Path(__file__).parents[2] / "sim" / "bench" / "main.sv"
_TIME_LIMIT = 600
_KIND_BIT = 23
_END, _LOOP, _DONE = 1, 2, 3


@dataclass(frozen=True)
class Verdict:
    """What the device says of a trace: `violations` counted, a rule once a clock, and the rules by name."""

    violations: int
    rules: frozenset[str]


def _row(command: Command) -> int:
    if command.name in ColumnOperation.__members__:
        what = 8 | ColumnOperation[command.name].value | command.column << 8
    else:
        what = RowOperation[command.name].value | command.row << 8
    group, bank = (0, command.bank) if command.name == "MRS" else (command.bank & 3, command.bank >> 2)
    return command.time << 32 | what | bank << 6 | group << 4


def _script(traces: Sequence[Sequence[Command]]) -> list[int]:
    """Rows of the bench's script. A trace ends with the clock of its last command."""
    rows = []
    for commands in traces:
        rows += [_row(command) for command in commands]
        rows.append(commands[-1].time + 1 << 32 | _END << _KIND_BIT)
    return [*rows, _DONE << _KIND_BIT]


def library() -> Path:
    """The device's bench for the native harness, built once."""
    return build("", [_BENCH, *DEVICE_SOURCES])


def _icarus() -> Path:
    folder = build_folder() / "icarus"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"device_bench.{os.getpid()}"
    command = ["iverilog", "-g2012", "-s", "main", "-o", str(target), str(_MAIN), str(_BENCH), *map(str, DEVICE_SOURCES)]
    subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    return target


def play(simulator: str, timing: TimingSet, traces: Sequence[Sequence[Command]], folder: Path, plusargs: Sequence[str] = ()) -> list[Verdict]:
    """The device's verdict on each trace. The commands of a trace are in order of time."""
    script = _script(traces)
    clocks = sum(commands[-1].time + 10 for commands in traces) + 100
    arguments = [*timing_plusargs(timing), *plusargs]
    if simulator == "icarus":
        words = _play_icarus(script, clocks, folder, arguments)
    else:
        with Harness(library(), arguments) as harness:
            _load(harness, script)
            harness.run(clocks)
            assert harness.done, "the bench did not end"
            words = harness.memory("bench", "results").view("<u8").reshape(-1)[: len(traces)].tolist()
    assert len(words) == len(traces)
    return [
        Verdict(word >> 32, frozenset(name for code, name in enumerate(RULES) if word >> code & 1)) for word in words
    ]


def _load(harness: Harness, script: list[int]):
    memory = harness.memory("bench", "script").view("<u8").reshape(-1)
    assert len(script) <= len(memory), f"a script of {len(script)} rows is too long"
    memory[: len(script)] = np.array(script, np.uint64)


def _play_icarus(script: list[int], clocks: int, folder: Path, arguments: list[str]) -> list[int]:
    program = _icarus()
    source, target = folder / "script.hex", folder / "results.hex"
    source.write_text("".join(f"{row:016x}\n" for row in script))
    try:
        result = subprocess.run(
            ["timeout", str(_TIME_LIMIT), "vvp", "-n", str(program), f"+script={source}", f"+results={target}", f"+limit={clocks}", *arguments],
            check=True, timeout=_TIME_LIMIT + 10, capture_output=True, text=True,
        )
    finally:
        program.unlink()
    assert "done 1" in result.stdout, result.stdout[-2000:]
    return [int(line, 16) for line in target.read_text().splitlines() if not line.startswith("//")]


def loop(harness: Harness, commands: Sequence[Command], period: int):
    """Loads a trace that the bench repeats each `period` clocks, as often as `+loops` says, without a reset."""
    _load(harness, [*map(_row, commands), period << 32 | _LOOP << _KIND_BIT, _DONE << _KIND_BIT])
