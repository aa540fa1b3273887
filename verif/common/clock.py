"""Clock, reset and the time limit of a testbench.

Every driver of the project drives at the falling edge and samples in the read-only phase of that same time step, when all combinational
paths have settled: what is then seen is what the next rising edge acts on, in every simulator.
"""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, Timer

from verif.common.params import inputs

__all__ = ["PERIOD_NS", "start"]

PERIOD_NS = 10


async def start(dut, cycles: int):
    """Zeroes every input, starts `dut.clk`, resets for four cycles and arms a limit: the test fails after `cycles` clocks."""
    for name in inputs():
        getattr(dut, name).value = 0
    dut.rst.value = 1
    dut.clk.value = 0
    cocotb.start_soon(_limit(cycles))
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    await ClockCycles(dut.clk, 4)
    await FallingEdge(dut.clk)
    dut.rst.value = 0


async def _limit(cycles: int):
    await Timer(cycles * PERIOD_NS, unit="ns")
    raise AssertionError(f"the test did not end within {cycles} cycles")
