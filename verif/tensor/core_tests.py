"""The tensor core against the model: random commands two by two, hostile commands, L1 and streams with random stalls."""

from collections import Counter

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from rtl.formats import Format
from rtl.isa import Cause, Status, TensorCommand
from rtl.l1.port import l1_ports
from rtl.tensor.core import TensorCore
from verif.common.clock import start
from verif.common.engine import EngineDriver
from verif.common.l1_model import L1Model
from verif.common.params import config, params, rng
from verif.common.streams import StreamSink
from verif.tensor.commands import HOSTILE, good, hostile
from verif.tensor.model import execute


class Bench:
    """The core, its L1, and the memory that the model says there should be."""

    def __init__(self, dut, name: str, stall: float, latency: int):
        self.dut = dut
        self.config = config()
        self.rng = rng(name)
        self.memory = np.frombuffer(self.rng.randbytes(self.config.l1_bytes), np.uint8).copy()
        ports = {name: port for name, port in l1_ports(self.config).items() if name.startswith("tensor_")}
        self.l1 = L1Model(dut, ports, self.memory, rng(f"{name}/l1"), stall=stall, latency=latency)
        self.driver = EngineDriver(dut, TensorCommand, rng(f"{name}/command"), stall)
        self.result = StreamSink(dut, "result", TensorCore(self.config).result.payload.shape(), rng(f"{name}/result"), stall)

    async def run(self, commands: list[dict]) -> list:
        """Offers all commands at once, and checks statuses, memory, beats and rows."""
        expected = self.memory.copy()
        outcomes = [execute(self.config, command, expected) for command in commands]
        for command in commands:
            self.driver.push(command)
        busy = self.driver.activity[Cause.BUSY]
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
        await ClockCycles(self.dut.clk, 3)
        wrong = np.flatnonzero(self.memory != expected)
        assert not len(wrong), f"byte {wrong[0]:#x} was written, by one of {commands}"
        assert self.result.items.empty(), "more beats than results"
        assert self.driver.activity[Cause.BUSY] - busy == sum(outcome.rows for outcome in outcomes)
        return outcomes


async def _random_pairs(dut, name: str, stall: float, latency: int):
    await start(dut, 2_000_000)
    bench = Bench(dut, name, stall, latency)
    for _ in range(params()["pairs"]):
        outcomes = await bench.run([good(bench.rng, bench.config, bench.memory) for _ in range(2)])
        assert all(outcome.status is Status.OK for outcome in outcomes)


@cocotb.test()
async def calm(dut):
    """An L1 without conflicts: everything runs at full speed, and hazards come close."""
    await _random_pairs(dut, "calm", 0.0, 2)


@cocotb.test()
async def rough(dut):
    """Random stalls and latencies everywhere."""
    await _random_pairs(dut, "rough", 0.3, 7)


@cocotb.test()
async def stale_weights(dut):
    """A PE row without lanes does not add 0 times what its weights were: NaNs of the command before leave no trace."""
    await start(dut, 100_000)
    bench = Bench(dut, "stale", 0.1, 4)
    rows, n, ow = bench.config.pe_rows, bench.config.pe_columns, 5
    bench.memory[:0x100] = np.frombuffer(np.full(64, 1.5, "<f4").tobytes(), np.uint8)
    bench.memory[0x100:0x800] = np.frombuffer(np.full(448, np.nan, "<f4").tobytes(), np.uint8)
    shared = {
        "mode": {"a_format": Format.FP32, "d_format": Format.FP32}, "kh": 1, "kw": 1, "oh": 1, "ow": ow, "n": n, "batch": 1,
        "a_base": 0, "a_c": 4, "a_kw": 0, "a_kh": 0, "a_ow": 4, "a_oh": 0, "a_batch": 0, "b_k": 0, "b_batch": 0,
        "c_base": 0, "c_ow": 0, "c_oh": 0, "c_batch": 0, "d_ow": 4 * n, "d_oh": 0, "d_batch": 0,
    }  # fmt: skip
    spoil = shared | {"channels": 2 * rows, "b_base": 0x100, "d_base": 0x1000}
    for channels in range(1, 2 * rows):
        await bench.run([spoil, shared | {"channels": channels, "b_base": 0, "d_base": 0x1800}])


@cocotb.test()
async def hostile_commands(dut):
    """Each rule broken, before and after good commands: in order, without effect, never a hang."""
    await start(dut, 2_000_000)
    bench = Bench(dut, "hostile", 0.2, 5)
    seen = Counter()
    for rule in HOSTILE:
        for bad in hostile(bench.rng, bench.config, bench.memory.copy(), rule, params()["hostile"]):
            commands = [bad, good(bench.rng, bench.config, bench.memory)]
            if bench.rng.getrandbits(1):
                commands.reverse()
            for outcome in await bench.run(commands):
                seen[outcome.status] += 1
    assert set(seen) == {Status.OK, Status.UNSUPPORTED, Status.SIZE, Status.ALIGNMENT, Status.ADDRESS}, seen
