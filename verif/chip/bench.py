"""The chip's testbench: the host on both AXI ports, a memory behind every channel, and the golden chip that says what must come out."""

import logging
import random

import numpy as np
from cocotb.task import Task
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiMaster, AxiResp

from rtl.bus.axi import AXI4, CHUNK_BYTES, L2_SELECT_BIT
from rtl.config import ChipConfig
from rtl.fabric.fabric import slave_id_bits
from rtl.fabric.map import LOCAL_ADDRESS_BITS
from rtl.isa import Cause, Engine, Interrupt, Status, counter_address, window_address
from rtl.isa import HostRegister as R
from sim.golden.chip import GoldenChip
from sim.job import ErrorInfo, Job
from verif.chip.coverage import ChipCoverage
from verif.common.axi_memory import AxiMemory
from verif.common.clock import start
from verif.common.params import config, rng
from verif.fabric.space import place

__all__ = ["COVERAGE", "NO_ERROR", "NO_SIP", "Chip"]

#: `sip` of records of what the host itself did wrong.
NO_SIP = 0xFF

#: One for all tests of a simulation.
COVERAGE = ChipCoverage(config().sips, config().bus_bytes)

NO_ERROR = ErrorInfo(Status.OK, 0, Engine.TENSOR, 0, 0, 0)


class Chip:
    """Driver of the host's side, and checker: whatever is loaded and run here is loaded into and run by `golden` as well."""

    def __init__(self, dut):
        self.dut = dut
        self.config: ChipConfig = config()
        self.golden = GoldenChip(self.config)
        #: Jobs that ended since reset.
        self.done = 0
        self.working = False

    async def start(self, cycles: int, *, stall: float = 0.2, latency: tuple[int, int] = (1, 30)) -> "Chip":
        dut, chip = self.dut, self.config
        await start(dut, cycles)
        signature = AXI4(LOCAL_ADDRESS_BITS, chip.bus_bytes, slave_id_bits(chip))
        # One channel is the whole of L3; of several, each has its own storage, and `_chunks` says where each chunk of L3 lies.
        self._storage = [np.zeros(chip.channel_bytes, np.uint8) for _ in range(chip.channels)]
        self._chunks = None
        if chip.channels > 1:
            places = [place(chip, number) for number in range(chip.l3_bytes // CHUNK_BYTES)]
            per_channel = chip.channel_bytes // CHUNK_BYTES
            self._chunks = np.array([int(name.split("__")[1]) * per_channel + number for name, number in places])
        masters = 2 * (chip.sips + 1) + 1
        self.memory = [
            AxiMemory(dut, f"memory__{number}", signature, storage, None, rng(f"memory {number}"), stall=stall, latency=latency,
                      outstanding=masters * chip.outstanding)
            for number, storage in enumerate(self._storage)
        ]  # fmt: skip
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "host", bus_separator="__"), dut.clk, dut.rst)
        self.port = AxiMaster(AxiBus.from_prefix(dut, "host_memory", bus_separator="__"), dut.clk, dut.rst)
        for part in (self.registers, self.port):
            for half in (part.write_if, part.read_if):
                half.log.setLevel(logging.WARNING)
        assert await self.read(R.STATUS) == 0, "the memory isn't ready yet"
        await FallingEdge(dut.clk)
        dut.memory_ready.value = (1 << chip.channels) - 1
        await self.write(R.INTERRUPT_ENABLE, 1 << Interrupt.JOB_DONE)
        return self

    # Registers

    async def write(self, address: int, value: int):
        answer = await self.registers.write(int(address), (value & 0xFFFFFFFF).to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY, f"write of register {address:#x}: {answer.resp!r}"

    async def read(self, address: int) -> int:
        answer = await self.registers.read(int(address), 4)
        assert answer.resp == AxiResp.OKAY, f"read of register {address:#x}: {answer.resp!r}"
        return int.from_bytes(answer.data, "little")

    async def window(self, partition: int, base: int, limit: int):
        """Sets a partition's window of L3."""
        await self.write(window_address(partition), base)
        await self.write(window_address(partition) + 4, limit)
        self.golden.windows[partition] = (base, limit)

    # Memory

    def l3(self) -> np.ndarray:
        """Contents of L3 as the back door sees them."""
        if self._chunks is None:
            return self._storage[0]
        return np.concatenate(self._storage).reshape(-1, CHUNK_BYTES)[self._chunks].reshape(-1)

    def load(self, address: int, data: bytes):
        """Puts bytes into L3 by the back door."""
        self.golden.l3[address : address + len(data)] = np.frombuffer(data, np.uint8)
        if self._chunks is None:
            self._storage[0][address : address + len(data)] = np.frombuffer(data, np.uint8)
            return
        for offset, byte in enumerate(data, address):
            where = int(self._chunks[offset // CHUNK_BYTES]) * CHUNK_BYTES + offset % CHUNK_BYTES
            self._storage[where // self.config.channel_bytes][where % self.config.channel_bytes] = byte

    async def send(self, address: int, data: bytes, *, l2: bool = False):
        """Writes L3 or L2 through the host's AXI4 port."""
        space = self.golden.l2 if l2 else self.golden.l3
        space[address : address + len(data)] = np.frombuffer(data, np.uint8)
        COVERAGE.access("write", l2, len(data), self.working)
        answer = await self.port.write(address | l2 << L2_SELECT_BIT, data)
        assert answer.resp == AxiResp.OKAY, f"host write at {address:#x}: {answer.resp!r}"

    async def fetch(self, address: int, size: int, *, l2: bool = False) -> bytes:
        """Reads L3 or L2 through the host's AXI4 port and compares it with the golden chip."""
        COVERAGE.access("read", l2, size, self.working)
        answer = await self.port.read(address | l2 << L2_SELECT_BIT, size)
        assert answer.resp == AxiResp.OKAY, f"host read at {address:#x}: {answer.resp!r}"
        space = self.golden.l2 if l2 else self.golden.l3
        found, what = np.frombuffer(answer.data, np.uint8), f"{'L2' if l2 else 'L3'} by the host's port"
        self._same(what, address, found, space[address : address + size])
        return answer.data

    def check_l3(self):
        """The whole of L3, by the back door."""
        self._same("L3", 0, self.l3(), self.golden.l3)

    @staticmethod
    def _same(what: str, base: int, found: np.ndarray, expected: np.ndarray):
        if np.array_equal(found, expected):
            return
        wrong = np.flatnonzero(found != expected)
        at = int(wrong[0])
        message = f"{what}: {len(wrong)} bytes differ, the first at {base + at:#x}: {found[at]:#04x}, expected {expected[at]:#04x}"
        raise AssertionError(message)

    # Jobs

    async def push(self, job: Job):
        for register, value in (
            (R.JOB_IMAGE, job.image), (R.JOB_ARGS, job.args), (R.JOB_ARG_COUNT, job.arg_count), (R.JOB_MASK, job.mask),
            (R.JOB_PARTITION, job.partition), (R.JOB_PUSH, 1),
        ):  # fmt: skip
            await self.write(register, value)

    async def settle(self, jobs: int):
        """Waits for the interrupt until that many more jobs have ended."""
        self.done += jobs
        while True:
            while not int(self.dut.interrupt.value):
                await FallingEdge(self.dut.clk)
            await self.write(R.INTERRUPT, 1 << Interrupt.JOB_DONE)
            if await self.read(R.JOBS_DONE) == self.done:
                return

    async def record(self) -> ErrorInfo:
        """The error record; clears it and its interrupt bit."""
        cause = await self.read(R.ERROR_CAUSE)
        found = ErrorInfo(
            Status(cause & 0xFF), cause >> 8 & 0xFF, Engine(cause >> 16 & 3), await self.read(R.ERROR_ADDRESS),
            await self.read(R.ERROR_PC), await self.read(R.ERROR_COMMAND_LO) | await self.read(R.ERROR_COMMAND_HI) << 32,
        )  # fmt: skip
        assert await self.read(R.INTERRUPT) >> Interrupt.ERROR & 1 == (found.status is not Status.OK)
        await self.write(R.ERROR_CAUSE, 0)
        await self.write(R.INTERRUPT, 1 << Interrupt.ERROR)
        self.golden.clear_error()
        return found

    async def counters(self, engines: int | None = None, draw: random.Random | None = None) -> dict[tuple[int, Engine], dict[Cause, int]]:
        """The last job's cycle counters of all engines, or of some: each engine's causes add up to JOB_TOTAL."""
        total = await self.read(R.JOB_TOTAL)
        lanes = [(number, engine) for number in range(self.config.sips + 1) for engine in Engine]
        counts = {}
        for number, engine in lanes if engines is None else draw.sample(lanes, engines):
            causes = {cause: await self.read(counter_address(number, engine, cause)) for cause in Cause}
            found = sum(causes.values())
            assert found == total, f"sequencer {number}, {engine.name}: {causes} add up to {found}, not {total}"
            counts[number, engine] = causes
        COVERAGE.counters(counts)
        COVERAGE.export()
        # From the first issue to the last completion: every cycle in which an engine had a command lies between them, unless commands
        # of a failed job never complete.
        cycles = await self.read(R.JOB_CYCLES)
        waits = (Cause.IDLE, Cause.EVENT)
        longest = max(
            (sum(count for cause, count in causes.items() if cause not in waits) for (_, engine), causes in counts.items()
             if engine is not Engine.SEQUENCER), default=0,
        )  # fmt: skip
        if await self.read(R.JOB_STATUS) != Status.OK.value:
            longest = 0
        assert longest <= cycles <= total, f"JOB_CYCLES {cycles} is not in {longest} (the busiest engine) to {total} (JOB_TOTAL)"
        return counts

    async def run(self, *jobs: Job, beside: Task | None = None) -> list[Status]:
        """Queues jobs, rings once for all, and compares the last status, the first error record and L3 with the golden chip's.

        `beside` is host traffic that runs at the same time and ends before memory is looked at. Returns the golden statuses. A job that
        fails must not have written L3 before, or the golden chip may be ahead or behind.
        """
        for job in jobs:
            await self.push(job)
        await self.write(R.DOORBELL, len(jobs))
        self.working = True
        results = [self.golden.run(job) for job in jobs]
        await self.settle(len(jobs))
        self.working = False
        for job, result in zip(jobs, results, strict=True):
            COVERAGE.job(result.status, job.mask, result.error.engine if result.error else Engine.SEQUENCER)
        status = Status(await self.read(R.JOB_STATUS))
        expected = next((result.error for result in results if result.error), NO_ERROR)
        found = await self.record()
        assert found == expected, f"the record is\n{found}, expected\n{expected}"
        assert status is results[-1].status, f"status {status.name}, expected {results[-1].status.name}"
        if beside is not None:
            await beside
        self.check_l3()
        return [result.status for result in results]
