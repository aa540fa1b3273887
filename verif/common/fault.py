"""A deliberate fault: shows that a testbench can go red."""

from amaranth import Module, Signal
from amaranth.lib import wiring

from sim.verilog.emit import ports_of

__all__ = ["Fault"]


class Fault(wiring.Component):
    """`component` with bit `bit` of its output port `port` (flat name, such as "done" or "data_read__response"; None: of all its outputs
    that are so wide) inverted in every cycle from the `after`-th on. Raises ValueError if there is no such output.
    """

    def __init__(self, component: wiring.Component, port: str | None, bit: int = 0, *, after: int = 0):
        outputs = {name: value for name, direction, value in ports_of(component) if direction == "o"}
        if port is not None and (port not in outputs or bit >= len(outputs[port])):
            raise ValueError(f"{type(component).__name__} has no output {port}[{bit}]; it has {', '.join(sorted(outputs))}")
        self.inner = component
        self._port, self._bit, self._after = port, bit, after
        super().__init__(component.signature)

    def around(self, component: wiring.Component) -> "Fault":
        """The same fault in another component with the same ports."""
        return Fault(component, self._port, self._bit, after=self._after)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        clock = Signal(range(self._after + 2))
        hit = Signal()
        m.d.comb += hit.eq(clock > self._after)
        with m.If(~hit):
            m.d.sync += clock.eq(clock + 1)
        for (name, direction, inner), (_, _, outer) in zip(ports_of(self.inner), ports_of(self), strict=True):
            if direction == "i":
                m.d.comb += inner.eq(outer)
            elif self._port in (None, name) and self._bit < len(inner):
                m.d.comb += outer.eq(inner ^ (hit << self._bit))
            else:
                m.d.comb += outer.eq(inner)
        return m
