"""The vector engine against the scalar model: random commands, hostile commands, typical programs, rates."""

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from rtl.formats import Format
from rtl.isa import Cause, Status, VectorCommand
from rtl.l1.port import l1_ports
from verif.common.clock import PERIOD_NS, start
from verif.common.engine import EngineDriver
from verif.common.l1_model import L1Model
from verif.common.params import config, params, rng
from verif.common.streams import StreamSource
from verif.vector import commands, model

CONFIG = config()


class Bench:
    """The engine with an L1 of random delays, a tensor core that sends rows, and the model's own copy of the memory."""

    def __init__(self, dut, name: str, stall: float = 0.3, latency: int = 6):
        self.dut = dut
        self.rng = rng(name)
        self.memory = np.zeros(CONFIG.l1_bytes, np.uint8)
        self.expected = bytearray(CONFIG.l1_bytes)
        ports = {port: signature for port, signature in l1_ports(CONFIG).items() if port.startswith("vector_")}
        self.l1 = L1Model(dut, ports, self.memory, self.rng, stall=stall, latency=latency)
        self.driver = EngineDriver(dut, VectorCommand, rng(name + "/driver"), stall)
        # An array of words is the integer of its concatenation; the source packs integers.
        self.tensor = StreamSource(dut, "result", 32 * CONFIG.vector_lanes, rng(name + "/tensor"), stall)

    def load(self, image: bytes, address: int = 0):
        self.expected[address:address + len(image)] = image
        self.memory[address:address + len(image)] = np.frombuffer(bytes(image), np.uint8)

    def randomise(self):
        image = bytearray(CONFIG.l1_bytes)
        commands.fill(self.rng, image)
        self.load(image)

    def push(self, command: dict, rows=()):
        """Queues a command and its rows, and runs it on the model."""
        wanted = model.check(command, CONFIG)
        self.driver.push(model.encode(command))
        if wanted[0] is Status.OK:
            for beat in rows:
                self.tensor.push(sum(value << 32 * lane for lane, value in enumerate(beat)))
            model.execute(command, CONFIG, self.expected, rows)
        return command, wanted

    async def finish(self, pushed, timeout: int = 20_000):
        command, wanted = pushed
        got = await self.driver.completion(timeout)
        assert got == wanted, f"status {got}, model {wanted}: {command}"

    def compare(self, *pushed):
        want = np.frombuffer(bytes(self.expected), np.uint8)
        bad = np.flatnonzero(self.memory != want)
        assert not len(bad), (
            f"{len(bad)} byte differ, the first at {bad[0]:#x}: {self.memory[bad[0]]:02x}, model {want[bad[0]]:02x}: {[p[0] for p in pushed]}"
        )


@cocotb.test()
async def random_commands(dut):
    """Legal commands of every mode, two at a time back to back, with random stalls everywhere."""
    count = params()["commands"]
    await start(dut, 4000 * count + 1000)
    bench = Bench(dut, "random")
    for i in range(count // 2):
        if i % 8 == 0:
            bench.randomise()
        pushed = []
        for _ in range(2):
            command = commands.legal(bench.rng, CONFIG)
            pushed.append(bench.push(command, commands.rows_for(bench.rng, command, CONFIG)))
        for one in pushed:
            assert one[1][0] is Status.OK, one
            await bench.finish(one)
        bench.compare(*pushed)


@cocotb.test()
async def same_engine_order(dut):
    """A command sees what its predecessor wrote: each adds one to the tensor that the one before left."""
    await start(dut, 20_000)
    bench = Bench(dut, "order")
    bench.randomise()
    command = model.blank()
    command.update(n=CONFIG.pe_columns + 1, ow=3, x_base=256, z_base=256, x_ow=256, z_ow=256, s0=1)
    command["mode"].update(ops=1)
    command["program"] = model.program(("IADD", 0, "V0", "S0"))
    pushed = [bench.push(command) for _ in range(5)]
    for one in pushed:
        await bench.finish(one)
    bench.compare(*pushed)


@cocotb.test()
async def hostile_commands(dut):
    """Every broken rule ends in its status, nothing is written, and the legal command behind it runs."""
    count = params()["hostile"]
    await start(dut, 4000 * count + 1000)
    bench = Bench(dut, "hostile", stall=0.1)
    bench.randomise()
    seen = set()
    for _ in range(count):
        while True:
            command = commands.break_rule(bench.rng, commands.legal(bench.rng, CONFIG), CONFIG)
            # What is still legal may be huge; other tests run legal commands.
            if model.check(command, CONFIG)[0] is not Status.OK:
                break
        good = commands.legal(bench.rng, CONFIG, from_tensor=False)
        pushed = [bench.push(command), bench.push(good)]
        seen.add(pushed[0][1][0])
        for one in pushed:
            await bench.finish(one)
        bench.compare(*pushed)
    assert seen >= {
        Status.UNDEFINED_OPCODE, Status.UNDEFINED_FIELD, Status.UNSUPPORTED, Status.SIZE, Status.ALIGNMENT, Status.ADDRESS,
    } or count < 40, seen
