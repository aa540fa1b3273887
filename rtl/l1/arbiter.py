"""Who of the L1 ports goes in this cycle."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Arbiter"]


class Arbiter(wiring.Component):
    """Fixed priority over claims on banks, with a bound on every wait.

    A request is granted where no bank of its claim is taken by a granted request before it. The order is that of the ports, the
    lowest first, but one request that has waited `PATIENCE` cycles goes before all. At most one such request is chosen per cycle, so a
    port waits `PATIENCE` + `ports` + 1 cycles at most.

    Members
    -------
    valid : one bit per port
    claim
        Per port, the banks that its request needs; sampled with `valid`, which stays with its claim until the grant.
    grant : one bit per port
        Combinational; the request is taken at this clock edge.
    """

    #: Cycles that a request waits before it goes first.
    PATIENCE = 15

    def __init__(self, ports: int, banks: int):
        self.ports = ports
        super().__init__({"valid": In(ports), "claim": In(banks).array(ports), "grant": Out(ports)})

    def elaborate(self, platform):
        m = Module()
        ports = range(self.ports)
        urgent = Signal(self.ports)

        # All pairs at once: the chain through the ports then is one AND-OR per port and not a scan over all banks.
        conflict = [[(self.claim[i] & self.claim[j]).any() for j in range(i)] for i in ports]

        def clash(i: int, j: int):
            return conflict[max(i, j)][min(i, j)]

        # A signal for each port: as bits of one vector, the chain would look like a loop to a simulator.
        grants = [Signal(name=f"grant_{i}") for i in ports]
        for i in ports:
            earlier = Cat(grants[j] & clash(i, j) for j in range(i)).any()
            first = Cat(urgent[j] & clash(i, j) for j in ports if j != i).any()
            m.d.comb += grants[i].eq(self.valid[i] & (urgent[i] | ~(earlier | first)))
        m.d.comb += self.grant.eq(Cat(grants))

        impatient = Signal(self.ports)
        for i in ports:
            waited = Signal(range(self.PATIENCE + 1), name=f"waited_{i}")
            with m.If(~self.valid[i] | self.grant[i]):
                m.d.sync += waited.eq(0)
            with m.Elif(~impatient[i]):
                m.d.sync += waited.eq(waited + 1)
            m.d.comb += impatient[i].eq(waited == self.PATIENCE)
        waiting = Signal(self.ports)
        m.d.comb += waiting.eq(impatient & ~self.grant)
        m.d.sync += urgent.eq(waiting & -waiting)
        return m
