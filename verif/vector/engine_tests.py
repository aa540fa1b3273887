"""The vector engine against the scalar model: random commands, hostile commands, typical programs, rates."""

from contextlib import suppress

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, SimTimeoutError

from rtl.formats import Format
from rtl.isa import Cause, Status, VectorCommand
from rtl.l1.port import l1_ports
from verif.common.clock import start
from verif.common.engine import EngineDriver
from verif.common.l1_model import L1Model
from verif.common.params import config, params, rng
from verif.common.streams import StreamSource
from verif.vector import commands, model
from verif.vector.coverage import VectorCoverage

CONFIG = config()
COVERAGE = VectorCoverage(CONFIG)


class Bench:
    """The engine with an L1 of random delays, a tensor core that sends rows, and the model's own copy of the memory."""

    def __init__(self, dut, name: str, stall: float = 0.3, latency: int = 6):
        self.dut = dut
        self.rng = rng(name)
        self.stall, self.before = stall, "first"
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
        COVERAGE.sample(command, wanted[0], self.before, self.stall)
        self.before = "good" if wanted[0] is Status.OK else "refused"
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
            f"{len(bad)} byte differ, at {bad[0]:#x}: {self.memory[bad[0]]:02x}, model {want[bad[0]]:02x}: {[one[0] for one in pushed]}"
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
    COVERAGE.export()


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
    COVERAGE.export()


@cocotb.test()
async def hostile_commands(dut):
    """Every broken rule ends in its status, nothing is written, and the legal command behind it runs; one or two in a row are broken."""
    count = params()["hostile"]
    await start(dut, 4000 * count + 1000)
    bench = Bench(dut, "hostile", stall=0.1)
    bench.randomise()
    seen = set()
    for i in range(count):
        broken = []
        for _ in range(bench.rng.choice([1, 1, 2])):
            while True:
                command = commands.break_rule(bench.rng, commands.legal(bench.rng, CONFIG), CONFIG, (i + len(broken)) % commands.RULES)
                # What is still legal may be huge; other tests run legal commands.
                if model.check(command, CONFIG)[0] is not Status.OK:
                    break
            broken.append(command)
        good = commands.legal(bench.rng, CONFIG, from_tensor=False)
        pushed = [bench.push(command) for command in (*broken, good)]
        seen |= {status for _, (status, *_) in pushed[:-1]}
        for one in pushed:
            await bench.finish(one)
        bench.compare(*pushed)
    assert seen >= {
        Status.UNDEFINED_OPCODE, Status.UNDEFINED_FIELD, Status.UNSUPPORTED, Status.SIZE, Status.ALIGNMENT, Status.ADDRESS,
    }, seen
    COVERAGE.export()


@cocotb.test()
async def edges_of_l1(dut):
    """Each operand at the first and the last byte of L1 is legal, one element further is not, and the record has the byte's address."""
    await start(dut, 200_000)
    bench = Bench(dut, "edges", stall=0.1)
    bench.randomise()
    for name in "xypz":
        for top in (False, True):
            for outside in (False, True):
                command = commands.at_edge(bench.rng, CONFIG, name, top=top, outside=outside)
                pushed = bench.push(command)
                assert pushed[1][0] is (Status.ADDRESS if outside else Status.OK), pushed
                await bench.finish(pushed)
                bench.compare(pushed)
    COVERAGE.export()


@cocotb.test()
async def reset_in_the_middle(dut):
    """The engine's own reset drops what runs and what waits; the commands after it run as if nothing had been."""
    await start(dut, 40_000)
    # The model of L1 expects offers to stay, so it takes each at once; a reset lasts until it has answered.
    bench = Bench(dut, "reset", stall=0, latency=4)
    bench.randomise()
    for _ in range(8):
        for _ in range(2):
            bench.driver.push(model.encode(commands.legal(bench.rng, CONFIG, from_tensor=False)))
        await ClockCycles(dut.clk, bench.rng.randint(60, 200))  # both are taken by then
        await FallingEdge(dut.clk)
        dut.drop.value = 1
        await ClockCycles(dut.clk, 12)
        await FallingEdge(dut.clk)
        dut.drop.value = 0
        with suppress(SimTimeoutError):
            while True:
                await bench.driver.completion(2)
        bench.expected[:] = bench.memory.tobytes()
        pushed = [bench.push(commands.legal(bench.rng, CONFIG, from_tensor=False)) for _ in range(2)]
        for one in pushed:
            await bench.finish(one)
        bench.compare(*pushed)
    COVERAGE.export()


class Tally:
    """Cycles of one command without stalls, from its start to its end, by the engine's own count."""

    def __init__(self, bench: Bench):
        self._bench = bench

    async def run(self, command: dict, rows=()) -> tuple[int, int]:
        """(busy and waiting cycles, slots) of one command."""
        activity = self._bench.driver.activity
        before = activity.total() - activity[Cause.IDLE]
        pushed = self._bench.push(command, rows)
        await self._bench.finish(pushed)
        await ClockCycles(self._bench.dut.clk, 5)
        self._bench.compare(pushed)
        return activity.total() - activity[Cause.IDLE] - before, len(list(model.slots(command, CONFIG)))


def onnx_requantisation(rows: int, n: int) -> dict:
    """INT32 results of the tensor core, bias P0, float scale P1, zero point S0, clamp by ZERO from below (ReLU at zero point 0)."""
    command = model.blank()
    command.update(n=n, ow=rows, z_base=0, z_ow=n, p_base=CONFIG.l1_bytes // 2, p_stride=4 * n, s0=-3 & 0xFFFFFFFF, s1=127)
    command["mode"].update(from_tensor=1, z_format=Format.INT8.value, params=2, ops=7)
    command["program"] = model.program(
        ("IADD", 0, "V0", "P0"), ("ITOF", 0, "V0", "ZERO"), ("FMUL", 0, "V0", "P1"), ("FTOI", 0, "V0", "ZERO"), ("IADDS", 0, "V0", "S0"),
        ("IMAX", 0, "V0", "S0"), ("IMIN", 0, "V0", "S1"),
    )
    return command


def max_pooling(side: int, channels: int) -> dict:
    """2 x 2, stride 2, INT8, NHWC."""
    command = model.blank()
    command.update(n=channels, ow=side // 2, oh=side // 2, kh=2, kw=2)
    command.update(x_kw=channels, x_kh=side * channels, x_ow=2 * channels, x_oh=2 * side * channels)
    command.update(z_base=CONFIG.l1_bytes // 2, z_ow=channels, z_oh=side // 2 * channels)
    command["mode"].update(x_format=Format.INT8.value, z_format=Format.INT8.value, reduce=model.code("IMAX"))
    return command


def residual_add(rows: int, n: int) -> dict:
    """Two INT8 tensors with their own scales, as TFLite adds them: shift left by 20, rescale each, add, rescale the sum."""
    command = model.blank()
    half = CONFIG.l1_bytes // 2
    command.update(n=n, ow=rows, x_base=0, x_ow=n, y_base=half // 2, y_ow=n, z_base=half, z_ow=n, s0=0x1234567 << 4, s1=20)
    command.update(p_base=half + half // 2, p_stride=4 * n)
    for name in ("x_format", "y_format", "z_format"):
        command["mode"][name] = Format.INT8.value
    command["mode"].update(y_enable=1, params=2, ops=8)
    command["program"] = model.program(
        ("SHL", 2, "V0", "S1"), ("MOV", 0, "P1", "ZERO"), ("REQD", 0, "V2", "P0"),
        ("SHL", 3, "V1", "S1"), ("MOV", 1, "P1", "ZERO"), ("REQD", 1, "V3", "S0"),
        ("IADD", 1, "V0", "V1"), ("REQS", 0, "V1", "P0"),
    )
    return command


@cocotb.test()
async def typical_programs_at_full_rate(dut):
    """Requantisation from the tensor core, max pooling, residual addition, a copy: right, and within their budget of cycles a slot.

    The budget is the documented count of cycles a slot plus 10 percent and 45 cycles for filling and draining.
    """
    await start(dut, 60_000)
    bench = Bench(dut, "rate", stall=0, latency=2)
    tally = Tally(bench)
    copy = model.blank()
    copy.update(n=CONFIG.pe_columns * 4, ow=20, x_ow=16 * CONFIG.pe_columns, z_base=CONFIG.l1_bytes // 2, z_ow=16 * CONFIG.pe_columns)
    one_row = onnx_requantisation(1, 40 * CONFIG.pe_columns)
    one_row["mode"].update(from_tensor=0, ops=3)
    work = {
        "copy of INT32": (copy, 1),
        "bias, scale and clamp from the tensor core": (onnx_requantisation(40, 2 * CONFIG.pe_columns), 7),
        "max pooling 2 x 2 of INT8": (max_pooling(16, CONFIG.pe_columns), 4),
        "residual addition of INT8": (residual_add(48, 2 * CONFIG.pe_columns), 8),
        "one row with parameters": (one_row, 3),
    }
    slow = []
    for name, (command, cycles) in work.items():
        bench.randomise()
        spent, count = await tally.run(command, commands.rows_for(bench.rng, command, CONFIG))
        dut._log.info(f"rate: {name}: {spent / count:.2f} cycles a slot ({spent} for {count}), documented {cycles}")
        if spent > 1.1 * cycles * count + 45:
            slow.append((name, spent, count, cycles))
    assert not slow, slow
    COVERAGE.export()
