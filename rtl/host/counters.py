"""Cycle counters of one sequencer's engines, by cause."""

from amaranth import Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.isa import Cause, Engine
from rtl.sequencer.interface import LaneCauses

__all__ = ["CauseCounters"]

_ROWS = 1 << (max(cause.value for cause in Cause)).bit_length()


class CauseCounters(EmitOnce):
    """One 32-bit counter per engine and cause. In each enabled cycle every engine's present cause counts one.

    The counters of an engine are the rows of a small memory with a single incrementer, since only one of them moves.

    Members
    -------
    clear
        All counters become zero.
    enable, causes
        What to count.
    engine, cause, count
        The counter that is read; `count` comes one cycle later.
    """

    clear: In(1)
    enable: In(1)
    causes: In(LaneCauses)
    engine: In(Engine)
    cause: In(Cause)
    count: Out(32)

    @property
    def key(self) -> tuple:
        return ()

    def build(self, platform):
        m = Module()
        for engine in Engine:
            name = engine.name.lower()
            m.submodules[name] = memory = Memory(shape=32, depth=_ROWS, init=[])
            write, present, read = memory.write_port(), memory.read_port(domain="comb"), memory.read_port(domain="comb")
            # A row that was not written since the clear counts from zero.
            written = Signal(_ROWS, name=f"{name}_written")
            cause = self.causes[name].as_value()
            m.d.comb += [
                present.addr.eq(cause), write.addr.eq(cause), write.en.eq(self.enable),
                write.data.eq(Mux(written.bit_select(cause, 1), present.data, 0) + 1),
                read.addr.eq(self.cause),
            ]
            with m.If(self.clear):
                m.d.sync += written.eq(0)
            with m.Elif(self.enable):
                m.d.sync += written.eq(written | (1 << cause))
            with m.If(self.engine == engine):
                m.d.sync += self.count.eq(Mux(written.bit_select(self.cause.as_value(), 1), read.data, 0))
        return m
