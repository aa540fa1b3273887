"""Tests of the data engine; each one runs commands back to back and compares every byte of L1, L2 and L3."""

import cocotb

from rtl.isa import DataOp, Space, Status
from verif.common.params import params
from verif.data_engine.bench import Bench
from verif.data_engine.model import make
from verif.data_engine.stimulus import HOSTILE


@cocotb.test()
async def copies(dut):
    """Dense copies of every length around a beat and a chunk, at every alignment of either side."""
    bench = await Bench.create(dut, "copies", 60_000)
    rng = bench.rng
    spaces = [Space.L2, Space.L3] if bench.cluster else list(Space)
    for _ in range(12):
        commands = []
        for _ in range(4):
            source, destination = rng.choice(spaces), rng.choice(spaces)
            length = rng.choice([1, 2, 15, 16, 17, 33, 255, 256, 257, 600, rng.randint(1, 900)])
            commands.append(make(
                DataOp.COPY, source, destination, size=[length], src_stride=[1], dst_stride=[1],
                src_base=4096 + rng.randrange(300), dst_base=8192 + rng.randrange(300), tag=rng.getrandbits(32),
            ))
        await bench.run(commands)


@cocotb.test()
async def random_commands(dut):
    """Every operation, rank, element, alignment, pair of spaces; good and refused ones mixed."""
    bench = await Bench.create(dut, "random_commands", 400_000)
    for _ in range(params().get("rounds", 25)):
        commands = [bench.stimulus.command() for _ in range(bench.rng.randint(2, 6))]
        if bench.rng.random() < 0.3:
            rule = bench.rng.choice(list(HOSTILE))
            commands.insert(bench.rng.randrange(len(commands)), bench.stimulus.hostile(rule))
        await bench.run(commands)


@cocotb.test()
async def hostile_commands(dut):
    """Each rule broken, between two good commands: exact status and address, and no effect."""
    bench = await Bench.create(dut, "hostile_commands", 200_000)
    for rule, status in HOSTILE.items():
        for _ in range(2):
            bad = bench.stimulus.hostile(rule)
            assert bench.expected.verdict(bad, bench.cluster)[0] in (status, Status.UNSUPPORTED)
            await bench.run([bench.stimulus.command(), bad, bench.stimulus.command()])
