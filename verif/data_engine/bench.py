"""The data engine between its models: L1, the fabric's memory, a driver, and the expected memories."""

import random
from collections import Counter

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from rtl.bus.axi import AXI4, FABRIC_ADDRESS_BITS
from rtl.data_engine.reader import AXI_ID_BITS
from rtl.isa import Activity, Cause, DataCommand, Space, Status
from rtl.l1.port import l1_ports
from verif.common.axi_memory import AxiMemory
from verif.common.clock import start
from verif.common.engine import EngineDriver
from verif.common.l1_model import L1Model
from verif.common.params import config, params, rng
from verif.common.streams import unpack
from verif.data_engine.coverage import Coverage
from verif.data_engine.model import Memories, encode
from verif.data_engine.stimulus import Stimulus

__all__ = ["L3_BYTES", "Bench"]

#: As much of L3 as the model holds.
L3_BYTES = 1 << 17


class ActivityLog:
    """What `activity` said from now until :meth:`stop`."""

    def __init__(self, dut):
        self._dut = dut
        self.causes: Counter = Counter()
        #: Bytes from and to L3, and the tags of cycles that were not idle.
        self.read = self.written = 0
        self.tags: set[int] = set()
        #: Cycles that were not idle, and idle ones between them.
        self.busy = self.gaps = 0
        self._idle = 0
        self._task = cocotb.start_soon(self._watch())

    def stop(self):
        self._task.cancel()

    async def _watch(self):
        while True:
            await FallingEdge(self._dut.clk)
            await ReadOnly()
            now = unpack(Activity, int(self._dut.activity.value))
            cause = Cause(now.cause)
            self.causes[cause] += 1
            self.read += now.read
            self.written += now.write
            if cause is Cause.IDLE:
                self._idle += 1
            else:
                self.gaps += self._idle if self.busy else 0
                self._idle = 0
                self.busy += 1
                self.tags.add(now.tag)


class Bench:
    """Everything around the design under test. `await Bench.create(dut, "name", cycles=...)`."""

    @classmethod
    async def create(
        cls, dut, name: str, cycles: int, *, stall: float = 0.3, latency: tuple[int, int] = (1, 40), l1_latency: int = 6,
        window: tuple[int, int] = (4096, L3_BYTES - 4096),
    ) -> "Bench":
        self = cls()
        self.dut = dut
        self.rng: random.Random = rng(name)
        self.config = config()
        self.cluster = bool(params().get("cluster", False))
        self.expected = Memories(self.config, L3_BYTES, self.rng)
        self.expected.window = window
        self.actual = self.expected.copy()
        space = self.actual.space
        await start(dut, cycles)
        self.window(3)
        ports = {} if self.cluster else {n: p for n, p in l1_ports(self.config).items() if n in ("data_read", "data_write")}
        self.l1 = L1Model(dut, ports, space[Space.L1], self.rng, stall=stall, latency=l1_latency)
        self.memory = AxiMemory(
            dut, "axi", AXI4(FABRIC_ADDRESS_BITS, self.config.bus_bytes, AXI_ID_BITS), space[Space.L3], space[Space.L2], self.rng,
            stall=stall, latency=latency, outstanding=self.config.outstanding,
        )
        self.driver = EngineDriver(dut, DataCommand, self.rng, stall)
        self.stimulus = Stimulus(self.rng, self.expected, self.actual, self.cluster, params().get("most", 2000))
        self.coverage = Coverage(self.config.bus_bytes)
        #: Commands accepted and done since the start.
        self.accepted = self.done = 0
        cocotb.start_soon(self._count())
        return self

    def window(self, access: int):
        """Opens the window to reads (bit 0) and writes (bit 1)."""
        self.expected.read, self.expected.write = bool(access & 1), bool(access & 2)
        base, limit = self.expected.window
        self.dut.window.value = access << 65 | limit << 32 | base

    async def _count(self):
        while True:
            await FallingEdge(self.dut.clk)
            await ReadOnly()
            self.accepted += int(self.dut.command__valid.value) & int(self.dut.command__ready.value)
            self.done += int(self.dut.done.value) & 1

    def expect(self, command: dict) -> tuple[Status, int]:
        """What the command should answer; the expected memories change as it should change them."""
        verdict = self.expected.verdict(command, self.cluster)
        if verdict[0] is not Status.OK:
            return verdict
        self.coverage.sample(command)
        return self.expected.run(command)

    async def run(self, commands: list[dict]):
        """All commands back to back; checks each status and, at the end, every byte of every memory."""
        for command in commands:
            self.driver.push(encode(command))
        for number, command in enumerate(commands):
            verdict = self.expect(command)
            got = await self.driver.completion()
            assert got == verdict, f"command {number}: {got}, not {verdict}: {command}"
        self.compare(commands)

    def compare(self, commands: list[dict]):
        for space, expected in self.expected.space.items():
            wrong = np.flatnonzero(self.actual.space[space] != expected)
            assert not len(wrong), (
                f"{space.name}: {len(wrong)} bytes differ, the first at {wrong[0]:#x}: {self.actual.space[space][wrong[0]]:#x}, "
                f"not {expected[wrong[0]]:#x}, after {commands}"
            )

    def watch(self) -> ActivityLog:
        return ActivityLog(self.dut)

    async def settle(self):
        """Until the engine says that it is idle."""
        for _ in range(20000):
            await ClockCycles(self.dut.clk, 1)
            if self.cause() is Cause.IDLE:
                return
        raise AssertionError("the engine did not become idle")

    def cause(self) -> Cause:
        return Cause(int(self.dut.activity.value) & 7)
