"""The device model on its own, driven over its command buses."""

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from rtl.memory.address import AddressMap
from rtl.memory.dfi import ColumnCommand, ColumnOperation, RowCommand, RowOperation
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import RULES
from verif.common import clock
from verif.common.params import config, params, rng
from verif.common.streams import pack
from verif.memory.cases import Case, Command, exact_cases, illegal_cases


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

    async def run(self, case: Case) -> tuple[int, str]:
        """Number of violations, and the first one's rule."""
        await self.reset()
        for command in case.commands:
            await self.send(command)
        await self.step()
        return int(self.dut.violations.value), RULES[int(self.dut.first_violation.value)]


@cocotb.test()
async def rules(dut):
    """cp_rules: every distance is accepted when it is met exactly and named when it is one clock short; every rule of state is named."""
    timing = TimingSet.load(config().dram_timing)
    await clock.start(dut, 400_000)
    driver = Driver(dut)
    seen = set()
    for name, case in exact_cases(timing, config().dram_rows).items():
        count, rule = await driver.run(case)
        assert count == 0, f"{name}: a legal trace breaks {rule}"
        count, rule = await driver.run(case.early())
        assert count >= 1, f"{name}: one clock too early, and not seen"
        if case.only:
            assert (count, rule) == (1, case.rule), f"{name}: {count} violations, the first of {rule}"
            seen.add(rule)
        else:
            assert rule == case.rule, f"{name}: {rule}"
            seen.add(rule)
    for name, case in illegal_cases(timing, config().dram_rows).items():
        count, rule = await driver.run(case)
        assert (count, rule) == (1, case.rule), f"{name}: {count} violations, the first of {rule}"
        seen.add(rule)
    await driver.reset()
    dut.dfi__row.value = 7
    await driver.step()
    assert RULES[int(dut.first_violation.value)] == "COMMAND"
    missing = set(RULES) - seen - {"", "COMMAND", "tREFI"}
    assert not missing, f"rules without a case: {missing}"


@cocotb.test()
async def refresh_debt(dut):
    """cp_refresh: eight refreshes may be owed, nine may not; an all-bank refresh pays one."""
    timing = TimingSet.load(config().dram_timing)
    await clock.start(dut, 40 * timing.tREFI)
    driver = Driver(dut)
    await driver.reset()
    await driver.until(9 * timing.tREFI - 1)
    assert int(dut.violations.value) == 0
    await driver.step()
    assert (int(dut.violations.value), RULES[int(dut.first_violation.value)]) == (16, "tREFI")
    await driver.reset()
    await driver.send(Command(9 * timing.tREFI - 1, "REFAB"))
    await driver.until(10 * timing.tREFI - 1)
    assert int(dut.violations.value) == 0
    await driver.step()
    assert int(dut.violations.value) == 16


@cocotb.test()
async def data(dut):
    """cp_data: bytes and masks, the clock of read data, loaded contents, clocks that are not enabled."""
    chip, random = config(), rng("data")
    timing, address_map = TimingSet.load(chip.dram_timing), AddressMap(chip.dram_rows)
    await clock.start(dut, 200_000)
    driver = Driver(dut, rng("gaps"))
    await driver.reset()
    loaded = params()["loaded"]  # atom number to value
    contents = {int(atom): value for atom, value in loaded.items()}
    writes: dict[int, tuple[int, int]] = {}
    reads: dict[int, int] = {}

    async def sample():
        """One enabled clock: offers the write data that are due and compares the read data."""
        word, mask = writes.pop(driver.time, (random.getrandbits(256), random.getrandbits(32)))
        dut.dfi__write_data.value, dut.dfi__write_mask.value = word, mask
        await ReadOnly()
        assert int(dut.dfi__read_valid.value) == (driver.time in reads), f"read_valid is wrong at {driver.time}"
        if driver.time in reads:
            assert int(dut.dfi__read_data.value) == reads.pop(driver.time)
        await driver.step()

    async def access(name: str, bank: int, column: int, gap: int):
        for _ in range(gap):
            await sample()
        await driver.send(Command(driver.time, name, bank, 0, column))

    for atom in [*contents, *(random.randrange(512 * chip.dram_rows) for _ in range(12))]:
        bank, row, column = address_map.locate(atom)
        old = contents.get(atom, 0)
        await driver.send(Command(driver.time, "ACT", bank, row))
        await access("RD", bank, column, timing.tRC)
        reads[driver.time + timing.RL + 2] = old
        await access("WR", bank, column, timing.read_to_write)
        word, mask = random.getrandbits(256), random.choice((0, random.getrandbits(32)))
        writes[driver.time + timing.WL] = (word, mask)
        keep = sum(0xFF << 8 * k for k in range(32) if mask >> k & 1)
        contents[atom] = (old & keep) | (word & ~keep)
        await access("RD", bank, column, timing.write_end + timing.tWTR_L)
        reads[driver.time + timing.RL + 2] = contents[atom]
        await access("PRE", bank, 0, timing.RL + 3)
        for _ in range(timing.tRP):
            await sample()
    assert not reads and not writes
    assert int(dut.violations.value) == 0, RULES[int(dut.first_violation.value)]
