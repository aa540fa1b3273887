"""Events alone order the engines: whatever engine goes first, whenever it may, every bit is the same."""

import random
from dataclasses import replace

import numpy as np
import pytest

from compiler.assembler import Program
from compiler.compile import compile_model
from compiler.emit import IN_READY, OUT_READY, P_READY, W_FREE, W_READY
from rtl.config import PRESETS
from rtl.isa import COMMANDS, Engine, Space, Status
from sim.golden.chip import GoldenChip
from sim.golden.sip import Sip
from verif.compiler.kit import execute
from verif.compiler.models import second_model

DIGITS = "gcu/examples/digits/digits.onnx"
CRAMPED = replace(PRESETS["tiny"], name="cramped", l1_bytes=2048)


def parameters(self: Sip) -> bytes:
    """What the started vector command reads as its parameters."""
    command = self.current[Engine.VECTOR].command
    l1 = self.spaces[Space.L1]
    return b"".join(
        l1[start : start + 4 * command.n].tobytes()
        for start in range(command.p_base, command.p_base + command.mode.params * command.p_stride, command.p_stride or 1)
    )


def scramble(monkeypatch, rng: random.Random):
    """Engines in random order, each of them held back at random for long stretches; the sequencer too.

    The vector engine reads its parameters when a command starts, long before the accumulators come: they must stay as they are.
    """

    def start(self: Sip, engine: Engine) -> bool:
        moved = Sip._start(self, engine)
        if moved and engine is Engine.VECTOR:
            self.early = parameters(self)
        return moved

    def finish(self: Sip, engine: Engine) -> bool:
        if self.current[Engine.VECTOR] is not None:
            assert self.early == parameters(self), "parameters changed under a command"
        return Sip._finish(self, engine)

    def run_engines(self: Sip) -> bool:
        held = {engine for engine in COMMANDS if rng.random() < 0.5}
        moved = False
        for step in (start, finish):
            for engine in rng.sample(list(COMMANDS), len(COMMANDS)):
                if engine not in held:
                    moved |= step(self, engine)
        return moved or bool(held)

    monkeypatch.setattr(Sip, "run_engines", run_engines)


def runs(compiled, sample, monkeypatch, seeds) -> tuple[dict, list[dict]]:
    [wanted] = execute(compiled, [sample])
    found = []
    for seed in seeds:
        with monkeypatch.context() as patch:
            scramble(patch, random.Random(seed))
            found += execute(compiled, [sample, sample])
    return wanted, found


@pytest.mark.parametrize("config", (CRAMPED, PRESETS["tiny"], PRESETS["small"]), ids=lambda config: config.name)
@pytest.mark.parametrize("source", (DIGITS, "second"))
def test_any_order(source, config, monkeypatch):
    compiled = compile_model(second_model(1) if source == "second" else source, config)
    rng = np.random.default_rng(7)
    binding = compiled.inputs[0]
    sample = {binding.name: rng.integers(0, 200, binding.shape).astype(binding.dtype)}
    wanted, found = runs(compiled, sample, monkeypatch, range(6))
    for result in found:
        for name, value in wanted.items():
            np.testing.assert_array_equal(result[name], value)


# The waits for IN_FREE and OUT_FREE are implied by others as the programs are today: each item loads weights or inputs behind a store, or
# weights ahead of its inputs.
@pytest.mark.parametrize("engine, event", [
    (Engine.TENSOR, W_READY), (Engine.TENSOR, IN_READY), (Engine.VECTOR, P_READY), (Engine.VECTOR, IN_READY),
    (Engine.DATA, W_FREE), (Engine.DATA, OUT_READY),
])
def test_a_dropped_wait_is_found(engine, event, monkeypatch):
    """The scrambled schedule is able to show each race: without one kind of wait the bits change, or the check above speaks."""
    run = Program.run

    def careless(self, which, wait=(), signal=(), to=None):
        run(self, which, [each for each in wait if (which, each) != (engine, event)], signal, to)

    with monkeypatch.context() as patch:
        patch.setattr(Program, "run", careless)
        compiled = compile_model(DIGITS, CRAMPED)
    good = compile_model(DIGITS, CRAMPED)
    sample = {"image": np.random.default_rng(7).integers(0, 17, (1, 1, 8, 8), dtype=np.uint8)}
    chip = GoldenChip(CRAMPED)
    wanted = execute(good, [sample], chip)[0]["scores"]
    for seed in range(20):
        with monkeypatch.context() as patch:
            scramble(patch, random.Random(seed))
            try:
                if (execute(compiled, [sample])[0]["scores"] != wanted).any():
                    return
            except AssertionError as error:
                assert any(text in str(error) for text in (Status.EVENT_OVERFLOW.name, Status.WATCHDOG.name, "parameters changed"))
                return
    raise AssertionError("no race was seen")
