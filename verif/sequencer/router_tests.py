"""Tests of the event router that run inside the simulator."""

from collections import Counter, deque

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.sequencer.interface import SIGNALS, RemoteSignal
from verif.common.clock import start
from verif.common.params import config, rng
from verif.common.streams import StreamSource, unpack


@cocotb.test()
async def delivery(dut):
    """cp_router: every signal arrives once, where it should, in order per sender, one a cycle, and every sender gets its turn."""
    count, draw = config().sips + 1, rng("router")
    await start(dut, 20_000)
    for stall in (0.9, 0.0, 0.5):
        sources = [StreamSource(dut, f"source__{number}", RemoteSignal, rng(f"source{number}/{stall}"), stall) for number in range(count)]
        # The sender's number is the low half of the events, so that the receiver knows it.
        sent = {(sender, target): deque() for sender in range(count) for target in range(count)}
        for sender, source in enumerate(sources):
            for _ in range(60):
                target, number = draw.randrange(count), draw.randrange(1 << 11)
                sent[sender, target].append(number)
                source.push({"target": target, "events": number << 5 | sender})
        arrived, turns, late = 0, Counter(), 0
        while arrived < 60 * count:
            await FallingEdge(dut.clk)
            await ReadOnly()
            signals = [unpack(SIGNALS, int(getattr(dut, f"sink__{number}").value)) for number in range(count)]
            assert sum(signal.valid for signal in signals) <= 1
            late += 1
            for target, signal in enumerate(signals):
                if signal.valid:
                    sender = signal.events & 31
                    assert sent[sender, target].popleft() == signal.events >> 5
                    turns[sender] += 1
                    arrived += 1
            if stall == 0.0 and arrived < 40 * count:
                assert not turns or max(turns.values()) - min(turns[number] for number in range(count)) <= 1
        assert not any(sent.values())
        if stall == 0.0:
            assert late <= 60 * count + 8, f"{late} cycles for {60 * count} signals"
        for source in sources:
            source._task.cancel()
