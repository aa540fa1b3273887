"""Which bank is refreshed in advance: not where a stream is, not where it is going, and any once it is due or nothing moves."""

import pytest
from amaranth.sim import Simulator

from rtl.memory.address import BANKS
from rtl.memory.schedule.refresh import Refresh

#: Due every so many clocks: never in these tests, but once from the start. Clocks in which banks serve before refreshes may begin.
INTERVAL, WARM = 4000, 40


def targets(clocks: int, *, served: list[int], since: int, owed: bool) -> list[int]:
    """Targets in so many clocks, none of them granted. The banks `served` take a column command in turn, one a clock, in the first half of
    the clocks and before. Whatever may be chosen is chosen, lowest bank first, and `since` banks were used after it. One refresh is due
    from the start, and granted before unless `owed`."""
    dut, seen = Refresh(), []

    async def bench(ctx):
        for name, value in (("tREFI", 16 * INTERVAL), ("tREFIsb", INTERVAL), ("tRFCsb", 16), ("idle_since", since)):
            ctx.set(getattr(dut, name), value)
        granted = owed
        for clock in range(-WARM, clocks):
            ctx.set(dut.active, int(clock >= 0))
            ctx.set(dut.served, 1 << served[clock % len(served)] if clock < clocks // 2 else 0)
            idle = ctx.get(dut.idle)
            ctx.set(dut.idle_chosen, idle & -idle)
            target = ctx.get(dut.target)
            ctx.set(dut.refreshed, int(not granted and target != 0))
            if granted and target:
                seen.append(target.bit_length() - 1)
            granted = granted or target != 0
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("since, found", [(0, True), (BANKS // 2 - 1, True), (BANKS // 2, False), (BANKS - 1, False)])
def test_the_half_used_longest_ago_waits(since, found):
    """As long as something moves."""
    assert bool(targets(400, served=[0, 1, 2, 3], since=since, owed=False)) is found


def test_it_waits_until_nothing_has_moved_for_a_while():
    clocks = 2 * (Refresh.STILL + 40)
    assert targets(clocks, served=[0], since=BANKS - 1, owed=False)


def test_banks_that_serve_are_left_alone():
    """Bank 0 would be chosen first, but serves all the time; once a refresh is due, it is chosen."""
    served = [0, 1, 2, 3]
    assert set(targets(400, served=served, since=0, owed=False)) == {4}
    assert set(targets(400, served=served, since=0, owed=True)) == {0}
