"""The tensor core in its testbench: drivers, monitors, and the comparison with the model."""

from collections import Counter

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from rtl.isa import Activity, Cause, TensorCommand
from rtl.l1.port import l1_ports
from rtl.tensor.core import TensorCore
from verif.common.engine import EngineDriver
from verif.common.l1_model import L1Model
from verif.common.params import config, rng
from verif.common.streams import StreamSink, unpack
from verif.tensor.commands import encode
from verif.tensor.coverage import TensorCoverage
from verif.tensor.model import Outcome, execute

__all__ = ["CALM", "ROUGH", "Bench", "Monitor"]

#: (probability of a stall of every stream and L1 port, longest latency of the L1).
CALM, ROUGH = (0.0, 2), (0.3, 7)


class Monitor:
    """Watches `activity` and `overflow` from the start on."""

    def __init__(self, dut):
        #: Cycles by (low half of the tag, cause).
        self.cycles: Counter = Counter()
        #: (cycle, tag, cause) where they change.
        self.changes: list[tuple[int, int, Cause]] = []
        self.overflows = 0
        cocotb.start_soon(self._watch(dut))

    async def _watch(self, dut):
        known: dict[int, tuple[int, Cause]] = {}
        cycle, last = 0, None
        while True:
            await FallingEdge(dut.clk)
            await ReadOnly()
            cycle += 1
            bits = int(dut.activity.value)
            if bits not in known:
                activity = unpack(Activity, bits)
                known[bits] = activity.tag, Cause(activity.cause)
            self.cycles[known[bits]] += 1
            self.overflows += int(dut.overflow.value)
            if bits != last:
                last = bits
                self.changes.append((cycle, *known[bits]))


class Bench:
    """The core, its L1, and the memory that the model says there should be."""

    def __init__(self, dut, name: str, stalls: tuple[float, int]):
        stall, latency = stalls
        self.dut = dut
        self.config = config()
        self.rng = rng(name)
        self.memory = np.frombuffer(self.rng.randbytes(self.config.l1_bytes), np.uint8).copy()
        ports = {name: port for name, port in l1_ports(self.config).items() if name.startswith("tensor_")}
        self.l1 = L1Model(dut, ports, self.memory, rng(f"{name}/l1"), stall=stall, latency=latency)
        self.driver = EngineDriver(dut, TensorCommand, rng(f"{name}/command"), stall)
        self.result = StreamSink(dut, "result", TensorCore(self.config).result.payload.shape(), rng(f"{name}/result"), stall)
        self.monitor = Monitor(dut)
        self.coverage = TensorCoverage(self.config, "rough" if stall else "calm")
        self._tags = 0

    async def run(self, commands: list[dict]) -> list[Outcome]:
        """Offers all commands at once, and checks statuses, memory, beats, rows and the overflow pulses."""
        for command in commands:  # the half of the tag that activity shows tells the commands apart
            self._tags = (self._tags + 1) & 0xFFFF
            command["tag"] = command.get("tag", 0) & 0xFFFF0000 | self._tags
        expected = self.memory.copy()
        outcomes = [execute(self.config, command, expected) for command in commands]
        overflows, quiet = self.monitor.overflows, len(self.monitor.changes)
        for command in commands:
            self.driver.push(encode(command))
        for number, outcome in enumerate(outcomes):
            status, address = await self.driver.completion(200_000)
            assert (status, address) == (outcome.status, outcome.address), f"{status}, {address:#x} for {commands[number]}"
            # What a command has done is in memory when it is done, whatever its successors do.
            later = {at for other in outcomes[number + 1 :] for at in other.written}
            for at, byte in outcome.written.items():
                if at not in later:
                    assert self.memory[at] == byte, f"byte {at:#x} is {self.memory[at]:02x}, not {byte:02x}: {commands[number]}"
            for beat in outcome.beats:
                got = await self.result.recv()
                assert [int(got[lane]) for lane in range(len(beat))] == beat, commands[number]
            assert self.monitor.overflows > overflows or not outcome.overflow, f"no overflow was seen: {commands[number]}"
        await ClockCycles(self.dut.clk, 3)
        wrong = np.flatnonzero(self.memory != expected)
        assert not len(wrong), f"byte {wrong[0]:#x} was written, by one of {commands}"
        assert self.result.items.empty(), "more beats than results"
        assert self.monitor.overflows == overflows or any(outcome.overflow for outcome in outcomes), f"an overflow in {commands}"
        places = {command["tag"] & 0xFFFF: number for number, command in enumerate(commands)}
        shown = [places.get(tag, -1) for _, tag, cause in self.monitor.changes[quiet:] if cause != Cause.IDLE]
        assert shown == sorted(shown) and -1 not in shown, f"the tags of commands {shown}, one after the other, in {commands}"
        for command, outcome in zip(commands, outcomes, strict=True):
            busy, skipped = (self.monitor.cycles[command["tag"] & 0xFFFF, cause] for cause in (Cause.BUSY, Cause.SKIPPED))
            assert busy + skipped == outcome.rows, f"{busy} rows and {skipped} skipped are not {outcome.rows}: {command}"
            assert skipped <= outcome.skippable, f"{skipped} rows skipped, {outcome.skippable} may be: {command}"
        self.coverage.sample(commands, outcomes)
        return outcomes

    def skipped(self, commands: list[dict]) -> int:
        """Rows that the commands of the last run skipped."""
        return sum(self.monitor.cycles[command["tag"] & 0xFFFF, Cause.SKIPPED] for command in commands)
