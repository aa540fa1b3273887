"""What goes wrong: hostile commands, errors of the bus, and flushes."""

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge

from rtl.isa import DataOp, Space, Status
from verif.common.params import params
from verif.data_engine.bench import Bench
from verif.data_engine.model import encode, make
from verif.data_engine.stimulus import HOSTILE


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


@cocotb.test()
async def hostile_mixtures(dut):
    """cp_hostile: several words out of range at once, or anything at all: its status, no effect, and the next good one runs."""
    bench = await Bench.create(dut, "hostile_mixtures", 6_000_000, stall=0 if params().get("hostile") else 0.2)
    left, seen = params().get("hostile", 60), set()
    while left:
        bad = [bench.stimulus.mixture() for _ in range(min(left, 20))]
        seen |= {bench.expected.verdict(command, bench.cluster)[0] for command in bad}
        left -= len(bad)
        await bench.run([*bad, bench.stimulus.command()])
    assert seen == {Status.UNDEFINED_OPCODE, Status.UNSUPPORTED, Status.SIZE, Status.ALIGNMENT, Status.ADDRESS}


@cocotb.test()
async def permissions(dut):
    """cp_permission: a window that may not be read, or not written, from the next command on."""
    bench = await Bench.create(dut, "permissions", 60_000)
    near = Space.L2 if bench.cluster else Space.L1
    for allowed in (3, 1, 2, 0, 3):
        await FallingEdge(dut.clk)
        bench.window(allowed)
        load = make(DataOp.COPY, Space.L3, near, size=[40], src_stride=[1], dst_stride=[1], src_base=5000, dst_base=8192)
        store = make(DataOp.COPY, near, Space.L3, size=[40], src_stride=[1], dst_stride=[1], src_base=6000, dst_base=9000)
        look = make(DataOp.SLICE, near, near, size=[4, 1, 1, 1, 2], extent=[4, 1, 1, 1, 2**31 - 1], gather=1, index=Space.L3,
                    index_base=5000, src_base=100, src_stride=[1], dst_base=900, dst_stride=[1, 0, 0, 0, 4])
        for command, bit in ((load, 1), (store, 2), (look, 1)):
            status = bench.expected.verdict(command, bench.cluster)[0]
            assert status is (Status.OK if allowed & bit else Status.ADDRESS)
        await bench.run([load, store, look])


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
    pairs = [(Space.L3, Space.L1), (Space.L1, Space.L3), (Space.L2, Space.L1), (Space.L1, Space.L2), (Space.L3, Space.L2)]
    for source, destination in pairs:
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
