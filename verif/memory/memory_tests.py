"""Controller and device together: random traffic against a model of the bytes, and throughput.

The device keeps its data from one test to the next; only `random_traffic`, the first, relies on zeros.
"""

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from rtl.bus.axi import CHUNK_BYTES, Response
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import RULES
from verif.common import clock
from verif.common.params import config, params, rng
from verif.memory.axi_master import AxiMaster, Transfer


class Model:
    """The channel's bytes, and which chunks have accesses under way: only an answered write must be seen by a read."""

    def __init__(self):
        self.bytes: dict[int, int] = {}
        self.reading: dict[int, int] = {}
        self.writing: dict[int, int] = {}

    def write(self, address: int, data: bytes, strobes: list[int], bus_bytes: int):
        for offset, value in enumerate(data):
            if strobes[offset // bus_bytes] >> (offset % bus_bytes) & 1:
                self.bytes[address + offset] = value

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.bytes.get(address + offset, 0) for offset in range(size))


class Traffic:
    """Random bursts: runs of addresses, rows that collide in few banks, scattered atoms; now and then one that must be refused."""

    def __init__(self, chip, random):
        self.chip = chip
        self.random = random
        self.base = 0

    def address(self) -> int:
        kind = self.random.random()
        if kind < 0.55:
            self.base = (self.base + CHUNK_BYTES) % self.chip.channel_bytes
        elif kind < 0.7:
            self.base = self.random.randrange(self.chip.channel_bytes) & -CHUNK_BYTES
        elif kind < 0.97:
            self.base = self.random.randrange(8) * 16384 + self.random.randrange(32) * CHUNK_BYTES
        return self.base

    def burst(self) -> Transfer:
        beats_of_chunk = CHUNK_BYTES // self.chip.bus_bytes
        first = self.random.choice((0, 0, self.random.randrange(beats_of_chunk)))
        beats = self.random.choice((beats_of_chunk - first, self.random.randint(1, beats_of_chunk - first)))
        transfer = Transfer(self.random.random() < 0.5, self.address() + first * self.chip.bus_bytes, beats, self.random.randrange(64))
        transfer.data = bytearray(self.random.randbytes(beats * self.chip.bus_bytes))
        full = (1 << self.chip.bus_bytes) - 1
        transfer.strobes = [self.random.choice((full, full, self.random.randint(0, full))) for _ in range(beats)]
        return transfer

    def illegal(self) -> Transfer:
        transfer = self.burst()
        match self.random.randrange(4):
            case 0:
                transfer.address += self.chip.channel_bytes
            case 1:
                transfer.size = (self.chip.bus_bytes - 1).bit_length() - 1
            case 2:
                transfer.burst = self.random.choice((0, 2))
            case 3:
                transfer.address = self.address() + CHUNK_BYTES - self.chip.bus_bytes
                transfer.beats = 2
                transfer.data = bytearray(2 * self.chip.bus_bytes)
                transfer.strobes = [1, 1]
        return transfer


async def _start(dut, cycles: int):
    await clock.start(dut, cycles)
    while not int(dut.ready.value):
        await FallingEdge(dut.clk)


def _judge(dut):
    count, rule = int(dut.violations.value), RULES[int(dut.first_violation.value)]
    assert count == 0, f"{count} violations, the first of {rule}"


async def _finish(transfer: Transfer, chunk: int, model: Model, refused: bool):
    """Waits for the response and compares."""
    await transfer.done.wait()
    size = len(transfer.data)
    (model.writing if transfer.write else model.reading)[chunk] -= 1
    expected = Response.SLVERR if refused else Response.OKAY
    assert transfer.response == expected.value, f"response {transfer.response} at {transfer.address:#x}"
    if not transfer.write:
        data = bytes(size) if refused else model.read(transfer.address, size)
        assert transfer.data == data, f"read {transfer.data.hex()} at {transfer.address:#x}, not {data.hex()}"


@cocotb.test()
async def random_traffic(dut):
    """cp_random: mixed bursts, partial atoms, refused bursts, stalls on every channel; every byte read is compared, and at the end most of
    those that were written."""
    chip, random = config(), rng("traffic")
    clocks = params()["clocks"]
    await _start(dut, 4 * clocks + 40_000)
    axi = AxiMaster(dut, chip.bus_bytes, rng("axi"), stall=0.2, long_stalls=True)
    model, traffic = Model(), Traffic(chip, random)
    bursts = refusals = 0
    while axi.clock < clocks:
        # Phases of heavy and of light traffic, of one direction and of both.
        if axi.clock // 1000 % 4 == 3 and random.random() < 0.9:
            await ClockCycles(dut.clk, 10)
            continue
        refused = random.random() < 0.03
        transfer = traffic.illegal() if refused else traffic.burst()
        chunk = transfer.address // CHUNK_BYTES
        while axi.in_flight > 24 or (not refused and (model.writing.get(chunk) or (transfer.write and model.reading.get(chunk)))):
            await RisingEdge(dut.clk)
        counts = model.writing if transfer.write else model.reading
        counts[chunk] = counts.get(chunk, 0) + 1
        if transfer.write and not refused:
            model.write(transfer.address, transfer.data, transfer.strobes, chip.bus_bytes)
        axi.push(transfer)
        cocotb.start_soon(_finish(transfer, chunk, model, refused))
        bursts += 1
        refusals += refused
    while axi.in_flight:
        await RisingEdge(dut.clk)
    # What was written next to the bytes that were meant to be written shows up here.
    written = sorted({address // CHUNK_BYTES for address in model.bytes})
    for chunk in random.sample(written, min(len(written), params()["read_back"])):
        while axi.in_flight > 12:
            await RisingEdge(dut.clk)
        model.reading[chunk] = 1
        transfer = Transfer(False, chunk * CHUNK_BYTES, CHUNK_BYTES // chip.bus_bytes)
        axi.push(transfer)
        cocotb.start_soon(_finish(transfer, chunk, model, False))
    while axi.in_flight:
        await RisingEdge(dut.clk)
    # In the pause, banks are refreshed in advance, one round after the other.
    await ClockCycles(dut.clk, 1200)
    _judge(dut)
    dut._log.info(f"{bursts} bursts, {refusals} refused, {axi.clock} clocks")
    assert bursts > 20 and refusals


@cocotb.test()
async def read_after_write(dut):
    """cp_order: a read that follows a write's response sees it, and of two writes in flight to one place the later one stays."""
    chip, random = config(), rng("order")
    await _start(dut, 60_000)
    axi = AxiMaster(dut, chip.bus_bytes, rng("axi"), stall=0.1)
    full = (1 << chip.bus_bytes) - 1
    chunks = [random.randrange(chip.channel_bytes) & -CHUNK_BYTES for _ in range(4)]
    for _ in range(25):
        address = random.choice(chunks)
        beats = random.choice((1, 2, CHUNK_BYTES // chip.bus_bytes))
        data = bytearray(random.randbytes(beats * chip.bus_bytes))
        # Reads of other places keep the other direction busy.
        noise = [axi.push(Transfer(False, (address + 16384 * k) % chip.channel_bytes, beats)) for k in range(1, 4)]
        axi.push(Transfer(True, address, beats, data=bytearray(len(data)), strobes=[full] * beats))
        later = axi.push(Transfer(True, address, beats, data=data, strobes=[full] * beats))
        await later.done.wait()
        read = axi.push(Transfer(False, address, beats))
        await read.done.wait()
        assert read.data == data, f"read {read.data.hex()} at {address:#x}, not {data.hex()}"
        assert all(transfer.done.is_set() for transfer in noise)
    _judge(dut)


@cocotb.test()
async def stuck_port(dut):
    """cp_stuck: a port that takes no read data stops neither writes nor refresh."""
    chip = config()
    timing = TimingSet.load(chip.dram_timing)
    await _start(dut, 80_000)
    axi = AxiMaster(dut, chip.bus_bytes, rng("axi"), stall=0)
    beats, full = CHUNK_BYTES // chip.bus_bytes, (1 << chip.bus_bytes) - 1
    for n in range(30):
        last = axi.push(Transfer(True, 256 * n, beats, data=bytearray([n + 1] * CHUNK_BYTES), strobes=[full] * beats))
    await last.done.wait()
    axi.stuck = True
    reads = [axi.push(Transfer(False, 256 * n, beats)) for n in range(30)]
    await ClockCycles(dut.clk, 500)
    for n in range(12):
        write = axi.push(Transfer(True, 16384 * (n + 4), beats, data=bytearray([n] * CHUNK_BYTES), strobes=[full] * beats))
        await write.done.wait()
    await ClockCycles(dut.clk, 10 * timing.tREFI)
    assert not any(read.done.is_set() for read in reads)
    _judge(dut)
    axi.stuck = False
    for n, read in enumerate(reads):
        await read.done.wait()
        assert read.data == bytes([n + 1] * CHUNK_BYTES)
    _judge(dut)


async def _stream(dut, axi: AxiMaster, transfers) -> float:
    """Keeps many bursts in flight; returns bytes per clock from the first request to the last response."""
    begin, size, last = axi.clock, 0, None
    for transfer in transfers:
        while axi.in_flight >= 16:
            await RisingEdge(dut.clk)
        last = axi.push(transfer)
        size += transfer.beats * axi.bus_bytes
    while axi.in_flight:
        await last.done.wait()
        await RisingEdge(dut.clk)
    return size / (axi.clock - begin)


def _peak(chip) -> float:
    """16 byte in each memory clock, or what the bus carries."""
    p, q = chip.memory_clock
    return min(16 * p / q, chip.bus_bytes)


@cocotb.test()
async def throughput(dut):
    """cp_stream: percent of peak without stalls, for sequential and random patterns; then the latency of single reads."""
    chip, random = config(), rng("throughput")
    await _start(dut, 200_000)
    axi = AxiMaster(dut, chip.bus_bytes, rng("axi"), stall=0)
    chunks = params()["chunks"]
    full = (1 << chip.bus_bytes) - 1

    def burst(write: bool, address: int, size: int) -> Transfer:
        beats = size // chip.bus_bytes
        return Transfer(write, address % chip.channel_bytes, beats, data=bytearray(size), strobes=[full] * beats)

    def scattered(size: int):
        return (burst(False, random.randrange(chip.channel_bytes) & -size, size) for _ in range(chunks // 2))

    # Banks start out refreshed in advance; that is what a stream meets in the long run too.
    results = {
        "sequential read": await _stream(dut, axi, (burst(False, 256 * n, 256) for n in range(chunks))),
        "sequential write": await _stream(dut, axi, (burst(True, 256 * n, 256) for n in range(chunks))),
        "copy": await _stream(dut, axi, (burst(n % 2 == 1, (n // 2) * 256 + n % 2 * chip.channel_bytes // 2, 256) for n in range(chunks))),
        "random 256 byte read": await _stream(dut, axi, scattered(256)),
        "random 64 byte read": await _stream(dut, axi, scattered(64)),
    }
    peak = _peak(chip)
    for name, rate in results.items():
        dut._log.info(f"{chip.dram_timing} {name}: {100 * rate / peak:.1f} % of {peak:g} byte a clock")

    # cp_latency: a read of a closed bank, then one of its open row, on an idle controller.
    await ClockCycles(dut.clk, 500)
    clocks = []
    for address in (chip.channel_bytes // 2, chip.channel_bytes // 2 + 32):
        transfer = axi.push(Transfer(False, address, 1))
        await transfer.done.wait()
        clocks.append(transfer.finished - transfer.issued)
        await ClockCycles(dut.clk, 2)
    dut._log.info(f"{chip.dram_timing}: first beat after {clocks[0]} clocks from a closed bank, {clocks[1]} from an open row")
    _judge(dut)
    for name in ("sequential read", "sequential write"):
        assert results[name] >= params()["least"] * peak, f"{name}: {results[name] / peak:.3f} of peak"
    assert clocks[1] < clocks[0] < 200
