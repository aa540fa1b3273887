"""Chunk bursts on all ports of L2 at once, reads and writes mixed; then the rates."""

import cocotb
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from rtl.bus.axi import CHUNK_BYTES, Response
from verif.common.clock import start
from verif.common.params import config, params, rng
from verif.fabric.master import Master
from verif.l2.coverage import L2Coverage

CONFIG = config()
BUS = CONFIG.bus_bytes
BEATS = CHUNK_BYTES // BUS
CHUNKS = CONFIG.l2_bytes // CONFIG.l2_ports // CHUNK_BYTES
#: Contents of each port, by chunk. A reset doesn't clear the memory, so they outlive a test.
CONTENTS: list[dict[int, bytearray]] = [{} for _ in range(CONFIG.l2_ports)]


class Client:
    """Random bursts of one port, one or several at a time, but none to a chunk that is being written."""

    def __init__(self, dut, port: int, stall: float, coverage: L2Coverage):
        self.dut = dut
        self.master = Master(dut, f"ports__{port}", rng(f"master {port}"), bus_bytes=BUS, stall=stall)
        self.contents = CONTENTS[port]
        self.stall, self.coverage = stall, coverage
        #: Direction of what is in flight, by its chunk.
        self.busy: dict[int, str] = {}

    async def run(self, random, bursts: int):
        tasks = []
        # Few enough that chunks are read back; the first and the last row among them.
        chunks = [0, 1, CHUNKS - 1, *(random.randrange(CHUNKS) for _ in range(12))]
        most = 6
        while len(tasks) < bursts:
            if random.random() < 0.05:
                most = random.choice([1, 2, 6, 6])
            chunk = random.choice(chunks)
            if chunk in self.busy or len(self.busy) >= most:
                await ClockCycles(self.dut.clk, 1)
                continue
            first = random.choice([0, random.randrange(BEATS), random.randrange(BEATS)])
            beats = random.choice([1, BEATS - first, random.randint(1, BEATS - first)])
            beside, write = set(self.busy.values()), random.random() < 0.5
            self.busy[chunk] = "write" if write else "read"
            step = self._write if write else self._read
            tasks.append(cocotb.start_soon(step(random, chunk, first, beats, beside)))
        for task in tasks:
            await task

    def _chunk(self, number: int) -> bytearray:
        return self.contents.setdefault(number, bytearray(CHUNK_BYTES))

    async def _read(self, random, chunk: int, first: int, beats: int, beside: set[str]):
        transfer = self.master.read(chunk * CHUNK_BYTES + first * BUS, beats)
        await transfer.done.wait()
        found = b"".join(word.to_bytes(BUS, "little") for word in transfer.data)
        expected = bytes(self._chunk(chunk)[first * BUS : (first + beats) * BUS])
        assert found == expected, f"{self.master.prefix}: chunk {chunk} from beat {first}: {found.hex()}, expected {expected.hex()}"
        assert transfer.resp == [Response.OKAY.value] * beats
        self.coverage.sample(chunk, first, beats, None, beside, self.stall)
        del self.busy[chunk]

    async def _write(self, random, chunk: int, first: int, beats: int, beside: set[str]):
        data = [random.getrandbits(8 * BUS) for _ in range(beats)]
        strobe = [random.choice([(1 << BUS) - 1, random.getrandbits(BUS), 0]) for _ in range(beats)]
        transfer = self.master.write(chunk * CHUNK_BYTES + first * BUS, data, strobe)
        await transfer.done.wait()
        assert transfer.resp == [Response.OKAY.value]
        for beat, (word, lanes) in enumerate(zip(data, strobe, strict=True)):
            for lane in range(BUS):
                if lanes >> lane & 1:
                    self._chunk(chunk)[(first + beat) * BUS + lane] = word >> 8 * lane & 0xFF
        lanes = {"none" if not mask else "all" if mask == (1 << BUS) - 1 else "some" for mask in strobe}
        self.coverage.sample(chunk, first, beats, lanes, beside, self.stall)
        del self.busy[chunk]


@cocotb.test()
async def random_bursts(dut):
    """Two rounds with idle time between; the second without stalls reads what the first has written."""
    await start(dut, 60_000)
    coverage = L2Coverage(CHUNKS, BEATS)
    clients = [Client(dut, port, 0.3, coverage) for port in range(CONFIG.l2_ports)]
    for stall in (0.3, 0.0):
        tasks = []
        for client in clients:
            client.master.set_stall(stall)
            client.stall = stall
            tasks.append(cocotb.start_soon(client.run(rng(client.master.prefix), params().get("bursts", 150))))
        for task in tasks:
            await task
        await ClockCycles(dut.clk, 40)
    coverage.export()


@cocotb.test()
async def latency(dut):
    """Cycles from AR to R and from W to B, of single beats in an idle port, as the block's page gives them."""
    await start(dut, 60_000)
    master = Master(dut, "ports__0", rng("latency"), bus_bytes=BUS, stall=0.0)
    for transfer in (master.read(0, 1), master.write(0, [0], [0])):
        await transfer.done.wait()
        await ClockCycles(dut.clk, 5)
    taken = {name: channel.taken_at for name, channel in master.channels.items()}
    measured = (taken["r"] - taken["ar"], taken["b"] - taken["w"])
    dut._log.info("AR to R %d cycles, W to B %d cycles", *measured)
    assert measured == (4, 2)


@cocotb.test()
async def full_rate(dut):
    """One beat a cycle on every port at once: reads, writes, and both in turn."""
    await start(dut, 60_000)
    masters = [Master(dut, f"ports__{port}", rng("rate"), bus_bytes=BUS, stall=0.0) for port in range(CONFIG.l2_ports)]
    bursts = 20
    for kinds in ("r", "w", "rw"):
        transfers = []
        for port, master in enumerate(masters):
            for number in range(bursts):
                if "r" in kinds:
                    transfers.append(master.read(number * CHUNK_BYTES, BEATS))
                if "w" in kinds:
                    CONTENTS[port][number] = bytearray(CHUNK_BYTES)
                    transfers.append(master.write(number * CHUNK_BYTES, [0] * BEATS, [(1 << BUS) - 1] * BEATS))
        begin = get_sim_time("ns")
        for transfer in transfers:
            await transfer.done.wait()
        cycles = (get_sim_time("ns") - begin) / 10
        beats = bursts * BEATS * len(kinds)
        dut._log.info("%s: %d beats on each of %d ports in %d cycles", kinds, beats, len(masters), cycles)
        assert cycles <= beats + 12, f"{beats} beats took {cycles} cycles"
        await ClockCycles(dut.clk, 10)
