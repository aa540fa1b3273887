"""A scheduler with its device: random requests in order against a model of the bytes."""

from fractions import Fraction

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.memory.address import AddressMap
from rtl.memory.dfi import ColumnCommand, RowCommand
from rtl.memory.interface import coded_request, fetched
from rtl.memory.timing import TimingSet, TimingValues
from sim.hbm.parameters import RULES
from verif.common import clock
from verif.common.params import config, params, rng
from verif.common.streams import StreamSource, pack, unpack
from verif.memory.schedule.coverage import SchedulerCoverage

TAGS = 256
#: One for all tests of a simulation.
COVERAGE = SchedulerCoverage(AddressMap(config().dram_rows))


class Traffic:
    """Atoms and directions: streams, rows that collide, storms on few atoms, scattered atoms; in phases, so that each has its time."""

    def __init__(self, random, address_map: AddressMap):
        self.random = random
        self.map = address_map
        self.atoms = 1 << address_map.atom_bits
        self.place = [random.randrange(self.atoms) for _ in range(4)]
        self.kind, self.left, self.writes, self.stream = "scattered", 0, 0.5, 0

    def next(self) -> tuple[bool, int]:
        if not self.left:
            self.kind = self.random.choice(("stream", "streams", "collide", "storm", "storm", "scattered"))
            self.left = self.random.randint(20, 150)
            self.writes = self.random.choice((0.0, 0.1, 0.5, 0.5, 0.9, 1.0))
            self.stream = self.random.randrange(self.atoms)
        self.left -= 1
        match self.kind:
            case "stream":
                self.stream = (self.stream + 1) % self.atoms
                atom = self.stream
            case "streams":
                which = self.random.randrange(4)
                self.place[which] = (self.place[which] + 1) % self.atoms
                atom = self.place[which]
            case "collide":
                atom = self.map.atom(self.stream & 3, self.random.randrange(4), self.random.randrange(32))
            case "storm":
                atom = self.stream & ~3 | self.random.randrange(3)
            case _:
                atom = self.random.randrange(self.atoms)
        return self.random.random() < self.writes, atom


class Bench:
    """Driver, monitor and model of one run."""

    def __init__(self, dut, stall: float):
        self.dut = dut
        self.map = AddressMap(config().dram_rows)
        self.shape = coded_request(self.map.atom_bits)
        self.random = rng("requests")
        self.source = StreamSource(dut, "requests", self.shape, rng("source"), stall)
        self.free = list(range(TAGS))
        self.expected: dict[int, tuple[int, int]] = {}
        self.memory: dict[int, list[int]] = {}
        self.clock = self.reads = 0
        self.failure = ""
        cocotb.start_soon(self._monitor())
        cocotb.start_soon(self._step())

    async def _step(self):
        random = rng("step")
        while True:
            await FallingEdge(self.dut.clk)
            self.dut.step.value = int(random.random() < params().get("step", 1.0))

    async def _monitor(self):
        shape = fetched(self.map.atom_bits)
        while True:
            await FallingEdge(self.dut.clk)
            await ReadOnly()
            self.clock += 1
            row, column = int(self.dut.row_bus.value), int(self.dut.column_bus.value)
            if (row & 7 or column & 7) and int(self.dut.step.value):
                command = unpack(ColumnCommand, column)
                COVERAGE.buses(unpack(RowCommand, row).operation, command.operation, command.group, self.dut.owed.value.to_signed())
            bits = int(self.dut.fetched.value)
            if not bits & 1:
                continue
            item = unpack(shape, bits)
            tag = bits >> 1 & 0x7FF
            if tag not in self.expected:
                self.failure = self.failure or f"tag {tag} comes back without a read"
                continue
            atom, value = self.expected.pop(tag)
            found = item["data"] | item["check"] << 256
            if found != value or item["atom"] != atom:
                self.failure = self.failure or f"read {found:#x} at atom {atom:#x}, not {value:#x}"
            self.free.append(tag)
            self.reads += 1

    def judge(self):
        COVERAGE.export()
        assert not self.failure, self.failure
        count, rule = int(self.dut.violations.value), int(self.dut.first_violation.value)
        assert count == 0, f"{count} violations, the first of {RULES[rule] if rule < len(RULES) else rule}"

    def send(self, write: bool, atom: int, strobe: int = 0xFFFFFFFF):
        """Queues a request; a write changes the model at once, since requests keep their order."""
        value = self.random.getrandbits(256)
        check = self.random.getrandbits(32)
        tag = 0
        bytes_of = self.memory.setdefault(atom, [0] * 36)
        if write:
            for byte in range(32):
                if strobe >> byte & 1:
                    bytes_of[byte] = value >> 8 * byte & 0xFF
            for word in range(4):
                if strobe >> 8 * word & 0xFF:
                    bytes_of[32 + word] = check >> 8 * word & 0xFF
        else:
            tag = self.free.pop(self.random.randrange(len(self.free)))
            self.expected[tag] = atom, int.from_bytes(bytes(bytes_of), "little")
        urgent = self.random.getrandbits(1)
        COVERAGE.request(write, bool(urgent), atom, strobe)
        fields = {"write": int(write), "urgent": urgent, "atom": atom, "data": value, "strobe": strobe if write else 0,
                  "check": check}
        bits = pack(self.shape, fields)
        place = self.shape["tag"].offset
        self.source.push(bits | tag << place)

    async def clocks(self, count: int):
        for _ in range(count):
            await FallingEdge(self.dut.clk)

    async def flow(self, requests: int, partial: float = 0.2):
        traffic = Traffic(self.random, self.map)
        for number in range(requests):
            while not self.free or not self.source.idle:
                await FallingEdge(self.dut.clk)
            write, atom = traffic.next()
            strobe = 0xFFFFFFFF
            if self.random.random() < partial:
                strobe = self.random.choice((0, self.random.getrandbits(32), self.random.getrandbits(32)))
            self.send(write, atom, strobe)
            if number % 500 == 499 and self.random.random() < 0.5:
                await self.clocks(self.random.randrange(1500))

    async def pairs(self):
        """Each kind of request on an atom that was just read, and on one that was just written; the bank's row is another one before."""
        for before in (False, True):
            for write, strobe in ((False, 0), (True, 0xFFFFFFFF), (True, 0x00FF0FF0), (True, 0)):
                bank, row = self.random.randrange(16), self.random.randrange(2, 1 << self.map.atom_bits - 9)
                atom = self.map.atom(bank, row, self.random.randrange(32))
                for kind in ((False, self.map.atom(bank, row - 1, 0), 0), (before, atom, 0xFFFFFFFF), (write, atom, strobe)):
                    while not self.free:
                        await FallingEdge(self.dut.clk)
                    self.send(*kind)

    async def drain(self, limit: int = 40_000):
        """Clears `run` and waits for the stop; then nothing may be left."""
        while not self.source.done:
            await FallingEdge(self.dut.clk)
        self.dut.run.value = 0
        for _ in range(limit):
            await FallingEdge(self.dut.clk)
            if int(self.dut.stopped.value):
                break
        else:
            raise AssertionError(f"it has not stopped within {limit} clocks")
        await self.clocks(int(100 / params().get("step", 1.0)))
        assert not self.expected, f"{len(self.expected)} reads are lost"

    async def read_back(self, count: int):
        atoms = sorted(self.memory)
        for atom in self.random.sample(atoms, min(count, len(atoms))):
            while not self.free:
                await FallingEdge(self.dut.clk)
            self.send(False, atom)


async def _start(dut, cycles: int, stall: float = 0.0) -> Bench:
    await clock.start(dut, cycles)
    timing = TimingSet(name="given", tCK=Fraction(5, 8), **params()["timing"])
    dut.timing.value = pack(TimingValues, timing.values())
    dut.age_limit.value = params().get("age_limit", 1000)
    dut.close_after.value = params().get("close_after", 0)
    dut.refresh_all.value = params().get("refresh_all", 0)
    bench = Bench(dut, stall)
    await bench.clocks(20)
    dut.run.value = 1
    return bench


@cocotb.test()
async def random_requests(dut):
    """cp_random, cp_storm, cp_partial, cp_stop: phases of every kind, a stop and a restart, then everything is read back."""
    bench = await _start(dut, 60 * params()["requests"] + 200_000, params().get("stall", 0.0))
    for _ in range(2):
        await bench.pairs()
        await bench.flow(params()["requests"] // 2)
        await bench.drain()
        bench.judge()
        dut.run.value = 1
    await bench.read_back(300)
    await bench.drain()
    bench.judge()
    assert bench.reads > params()["requests"] // 5


@cocotb.test()
async def pauses(dut):
    """cp_timeout, cp_early: requests with long pauses, in which rows time out and banks are refreshed in advance."""
    bench = await _start(dut, 400_000)
    for _ in range(6):
        await bench.flow(30)
        await bench.clocks(bench.random.choice((200, 900, 2500)))
    await bench.drain()
    bench.judge()


