"""Index ranges of SLICE against a search over every index, in Amaranth's own simulator."""

import random

from amaranth.sim import Simulator

from rtl.data_engine.clip import Clip

CORNERS = [-(1 << 31), (1 << 31) - 1, -65536, 65535, -1, 0, 1]


def inside(offset: int, step: int, extent: int, size: int) -> tuple[int, int]:
    """First index inside and how many there are, (0, 0) if none."""
    hits = [i for i in range(size) if 0 <= offset + i * step < extent]
    assert hits == list(range(hits[0], hits[-1] + 1)) if hits else True
    return (hits[0], len(hits)) if hits else (0, 0)


def operands(rng: random.Random) -> tuple[int, int, int, int]:
    size = rng.choice([1, 2, 65535, rng.randint(1, 40), rng.randint(1, 3000)])
    extent = rng.choice([1, 65535, rng.randint(1, 40), rng.randint(1, 65535)])
    step = rng.choice([0, 1, -1, 2, -2, 3, -32768, 32767, rng.randint(-9, 9), rng.randint(-32768, 32767)])
    offset = rng.choice([*CORNERS, rng.randint(-40, 40), -step * rng.randint(0, size) + rng.randint(-2, 2), extent - 1, extent,
                         extent - 1 - step * rng.randint(0, size) + rng.randint(-2, 2)])
    return max(min(offset, (1 << 31) - 1), -(1 << 31)), step, extent, size


def test_clip(seed):
    rng = random.Random(seed)
    clip = Clip()

    async def bench(ctx):
        for number in range(400):
            offset, step, extent, size = operands(rng)
            for port, value in ((clip.offset, offset), (clip.step, step), (clip.extent, extent), (clip.size, size), (clip.start, 1)):
                ctx.set(port, value)
            await ctx.tick()
            ctx.set(clip.start, 0)
            cycles = 1
            while not ctx.get(clip.done):
                await ctx.tick()
                cycles += 1
                assert cycles < 50, f"no end for {offset, step, extent, size}"
            expected = inside(offset, step, extent, size)
            assert (ctx.get(clip.low), ctx.get(clip.count)) == expected, (number, offset, step, extent, size)
            assert cycles <= (6 if abs(step) < 2 else 38)

    simulator = Simulator(clip)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
