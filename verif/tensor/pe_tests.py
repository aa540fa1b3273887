"""The PE alone: FP32 against gmpy2, INT8 against integers, `c` passing unchanged, weights swapped under way."""

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.formats import Format
from rtl.tensor.pe import PE_STAGES
from verif.common.clock import start
from verif.common.params import config, params, rng
from verif.tensor.referee import float_operand, float_operations, fma, int_dot


class Feeder:
    """Drives one row a cycle at most, loads the next weights under way, and compares every result."""

    def __init__(self, dut, random, gaps: float):
        self.dut, self.random, self.gaps = dut, random, gaps
        self.floating = self.integer = 0
        self.expected: list = []
        self.seen = 0
        self.bytes = len(dut.strobe)

    async def cycle(self, row=None, load=None, swap=False):
        """One clock. `row` is (kind, a, c, unsigned, expected); `load` is (word, strobe)."""
        dut = self.dut
        await FallingEdge(dut.clk)
        kind = row[0] if row else None
        self.floating = self.floating << 1 & 0xF | (kind == "float")
        self.integer = self.integer << 1 & 0xF | (kind == "integer")
        dut.float_stage.value, dut.integer_stage.value = self.floating, self.integer
        # What is not a row is noise: the enables alone decide.
        _, dut.a.value, dut.c.value, dut.a_unsigned.value, due = row or (
            None, self.random.getrandbits(8 * self.bytes), self.random.getrandbits(32), self.random.getrandbits(1), None,
        )  # fmt: skip
        dut.weight.value, dut.strobe.value = load or (self.random.getrandbits(32), 0)
        dut.swap.value = int(swap)
        self.expected.append(due)
        await ReadOnly()
        if len(self.expected) > PE_STAGES:
            due = self.expected.pop(0)
            if due is not None:
                got = int(dut.result.value)
                assert got == due[1], f"{due[0]}: got {got:08x}, expected {due[1]:08x}"
                self.seen += 1

    async def rows(self, rows, weights: list[int]):
        """A pass: the rows, while the words of the next pass's `weights` are loaded; then the swap."""
        loads = [(word, 0xF << 4 * number) for number, word in enumerate(weights)]
        rows = list(rows)
        while rows or loads:
            stall = self.random.random() < self.gaps
            load = loads.pop() if loads and self.random.random() < 0.5 else None
            await self.cycle(None if stall or not rows else rows.pop(0), load)
        await self.cycle(swap=True)


@cocotb.test()
async def fp32(dut):
    await start(dut, 400_000)
    random = rng("fp32")
    feeder = Feeder(dut, random, 0)
    # Each operation needs weights of its own, so a pass is one row here: stages hold rows of different passes.
    operations = list(float_operations(random, params()["float_operations"]))
    bits = 8 * feeder.bytes
    await feeder.cycle(load=(operations[0][1], 0xF))
    await feeder.cycle(swap=True, load=(operations[1][1], 0xF))
    for index, (a, b, c) in enumerate(operations):
        following = operations[index + 2][1] if index + 2 < len(operations) else 0
        noise = random.getrandbits(bits) & ~0xFFFFFFFF
        row = ("float", a | noise, c, random.getrandbits(1), (f"{a:08x} * {b:08x} + {c:08x}", fma(a, b, c)))
        await feeder.cycle(row, (following, 0xF), swap=True)
    for _ in range(PE_STAGES + 1):
        await feeder.cycle()
    assert feeder.seen == len(operations)


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


@cocotb.test()
async def int8(dut):
    await start(dut, 100_000)
    random = rng("int8")
    feeder = Feeder(dut, random, 0.2)
    lanes = config().lanes(Format.INT8)
    passes = [[random.choice((0, 1, 0x7F, 0x80, 0xFF, random.getrandbits(8))) for _ in range(lanes)] for _ in range(params()["passes"] + 1)]
    words = [[int.from_bytes(bytes(p[i : i + 4]), "little") for i in range(0, lanes, 4)] for p in passes]
    await feeder.rows([], words[0])
    count = 0
    for number, weights in enumerate(passes[:-1]):
        rows = []
        for _ in range(random.randint(1, 12)):
            unsigned = random.getrandbits(1)
            a = [random.choice((0, 1, 0x7F, 0x80, 0xFF, random.getrandbits(8))) for _ in range(lanes)]
            c = random.choice((0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, random.getrandbits(32)))
            operands = a if unsigned else [_signed(x) for x in a]
            due = int_dot(operands, [_signed(w) for w in weights], c)
            rows.append(("integer", int.from_bytes(bytes(a), "little"), c, unsigned, (f"{a} * {weights} + {c}", due)))
            # A row without lanes: what comes in goes out.
            if random.random() < 0.2:
                rows.append(("integer", 0, c, unsigned, ("pass", c)))
        count += len(rows)
        await feeder.rows(rows, words[number + 1])
    for _ in range(PE_STAGES + 1):
        await feeder.cycle()
    assert feeder.seen == count


@cocotb.test()
async def mixed(dut):
    """FP32 rows and rows that pass, in turn: a chain of PEs at the end of a tap."""
    await start(dut, 20_000)
    random = rng("mixed")
    feeder = Feeder(dut, random, 0.2)
    weights = [float_operand(random) for _ in range(41)]
    await feeder.rows([], weights[:1])
    count = 0
    for number, weight in enumerate(weights[:-1]):
        rows = []
        for _ in range(random.randint(1, 12)):
            a, c = float_operand(random), float_operand(random)
            if random.random() < 0.5:
                rows.append(("float", a, c, 0, (f"{a:08x} * {weight:08x} + {c:08x}", fma(a, weight, c))))
            else:
                rows.append(("integer", 0, c, 0, ("pass", c)))
        count += len(rows)
        await feeder.rows(rows, [weights[number + 1]])
    for _ in range(PE_STAGES + 1):
        await feeder.cycle()
    assert feeder.seen == count
