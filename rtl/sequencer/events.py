"""The events of one sequencer: 16 counting semaphores."""

from amaranth import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.sequencer.interface import SIGNALS

__all__ = ["EVENT_BITS", "EventCounters", "EventWait"]

#: An event counts to 255.
EVENT_BITS = 8


class EventWait(wiring.Signature):
    """Seen from who waits: `available` says that every event of `events` is above zero; with `request` they are wanted, and in
    the cycle of `take` one is taken from each, all at once. `available` and `take` are combinational."""

    def __init__(self):
        super().__init__({"events": Out(16), "request": Out(1), "available": In(1), "take": In(1)})


class EventCounters(wiring.Component):
    """Adds and takes events. One requester takes in a cycle; the first one in the list whose events are there goes first.

    Members
    -------
    clear
        All counters become zero; wins over everything else.
    waits
        One :class:`EventWait` per requester, in order of priority.
    local, remote : {valid, events}
        One is added to each event, from both in the same cycle too. What is added can be taken from the next cycle on.
    local_overflow, remote_overflow
        That very signal would count an event beyond 255; the counter stays at 255.
    """

    def __init__(self, requesters: int):
        self.requesters = requesters
        super().__init__({
            "clear": In(1),
            "waits": In(EventWait()).array(requesters),
            "local": In(SIGNALS),
            "remote": In(SIGNALS),
            "local_overflow": Out(1),
            "remote_overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        counters = [Signal(EVENT_BITS, name=f"event{number}") for number in range(ChipConfig.EVENTS)]
        present, taken = Signal(ChipConfig.EVENTS), Signal(ChipConfig.EVENTS)
        full, nearly = Signal(ChipConfig.EVENTS), Signal(ChipConfig.EVENTS)
        most = (1 << EVENT_BITS) - 1

        granted = C(0)
        for wait in self.waits:
            m.d.comb += [
                wait.available.eq((wait.events & ~present) == 0),
                wait.take.eq(wait.request & wait.available & ~granted),
            ]
            granted = granted | wait.take
            with m.If(wait.take):
                m.d.comb += taken.eq(wait.events)

        local = Mux(self.local.valid, self.local.events, 0)
        remote = Mux(self.remote.valid, self.remote.events, 0)
        for number, counter in enumerate(counters):
            m.d.comb += [present[number].eq(counter != 0), full[number].eq(counter == most), nearly[number].eq(counter == most - 1)]
            total = counter + local[number] + remote[number] - taken[number]
            m.d.sync += counter.eq(Mux(total > most, most, total))
        m.d.comb += [
            self.remote_overflow.eq((remote & full & ~taken).any()),
            self.local_overflow.eq((local & ((full & ~(taken & ~remote)) | (nearly & remote & ~taken))).any()),
        ]
        with m.If(self.clear):
            m.d.sync += [counter.eq(0) for counter in counters]
        return m
