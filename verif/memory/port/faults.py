"""Designs that are broken on purpose."""

from collections.abc import Callable

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring

from rtl.memory.port.front import MemoryFront
from sim.verilog.emit import ports_of

__all__ = ["Altered", "ParkedWrites"]


class Altered(wiring.Component):
    """`component` with its input `port` altered by `change` on the way in."""

    def __init__(self, component: wiring.Component, port: str, change: Callable):
        self._inner, self._port, self._change = component, port, change
        super().__init__(component.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self._inner
        for (name, direction, inner), (_, _, outer) in zip(ports_of(self._inner), ports_of(self), strict=True):
            if direction == "o":
                m.d.comb += outer.eq(inner)
            else:
                m.d.comb += inner.eq(self._change(outer) if name == self._port else outer)
        return m


class ParkedWrites(wiring.Component):
    """A front whose writes wait `CLOCKS` clocks behind the arbiter while reads pass: their responses come too early."""

    CLOCKS = 40

    def __init__(self, front: MemoryFront):
        self._inner = front
        super().__init__(front.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self._inner
        for (name, direction, theirs), (_, _, ours) in zip(ports_of(inner), ports_of(self), strict=True):
            if direction == "i" and name != "requests__ready":
                m.d.comb += theirs.eq(ours)
            elif direction == "o" and name not in ("requests__valid", "requests__payload"):
                m.d.comb += ours.eq(theirs)
        parked = Signal.like(inner.requests.payload)
        waiting, locked = Signal(), Signal()
        left = Signal(range(self.CLOCKS + 1))
        passes = inner.requests.valid & ~inner.requests.payload.write
        due = waiting & (left == 0) & ~locked
        m.d.comb += [
            self.requests.valid.eq(due | passes),
            self.requests.payload.eq(Mux(due, parked.as_value(), inner.requests.payload.as_value())),
            inner.requests.ready.eq(Mux(inner.requests.payload.write, ~waiting, self.requests.ready & ~due)),
        ]
        with m.If(self.enable):
            # An offered read stays.
            m.d.sync += locked.eq(passes & ~due & ~self.requests.ready)
            with m.If(inner.requests.valid & inner.requests.payload.write & ~waiting):
                m.d.sync += [parked.eq(inner.requests.payload), waiting.eq(1), left.eq(self.CLOCKS)]
            with m.Elif(due & self.requests.ready):
                m.d.sync += waiting.eq(0)
            with m.Elif(waiting & (left != 0)):
                m.d.sync += left.eq(left - 1)
        return m
