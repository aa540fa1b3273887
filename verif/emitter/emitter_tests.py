"""Plays a recorded stimulus and compares every output in every cycle with what Amaranth's own simulator gave."""

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly, Timer

from verif.common.clock import start
from verif.common.params import params


@cocotb.test()
async def combinational_outputs_hold_at_time_zero(dut):
    for name in ("a", "go"):
        getattr(dut, name).value = 0
    dut.rst.value = 0
    dut.clk.value = 0
    await Timer(1, unit="ns")
    assert dut.constant.value == 9
    assert dut.folded.value == 0


@cocotb.test()
async def equals_the_simulator_of_amaranth(dut):
    await start(dut, 2000)
    for cycle, (stimulus, expected) in enumerate(params()["trace"]):
        for name, value in stimulus.items():
            getattr(dut, name).value = value
        await ReadOnly()
        found = {name: int(getattr(dut, name).value) for name in expected}
        assert found == expected, f"cycle {cycle}: {found} is not {expected}"
        await FallingEdge(dut.clk)
