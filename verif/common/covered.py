"""A design of which a testbench takes known parts alone: what code coverage must find is worked out from its lines."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["HALF", "Half"]


class Half(wiring.Component):
    """Four states of which the inputs that the testbench gives lead to two."""

    go: In(1)
    back: In(1)
    low: In(4)
    wide: In(12)
    out: Out(4)
    wide_out: Out(12)

    def elaborate(self, platform):
        m = Module()
        with m.FSM():
            with m.State("A"):
                with m.If(self.go):
                    m.next = "B"  # taken
            with m.State("B"):
                m.d.sync += self.out.eq(1)  # executed
                with m.If(self.back):
                    m.next = "C"  # never
                with m.Else():
                    m.next = "A"  # always in B
            with m.State("C"):
                m.d.sync += self.out.eq(2)  # never executed
        kept = Mux(self.go, self.wide, 0)  # both sides
        m.d.comb += self.wide_out.eq(Mux(self.back, ~self.low, kept))  # the second side alone
        return m


#: Marks of the lines above to what coverage must say of them.
HALF = {
    "taken": (1, {"condition met", "condition not met"}),
    "executed": (1, set()),
    "never": (0, {"condition not met"}),
    "always in B": (1, set()),
    "never executed": (0, set()),
    "both sides": (None, {"first side of Mux", "second side of Mux"}),
    "the second side alone": (None, {"second side of Mux"}),
}
