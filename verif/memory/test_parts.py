"""Small parts of the controller in Amaranth's simulator, and what constructors refuse."""

from itertools import pairwise

import pytest
from amaranth import ClockDomain, Module
from amaranth.sim import Simulator

from rtl.memory.controller import ClockEnable
from rtl.memory.timers import ActivateWindow, Timer


def simulate(component, bench):
    # A constant enable has no clock of its own.
    m = Module()
    m.domains.sync = ClockDomain()
    m.submodules.part = component
    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("clocks", (1, 2, 3, 7))
def test_timer(clocks):
    timer = Timer()

    async def bench(ctx):
        ctx.set(timer.clocks, clocks)
        for again in (0, 1, clocks // 2):
            # A second start, `again` clocks later, counts anew.
            for gap in (again, clocks):
                ctx.set(timer.start, 1)
                await ctx.tick()
                ctx.set(timer.start, 0)
                for passed in range(1, gap):
                    assert ctx.get(timer.ready) == (passed >= clocks)
                    assert ctx.get(timer.soon) == (passed + 1 >= clocks)
                    await ctx.tick()
            assert ctx.get(timer.ready) and ctx.get(timer.soon)

    simulate(timer, bench)


def test_activate_window():
    window = ActivateWindow()

    async def bench(ctx):
        ctx.set(window.clocks, 20)
        times = []
        for clock in range(400):
            start = ctx.get(window.ready) and clock % 3 == 0
            ctx.set(window.start, start)
            if start:
                times.append(clock)
            await ctx.tick()
        assert min(fifth - first for first, fifth in zip(times, times[4:], strict=False)) == 21  # the first multiple of 3
        assert min(later - sooner for sooner, later in pairwise(times)) == 3

    simulate(window, bench)


@pytest.mark.parametrize("p, q", ((1, 1), (5, 8), (1, 3), (63, 64)))
def test_clock_enable(p, q):
    enable = ClockEnable(p, q)

    async def bench(ctx):
        await ctx.tick().repeat(2)
        levels = []
        for _ in range(4 * q):
            levels.append(ctx.get(enable.enable))
            await ctx.tick()
        assert all(sum(levels[start:start + q]) == p for start in range(3 * q))

    simulate(enable, bench)


def test_refused():
    with pytest.raises(ValueError, match="a timer has at least 2 bits, not 1"):
        Timer(1)
    with pytest.raises(ValueError, match="a clock enable is high in p of q clocks with 1 <= p <= q, not 3 of 2"):
        ClockEnable(3, 2)
