"""Both sides of a service: a driver of the register bus, and a device that stops and has stuck bits."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.isa import MemoryRegister, MemoryStatus
from rtl.memory.dfi import RowCommand, RowOperation
from verif.common.streams import unpack
from verif.memory.ecc.code import Word
from verif.memory.ecc.memory_model import Memory
from verif.memory.service.coverage import ServiceCoverage

__all__ = ["COVERAGE", "Device", "Host"]

#: One for all tests of a simulation.
COVERAGE = ServiceCoverage()


class Host:
    """One access at a time on the port `registers`, some clocks apart at random. `serving`: a service runs."""

    def __init__(self, dut, rng: random.Random):
        self._dut, self._rng = dut, rng
        self.serving = False
        self._port = {name: getattr(dut, f"registers__{name}") for name in (
            "write__valid", "write__address", "write__data", "write__strobe", "write__error",
            "read__valid", "read__address", "read__data", "read__error",
        )}

    def _state(self) -> str:
        return "service" if self.serving else "runs" if int(self._dut.run.value) else "stopped"

    async def _pause(self):
        for _ in range(1 + (self._rng.randrange(6) if self._rng.random() < 0.3 else 0)):
            await FallingEdge(self._dut.clk)

    async def write(self, address: int, value: int, *, strobe: int = 15, good: bool = True):
        await self._pause()
        port = self._port
        for name, bits in (("valid", 1), ("address", int(address) >> 2), ("data", value & 0xFFFFFFFF), ("strobe", strobe)):
            port[f"write__{name}"].value = bits
        await ReadOnly()
        error = int(port["write__error"].value)
        COVERAGE.access(address, "write", not error, strobe, self._state())
        await FallingEdge(self._dut.clk)
        port["write__valid"].value = 0
        port["write__data"].value = self._rng.getrandbits(32)
        assert bool(error) != good, f"write {int(address):#x} := {value:#x}: error {error}"

    async def read(self, address: int, *, good: bool = True) -> int:
        await self._pause()
        port = self._port
        port["read__valid"].value, port["read__address"].value = 1, int(address) >> 2
        await FallingEdge(self._dut.clk)
        port["read__valid"].value, port["read__address"].value = 0, self._rng.getrandbits(8)
        await ReadOnly()
        error = int(port["read__error"].value)
        COVERAGE.access(address, "read", not error, 0, self._state())
        assert bool(error) != good, f"read {int(address):#x}: error {error}"
        value = int(port["read__data"].value)
        await FallingEdge(self._dut.clk)
        return value

    async def wait(self, bit: MemoryStatus, level: int = 1, accesses: int = 20_000):
        """Polls STATUS."""
        for _ in range(accesses):
            if await self.read(MemoryRegister.STATUS) >> bit & 1 == level:
                return
        raise AssertionError(f"{bit.name} is not {level} after {accesses} reads of STATUS")

    async def count(self) -> tuple[int, int, int, int]:
        """SINGLE_ERRORS and its first atom, DOUBLE_ERRORS and its first atom."""
        single, double = MemoryRegister.SINGLE_ERRORS, MemoryRegister.DOUBLE_ERRORS
        return (await self.read(single), await self.read(single + 4), await self.read(double), await self.read(double + 4))


class Device(Memory):
    """Steps with `enable`, stops when `run` is low and nothing is pending, and watches the row bus.

    Members
    -------
    modes
        Mode registers as they were set: (clock of the memory, register, value).
    stuck
        By (atom, word), masks of data and check bits, and the values they are stuck at.
    starts
        Clocks in which `run` rose.
    """

    def __init__(self, dut, rng: random.Random, **options):
        self.modes: list[tuple[int, int, int]] = []
        self.stuck: dict[tuple[int, int], tuple[Word, Word]] = {}
        self.starts: list[int] = []
        self.clock = 0
        self._runs = deque([0, 0], maxlen=2)
        super().__init__(dut, rng, **options)
        cocotb.start_soon(self._watch())

    def steps(self) -> bool:
        return bool(int(self._dut.enable.value)) and not int(self._dut.rst.value)

    def open(self) -> bool:
        """While `run` is high; else it says a while after the last pending read that it has stopped, not before the second clock."""
        run = int(self._dut.run.value)
        settled = not run and not self._runs[-1] and not self.pending
        self._dut.stopped.value = int(settled and (self._rng.random() < 0.2 or bool(int(self._dut.stopped.value))))
        self._runs.append(run)
        return bool(run)

    def cell(self, atom: int, word: int, value: Word) -> Word:
        if (atom, word) not in self.stuck:
            return value
        (data_mask, check_mask), (data, check) = self.stuck[atom, word]
        return value[0] & ~data_mask | data & data_mask, value[1] & ~check_mask | check & check_mask

    async def _watch(self):
        dut, run = self._dut, 0
        while True:
            await FallingEdge(dut.clk)
            if not self.steps():
                continue
            await ReadOnly()
            self.clock += 1
            now = int(dut.run.value)
            if now and not run:
                self.starts.append(self.clock)
            if (bits := int(dut.row.value)) & 7:
                command = unpack(RowCommand, bits)
                assert command.operation is RowOperation.MRS and not now and not run, f"{command.operation} on the row bus, run {now}"
                self.modes.append((self.clock, command.bank, command.row))
            run = now
            assert now or not int(dut.coded__ready.value)
