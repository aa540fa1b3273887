"""Cycles of a square product in an L1 without conflicts, against a budget."""

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Cause, Status, TensorCommand
from rtl.l1.port import l1_ports
from verif.common.clock import start
from verif.common.engine import EngineDriver
from verif.common.l1_model import L1Model
from verif.common.params import config, params, rng


@cocotb.test()
async def product(dut):
    """D = A * B for m, n, k; twice, and the second command may cost no more than the first."""
    chip, given = config(), params()
    format = Format[given["format"]]
    m, n, k = given["shape"]
    size = CONTAINER_BYTES[format]
    await start(dut, 3 * given["budget"] + 10_000)
    random = np.random.default_rng(rng("product").getrandbits(32))
    memory = np.zeros(chip.l1_bytes, np.uint8)
    ports = {name: port for name, port in l1_ports(chip).items() if name.startswith("tensor_")}
    L1Model(dut, ports, memory, rng("l1"), stall=0, latency=2)
    driver = EngineDriver(dut, TensorCommand, rng("command"), 0)

    # Whole numbers of FP32 are exact in any order; how FP32 rounds is the business of the other testbenches.
    a, b = random.integers(-128, 128, (m, k)), random.integers(-128, 128, (k, n))
    due = a @ b
    kind, result, d_format = ("<f4", "<f4", Format.FP32) if format is Format.FP32 else ("<i1", "<i4", Format.INT32)
    b_base, d_base = m * k * size, (m * k + k * n) * size
    memory[:b_base] = np.frombuffer(a.astype(kind).tobytes(), np.uint8)
    memory[b_base:d_base] = np.frombuffer(b.astype(kind).tobytes(), np.uint8)
    command = {
        "mode": {"a_format": format, "d_format": d_format},
        "kh": 1, "kw": 1, "channels": k, "oh": 1, "ow": m, "n": n, "batch": 1,
        "a_base": 0, "a_c": size * chip.lanes(format), "a_ow": size * k, "b_base": b_base, "b_k": size * n,
        "d_base": d_base, "d_ow": 4 * n,
    }  # fmt: skip

    macs = m * n * k
    for _ in range(2):
        before = dict(driver.activity)
        assert await driver.run(command, 2 * given["budget"]) == (Status.OK, 0)
        await ClockCycles(dut.clk, 2)
        got = memory[d_base : d_base + 4 * m * n].view(result).reshape(m, n)
        assert (got == due).all()
        spent = {cause: driver.activity[cause] - before.get(cause, 0) for cause in Cause}
        cycles = sum(spent[cause] for cause in Cause if cause is not Cause.IDLE)
        utilisation = macs / (chip.macs_per_cycle(format) * cycles)
        causes = ", ".join(f"{cause.name} {count}" for cause, count in spent.items() if count)
        dut._log.info(f"{chip.name} {format.name} {m}x{n}x{k}: {cycles} cycles, utilisation {utilisation:.1%} ({causes})")
        assert cycles <= given["budget"], f"{cycles} cycles are more than the budget of {given['budget']}"
        assert utilisation >= given["utilisation"]
        memory[d_base : d_base + 4 * m * n] = 0
