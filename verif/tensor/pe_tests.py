"""The PE alone, against exact arithmetic: every format, formats in turn without bubbles, weights that change under way."""

import itertools

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.formats import Format
from rtl.isa import AlignMode
from rtl.tensor.control import ACCUMULATOR_STAGE, PE_STAGES, RowControl
from verif.common.clock import start
from verif.common.params import config, params, rng
from verif.tensor.pe_operations import Operation, byte_operations, dot_operations, float_corners, pack_lanes, single_operations

_FOUR = (Format.TF32, Format.FP16, Format.BF16)
_CONTROL = RowControl.as_shape().size


class Feeder:
    """Drives one row a cycle at most with the weights of its own, and compares every result and every overflow.

    Weights take two cycles: they fill the shadow register, by a line or by words over the cycles before, then the swap makes them active
    for the row of the next cycle. So each row computes while the next one's weights move.
    """

    def __init__(self, dut, random, gaps: float, words: float):
        self.dut, self.random, self.gaps, self.words = dut, random, gaps, words
        self.bits = len(dut.a)
        self.stages = [0] * PE_STAGES
        self.accumulators = [0] * (ACCUMULATOR_STAGE + 1)
        self.expected: list = [None] * PE_STAGES
        self.held: int | None = None
        self.seen = 0

    async def cycle(self, operation: Operation | None = None, line: int | None = None, word: tuple[int, int] | None = None, swap=False):
        dut, random = self.dut, self.random
        await FallingEdge(dut.clk)
        # What is not a row is noise: `enable` alone decides.
        control, a, c = random.getrandbits(_CONTROL) & ~1, random.getrandbits(self.bits), random.getrandbits(32)
        if operation is not None:
            control = RowControl.const({
                "enable": 1, "a_format": operation.format, "align": operation.align, "lanes": operation.lanes,
            }).as_bits()  # fmt: skip
            a, c = pack_lanes(operation.format, operation.a, self.bits, random), operation.c
        self.stages = [control, *self.stages[:-1]]
        self.accumulators = [c, *self.accumulators[:-1]]
        dut.a.value, dut.c.value = a, self.accumulators[ACCUMULATOR_STAGE]
        dut.control.value = sum(row << _CONTROL * stage for stage, row in enumerate(self.stages))
        dut.line.value, dut.take_line.value = random.getrandbits(self.bits) if line is None else line, line is not None
        dut.weight.value, dut.strobe.value = word or (random.getrandbits(32), 0)
        dut.swap.value = int(swap)
        self.expected.append(operation)
        await ReadOnly()
        done = self.expected.pop(0)
        got = int(dut.overflow.value)
        if done is None:
            assert not got, "overflow without a row"
            if self.held is not None:
                assert int(dut.result.value) == self.held, "the result moved without a row"
        else:
            result = int(dut.result.value)
            due = done.due(config())
            assert (result, got) == due, f"{done}: got {result:08x} {got}, expected {due[0]:08x} {due[1]}"
            self.held = result
            self.seen += 1

    async def run(self, operations):
        """Every operation once; some cycles are gaps, some weights come word by word in cycles of their own."""
        waiting = None
        count = 0
        for operation in itertools.chain(operations, (None,)):
            # The row before, whose weights were swapped in, enters now.
            line = None if operation is None else pack_lanes(operation.format, operation.b, self.bits, self.random)
            while self.random.random() < self.gaps:
                await self.cycle()
            if operation is None:
                await self.cycle(waiting)
                break
            count += 1
            if self.random.random() < self.words:
                order = self.random.sample(range(0, self.bits, 8), self.bits // 8)
                for place in order:
                    word = (line >> place & 0xFF) << place % 32
                    await self.cycle(waiting, word=(word, 1 << place // 8))
                    waiting = None
                await self.cycle(swap=True)
            else:
                await self.cycle(waiting, line=line)
                await self.cycle(swap=True)
            waiting = operation
        for _ in range(PE_STAGES + 1):
            await self.cycle()
        assert self.seen == count

    async def stream(self, operations):
        """As `run`, one row a cycle: the line of row n + 2 fills and the weights of row n + 1 are swapped in while row n enters."""
        rows = list(operations)
        for number in range(-2, len(rows)):
            following = rows[number + 2] if number + 2 < len(rows) else None
            line = None if following is None else pack_lanes(following.format, following.b, self.bits, self.random)
            await self.cycle(rows[number] if number >= 0 else None, line=line, swap=-1 <= number < len(rows) - 1)
        for _ in range(PE_STAGES + 1):
            await self.cycle()
        assert self.seen == len(rows)


def _all(random, count: int):
    """Streams of every format of the chip."""
    chip = config()
    for format in chip.operand_formats:
        if format is Format.FP32:
            yield single_operations(random, count)
        elif format is Format.INT8:
            yield byte_operations(chip, random, 2 * count)
        else:
            yield dot_operations(chip, format, random, count)


@cocotb.test()
async def streams(dut):
    """Each format by itself, one row a cycle, weights that change for every row."""
    count = params()["operations"]
    await start(dut, 40 * count + 20_000)
    random = rng("streams")
    for operations in _all(random, count):
        await Feeder(dut, random, 0, 0).stream(operations)


@cocotb.test()
async def classes(dut):
    """Pairs of classes of the formats with four products: all of them, or every n-th where the simulator is slow."""
    await start(dut, 60_000)
    random = rng("classes")
    for format in config().operand_formats:
        if format in _FOUR:
            await Feeder(dut, random, 0, 0).stream(itertools.islice(float_corners(format, random), 0, None, params().get("step", 1)))


@cocotb.test()
async def mixed(dut):
    """The format changes from row to row; rows without a lane; gaps full of noise; weights by line and by words."""
    count = params()["operations"] // 4
    await start(dut, 100 * count + 20_000)
    random = rng("mixed")
    pool = [operation for operations in _all(random, count) for operation in itertools.islice(operations, count)]
    # A row without a lane passes `c`.
    pool += [operation._replace(lanes=0) for operation in random.sample(pool, count // 4)]
    random.shuffle(pool)
    await Feeder(dut, random, 0, 0).stream(pool)
    await Feeder(dut, random, 0.3, 0.3).run(pool[: count // 2])


@cocotb.test()
async def chain(dut):
    """Each result is the accumulator of the next operation, as in a tile that waits for itself: toward zero it never grows past the
    exact sum, and no bit depends on what else is in the pipeline.
    """
    await start(dut, 20_000)
    random = rng("chain")
    for operations in _all(random, 40):
        c = 0
        for operation in itertools.islice(operations, 40):
            step = operation._replace(c=c)
            await Feeder(dut, random, 0, 0).stream([step])
            c = step.due(config())[0]
            if step.align is AlignMode.OWN and random.random() < 0.1:
                c = 0
