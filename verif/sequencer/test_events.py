"""The event counters against counting in Python: contention, overflow from every side, in Amaranth's own simulator."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.sequencer.events import EventCounters


def run(seed: int, cycles: int, busy: float):
    """Random signals and waits; few events and long stretches near the limit, so that everything meets."""
    rng = random.Random(seed)
    dut = EventCounters(4)

    def mask() -> int:
        return rng.choice([0, 1, 2, 3, 1 << rng.randrange(16), rng.getrandbits(16)])

    async def bench(ctx):
        counts = [0] * 16
        seen = {"contention": 0, "local": 0, "remote": 0}
        for _ in range(cycles):
            local, remote = (mask() if rng.random() < busy else 0 for _ in range(2))
            waits = [(mask(), rng.random() < (1 - busy)) for _ in range(4)]
            ctx.set(dut.local, {"valid": rng.random() < 0.9, "events": local})
            ctx.set(dut.remote, {"valid": rng.random() < 0.9, "events": remote})
            local, remote = (port.events if port.valid else 0 for port in (ctx.get(dut.local), ctx.get(dut.remote)))
            for port, (events, request) in zip(dut.waits, waits, strict=True):
                ctx.set(port.events, events)
                ctx.set(port.request, request)
            present = sum(1 << event for event in range(16) if counts[event])
            able = [number for number, (events, request) in enumerate(waits) if request and not events & ~present]
            taken = waits[able[0]][0] if able else 0
            seen["contention"] += len(able) > 1
            for number, port in enumerate(dut.waits):
                assert ctx.get(port.available) == (not waits[number][0] & ~present)
                assert ctx.get(port.take) == (number in able[:1])
            late_remote = late_local = False
            for event in range(16):
                bit = 1 << event
                counts[event] += bool(remote & bit) - bool(taken & bit)
                late_remote |= counts[event] > 255
                counts[event] += bool(local & bit)
                late_local |= counts[event] > 255 and bool(local & bit)
                counts[event] = min(counts[event], 255)
            assert (ctx.get(dut.local_overflow), ctx.get(dut.remote_overflow)) == (late_local, late_remote)
            seen["local"] += late_local
            seen["remote"] += late_remote
            await ctx.tick()
        return seen

    found = {}

    async def testbench(ctx):
        found.update(await bench(ctx))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


@pytest.mark.parametrize("busy", [0.4, 0.8])
def test_events(seed, busy):
    seen = run(seed, 3000, busy)
    assert seen["contention"] > 50
    if busy > 0.5:
        assert seen["local"] > 50 and seen["remote"] > 50
