"""Ports and arbiter over a model of the memory side: random traffic, order, classes, errors, rates."""

import logging

import cocotb
from cocotb.triggers import FallingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from rtl.memory.address import ATOM_BYTES
from verif.common.params import params, rng
from verif.memory.port.bench import ID_BITS, PortBench
from verif.memory.port.stimulus import Stimulus
from verif.memory.port.transfer import Transfer


def _burst(bench: PortBench, port: int, write: bool, address: int, beats: int, **fields) -> Transfer:
    """A full-width INCR burst."""
    bus = bench.bus_bytes
    transfer = Transfer(port, write, address, beats, (bus - 1).bit_length(), **fields)
    if write:
        random = rng(f"data {port} {address} {bench.clock}")
        transfer.words = [random.getrandbits(8 * bus) for _ in range(beats)]
        transfer.strobes, transfer.marks = [(1 << bus) - 1] * beats, [0] * (beats - 1) + [1]
    return transfer


async def _traffic(bench: PortBench, name: str, clocks: int, **options):
    """Random bursts on all ports for `clocks` clocks, with pauses; then everything drains."""
    random = rng(f"{name} traffic")
    stimulus = Stimulus(bench.bus_bytes, bench.chip.channel_bytes, ID_BITS, rng(f"{name} bursts"), **options)
    # Bad words in the last page, which few bursts meet: most reads are clean.
    last = bench.chip.channel_bytes // ATOM_BYTES - 1
    bench.below.bad = {last - random.randrange(128): random.randrange(1, 16) for _ in range(40)}
    end = bench.clock + clocks
    while bench.clock < end:
        await FallingEdge(bench.dut.clk)
        for number, master in bench.masters.items():
            if master.in_flight < 20 and random.random() < 0.15:
                bench.push(stimulus.burst(number))
        if random.random() < 0.002:
            await bench.clocks(100)
        if random.random() < 0.01:
            bench.below.limit(random.choice((0, 1, 2, 8, 255)))
    await bench.drain()


async def _read_back(bench: PortBench):
    """Every page that was written, through the last port: what was written beside a burst's bytes shows here."""
    pages = sorted({place // 256 for place in bench.history._bytes})
    for page in pages:
        bench.push(_burst(bench, bench.ports - 1, False, page * 256, 256 // bench.bus_bytes))
    await bench.drain()


async def _random(dut, name: str, **options):
    clocks = params().get("clocks", 1500)
    bench = await PortBench.up(dut, name, 40 * clocks + 60_000, coverage=True, service=0.02, **options)
    for part in ("first", "second"):
        await _traffic(bench, f"{name} {part}", clocks)
    await _read_back(bench)
    assert bench.below.refused == bench.refusals, f"{bench.below.refused} refusals counted, {bench.refusals} answered"
    requests = len(bench.below.log)
    dut._log.info(f"{name}: {len(bench.finished)} bursts, {bench.refusals} refused, {requests} atoms, {bench.clock} clocks")
    assert bench.refusals and bench.below.serviced and len(bench.finished) > 50
    bench.coverage.export()


@cocotb.test()
async def rough(dut):
    """Random bursts with stalls on every stream and long holds of `rready` and `bready`."""
    await _random(dut, "rough", stall=0.4, holds=True, delay=(5, 120))


@cocotb.test()
async def calm(dut):
    """Random bursts with few stalls."""
    await _random(dut, "calm", stall=0.05, delay=(5, 60))


@cocotb.test()
async def read_after_write(dut):
    """A read on any port that is accepted from the clock of a write's response on sees it; the hot atoms are written again and again."""
    bench = await PortBench.up(dut, "order", 60_000, stall=0.1, delay=(2, 30))
    random = rng("order")
    for _ in range(params().get("rounds", 40)):
        address = random.randrange(4) * 64
        writer, reader = random.sample(range(bench.ports), 2)
        for port in range(bench.ports):
            bench.push(_burst(bench, port, False, 4096 + 256 * port, 256 // bench.bus_bytes, id=random.randrange(64)))
        beats = random.choice((1, 2, 256 // bench.bus_bytes))
        write = bench.push(_burst(bench, writer, True, address, beats))
        while write.seen is None:
            await FallingEdge(dut.clk)
        read = bench.push(_burst(bench, reader, False, address, beats))
        await read.done.wait()
        # The referee has judged by the rule; here nobody else writes, so that the data are those of the write.
        assert read.words == write.words
    await bench.drain()


@cocotb.test()
async def overtaking(dut):
    """A read whose data have come is not held up by another identifier's; one identifier keeps its order."""
    bench = await PortBench.up(dut, "overtaking", 20_000, stall=0, delay=(10, 10), shuffled=False)
    beats = 256 // bench.bus_bytes
    for _ in range(2):
        bench.below.delay = (400, 400)
        slow = bench.push(_burst(bench, 0, False, 0, beats, id=1))
        while len(bench.below.log) % 8 or not bench.below.log:
            await FallingEdge(dut.clk)
        bench.below.delay = (10, 10)
        bench.below.shuffled = True
        quick = [bench.push(_burst(bench, 0, False, 4096 + 256 * n, beats, id=2 + n)) for n in range(3)]
        behind = bench.push(_burst(bench, 0, False, 8192, beats, id=1))
        for transfer in quick:
            await transfer.done.wait()
        assert not slow.done.is_set() and not behind.done.is_set()
        await bench.drain()
        assert slow.finished < behind.finished
        bench.below.log.clear()


@cocotb.test()
async def stuck_master(dut):
    """A master that takes no data or responses for long stops itself and nobody else: returns never wait, other ports go on."""
    bench = await PortBench.up(dut, "stuck", 60_000, stall=0.05, delay=(2, 20))
    beats = 256 // bench.bus_bytes
    for channel in ("r", "b"):
        bench.masters[0].stuck[channel] = True
        held = [bench.push(_burst(bench, 0, channel == "b", 256 * n, beats, id=n % 8)) for n in range(50)]
        await bench.clocks(300)
        for n in range(10):
            for write in (True, False):
                other = bench.push(_burst(bench, 1, write, 16384 + 256 * n, beats))
                await other.done.wait()
        assert not any(transfer.done.is_set() for transfer in held)
        bench.masters[0].stuck[channel] = False
        await bench.drain()


@cocotb.test()
async def all_slots(dut):
    """One identifier takes every slot of the return buffer, and no request goes without one; twice."""
    bench = await PortBench.up(dut, "slots", 20_000, stall=0, delay=(1, 30))
    slots, beats = bench.chip.return_slots, 256 // bench.bus_bytes
    for _ in range(2):
        bench.below.silent = True
        bench.below.log.clear()
        for n in range(slots // 8 + 4):
            bench.push(_burst(bench, 0, False, 256 * n, beats, id=5))
        await bench.clocks(4 * slots)
        assert len(bench.below.log) == slots, f"{len(bench.below.log)} reads for {slots} slots"
        bench.below.silent = False
        await bench.drain()


@cocotb.test()
async def classes(dut):
    """Urgent requests go first, and a waiting one of the other class is passed by `starve_limit` of them and no more."""
    bench = await PortBench.up(dut, "classes", 60_000, stall=0, delay=(2, 10))
    for limit in (3, 1, 20):
        bench.below.limit(limit)
        begin = len(bench.below.log)
        for n in range(3 * limit + 10):
            bench.push(_burst(bench, 0, False, 256 * (n % 8), 256 // bench.bus_bytes, id=n % 16, qos=8))
            bench.push(_burst(bench, 1, n % 2 == 1, 4096 + 32 * (n % 64), 32 // bench.bus_bytes, id=n % 16))
        await bench.drain()
        for write in (0, 1):
            # Urgent requests between two of the others of one direction, of which one waits all the time.
            passed, counts = None, []
            for _, values in bench.below.log[begin:]:
                if not values["urgent"] and values["write"] == write:
                    counts.append(passed)
                    passed = 0
                elif passed is not None:
                    passed += values["urgent"]
            most = max(counts[1:])
            dut._log.info(f"limit {limit}: {'a write' if write else 'a read'} is passed by {most} urgent requests")
            # The next one of a direction is there at once, so that nothing is added to the limit. A narrow bus or few slots bring neither
            # class often enough.
            saturates = bench.bus_bytes >= 16 and bench.chip.return_slots >= 64
            assert most == limit or not saturates, f"limit {limit}: {counts}"
    bench.below.limit(0)
    begin = len(bench.below.log)
    for n in range(30):
        bench.push(_burst(bench, 0, False, 256 * (n % 8), 256 // bench.bus_bytes, qos=8))
        bench.push(_burst(bench, 1, False, 256 * (n % 8), 256 // bench.bus_bytes))
    await bench.drain()
    log = "".join(str(values["urgent"]) for _, values in bench.below.log[begin:])
    assert "11" not in log[20:200] or not saturates, "with a limit of 0 the ports take turns"


@cocotb.test()
async def rates(dut):
    """Latency of single accesses and sustained rates of sequential bursts, without stalls; printed and asserted."""
    bench = await PortBench.up(dut, "rates", 60_000, stall=0, delay=(20, 20), shuffled=False)
    master, below, bus = bench.masters[0], bench.below, bench.bus_bytes
    full = params().get("clock", [1, 1]) == [1, 1]

    await bench.clocks(20)
    for n in range(3):
        below.offered.clear(), below.returns.clear()
        read = bench.push(_burst(bench, 0, False, 64 * n, 1))
        await read.done.wait()
        request, back = below.offered[0] - read.accepted, read.seen - below.returns[0]
        if full:
            assert request <= 3 and back <= 2, f"AR to request {request}, returned to R {back}"
        await bench.clocks(5)
    dut._log.info(f"latency: AR to request {request} clocks, returned to R {back} clocks")
    for size in (256, 32, 64):
        beats = size // bus
        count = 2048 // size
        for kind, same in (("one identifier", True), ("many identifiers", False)):
            master.beats.clear()
            for n in range(count):
                bench.push(_burst(bench, 0, False, size * n, beats, id=3 if same else n % 64))
            await bench.drain()
            span = master.beats[-1] - master.beats[0] + 1
            dut._log.info(f"{bus} byte bus, reads of {size} byte, {kind}: {len(master.beats) / span:.3f} beats a clock")
            if full and bench.chip.return_slots >= 64:
                assert span == len(master.beats), f"gaps in the read data: {len(master.beats)} beats in {span} clocks"
    for size in (256, 32):
        master.written.clear()
        for n in range(4096 // size):
            bench.push(_burst(bench, 0, True, size * n, size // bus))
        await bench.drain()
        span = master.written[-1] - master.written[0] + 1
        dut._log.info(f"{bus} byte bus, writes of {size} byte: {len(master.written) / span:.3f} beats a clock")
        assert not full or span <= len(master.written) + 2


@cocotb.test()
async def both_directions(dut):
    """Reads and writes of all ports at once: no request's clock is lost while one waits, and ports have equal shares."""
    bench = await PortBench.up(dut, "both", 60_000, stall=0, delay=(20, 20), shuffled=False)
    beats = 256 // bench.bus_bytes
    for n in range(24):
        for port in range(bench.ports):
            bench.push(_burst(bench, port, False, 65536 * (port + 1) + 256 * n, beats, id=n % 64))
            bench.push(_burst(bench, port, True, 65536 * (port + 9) + 256 * n, beats, id=n % 64))
    await bench.drain()
    log = bench.below.log
    span = log[-1][0] - log[0][0] + 1
    ends = [max(t.finished for t in bench.finished if t.port == port) for port in range(bench.ports)]
    dut._log.info(f"{bench.ports} ports, reads and writes: {len(log) / span:.3f} requests a clock; ports end at {ends}")
    assert max(ends) - min(ends) < 0.1 * max(ends)


@cocotb.test()
async def foreign_master(dut):
    """cocotbext-axi's master on port 0: transfers of any length, address and beat size, four at a time, beside our traffic on port 1."""
    bench = await PortBench.up(dut, "foreign", 100_000, stall=0.1, delay=(5, 60), foreign=(0,))
    logging.getLogger("cocotb.dut.axi__0").setLevel(logging.WARNING)
    master = AxiMaster(AxiBus.from_prefix(dut, "axi__0", bus_separator="__"), dut.clk, dut.rst)
    for part in (master.write_if, master.read_if):
        part.log.setLevel(logging.WARNING)

    async def worker(number: int):
        random = rng(f"worker {number}")
        base = (16 + number) * 4096
        memory = bytearray(4096)
        await master.write(base, bytes(memory), awid=number)
        for _ in range(6):
            size, length = random.randint(0, (bench.bus_bytes - 1).bit_length()), random.randint(1, 200)
            address = random.randrange(len(memory) - length)
            data = random.randbytes(length)
            answer = await master.write(base + address, data, awid=random.randrange(16), size=size)
            assert answer.resp == AxiResp.OKAY
            memory[address : address + length] = data
            address = random.randrange(len(memory) - length)
            answer = await master.read(base + address, length, arid=random.randrange(16))
            assert answer.resp == AxiResp.OKAY and answer.data == bytes(memory[address : address + length])

    tasks = [cocotb.start_soon(worker(number)) for number in range(4)]
    await _traffic(bench, "foreign", 300)
    for task in tasks:
        await with_timeout(task, 500, "us")
    answer = await master.read(bench.chip.channel_bytes, 64)
    assert answer.resp == AxiResp.DECERR
