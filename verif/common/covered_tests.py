"""Part of what :class:`verif.common.covered.Half` can do."""

import cocotb
from cocotb.triggers import FallingEdge

from verif.common.clock import start


@cocotb.test()
async def half(dut):
    await start(dut, 100)
    for step in range(20):
        await FallingEdge(dut.clk)
        dut.go.value, dut.low.value, dut.wide.value = step % 4 == 0, step & 1, 0xFFF * (step & 1)
