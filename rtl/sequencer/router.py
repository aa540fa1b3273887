"""Carries events from every sequencer to every other."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.sequencer.interface import SIGNALS, RemoteSignal

__all__ = ["EventRouter"]


class EventRouter(wiring.Component):
    """Delivers one signal a cycle, round-robin over the senders; signals of one sender stay in order.

    Latency two cycles without contention; a sender waits at most for one signal of each other sender. The receivers always take.

    Members
    -------
    source : array of streams
        From sequencer i; the cluster's own is the last.
    sink : array of {valid, events}
        To sequencer i, registered, one pulse per signal.
    """

    def __init__(self, config: ChipConfig):
        self.count = config.sips + 1
        super().__init__({
            "source": In(stream.Signature(RemoteSignal)).array(self.count),
            "sink": Out(SIGNALS).array(self.count),
        })

    def elaborate(self, platform):
        m = Module()
        buffers = []
        for number, source in enumerate(self.source):
            m.submodules[f"buffer{number}"] = buffer = StreamRegister(RemoteSignal)
            wiring.connect(m, wiring.flipped(source), buffer.input)
            buffers.append(buffer.output)

        # The grant goes to the first request after the last one granted, or to the first of all.
        requests, last, after = (Signal(self.count, name=name) for name in ("requests", "last", "after"))
        grant, chosen = Signal(self.count), Signal(RemoteSignal)
        m.d.comb += [
            requests.eq(Cat(buffer.valid for buffer in buffers)),
            after.eq(requests & ~(last | (last - 1))),
        ]
        with m.If(after != 0):
            m.d.comb += grant.eq(after & ~(after - 1))
        with m.Else():
            m.d.comb += grant.eq(requests & ~(requests - 1))
        with m.If(requests != 0):
            m.d.sync += last.eq(grant)
        for number, buffer in enumerate(buffers):
            m.d.comb += buffer.ready.eq(grant[number])
            with m.If(grant[number]):
                m.d.comb += chosen.eq(buffer.payload)
        for number, sink in enumerate(self.sink):
            m.d.sync += [sink.valid.eq((requests != 0) & (chosen.target == number)), sink.events.eq(chosen.events)]
        return m
