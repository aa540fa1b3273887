"""Mutants of a design: 0 is the design, every other number is one fault, and each knows its place in the source."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sim.verilog.emit import emit
from sim.verilog.equivalence import equivalent
from sim.verilog.mutate import Mutated, mutate
from sim.verilog.yosys import yosys

#: Prints the outputs of three hundred clocks, with a reset half-way and inputs that count through all values.
PLAYER = """
module player;
  reg clk = 0; reg rst = 0; reg [8:0] n = 0; wire [7:0] sum, kept;
  dut dut(.clk(clk), .rst(rst), .a(n[7:0] ^ {n[0], 7'd0}), .go(n[2]), .sum(sum), .kept(kept));
  always #1 clk = ~clk;
  always @(negedge clk) begin $display("%h %h", sum, kept); n = n + 1; rst = n == 150; if (n == 300) $finish; end
endmodule
"""


class _Keeper(wiring.Component):
    a: In(8)
    go: In(1)
    kept: Out(8)

    def elaborate(self, platform):
        m = Module()
        with m.If(self.go):
            m.d.sync += self.kept.eq(self.a)
        return m


class _Played(wiring.Component):
    """The ports that the player knows."""

    a: In(8)
    go: In(1)
    sum: Out(8)
    kept: Out(8)


class _Summer(_Played):
    """Everything that it computes reaches an output, and every value of its inputs comes: no mutant is like the design itself."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.keeper = keeper = _Keeper()
        total = Signal(8)
        m.d.comb += [total.eq(self.a + 3), keeper.a.eq(self.a ^ 0x55), keeper.go.eq(self.go), self.kept.eq(keeper.kept)]
        m.d.sync += self.sum.eq(total)
        return m


class _Matcher(_Played):
    """Compares with constants: some mutants of these change nothing."""

    def elaborate(self, platform):
        m = Module()
        held = Signal()
        m.d.sync += held.eq(~held)
        m.d.comb += [self.sum.eq((self.a == 0x21) | (self.a == 0x61)), self.kept.eq(Mux(self.go, self.a & 0x0F, held))]
        return m


def outputs(text: str, folder: Path, *plusargs: str) -> str:
    """What Icarus prints."""
    design = folder / "design.vvp"
    if not design.exists():
        (folder / "design.sv").write_text(text + PLAYER)
        subprocess.run(["iverilog", "-g2012", "-s", "player", "-o", design, folder / "design.sv"], check=True)
    return subprocess.run(["vvp", "-n", design, *plusargs], check=True, capture_output=True, text=True).stdout


def test_each_mutant_is_a_fault(tmp_path):
    made = mutate(_Summer(), "dut", count=20, seed=1)
    made.save(tmp_path / "mutants.json")
    assert Mutated.load(tmp_path / "mutants.json") == replace(made, prepared="")
    assert (tmp_path / "mutants.il").read_text() == made.prepared
    (tmp_path / "itself").mkdir()
    wanted = outputs(emit(_Summer(), "dut").text, tmp_path / "itself")
    assert len(wanted.splitlines()) == 300
    assert outputs(made.emission.text, tmp_path) == outputs(made.emission.text, tmp_path, "+mutant=0") == wanted
    alike = [mutant for mutant in made.mutants if outputs(made.emission.text, tmp_path, f"+mutant={mutant.number}") == wanted]
    # A bit of the sum is sometimes like another one: "where another bit is 0" may never come.
    assert all(mutant.what.startswith("inverted where") for mutant in alike), [str(mutant) for mutant in alike]
    assert len(alike) < 4
    # The reset is Amaranth's own.
    places = {place for mutant in made.mutants for place in mutant.place.split(", ")}
    assert all(re.fullmatch(r"(verif/emitter/test_mutate|amaranth/hdl/_ir)\.py:\d+", place) for place in places), places
    assert len(places) > 2


def test_what_is_proven_equivalent_does_the_same(tmp_path):
    made = mutate(_Matcher(), "dut", count=60, seed=1)
    made.save(tmp_path / "mutants.json")
    wanted = outputs(made.emission.text, tmp_path)
    alike = {mutant.number for mutant in made.mutants if outputs(made.emission.text, tmp_path, f"+mutant={mutant.number}") == wanted}
    proven = {mutant.number for mutant in made.mutants if equivalent(tmp_path / "mutants.il", mutant)}
    # The inputs of the player come in few combinations, of which a proof knows nothing.
    assert proven <= alike and 1 < len(proven) <= len(alike) < 10


def test_below_a_submodule_alone():
    made = mutate(_Summer(), "dut", count=6, seed=3, inside="keeper")
    assert made.mutants and all(mutant.cell.startswith("dut.keeper.") for mutant in made.mutants)
    assert made == mutate(_Summer(), "dut", count=6, seed=3, inside="keeper")
    assert made.mutants != mutate(_Summer(), "dut", count=6, seed=4, inside="keeper").mutants


def test_an_unknown_part_is_refused():
    with pytest.raises(RuntimeError, match="nosuch"):
        mutate(_Summer(), "dut", count=1, seed=1, inside="nosuch")


class Table(wiring.Component):
    """A memory that starts with contents, and a way to change them."""

    address: In(4)
    write: In(1)
    value: In(8)
    output: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=16, init=[3 * number for number in range(16)])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(self.address), write.data.eq(self.value), write.en.eq(self.write), read.addr.eq(self.address),
            self.output.eq(read.data),
        ]
        return m


def test_contents_of_memories():
    """What a memory starts with, and that a read port without a clock is always on, are constants: no input can change them."""
    made = mutate(Table(), "dut", count=200, seed=1)
    ports = {mutant.port.partition("[")[0] for mutant in made.mutants}
    assert {"ADDR", "DATA", "EN"} <= ports


def test_yosys_says_why():
    run = yosys(["read_rtlil no_such_file.il"])
    assert run.returncode and "no_such_file.il" in run.stderr
