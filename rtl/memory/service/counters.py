"""What the service counts."""

from amaranth import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.interface import BusCause

__all__ = ["BusCounters", "EventCounter"]


class EventCounter(wiring.Component):
    """Events since `clear`, and the place of the first. It stops at 2^32 - 1.

    Members
    -------
    clear
        Wins over events of the same clock.
    add, place
        Events of this clock, and where they were.
    count, first
        Place 0 while there was none.
    """

    def __init__(self, place_bits: int, add_bits: int = 1):
        super().__init__({
            "clear": In(1), "add": In(add_bits), "place": In(unsigned(place_bits)), "count": Out(32), "first": Out(unsigned(place_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        total = Signal(33)
        m.d.comb += total.eq(self.count + self.add)
        m.d.sync += self.count.eq(Mux(total[32], 0xFFFFFFFF, total))
        with m.If(self.add.any() & (self.count == 0)):
            m.d.sync += self.first.eq(self.place)
        with m.If(self.clear):
            m.d.sync += [self.count.eq(0), self.first.eq(0)]
        return m


class BusCounters(wiring.Component):
    """For each :class:`BusCause` the clocks of the memory with it, modulo 2^32.

    Members
    -------
    enable, cause
        The memory's clock, and what its data bus does in it.
    clear
        Wins.
    index, count
        The counter to look at, combinational.
    """

    enable: In(1)
    cause: In(BusCause)
    clear: In(1)
    index: In(4)
    count: Out(32)

    def elaborate(self, platform):
        m = Module()
        for cause in BusCause:
            counter = Signal(32, name=f"clocks_{cause.name.lower()}")
            with m.If(self.clear):
                m.d.sync += counter.eq(0)
            with m.Elif(self.enable & (self.cause == cause)):
                m.d.sync += counter.eq(counter + 1)
            with m.If(self.index == cause.value):
                m.d.comb += self.count.eq(counter)
        return m
