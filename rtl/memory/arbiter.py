"""The point of ordering: the requests of all ports in one stream."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Assert
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.turns import RoundRobin
from rtl.memory.interface import request
from rtl.memory.port.layouts import read_offer, write_offer

__all__ = ["LIMIT_BITS", "Arbiter"]

#: Width of `starve_limit`.
LIMIT_BITS = 8


class Arbiter(wiring.Component):
    """One request a clock, in the order that all that follows keeps: what is taken here is seen by every read that is taken later.

    It chooses among the first reads and writes of each port and the service's request: the starved first, then the urgent, then the
    others, and in turn within each of the three. A request that is not urgent is starved once `starve_limit` urgent ones have been taken
    while it waited; nothing urgent passes it any more. With a limit of 0 nothing is urgent.

    Members
    -------
    reads, writes
        Of each port.
    service
        Requests of fill and self-test.
    starve_limit
        May change at any time.
    requests
        From a register; `requests.ready` opens all streams combinationally.
    """

    def __init__(self, atom_bits: int, ports: int):
        self.atom_bits, self.ports = atom_bits, ports
        super().__init__({
            "reads": In(stream.Signature(read_offer(atom_bits))).array(ports),
            "writes": In(stream.Signature(write_offer(atom_bits))).array(ports),
            "service": In(stream.Signature(request(atom_bits))), "requests": Out(stream.Signature(request(atom_bits))),
            "starve_limit": In(LIMIT_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        # Reads and writes of a port stand side by side, so that they alternate.
        sources = [stream for pair in zip(self.reads, self.writes, strict=True) for stream in pair] + [self.service]
        writing = Cat(*(number % 2 for number in range(2 * self.ports)), self.service.payload.write)
        count = len(sources)
        waits, urgent, starved = Signal(count), Signal(count), Signal(count)
        chosen, go = Signal(count), Signal()
        m.d.comb += [
            waits.eq(Cat(source.valid for source in sources)),
            urgent.eq(waits & Cat(source.payload.urgent for source in sources) & (self.starve_limit != 0).replicate(count)),
        ]
        classes = {"starved": starved, "urgent": urgent, "other": waits}
        for name, requests in classes.items():
            m.submodules[f"turn_{name}"] = turn = RoundRobin(count)
            m.d.comb += turn.request.eq(requests)
            classes[name] = turn
        first, second, third = classes.values()
        m.d.comb += [
            chosen.eq(Mux(first.request.any(), first.grant, Mux(second.request.any(), second.grant, third.grant))),
            go.eq(waits.any() & (~self.requests.valid | self.requests.ready)),
            first.taken.eq(go & first.request.any()), second.taken.eq(go & ~first.request.any() & second.request.any()),
            third.taken.eq(go & ~first.request.any() & ~second.request.any()),
        ]
        self._patience(m, waits & ~urgent, starved, chosen, go & (chosen & urgent).any(), go)

        taken = Signal(request(self.atom_bits))
        m.d.comb += taken.write.eq((chosen & writing).any())
        for number, source in enumerate(sources):
            m.d.comb += source.ready.eq(go & chosen[number])
            with m.If(chosen[number]):
                m.d.comb += [taken[name].eq(source.payload[name]) for name in source.payload.shape().members if name != "write"]
        with m.If(~self.requests.valid | self.requests.ready):
            m.d.sync += [self.requests.valid.eq(go), self.requests.payload.eq(taken)]
        return m

    def _patience(self, m: Module, patient, starved, chosen, urgent_goes, go):
        """Counts for each request the urgent ones that have passed it."""
        marks = []
        for number in range(len(chosen)):
            passed = Signal(LIMIT_BITS, name=f"passed{number}")
            mark = patient[number] & (passed >= self.starve_limit) & (self.starve_limit != 0)
            with m.If(~patient[number] | (go & chosen[number])):
                m.d.sync += passed.eq(0)
            with m.Elif(urgent_goes & (passed != (1 << LIMIT_BITS) - 1)):
                m.d.sync += passed.eq(passed + 1)
            marks.append(mark)
        m.d.comb += starved.eq(Cat(marks))
        m.d.sync += Assert(~(urgent_goes & starved.any()), "arbiter: an urgent request passes one that is starved")
