"""Small designs that meet the emitter's traps: values at time 0, state machines, repeated blocks, SRAMs."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.common.sram import Sram, SramDual

__all__ = ["PAYLOAD", "Mixed"]

#: A struct port: it must come out as one flat vector.
PAYLOAD = data.StructLayout({"low": 5, "high": 3})


class Step(EmitOnce):
    """out = a * 3 + offset, one cycle later; the same module for equal offsets."""

    a: In(8)
    out: Out(8)

    def __init__(self, offset: int):
        self._offset = offset
        super().__init__()

    @property
    def key(self):
        return (self._offset,)

    def build(self, platform):
        m = Module()
        m.d.sync += self.out.eq(self.a * 3 + self._offset)
        return m


class Comb(EmitOnce):
    """A repeated block without registers, hence without clock and reset."""

    a: In(PAYLOAD)
    out: Out(8)

    @property
    def key(self):
        return ()

    def build(self, platform):
        m = Module()
        m.d.comb += self.out.eq(self.a.low + self.a.high)
        return m


class Mixed(wiring.Component):
    """A combinational default at time 0, a state machine, four steps of two kinds, both SRAMs."""

    a: In(PAYLOAD)
    go: In(1)
    constant: Out(4)
    state: Out(2)
    sums: Out(8)
    folded: Out(8)
    read: Out(8)
    read_dual: Out(8)

    def elaborate(self, platform):
        m = Module()
        # Nothing on the right changes, so an `always @*` would never run (amaranth#1629).
        fixed = Signal(4, init=5)
        with m.If(fixed == 5):
            m.d.comb += self.constant.eq(9)
        with m.Else():
            m.d.comb += self.constant.eq(2)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.state.eq(1)
                with m.If(self.go):
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.state.eq(2)
                with m.If(~self.go):
                    m.next = "IDLE"
        value = self.a.as_value()
        for number, offset in enumerate((1, 1, 7, 1)):
            m.submodules[f"step_{number}"] = step = Step(offset)
            m.d.comb += step.a.eq(value)
            value = step.out
        m.d.comb += self.sums.eq(value)
        m.submodules.comb = comb = Comb()
        m.d.comb += [comb.a.eq(self.a), self.folded.eq(comb.out)]
        m.submodules.sram = sram = Sram(40, 8, granularity=4)
        m.submodules.dual = dual = SramDual(40, 8)
        m.d.comb += [
            sram.enable.eq(1), sram.address.eq(self.a.low), sram.write.eq(self.go.replicate(2)), sram.write_data.eq(self.a),
            self.read.eq(sram.read_data),
            dual.write.eq(self.go), dual.write_address.eq(self.a.low), dual.write_data.eq(self.a),
            dual.read_enable.eq(1), dual.read_address.eq(self.a.high), self.read_dual.eq(dual.read_data),
        ]
        return m
