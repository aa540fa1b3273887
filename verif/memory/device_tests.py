"""The device model on its own, driven over its command buses."""

from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from rtl.memory.address import AddressMap
from rtl.memory.dfi import ColumnCommand, ColumnOperation, RowCommand, RowOperation
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import RULES
from verif.common import clock
from verif.common.params import config, params, rng
from verif.common.streams import pack
from verif.memory.cases import Command


class Driver:
    """Puts commands on the buses at given clocks after a reset. With `gaps`, other clocks lie in between that are not enabled."""

    def __init__(self, dut, random=None):
        self.dut = dut
        self.random = random

    async def reset(self):
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = 1
        self.dut.dfi__row.value = self.dut.dfi__column.value = 0
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0
        self.dut.dfi__enable.value = 1
        self.time = 0

    async def step(self):
        """Ends the present clock."""
        await FallingEdge(self.dut.clk)
        self.dut.dfi__row.value = self.dut.dfi__column.value = 0
        self.time += 1
        if self.random is not None:
            self.dut.dfi__enable.value = 0
            while self.random.random() < 0.4:
                await FallingEdge(self.dut.clk)
            self.dut.dfi__enable.value = 1

    async def until(self, time: int):
        if self.random is None and time > self.time + 1:
            await self.step()
            await ClockCycles(self.dut.clk, time - self.time)
            await FallingEdge(self.dut.clk)
            self.time = time
        while self.time < time:
            await self.step()

    async def send(self, command: Command):
        await self.until(command.time)
        fields = {"group": command.bank & 3, "bank": command.bank >> 2}
        if command.name == "MRS":
            fields = {"group": 0, "bank": command.bank}
        if command.name in RowOperation.__members__:
            fields |= {"operation": RowOperation[command.name], "row": command.row}
            self.dut.dfi__row.value = pack(RowCommand, fields)
        else:
            fields |= {"operation": ColumnOperation[command.name], "column": command.column}
            self.dut.dfi__column.value = pack(ColumnCommand, fields)


class Data:
    """Accesses atoms one after the other and judges what comes back: an atom and its check bits are a number of 288 bits.

    `contents` are what the device should hold; `differences` the bits in which read data differed from it.
    """

    def __init__(self, dut, driver: Driver):
        self.dut, self.driver = dut, driver
        self.timing = TimingSet.load(params()["timing"])
        self.map = AddressMap(config().dram_rows)
        self.random = rng("data")
        self.contents: dict[int, int] = {}
        self.differences: list[int] = []
        self._writes: dict[int, tuple[int, int]] = {}
        self._reads: dict[int, int] = {}

    async def clocks(self, count: int):
        """Enabled clocks: offers the write data that are due, noise in between, and takes the read data in just their clock."""
        dut, driver = self.dut, self.driver
        for _ in range(count):
            word, mask = self._writes.pop(driver.time, (self.random.getrandbits(288), self.random.getrandbits(32)))
            dut.dfi__write_data.value, dut.dfi__write_check.value, dut.dfi__write_mask.value = word & ~(-1 << 256), word >> 256, mask
            await ReadOnly()
            assert int(dut.dfi__read_valid.value) == (driver.time in self._reads), f"read_valid is wrong at {driver.time}"
            if driver.time in self._reads:
                found = int(dut.dfi__read_check.value) << 256 | int(dut.dfi__read_data.value)
                self.differences.append(found ^ self._reads.pop(driver.time))
            await driver.step()

    async def open(self, atom: int):
        self.place = self.map.locate(atom)
        self.atom = atom
        await self._send("ACT")
        await self.clocks(self.timing.tRC)

    async def read(self):
        await self._send("RD")
        self._reads[self.driver.time + self.timing.RL + 2] = self.contents.get(self.atom, 0)
        await self.clocks(self.timing.read_to_write)

    async def write(self, word: int, mask: int):
        """A set bit of `mask` keeps its byte; a word's check bits are kept if all its bytes are."""
        await self._send("WR")
        self._writes[self.driver.time + self.timing.WL] = (word, mask)
        keep = sum(0xFF << 8 * k for k in range(32) if mask >> k & 1)
        keep |= sum(0xFF << 256 + 8 * k for k in range(4) if mask >> 8 * k & 0xFF == 0xFF)
        self.contents[self.atom] = self.contents.get(self.atom, 0) & keep | word & ~keep
        await self.clocks(self.timing.write_end + max(self.timing.tWR, self.timing.tWTR_L))

    async def close(self):
        await self.clocks(self.timing.RL + 3)
        await self._send("PRE")
        await self.clocks(self.timing.tRP)
        assert not self._reads and not self._writes

    async def _send(self, name: str):
        bank, row, column = self.place
        await self.driver.send(Command(self.driver.time, name, bank, row, column))

    def violated(self) -> set[str]:
        broken = int(self.dut.broken.value)
        return {name for code, name in enumerate(RULES) if broken >> code & 1}


async def begin(dut, *, gaps: bool = False) -> Data:
    await clock.start(dut, 200_000)
    driver = Driver(dut, rng("gaps") if gaps else None)
    await driver.reset()
    return Data(dut, driver)


@cocotb.test()
async def data(dut):
    """cp_data: bytes, check bits and masks, the clock of read data, loaded contents, clocks that are not enabled, the dump."""
    bus = await begin(dut, gaps=True)
    bus.contents = {int(atom): value for atom, value in params()["loaded"].items()}
    random = bus.random
    for atom in [*bus.contents, *(random.randrange(512 * config().dram_rows) for _ in range(12))]:
        await bus.open(atom)
        await bus.read()
        await bus.write(random.getrandbits(288), 0)
        await bus.write(random.getrandbits(288), random.choice((random.getrandbits(32), 0xFF << 8 * random.randrange(4), 0xFFFFFFFF)))
        await bus.read()
        await bus.close()
    assert bus.differences == [0] * 32
    assert not bus.violated()
    assert int(dut.flips.value) == 0
    dut.finished.value = 1
    await bus.clocks(2)
    dumped = [int(line, 16) for line in Path("dump.0").read_text().split()]
    assert dumped == [bus.contents.get(atom, 0) for atom in range(512 * config().dram_rows)]


@cocotb.test()
async def exhausted(dut):
    """cp_storage: a write to a page more than the device stores is a violation, and lost; the pages before keep theirs."""
    bus = await begin(dut)
    pages = params()["pages"]
    for page in range(pages + 1):
        await bus.open(32 * page)
        if page == pages:
            assert not bus.violated()
        await bus.write(bus.random.getrandbits(288), 0)
        await bus.close()
    assert bus.violated() == {"STORAGE"}
    del bus.contents[32 * pages]
    for page in (0, pages - 1, pages):
        await bus.open(32 * page)
        await bus.read()
        await bus.close()
    assert bus.differences == [0] * 3


@cocotb.test()
async def stored_flips(dut):
    """cp_flips: bits are inverted in storage at the clock that the file says, after each reset anew."""
    for _ in range(2):
        bus = await begin(dut)
        await bus.open(0)
        await bus.write(bus.random.getrandbits(288), 0)
        await bus.clocks(params()["clock"] - bus.driver.time - bus.timing.RL - 2)
        await bus.read()  # fetched in the clock before
        await bus.read()
        await bus.close()
        before, after = bus.differences
        assert before == 0
        assert after == sum(1 << bit for bit in params()["bits"])
        assert int(dut.flips.value) == len(params()["bits"])
        await bus.open(32)
        await bus.read()
        await bus.close()
        assert bus.differences[2:] == [0]
        await bus.open(0)
        await bus.write(0, 0)
        await bus.close()


@cocotb.test()
async def read_flips(dut):
    """cp_flips: some reads differ in one bit, or in two of the same word; storage does not."""
    bus = await begin(dut)
    await bus.open(5)
    await bus.write(bus.random.getrandbits(288), 0)
    for _ in range(params()["reads"]):
        await bus.read()
    await bus.close()
    wrong = [difference for difference in bus.differences if difference]
    assert len(wrong) * params()["bits"] == int(dut.flips.value)
    assert 0.5 < len(wrong) * params()["rate"] / params()["reads"] < 2
    words = set()
    for difference in wrong:
        parts = [difference >> 64 * word & ~(-1 << 64) | (difference >> 256 + 8 * word & 0xFF) << 64 for word in range(4)]
        assert sorted(part.bit_count() for part in parts) == [0, 0, 0, params()["bits"]]
        words.add(next(word for word in range(4) if parts[word]))
    assert len(words) > 1 and len(set(wrong)) > len(wrong) // 2


@cocotb.test()
async def impossible_timing(dut):
    """A timing that the model can't keep is reported in the first clock."""
    bus = await begin(dut)
    await bus.clocks(2)
    assert bus.violated() == {"MODE"}


@cocotb.test()
async def undefined_commands(dut):
    """COMMAND: codes without a meaning."""
    for bus_name in ("dfi__row", "dfi__column"):
        bus = await begin(dut)
        getattr(dut, bus_name).value = 7
        await bus.driver.step()
        assert bus.violated() == {"COMMAND"}
