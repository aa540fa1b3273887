"""The proofs assume of a timing set just what `TimingSet` demands, and the mutants' traces are refused by all judges."""

import random
from dataclasses import replace

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl.memory.timing import TimingError, TimingSet, TimingValues
from verif.memory.formal.mutants import find, judge, main, table
from verif.memory.formal.rules import RULES, Sums, valid


class Valid(wiring.Component):
    timing: In(TimingValues)
    sums: In(Sums)
    good: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.good.eq(Cat(valid(self.timing, self.sums)).all())
        return m


def variants(rng: random.Random, count: int):
    """Sets of the project with some parameters changed: near the others, or anything."""
    for _ in range(count):
        timing = TimingSet.load(rng.choice(TimingSet.names()))
        changes = {}
        for key in rng.sample(TimingSet.parameters(), rng.randint(0, 2)):
            near = getattr(timing, rng.choice(TimingSet.parameters())) + rng.randint(-1, 1)
            changes[key] = min(rng.choice((near, rng.randint(0, 70))), 1023 if key not in ("RL", "WL") else 63)
        yield timing, changes


def test_assumptions_are_those_of_timing_set(seed):
    dut = Valid()
    seen = {True: 0, False: 0}

    async def bench(ctx):
        for timing, changes in variants(random.Random(seed), 2000):
            raw = {key: changes.get(key, getattr(timing, key)) for key in TimingSet.parameters()}
            try:
                accepted = bool(replace(timing, **changes))
            except TimingError:
                accepted = False
            end = raw["WL"] + 2
            sums = {
                "write_to_precharge": end + raw["tWR"], "write_to_read_S": end + raw["tWTR_S"], "write_to_read_L": end + raw["tWTR_L"],
                "read_to_write": raw["RL"] + 2 + raw["tRTW_GAP"] - raw["WL"],
            }
            fits = all(0 <= value < 1024 for value in sums.values())
            ctx.set(dut.timing, {key: sums.get(key, raw.get(key, 0)) & 0xFFFF for key, _ in TimingValues.as_shape()})
            ctx.set(dut.sums, {key: raw[key] for key, _ in Sums.as_shape()})
            await ctx.delay(1e-9)
            assert (bool(ctx.get(dut.good)) and fits) == accepted, (timing.name, changes)
            seen[accepted] += 1

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    assert min(seen.values()) > 200, seen


def test_one_mutant(capsys):
    assert main(["tRTP"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["tRTP", "tRTP", "3", "yes", "yes", "yes"]
    assert main(["tXYZ"]) == 2


@pytest.mark.long
def test_every_mutant_is_caught_by_all_three():
    mutants = [judge(find(rule)) for rule in RULES]
    assert all(all(mutant.caught.values()) for mutant in mutants), table(mutants)
