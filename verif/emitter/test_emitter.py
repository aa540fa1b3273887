"""The emitter: the same behaviour everywhere, the same bytes on every run, nothing but the named lint waivers."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl.config import PRESETS
from sim.tools import verilator_environment
from sim.verilog.emit import emit
from verif.common.fault import Fault
from verif.emitter.designs import PAYLOAD, Mixed

ROOT = Path(__file__).parents[2]
OUTPUTS = ("constant", "state", "sums", "folded", "read", "read_dual")


def trace(seed: int, cycles: int = 200) -> list[tuple[dict, dict]]:
    """Random inputs of each cycle and the outputs that Amaranth's simulator shows before the next edge."""
    dut = Mixed()
    rng = random.Random(seed)
    steps = []

    async def testbench(ctx):
        for _ in range(cycles):
            stimulus = {"a": rng.getrandbits(8), "go": rng.getrandbits(1)}
            ctx.set(dut.a, PAYLOAD.from_bits(stimulus["a"]))
            ctx.set(dut.go, stimulus["go"])
            steps.append((stimulus, {name: ctx.get(getattr(dut, name)) for name in OUTPUTS}))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    return steps


def test_behaviour(bench):
    bench.run(Mixed(), "verif.emitter.emitter_tests", params={"trace": trace(bench.seed)})


def test_behaviour_fault(bench):
    bench.run(
        Fault(Mixed(), "sums", 2, after=60), "verif.emitter.emitter_tests", params={"trace": trace(bench.seed)},
        testcase="equals_the_simulator_of_amaranth", expect_failure=True,
    )


class Held(wiring.Component):
    go: In(1)
    a: In(8)
    q: Out(8)

    def elaborate(self, platform):
        m = Module()
        with m.If(self.go):
            m.d.sync += self.q.eq(self.a)
        return m


def test_enables_of_registers():
    """Asked for, what a register would take stands under its enable; else it is a choice that is worked out in every clock."""
    assert "else if (go) q <= a;" in emit(Held(), "held", enables=True).text
    assert "if (go)" not in emit(Held(), "held").text


class Extended(wiring.Component):
    """A number with its sign extended, and a mask of one bit beside another."""

    a: In(4)
    q: Out(16)
    masked: Out(9)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.q.eq(self.a.as_signed()), self.masked.eq(Cat(self.a[0].replicate(8), self.a[1]))]
        return m


def test_repeated_bits_are_a_replication():
    text = emit(Extended(), "extended").text
    assert "{ {12{a[3]}}, a }" in text
    assert "{ a[1:0], {7{a[0]}} }" in text


def test_repeated_blocks_are_emitted_once():
    text = emit(Mixed(), "mixed").text
    assert text.count("module step_") == 2
    assert text.count("step_") > 4
    assert "always @*" not in text


def _emit_in_a_process(config: str, seed: int, folder: Path) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", "gcu.cli", "verilog", "--config", config, "-o", str(folder)], env=environment, check=True, timeout=300,
        capture_output=True,
    )
    return (folder / "minigcu.sv").read_bytes()


@pytest.fixture(scope="module")
def chip(tmp_path_factory) -> Path:
    """Folder of the emitted chip; emitting it takes longest in these tests. The long tier has all presets."""
    folder = tmp_path_factory.mktemp("chip")
    _emit_in_a_process("tiny", 1, folder)
    return folder


def test_chip_is_the_same_bytes_in_every_run(chip, tmp_path):
    texts = [(chip / "minigcu.sv").read_bytes(), _emit_in_a_process("tiny", 2, tmp_path)]
    assert texts[0] == texts[1]
    assert all(str(path).encode() not in texts[0] for path in (ROOT, chip, tmp_path))


def lint(folder: Path) -> str:
    """What Verilator says of an emitted chip beyond the named waivers."""
    run = subprocess.run(
        ["verilator", "--lint-only", "-Wall", "waivers.vlt", "minigcu.sv", "--top-module", "minigcu"], cwd=folder,
        env=verilator_environment(), capture_output=True, text=True, check=False, timeout=600,
    )
    return (run.stdout + run.stderr)[-3000:] if run.returncode or run.stderr.strip() else ""


def test_chip_lints_and_reads(chip):
    assert lint(chip) == ""
    subprocess.run(["iverilog", "-g2012", "-t", "null", "-s", "minigcu", "minigcu.sv"], cwd=chip, check=True, timeout=300)
    script = (
        "from pyosys import libyosys as ys; d = ys.Design(); "
        "ys.Pass.call(d, 'tee -q read_verilog -sv minigcu.sv'); ys.Pass.call(d, 'tee -q hierarchy -check -top minigcu')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=chip, check=True, timeout=300, capture_output=True)


@pytest.mark.long
@pytest.mark.parametrize("config", sorted(PRESETS))
def test_presets(config, tmp_path):
    _emit_in_a_process(config, 1, tmp_path)
    assert lint(tmp_path) == ""
