"""Events alone order the engines: whatever engine goes first, whenever it may, every bit is the same."""

import random
from dataclasses import replace

import numpy as np
import pytest

from compiler.assembler import Program
from compiler.compile import compile_model
from rtl.config import PRESETS
from rtl.isa import COMMANDS, Engine, Status
from sim.golden.chip import GoldenChip
from sim.golden.sip import Sip
from verif.compiler.kit import execute
from verif.compiler.models import second_model

DIGITS = "gcu/examples/digits/digits.onnx"
CRAMPED = replace(PRESETS["tiny"], name="cramped", l1_bytes=2048)


def scramble(monkeypatch, rng: random.Random):
    """Engines in random order, each of them held back at random for long stretches; the sequencer too."""

    def run_engines(self: Sip) -> bool:
        held = {engine for engine in COMMANDS if rng.random() < 0.5}
        moved = False
        for engine in rng.sample(list(COMMANDS), len(COMMANDS)):
            if engine not in held:
                moved |= self._start(engine)
        for engine in rng.sample(list(COMMANDS), len(COMMANDS)):
            if engine not in held:
                moved |= self._finish(engine)
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


@pytest.mark.parametrize("engine", (Engine.TENSOR, Engine.VECTOR, Engine.DATA))
def test_a_dropped_wait_is_found(engine, monkeypatch):
    """The scrambled schedule is able to show a race: without one engine's waits the bits change, or the chip stops."""
    run = Program.run

    def careless(self, which, wait=(), signal=(), to=None):
        run(self, which, () if which is engine else wait, signal, to)

    with monkeypatch.context() as patch:
        patch.setattr(Program, "run", careless)
        compiled = compile_model(DIGITS, CRAMPED)
    good = compile_model(DIGITS, CRAMPED)
    sample = {"image": np.random.default_rng(7).integers(0, 17, (1, 1, 8, 8), dtype=np.uint8)}
    chip = GoldenChip(CRAMPED)
    wanted = execute(good, [sample], chip)[0]["scores"]
    for seed in range(6):
        with monkeypatch.context() as patch:
            scramble(patch, random.Random(seed))
            try:
                if (execute(compiled, [sample])[0]["scores"] != wanted).any():
                    return
            except AssertionError as error:
                assert Status.EVENT_OVERFLOW.name in str(error)
                return
    raise AssertionError("no race was seen")
