"""Driver of an engine: commands in, completions out, cycles counted by cause."""

import random
from collections import Counter

import cocotb
from amaranth.hdl import Const
from cocotb.queue import Queue
from cocotb.triggers import FallingEdge, ReadOnly, with_timeout

from rtl.isa import Activity, Cause, Completion, Status
from verif.common.clock import PERIOD_NS
from verif.common.streams import StreamSource, pack, unpack

__all__ = ["EngineDriver"]


class EngineDriver:
    """Pushes commands into `command`, collects `done` and counts `activity` of the design under test.

    A command is a mapping from the members of its struct to integers or, for the mode, a mapping; members that are missing are 0.
    """

    def __init__(self, dut, command, rng: random.Random, stall: float = 0.3):
        self._dut = dut
        self._command = command
        self._source = StreamSource(dut, "command", command, rng, stall)
        self._completions: Queue = Queue()
        #: Cycles by `Cause` since the start.
        self.activity: Counter = Counter()
        cocotb.start_soon(self._watch())

    def push(self, command: dict):
        """Queues a command and returns at once."""
        self._source.push(pack(self._command, command))

    async def completion(self, timeout: int = 100_000) -> tuple[Status, int]:
        """Status and address of the next command that ends, within `timeout` cycles."""
        return await with_timeout(self._completions.get(), timeout * PERIOD_NS, "ns")

    async def run(self, command: dict, timeout: int = 100_000) -> tuple[Status, int]:
        """One command from its offer to its end."""
        self.push(command)
        return await self.completion(timeout)

    async def _watch(self):
        width = Const.cast(Completion.const(None)).width
        while True:
            await FallingEdge(self._dut.clk)
            await ReadOnly()
            if int(self._dut.rst.value):
                continue
            done = int(self._dut.done.value)
            if done & 1:
                completion = unpack(Completion, done >> 1 & (1 << width) - 1)
                self._completions.put_nowait((Status(completion.status), completion.address))
            self.activity[Cause(unpack(Activity, int(self._dut.activity.value)).cause)] += 1
