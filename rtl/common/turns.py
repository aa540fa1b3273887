"""Who is next: the round-robin choice that everything with several requesters shares."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RoundRobin"]


class RoundRobin(wiring.Component):
    """Fair choice among `count` requests.

    Members
    -------
    request : one bit each
    grant : one-hot, or zero without a request
        Combinational: the first request after the one that was taken last.
    taken
        The granted one goes at this clock edge.
    """

    def __init__(self, count: int):
        self.count = count
        super().__init__({"request": In(count), "grant": Out(count), "taken": In(1)})

    def elaborate(self, platform):
        m = Module()
        after = Signal(self.count)
        later = Signal(self.count)
        candidates = Signal(self.count)
        m.d.comb += [
            later.eq(self.request & after),
            candidates.eq(Mux(later.any(), later, self.request)),
            self.grant.eq(candidates & -candidates),
        ]
        with m.If(self.taken):
            m.d.sync += after.eq(~(self.grant | (self.grant - 1)))
        return m
