"""Cycles of the tensor core in an L1 without conflicts: products against budgets, commands in a row, changes of format."""

import itertools

import cocotb
import ml_dtypes
import numpy as np
from cocotb.triggers import ClockCycles

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Cause, Status, TensorCommand
from rtl.l1.port import l1_ports
from verif.common.clock import start
from verif.common.engine import EngineDriver
from verif.common.l1_model import L1Model
from verif.common.params import config, params, rng
from verif.tensor.bench import Monitor
from verif.tensor.checks import INTEGERS
from verif.tensor.commands import encode

_KINDS = {
    Format.FP32: np.dtype("<f4"), Format.TF32: np.dtype("<f4"), Format.FP16: np.dtype("<f2"), Format.BF16: np.dtype(ml_dtypes.bfloat16),
    Format.INT8: np.dtype("<i1"), Format.UINT8: np.dtype("<u1"), Format.INT32: np.dtype("<i4"),
}  # fmt: skip


class _Bench:
    """The core beside a fast L1. Operands are small whole numbers, exact in any order: rounding is the business of other tests."""

    def __init__(self, dut):
        self.dut = dut
        self.chip: ChipConfig = config()
        self.memory = np.zeros(self.chip.l1_bytes, np.uint8)
        ports = {name: port for name, port in l1_ports(self.chip).items() if name.startswith("tensor_")}
        L1Model(dut, ports, self.memory, rng("l1"), stall=0, latency=2)
        self.driver = EngineDriver(dut, TensorCommand, rng("command"), 0)
        self.monitor = Monitor(dut)
        self.random = np.random.default_rng(rng("operands").getrandbits(32))
        self.free = 0

    def _place(self, values: np.ndarray) -> int:
        at, code = self.free, np.frombuffer(values.tobytes(), np.uint8)
        assert at + len(code) <= len(self.memory), "the operands don't fit the L1"
        self.memory[at : at + len(code)] = code
        self.free = at + len(code) + 63 & ~63
        return at

    def product(self, format: Format, m: int, n: int, k: int) -> tuple[dict, np.ndarray]:
        """A command with operands and a result of its own, and what D should be."""
        d_format = Format.INT32 if format in INTEGERS else Format.FP32 if format is Format.TF32 else format
        low = 0 if format is Format.UINT8 else -4
        a, b = self.random.integers(low, 5, (m, k)), self.random.integers(-4, 5, (k, n))
        size = CONTAINER_BYTES[format]
        due = (a @ b).astype(_KINDS[d_format])
        command = {
            "mode": {"a_format": format, "d_format": d_format},
            "kh": 1, "kw": 1, "channels": k, "oh": 1, "ow": m, "n": n, "batch": 1,
            "a_base": self._place(a.astype(_KINDS[format])), "a_c": size * self.chip.lanes(format), "a_ow": size * k,
            "b_base": self._place(b.astype(_KINDS[Format.INT8 if format is Format.UINT8 else format])), "b_k": size * n,
            "d_base": self._place(np.zeros_like(due)), "d_ow": due.itemsize * n,
        }  # fmt: skip
        return command, due

    def again(self, job: tuple[dict, np.ndarray], tag: int) -> tuple[dict, np.ndarray]:
        """The same product into another place."""
        command, due = job
        return command | {"tag": tag, "d_base": self._place(np.zeros_like(due))}, due

    def check(self, command: dict, due: np.ndarray):
        at = command["d_base"]
        assert self.memory[at : at + due.nbytes].tobytes() == due.tobytes(), f"wrong result: {command}"

    def ideal(self, command: dict) -> int:
        """Rows of A over all passes."""
        lanes = self.chip.lanes(command["mode"]["a_format"]) * self.chip.pe_rows
        return command["ow"] * -(-command["channels"] // lanes) * -(-command["n"] // self.chip.pe_columns)

    def gaps(self, since: int) -> list[tuple[int, int, int]]:
        """(tag before, tag after, cycles) between any two stretches of BUSY cycles from the cycle `since` on."""
        gaps, before = [], None
        changes = [change for change in self.monitor.changes if change[0] >= since]
        for (at, tag, cause), following in itertools.pairwise(changes):
            if cause is Cause.BUSY:
                if before is not None:
                    gaps.append((before[0], tag, at - before[1]))
                before = (tag, following[0])
        return gaps


@cocotb.test()
async def products(dut):
    """Each of `cases` (format, shape, budget of cycles, least utilisation) twice; the second may take no longer than the first."""
    cases = params()["cases"]
    await start(dut, 20_000 + sum(4 * budget for *_, budget, _ in cases))
    bench = _Bench(dut)
    wrong = []
    for name, shape, budget, least in cases:
        m, n, k = shape
        format = Format[name]
        bench.free = 0
        command, due = bench.product(format, *shape)
        for _ in range(2):
            before = dict(bench.driver.activity)
            at = command["d_base"]
            bench.memory[at : at + due.nbytes] = 0
            assert await bench.driver.run(encode(command), 4 * budget) == (Status.OK, 0)
            await ClockCycles(dut.clk, 2)
            bench.check(command, due)
            spent = {cause: bench.driver.activity[cause] - before.get(cause, 0) for cause in Cause}
            cycles = sum(spent[cause] for cause in Cause if cause is not Cause.IDLE)
            utilisation = m * n * k / (bench.chip.macs_per_cycle(format) * cycles)
            causes = ", ".join(f"{cause.name} {count}" for cause, count in spent.items() if count)
            line = f"{bench.chip.name} {name} {m}x{n}x{k}: {cycles} cycles, utilisation {utilisation:.2%} ({causes})"
            dut._log.info(line)
            if cycles > budget or utilisation < least:
                wrong.append(f"{line}: the budget is {budget}, the least utilisation {least:.2%}")
    assert not wrong, "\n".join(wrong)


@cocotb.test()
async def in_a_row(dut):
    """Equal commands queued: each takes as many cycles as it has rows, and only the first has to wait for operands."""
    await start(dut, 300_000)
    bench = _Bench(dut)
    for name in params()["in_a_row"]:
        bench.free = 0
        job = bench.product(Format[name], 32, 32, 32)
        jobs = [bench.again(job, tag) for tag in range(1, 5)]
        since = max((at + 1 for at, *_ in bench.monitor.changes), default=0)
        for command, _ in jobs:
            bench.driver.push(encode(command))
        for command, due in jobs:
            assert await bench.driver.completion() == (Status.OK, 0)
            bench.check(command, due)
        gaps = [gap for gap in bench.gaps(since) if gap[2]]
        dut._log.info(f"{bench.chip.name} {name}, 4 products of 32x32x32: {bench.ideal(job[0])} rows each, bubbles {gaps}")
        assert not gaps, f"{name}: (tag before, tag after, cycles) without a row: {gaps}"
        await ClockCycles(dut.clk, 5)


@cocotb.test()
async def format_changes(dut):
    """Every format after every other and after itself, in one queue: 16 cycles at most where it changes, none where it doesn't."""
    await start(dut, 100_000)
    bench = _Bench(dut)
    formats = [format for format in _KINDS if bench.chip.lanes(format)]
    order = _pairs(len(formats))
    passes = 4 * bench.chip.pe_rows
    first = [bench.product(format, 32, bench.chip.pe_columns, passes * bench.chip.lanes(format)) for format in formats]
    jobs = [bench.again(first[number], tag) for tag, number in enumerate(order, 1)]
    for command, _ in jobs:
        bench.driver.push(encode(command))
    for command, due in jobs:
        assert await bench.driver.completion() == (Status.OK, 0)
        bench.check(command, due)
    worst: dict[tuple[str, str], int] = {}
    for before, after, cycles in bench.gaps(0):
        pair = tuple(formats[order[tag - 1]].name for tag in (before, after))
        worst[pair] = max(worst.get(pair, 0), cycles)
    slow = {pair: cycles for pair, cycles in worst.items() if cycles} or "none"
    dut._log.info(f"{bench.chip.name}, {len(worst)} changes of format, bubbles: {slow}")
    assert all(cycles <= (16 if before != after else 0) for (before, after), cycles in worst.items()), worst


def _pairs(count: int) -> list[int]:
    """A sequence of numbers below `count` in which each follows each, itself too."""
    edges = {number: list(range(count)) for number in range(count)}
    walk, stack = [], [0]
    while stack:
        left = edges[stack[-1]]
        if left:
            stack.append(left.pop())
        else:
            walk.append(stack.pop())
    return walk[::-1]
