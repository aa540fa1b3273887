"""Order, integrity and stability of a 16-bit stream stage; two bursts with idle time between them."""

import cocotb
from cocotb.triggers import ClockCycles

from verif.common.clock import start
from verif.common.params import rng
from verif.common.streams import StreamSink, StreamSource


@cocotb.test()
async def passes_items_in_order(dut):
    await start(dut, 4000)
    source = StreamSource(dut, "input", 16, rng("source"), stall=0.3)
    sink = StreamSink(dut, "output", 16, rng("sink"), stall=0.3)
    values = rng("values")
    for _ in range(2):
        sent = [values.getrandbits(16) for _ in range(200)]
        for item in sent:
            source.push(item)
        assert [await sink.recv() for _ in sent] == sent
        await ClockCycles(dut.clk, 10)
    # Full rate: one item a cycle once the pipe is full.
    source.stall = sink.stall = 0
    await ClockCycles(dut.clk, 5)
    for item in range(100):
        source.push(item)
    for item in range(100):
        assert await sink.recv() == item
