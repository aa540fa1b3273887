"""All masters at once against unruly slaves: integrity, order, errors; then rates without stalls."""

import cocotb
from cocotb.triggers import ClockCycles

from rtl.bus.axi import CHUNK_BYTES, L2_SELECT_BIT, Response
from verif.common.params import params, rng
from verif.fabric.bench import CONFIG, Around
from verif.fabric.coverage import FabricCoverage
from verif.fabric.master import Burst, Master
from verif.fabric.space import place

BUS = CONFIG.bus_bytes
BEATS = CHUNK_BYTES // BUS
L2_CHUNK = (1 << L2_SELECT_BIT) // CHUNK_BYTES


def some_chunks(random, owner: int, owners: int) -> list[int]:
    """Chunks of one master alone: its share of all slaves, chunks that fail, and chunks outside."""
    l3, l2 = CONFIG.l3_bytes // CHUNK_BYTES, CONFIG.l2_bytes // CHUNK_BYTES
    starts = [0, l3 - 64, l2, L2_CHUNK, L2_CHUNK + l2 - 64, random.randrange(l3 // 64) * 64]
    inside = [start + number for start in starts for number in range(64)]
    outside = [l3 + random.randrange(1000), L2_CHUNK - 1 - random.randrange(1000), L2_CHUNK + l2 + random.randrange(1000)]
    return sorted({number for number in inside if number % owners == owner}) + [
        number // owners * owners + owner for number in outside if number // owners * owners + owner >= l3
        and not L2_CHUNK <= number // owners * owners + owner < L2_CHUNK + l2
    ]


class Client:
    """Random reads and writes of one master over its own chunks; several at a time, now more, now fewer, but none to a chunk that is being
    written."""

    def __init__(self, around: Around, master: Master, random, chunks: list[int], coverage: FabricCoverage, stall: float):
        self.around, self.master, self.random, self.chunks = around, master, random, chunks
        self.coverage, self.stall = coverage, stall
        self.busy: dict[int, int] = {}
        self.counts = {resp.value: 0 for resp in Response}
        self.pending = 0

    async def run(self, bursts: int):
        most = 12
        while bursts or self.pending:
            if self.random.random() < 0.03:
                most = self.random.choice([1, 4, 12, 12])
            if bursts and self.pending < most:
                chunk = self.random.choice(self.chunks)
                write = self.master.writes and self.random.random() < 0.5
                if chunk not in self.busy:
                    bursts -= 1
                    self.busy[chunk] = 1
                    self.pending += 1
                    cocotb.start_soon(self._write(chunk) if write else self._read(chunk))
                    continue
            await ClockCycles(self.around.dut.clk, 1)

    def _part(self, chunk: int) -> tuple[int, int]:
        """First beat and number of beats."""
        first = self.random.choice([0, self.random.randrange(BEATS)])
        return first, self.random.choice([BEATS - first, self.random.randint(1, BEATS - first)])

    async def _read(self, chunk: int):
        first, beats = self._part(chunk)
        transfer = self.master.read(chunk * CHUNK_BYTES + first * BUS, beats)
        in_flight = self.pending
        await transfer.done.wait()
        resp = self.around.space.resp(chunk)
        assert transfer.resp == [resp] * beats, f"{self.master.prefix}: chunk {chunk:#x} answers {transfer.resp}, expected {resp}"
        if resp == Response.OKAY.value:
            expected = bytes(self.around.space.chunk(chunk)[first * BUS : (first + beats) * BUS])
            found = b"".join(word.to_bytes(BUS, "little") for word in transfer.data)
            assert found == expected, f"{self.master.prefix}: chunk {chunk:#x} from beat {first}: {found.hex()}, expected {expected.hex()}"
        else:
            self.around.space.chunk(chunk)
        self._end(chunk, resp, first, beats, None, in_flight)

    async def _write(self, chunk: int):
        first, beats = self._part(chunk)
        address = chunk * CHUNK_BYTES + first * BUS
        data = [self.random.getrandbits(8 * BUS) for _ in range(beats)]
        strobe = [self.random.choice([(1 << BUS) - 1, self.random.getrandbits(BUS), 0]) for _ in range(beats)]
        transfer = self.master.write(address, data, strobe)
        in_flight = self.pending
        await transfer.done.wait()
        resp = self.around.space.resp(chunk)
        assert transfer.resp == [resp], f"{self.master.prefix}: writing chunk {chunk:#x} answers {transfer.resp}, expected {resp}"
        self.around.space.chunk(chunk)
        for beat, (word, lanes) in enumerate(zip(data, strobe, strict=True)):
            for lane in range(BUS):
                if lanes >> lane & 1:
                    self.around.space.store(address + beat * BUS + lane, word >> 8 * lane & 0xFF)
        lanes = {"none" if not mask else "all" if mask == (1 << BUS) - 1 else "some" for mask in strobe}
        self._end(chunk, resp, first, beats, lanes, in_flight)

    def _end(self, chunk: int, resp: int, first: int, beats: int, strobes: "set[str] | None", in_flight: int):
        where = place(CONFIG, chunk)
        self.coverage.sample(self.master.prefix, where and where[0], resp, first, beats, strobes, in_flight, self.stall)
        del self.busy[chunk]
        self.pending -= 1
        self.counts[resp] += 1


async def traffic(around: Around, masters: list[Master], bursts: int, seed: str, coverage: FabricCoverage, stall: float):
    random = rng(seed)
    clients = [
        Client(around, master, rng(f"{seed}/{master.prefix}"), some_chunks(random, index, len(masters)), coverage, stall)
        for index, master in enumerate(masters)
    ]
    tasks = [cocotb.start_soon(client.run(bursts)) for client in clients]
    for task in tasks:
        await task
    totals = {resp: sum(client.counts[resp.value] for client in clients) for resp in Response}
    around.dut._log.info("%s: %s", seed, ", ".join(f"{count} {resp.name}" for resp, count in totals.items()))
    for resp in (Response.OKAY, Response.SLVERR, Response.DECERR):
        assert totals[resp] > 0, f"no burst ended with {resp.name}"
    around.check_slaves()


@cocotb.test()
async def random_traffic(dut):
    """Every master at once, the host with fabric bursts too; two rounds with idle time between, then one without stalls."""
    around = await Around.bring_up(dut)
    host = Master(dut, "host", rng("host"), bus_bytes=BUS)
    masters = [host, *around.masters.values()]
    coverage = FabricCoverage(CONFIG, {master.prefix: master.writes for master in masters}, list(around.slaves), BEATS)
    for number, stall in enumerate((0.3, 0.6, 0.0)):
        around.set_stall(stall)
        host.set_stall(stall)
        await traffic(around, masters, params().get("bursts", 40), f"round {number}", coverage, stall)
        await around.idle()
    coverage.export()


@cocotb.test()
async def latency(dut):
    """Cycles from one side to the other, one single-beat burst at a time, as the block's page gives them."""
    around = await Around.bring_up(dut)
    around.set_stall(0.0)
    host = Master(dut, "host", rng("host"), bus_bytes=BUS, stall=0.0)
    slave = next(slave for slave in around.slaves.values() if slave.prefix == place(CONFIG, 0)[0])
    slave.orderly = True
    for master, expected in (
        (around.masters["data__0"], {"ar": 2, "aw": 2, "w": 4, "r": 4, "b": 4}), (host, {"ar": 6, "aw": 6, "w": 8, "r": 5, "b": 6}),
    ):
        for _ in range(2):
            for transfer in (master.read(0, 1), master.write(0, [0], [0])):
                await transfer.done.wait()
                await ClockCycles(dut.clk, 5)
        there, here = ({name: side.channels[name].taken_at for name in expected} for side in (slave, master))
        measured = {name: abs(there[name] - here[name]) for name in expected}
        dut._log.info("cycles between %s and its slave: %s", master.prefix, measured)
        assert measured == expected


@cocotb.test()
async def full_rate(dut):
    """Without stalls a slave gives and takes a beat a cycle each way, whether for one master or for several."""
    around = await Around.bring_up(dut)
    around.set_stall(0.0)
    slave = around.slaves["memory__0"]
    slave.orderly, slave.errors = True, False
    chunks = [chunk for chunk in range(200 * CONFIG.channels) if place(CONFIG, chunk)[0] == slave.prefix]
    for names in (["data__0"], ["data__0", "cluster_data", "fetch__0"]):
        masters = [around.masters[name] for name in names]
        bursts = 48 // len(masters)
        transfers, number = [], 0
        for master in masters:
            for _ in range(bursts):
                transfers.append(master.read(chunks[number] * CHUNK_BYTES, BEATS))
                if master.writes:
                    transfers.append(master.write(chunks[number] * CHUNK_BYTES, [0] * BEATS, [0] * BEATS))
                number += 1
        begin, beats = cocotb.utils.get_sim_time("ns"), slave.beats
        for transfer in transfers:
            await transfer.done.wait()
        cycles = (cocotb.utils.get_sim_time("ns") - begin) / 10
        reads = bursts * BEATS * len(masters)
        dut._log.info("%s: %d beats in %d cycles", " ".join(names), slave.beats - beats, cycles)
        assert cycles <= reads + 40, f"{reads} beats each way took {cycles} cycles"
        await around.idle()


@cocotb.test()
async def interleaved_rate(dut):
    """One master that walks over all channels or all L2 ports keeps its own rate of one beat a cycle."""
    around = await Around.bring_up(dut)
    around.set_stall(0.0)
    for slave in around.slaves.values():
        slave.orderly, slave.errors = True, False
    for base in (0, L2_CHUNK):
        master = around.masters["data__0"]
        bursts = 48
        transfers = [master.read((base + number) * CHUNK_BYTES, BEATS) for number in range(bursts)]
        begin = cocotb.utils.get_sim_time("ns")
        for transfer in transfers:
            await transfer.done.wait()
        cycles = (cocotb.utils.get_sim_time("ns") - begin) / 10
        dut._log.info("interleaved from chunk %#x: %d beats in %d cycles", base, bursts * BEATS, cycles)
        assert cycles <= bursts * BEATS + 40
        await around.idle()


@cocotb.test()
async def fair_between_masters(dut):
    """Masters that all want one slave all the time get the same share of it."""
    around = await Around.bring_up(dut)
    around.set_stall(0.0)
    slave = around.slaves["memory__0"]
    slave.orderly, slave.errors = True, False
    chunk = next(chunk for chunk in range(16) if place(CONFIG, chunk)[0] == slave.prefix)
    for master in around.masters.values():
        for _ in range(40):
            master.read(chunk * CHUNK_BYTES, BEATS, burst=Burst.INCR)
    await ClockCycles(dut.clk, 30 * BEATS)
    shares = {name: master.beats for name, master in around.masters.items()}
    dut._log.info("shares of one slave: %s", shares)
    assert max(shares.values()) - min(shares.values()) <= 2 * BEATS, f"unfair shares: {shares}"
