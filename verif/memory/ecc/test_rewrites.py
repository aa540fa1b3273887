"""The queue of rewrites in Amaranth's simulator: against a list, with duplicates and more than it holds."""

import random

from amaranth.sim import Simulator

from rtl.memory.ecc.rewrites import RewriteQueue


def test_rewrite_queue(seed):
    """cp_overflow: what is inside already, or finds no room, is dropped; the rest leaves in order."""
    rng, queue = random.Random(seed), RewriteQueue(4)
    met = {"taken": 0, "twice": 0, "full": 0}

    async def bench(ctx):
        model: list[int] = []
        for clock in range(4000):
            found, atom = rng.random() < (0.8 if clock & 256 else 0.2), rng.randrange(16)
            ready = rng.random() < 0.3
            ctx.set(queue.found, found)
            ctx.set(queue.atom, atom)
            ctx.set(queue.output.ready, ready)
            assert ctx.get(queue.output.valid) == bool(model)
            if model:
                assert ctx.get(queue.output.payload.atom) == model[0]
            if found:
                what = "twice" if atom in model else "full" if len(model) == queue.depth else "taken"
                met[what] += 1
            leaves = bool(model) and ready
            if found and what == "taken":
                model.append(atom)
            if leaves:
                model.pop(0)
            await ctx.tick()

    simulator = Simulator(queue)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert min(met.values()) > 50, met
