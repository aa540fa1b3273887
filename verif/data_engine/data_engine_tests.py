"""What commands do: each test runs them back to back and compares every byte of L1, L2 and L3."""

from itertools import pairwise

import cocotb
import numpy as np

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
    for _ in range(8):
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
async def long_copies(dut):
    """Copies larger than the FIFO, with a memory that is slower than L1 and the other way round."""
    bench = await Bench.create(dut, "long_copies", 60_000)
    for source, destination in ((Space.L1, Space.L3), (Space.L3, Space.L1)):
        command = make(DataOp.COPY, source, destination, size=[5000], src_stride=[1], dst_stride=[1], src_base=4096 + 3, dst_base=12000)
        bench.memory.stall, bench.l1.stall = (0.7, 0) if destination is Space.L3 else (0, 0.7)
        await bench.run([command, {**command, "src_base": 4096, "dst_base": 18000}])


@cocotb.test()
async def chains(dut):
    """Each command reads what the one before has just written, in every space; with a second writer in between, or without."""
    bench = await Bench.create(dut, "chains", 100_000, latency=(20, 60))
    rng = bench.rng
    spaces = [Space.L2, Space.L3] if bench.cluster else list(Space)
    for _ in range(6):
        places = [(rng.choice(spaces), base + rng.randrange(64)) for base in (4096, 9000, 14000, 19000, 24000)]
        if rng.random() < 0.5:
            places = [(places[0][0], base) for _, base in places]
        length = rng.choice([1, 40, 300])
        commands = []
        for (source, src), (destination, dst) in pairwise(places):
            fields = {"size": [length], "src_stride": [1], "dst_stride": [1], "src_base": src, "dst_base": dst}
            commands.append(make(DataOp.COPY, source, destination, **fields))
            if rng.random() < 0.3:
                between = {"size": [9], "dst_stride": [1], "dst_base": 30000, "fill": rng.getrandbits(8)}
                commands.append(make(DataOp.FILL, source, rng.choice(spaces), **between))
        await bench.run(commands)


@cocotb.test()
async def listed_rows(dut):
    """cp_list: a list of indices that the command before has just written, into any space; entries that name no row; lists longer than
    two requests."""
    bench = await Bench.create(dut, "listed_rows", 100_000, latency=(20, 60))
    rng = bench.rng
    spaces = [Space.L2, Space.L3] if bench.cluster else list(Space)
    for count in (1, 5, 16, 17, 70):
        table, space, near, pitch = rng.choice(spaces), rng.choice(spaces), rng.choice(spaces), rng.randint(12, 70)
        rows = rng.randint(2, 40)
        entries = [rng.randrange(rows) for _ in range(count)]
        for bad in rng.sample(range(count), rng.choice([0, 0, min(2, count)])):
            entries[bad] = rng.choice([-1, rows, 2**31 - 1, -(2**31)])
        origin, place = 4096, 9000 + 4 * rng.randrange(40)
        for memories in (bench.expected, bench.actual):
            memories.space[near][origin:origin + 4 * count] = np.array(entries, "<i4").view(np.uint8)
        write = make(DataOp.COPY, near, space, size=[4 * count], src_stride=[1], dst_stride=[1], src_base=origin, dst_base=place)
        length = rng.randint(1, 12)
        look = make(
            DataOp.SLICE, table, rng.choice(spaces), size=[length, 1, 1, 1, count], extent=[length, 1, 1, 1, rows], gather=1, index=space,
            index_base=place, src_base=12000, src_stride=[1, 0, 0, 0, pitch], dst_base=20000 + rng.randrange(16),
            dst_stride=[1, 0, 0, 0, length], fill=rng.getrandbits(8),
        )
        await bench.run([write, look, bench.stimulus.command("copy")])


@cocotb.test()
async def shifted_slices(dut):
    """An image read at a small offset, as for a padded convolution: dense on both sides, clipped in any of its dimensions."""
    bench = await Bench.create(dut, "shifted_slices", 60_000)
    rng = bench.rng
    source = Space.L2 if bench.cluster else Space.L1
    commands = []
    for clipped in range(8):
        size = [rng.randint(2, 7) for _ in range(4)]
        stride = [1, size[0], size[0] * size[1], size[0] * size[1] * size[2]]
        offset = [rng.choice([-1, 1]) if clipped >> d & 1 else 0 for d in range(3)]
        commands.append(make(
            DataOp.SLICE, source, Space.L3, size=size, extent=size, offset=offset, src_base=4096, src_stride=stride,
            dst_base=8192 + 4096 * clipped, dst_stride=stride, fill=rng.getrandbits(8),
        ))
    await bench.run(commands)


@cocotb.test()
async def slices_at_the_edge(dut):
    """A source tensor that ends exactly with its window, read from beyond its extent: allowed, and by one element further, not."""
    bench = await Bench.create(dut, "slices_at_the_edge", 100_000)
    rng = bench.rng
    for _ in range(8):
        space = rng.choice([Space.L2, Space.L3] if bench.cluster else list(Space))
        first, limit = bench.expected.window if space is Space.L3 else (0, len(bench.expected.space[space]))
        element = rng.randrange(3)
        unit = 1 << element
        extent = [rng.randint(2, 9), rng.randint(2, 4), rng.randint(1, 3)]
        step = [rng.choice([1, 1, -1, 2, -3]) for _ in extent]
        # Size and offset reach beyond both ends.
        offset = [-abs(t) * rng.randint(0, 2) if t > 0 else n - 1 + abs(t) * rng.randint(0, 2) for t, n in zip(step, extent, strict=True)]
        size = [(n - 1) // abs(t) + 4 for t, n in zip(step, extent, strict=True)]
        stride = [unit, unit * extent[0], unit * extent[0] * extent[1]]
        low = rng.random() < 0.5
        origin = first if low else limit - stride[2] * extent[2]
        command = make(
            DataOp.SLICE, space, Space.L3, size=size, extent=extent, step=step, offset=offset, element=element,
            src_base=origin, src_stride=stride, fill=rng.getrandbits(32),
            dst_base=1 << 16, dst_stride=[unit, unit * size[0], unit * size[0] * size[1]],
        )
        beyond = {**command, "src_base": origin + (-unit if low else unit) & 0xFFFFFFFF}
        assert bench.expected.verdict(command) == (Status.OK, 0)
        # Below address 0 there is the top of a 32-bit space.
        address = (first - unit if first else beyond["src_base"] + stride[2] * extent[2] - 1) if low else limit + unit - 1
        assert bench.expected.verdict(beyond) == (Status.ADDRESS, address & 0xFFFFFFFF)
        await bench.run([command, beyond])


@cocotb.test()
async def random_commands(dut):
    """cp_kind and its crosses: every operation, rank, element, alignment, pair of spaces; good and refused ones mixed."""
    bench = await Bench.create(dut, "random_commands", params().get("cycles", 1_000_000))
    for _ in range(params().get("rounds", 12)):
        commands = [bench.stimulus.command() for _ in range(bench.rng.randint(2, 6))]
        if bench.rng.random() < 0.3:
            rule = bench.rng.choice(list(HOSTILE))
            commands.insert(bench.rng.randrange(len(commands)), bench.stimulus.hostile(rule))
        await bench.run(commands)
    bench.coverage.export()
