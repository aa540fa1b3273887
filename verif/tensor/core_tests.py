"""The tensor core against its model: random commands queued two by two or more, and hostile ones."""

from collections import Counter

import cocotb
import numpy as np

from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Status
from verif.common.clock import start
from verif.common.params import params
from verif.tensor.bench import CALM, ROUGH, Bench
from verif.tensor.checks import FLOATS, INTEGERS
from verif.tensor.commands import good, queue
from verif.tensor.hostile import HOSTILE, hostile
from verif.tensor.operands import fill


def _plain(format: Format, lanes: int, m: int, n: int, k: int, **words) -> dict:
    """A dense product of rows of `k` elements by rows of `n`."""
    size = CONTAINER_BYTES[format]
    mode = {"a_format": format, "d_format": Format.INT32 if format in INTEGERS else Format.FP32, **words.pop("mode", {})}
    return {
        "mode": mode, "kh": 1, "kw": 1, "channels": k, "oh": 1, "ow": m, "n": n, "batch": 1,
        "a_base": 0, "a_c": lanes * size, "a_kw": 0, "a_kh": 0, "a_ow": k * size, "a_oh": 0, "a_batch": 0,
        "b_base": 0, "b_k": n * size, "b_batch": 0, "c_base": 0, "c_ow": 0, "c_oh": 0, "c_batch": 0,
        "d_base": 0, "d_ow": 4 * n, "d_oh": 0, "d_batch": 0,
    } | words  # fmt: skip


async def _random(dut, name: str, stalls: tuple[float, int]):
    count = params()["commands"]
    await start(dut, 3000 * count + 20_000)
    bench = Bench(dut, name, stalls)
    skipped = 0
    while count > 0:
        commands = queue(bench.rng, bench.config, bench.memory, bench.rng.choice((2, 2, 3, 4)))
        outcomes = await bench.run(commands)
        assert all(outcome.status is Status.OK for outcome in outcomes)
        skipped += bench.skipped(commands)
        count -= len(commands)
    assert skipped or params()["commands"] < 100, "no row was skipped"
    bench.coverage.export()


@cocotb.test()
async def calm(dut):
    """An L1 without conflicts: everything runs at full speed, and hazards come close."""
    await _random(dut, "calm", CALM)


@cocotb.test()
async def rough(dut):
    """Random stalls and latencies everywhere."""
    await _random(dut, "rough", ROUGH)


@cocotb.test()
async def stale_weights(dut):
    """Lanes beyond K do not add 0 times what their weights were: NaNs of the command before leave no trace."""
    await start(dut, 100_000)
    bench = Bench(dut, "stale", (0.1, 4))
    n, m = bench.config.pe_columns, 3
    for format in FLOATS:
        lanes = bench.config.lanes(format)
        if not lanes:
            continue
        size, k = CONTAINER_BYTES[format], lanes * bench.config.pe_rows
        one = {4: 0x3FC00000, 2: 0x3E00}[size]
        bench.memory[:0x400] = np.full(0x400 // size, one, f"<u{size}").view(np.uint8)
        bench.memory[0x400:0x800] = 0xFF
        spoil = _plain(format, lanes, m, n, k, b_base=0x400, d_base=0x1000)
        for channels in range(1, 2 * k):
            await bench.run([spoil, _plain(format, lanes, m, n, channels, d_base=0x1800)])


@cocotb.test()
async def zero_rows(dut):
    """Rows of zeros are skipped where no bit can change, and most of them are: the rest of the sum is there to see."""
    await start(dut, 200_000)
    bench = Bench(dut, "zero_rows", CALM)
    m, n = 16, bench.config.pe_columns  # one accumulator tile
    for format in (*FLOATS, *INTEGERS):
        lanes = bench.config.lanes(format)
        if not lanes:
            continue
        size, k = CONTAINER_BYTES[format], 4 * lanes * bench.config.pe_rows
        command = _plain(format, lanes, m, n, k, b_base=0x2000, c_base=0x3000, d_base=0x4000, mode={"skip_zero": 1, "accumulate": 1})
        fill(bench.rng, bench.memory, range(0, m * k * size), format)
        rows = bench.memory[: m * k * size].reshape(4 * m, -1)  # each row of a pass
        rows[bench.rng.sample(range(4 * m), 2 * m)] = 0
        # Weights of one pass are infinite: 0 times infinity is a NaN, so its rows are not skipped.
        weights = np.full(k * n, {4: 0x3FC00000, 2: 0x3E00, 1: 3}[size], f"<u{size}")
        if format in FLOATS:
            weights[(k // 2) * n] = {Format.FP16: 0x7C00, Format.BF16: 0x7F80}.get(format, 0x7F800000)
        bench.memory[0x2000 : 0x2000 + k * n * size] = weights.view(np.uint8)
        # -0 + 0 is +0, so a skipped row would show.
        for c in (0x00000000, 0x3F800000, *([0x80000000] if format in FLOATS else [])):
            bench.memory[0x3000 : 0x3000 + 4 * n] = np.full(n, c, "<u4").view(np.uint8)
            commands = [dict(command), dict(command, d_base=0x5000)]
            outcomes = await bench.run(commands)
            due = sum(outcome.skippable for outcome in outcomes)
            # One accumulator of -0 may keep all rows of its tile.
            assert due and bench.skipped(commands) >= 0.9 * due * (c != 0x80000000), f"{format.name}, {c:#x}: {due} rows may be skipped"


@cocotb.test()
async def hostile_commands(dut):
    """Each rule broken, before, after and between good commands: in order, without effect, never a hang."""
    await start(dut, 2_000_000)
    bench = Bench(dut, "hostile", (0.2, 5))
    seen, wanted = Counter(), {Status.OK, Status.UNSUPPORTED, Status.SIZE, Status.ALIGNMENT, Status.ADDRESS}
    # The worst of several faults of a command gives the status: until each has come.
    for _ in range(20):
        for rule in HOSTILE:
            for bad in hostile(bench.rng, bench.config, bench.memory.copy(), rule, params()["hostile"]):
                commands = [good(bench.rng, bench.config, bench.memory) for _ in range(bench.rng.choice((1, 1, 2)))]
                commands.insert(bench.rng.randint(0, len(commands)), bad)
                for outcome in await bench.run(commands):
                    seen[outcome.status] += 1
        if wanted <= set(seen):
            break
    assert set(seen) == wanted, seen
