"""Tests of the data engine; each one runs commands back to back and compares every byte of L1, L2 and L3."""

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge

from rtl.isa import Cause, DataOp, Space, Status
from verif.common.params import params
from verif.data_engine.bench import L3_BYTES, Bench
from verif.data_engine.model import encode, make
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
        for (source, src), (destination, dst) in zip(places, places[1:], strict=False):
            fields = {"size": [length], "src_stride": [1], "dst_stride": [1], "src_base": src, "dst_base": dst}
            commands.append(make(DataOp.COPY, source, destination, **fields))
            if rng.random() < 0.3:
                commands.append(make(DataOp.FILL, source, rng.choice(spaces), size=[9], dst_stride=[1], dst_base=30000, fill=rng.getrandbits(8)))
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
        # Size and offset reach beyond both ends and touch the first and the last element of each dimension.
        offset = [-abs(t) * rng.randint(0, 2) if t > 0 else n - 1 + abs(t) * rng.randint(0, 2) for t, n in zip(step, extent, strict=True)]
        extent = [n - (n - 1) % abs(t) for t, n in zip(step, extent, strict=True)]
        offset = [o if t > 0 else n - 1 + abs(t) for t, n, o in zip(step, extent, offset, strict=True)]
        size = [(n - 1) // abs(t) + 4 for t, n in zip(step, extent, strict=True)]
        stride = [unit, unit * extent[0], unit * extent[0] * extent[1]]
        whole = stride[2] * extent[2]
        low = rng.random() < 0.5
        origin = first if low else limit - whole
        virtual = origin + sum(o * s for o, s in zip(offset, stride, strict=True))
        command = make(
            DataOp.SLICE, space, Space.L3, size=size, extent=extent, step=step, offset=offset, element=element,
            src_base=virtual, src_stride=[s * t for s, t in zip(stride, step, strict=True)], fill=rng.getrandbits(32),
            dst_base=1 << 16, dst_stride=[unit, unit * size[0], unit * size[0] * size[1]],
        )
        beyond = {**command, "src_base": virtual + (-unit if low else unit) & 0xFFFFFFFF}
        assert bench.expected.verdict(command) == (Status.OK, 0)
        assert bench.expected.verdict(beyond) == (Status.ADDRESS, (first - unit if low else limit + unit - 1) & 0xFFFFFFFF)
        await bench.run([command, beyond])


@cocotb.test()
async def random_commands(dut):
    """Every operation, rank, element, alignment, pair of spaces; good and refused ones mixed."""
    bench = await Bench.create(dut, "random_commands", 400_000)
    for _ in range(params().get("rounds", 12)):
        commands = [bench.stimulus.command() for _ in range(bench.rng.randint(2, 6))]
        if bench.rng.random() < 0.3:
            rule = bench.rng.choice(list(HOSTILE))
            commands.insert(bench.rng.randrange(len(commands)), bench.stimulus.hostile(rule))
        await bench.run(commands)


@cocotb.test()
async def hostile_commands(dut):
    """Each rule broken, between two good commands: exact status and address, and no effect."""
    bench = await Bench.create(dut, "hostile_commands", 200_000)
    rules = list(HOSTILE.items())
    bench.rng.shuffle(rules)
    for first, second in zip(rules[::2], rules[1::2], strict=True):
        bad = []
        for rule, status in (first, second):
            bad.append(bench.stimulus.hostile(rule))
            assert bench.expected.verdict(bad[-1], bench.cluster)[0] is status
        await bench.run([bench.stimulus.command(), *bad, bench.stimulus.command()])
    if bench.cluster:
        for command in (
            make(DataOp.COPY, Space.L1, Space.L2, size=[4]), make(DataOp.COPY, Space.L2, Space.L1, size=[4]),
            make(DataOp.FILL, Space.L2, Space.L1, size=[4]), make(DataOp.SLICE, Space.L1, Space.L3, size=[4], dst_base=8192),
        ):
            assert bench.expected.verdict(command, True) == (Status.UNSUPPORTED, 0)
            await bench.run([command, bench.stimulus.command()])
        # The source's space of a FILL is not looked at.
        await bench.run([make(DataOp.FILL, Space.L1, Space.L2, size=[40], dst_stride=[1], fill=7)])


def first_failing(base: int, length: int, beat: int, first: int, last: int) -> int | None:
    """Address of the first burst of a contiguous run that touches `first` to `last`: chunk by chunk, aligned to the beat."""
    at = base
    while at < base + length:
        end = min(base + length, (at // 256 + 1) * 256)
        start, stop = at // beat * beat, -(-end // beat) * beat
        if start <= last and first < stop:
            return start
        at = end
    return None


@cocotb.test()
async def bus_errors(dut):
    """A failing burst of either side: the command runs to its end, with BUS and that burst's address; the next one is untouched."""
    bench = await Bench.create(dut, "bus_errors", 100_000)
    rng, beat = bench.rng, bench.config.bus_bytes
    for source, destination in [(Space.L3, Space.L1), (Space.L1, Space.L3), (Space.L2, Space.L1), (Space.L1, Space.L2), (Space.L3, Space.L2)]:
        for side in ("read", "write"):
            space = source if side == "read" else destination
            if space is Space.L1:
                continue
            length = rng.randint(200, 1500)
            src, dst = 4096 + rng.randrange(300), 9000 + rng.randrange(300)
            base = src if side == "read" else dst
            # One byte at or behind the start fails; the other command is far from it.
            first = base + rng.randrange(length)
            fabric = first | (1 << 32 if space is Space.L2 else 0)
            failing = first_failing(base, length, beat, first, first)
            bad = make(DataOp.COPY, source, destination, size=[length], src_stride=[1], dst_stride=[1], src_base=src, dst_base=dst)
            good = make(
                DataOp.COPY, source, destination, size=[length], src_stride=[1], dst_stride=[1], src_base=src + 12000, dst_base=dst + 12000,
            )
            bench.memory.fail(fabric, fabric)
            for command in (bad, good):
                bench.driver.push(encode(command))
            assert await bench.driver.completion() == (Status.BUS, failing), (source, destination, side)
            assert await bench.driver.completion() == (Status.OK, 0)
            bench.memory.heal()
            bench.expected.run(bad)
            bench.expected.run(good)
            if side == "write":
                # What the memory did with the burst that it refused is its own business.
                burst = slice(max(failing, dst), min(failing // 256 * 256 + 256, dst + length))
                bench.expected.space[space][burst] = bench.actual.space[space][burst]
            bench.compare([bad, good])


@cocotb.test()
async def flushes(dut):
    """A flush at any time: what was started ends with `done`, the rest leaves no trace, and the engine works on."""
    bench = await Bench.create(dut, "flushes", 200_000)
    rng, dropped = bench.rng, 0
    for _ in range(6):
        commands = [bench.stimulus.command() for _ in range(7)]
        accepted, done = bench.accepted + len(commands), bench.done
        for command in commands:
            bench.driver.push(encode(command))
        await ClockCycles(dut.clk, rng.choice([1, 5, 20, rng.randrange(600)]))
        await FallingEdge(dut.clk)
        dut.flush.value = 1
        while bench.accepted < accepted:
            await FallingEdge(dut.clk)
        await ClockCycles(dut.clk, rng.choice([4, 30]))
        await bench.settle()
        await FallingEdge(dut.clk)
        dut.flush.value = 0
        done = bench.done - done
        dropped += len(commands) - done
        for command in commands[:done]:
            assert await bench.driver.completion() == bench.expect(command)
        bench.compare(commands[:done])
        assert bench.memory.idle, "a burst was left behind"
        await bench.run([bench.stimulus.command(), bench.stimulus.command()])
    assert dropped, "no command was dropped"


@cocotb.test()
async def activity(dut):
    """Every cycle has its cause, bytes from and to L3 add up, and the tag is that of the oldest command."""
    bench = await Bench.create(dut, "activity", 60_000)
    beat = bench.config.bus_bytes
    for source, destination, op in [
        (Space.L3, Space.L1, DataOp.COPY), (Space.L1, Space.L3, DataOp.COPY), (Space.L2, Space.L3, DataOp.COPY),
        (Space.L1, Space.L1, DataOp.COPY), (Space.L1, Space.L3, DataOp.FILL), (Space.L3, Space.L2, DataOp.FILL),
    ]:
        rows, length = 5, 100
        command = make(op, source, destination, size=[length, rows], src_stride=[1, 304], dst_stride=[1, 208], src_base=4096 + 5,
                       dst_base=16384 + 3, tag=0xABC00000 | bench.rng.randrange(1, 1 << 16))
        log = bench.watch()
        before = dict(bench.memory.beats)
        await bench.run([command, command])
        await bench.settle()
        log.stop()
        moved = 2 * rows * length
        assert log.read == (moved if op is DataOp.COPY and source is Space.L3 else 0)
        assert log.written == (moved if destination is Space.L3 else 0)
        assert log.tags == {command["tag"] & 0xFFFF}
        if destination is not Space.L1:
            assert log.causes[Cause.BUSY] == bench.memory.beats["write"] - before["write"]
        else:
            assert log.causes[Cause.BUSY] == 2 * rows * -(-length // beat)
        uses = {destination} | ({source} if op is DataOp.COPY else set())
        assert log.causes[Cause.MEMORY] > 0 if uses != {Space.L1} else log.causes[Cause.MEMORY] == 0
        if Space.L1 not in uses:
            assert log.causes[Cause.OPERAND] == 0
        assert set(log.causes) <= {Cause.IDLE, Cause.BUSY, Cause.MEMORY, Cause.OPERAND}
        # Once a command is inside, idle comes only when the last one is done.
        assert log.gaps == 0


@cocotb.test()
async def bandwidth(dut):
    """Bytes a cycle from the first command's acceptance to the last `done`, on memories that are always ready, with 40 cycles to
    the first beat of a read and to the response of a write."""
    bench = await Bench.create(dut, "bandwidth", 60_000, stall=0, latency=(40, 40), l1_latency=2, window=(0, L3_BYTES))
    beat, l1 = bench.config.bus_bytes, bench.config.l1_bytes

    def rows(source, destination, count, length, src_pitch, dst_pitch, src_base=0, dst_base=0):
        return make(DataOp.COPY, source, destination, size=[length, count], src_stride=[1, src_pitch], dst_stride=[1, dst_pitch],
                    src_base=src_base, dst_base=dst_base)

    half = l1 // 2
    cases = {
        # name: (commands, least share of the bus)
        "L3 to L1, 64 KiB dense": ([rows(Space.L3, Space.L1, 128, l1 // 128, l1 // 128, l1 // 128, src_base=i * l1) for i in range(2)], 0.93),
        "L1 to L3, 32 KiB dense": ([rows(Space.L1, Space.L3, 128, l1 // 256, l1 // 256, l1 // 256, dst_base=i * half) for i in range(2)], 0.9),
        "L3 to L1, 32 KiB dense, unaligned": (
            [rows(Space.L3, Space.L1, 1, half, 0, 0, src_base=i * half + 5, dst_base=9) for i in range(2)], 0.9),
        "L3 to L3, 8 KiB dense, unaligned": ([rows(Space.L3, Space.L3, 1, half // 2, 0, 0, src_base=3, dst_base=l1 + 8)], 0.75),
        "L3 to L1, rows of 256 byte": ([rows(Space.L3, Space.L1, 64, 256, 512, 256)], 0.85),
        "L3 to L1, rows of 64 byte": ([rows(Space.L3, Space.L1, 128, 64, 128, 64)], 0.6),
        "L1 to L3, rows of 64 byte": ([rows(Space.L1, Space.L3, 128, 64, 64, 128)], 0.6),
        "L1 to L1, rows of 64 byte": ([rows(Space.L1, Space.L1, 64, 64, 128, 64, dst_base=half)], 0.8),
    }
    for name, (commands, share) in cases.items():
        log = bench.watch()
        await bench.run(commands)
        await bench.settle()
        log.stop()
        moved = sum(command["size0"] * command["size1"] for command in commands)
        rate = moved / log.busy
        dut._log.info(f"bandwidth: {name}: {moved} bytes in {log.busy} cycles, {rate:.2f} bytes a cycle of {beat}")
        assert rate >= share * beat, f"{name}: {rate:.2f} bytes a cycle are less than {share} of {beat}"
