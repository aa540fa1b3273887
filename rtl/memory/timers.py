"""Timers: each enforces one minimum distance between two DRAM commands, counted in enabled clocks."""

from amaranth import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.timing import TIMER_BITS

__all__ = ["ActivateWindow", "Timer"]


class Timer(wiring.Component):
    """Distance of at least `clocks` from each `start`.

    Parameters
    ----------
    bits
        Width of `clocks`.

    Members
    -------
    clocks
        The distance, at least 1; constant while commands flow.
    start
        The event that the distance counts from; a later one starts the count anew.
    ready
        A command may go out in this clock. Low for the `clocks - 1` clocks that follow `start`; says nothing of `start`'s own clock.
    soon
        A command may go out in the next clock: what an ACT asks, which counts from its second clock.
    left
        Clocks to the first one that is allowed, the present one included; 0 and 1 both mean now.
    """

    def __init__(self, bits: int = TIMER_BITS):
        if bits < 2:
            raise ValueError(f"a timer has at least 2 bits, not {bits}")
        self.bits = bits
        super().__init__({"clocks": In(bits), "start": In(1), "ready": Out(1), "soon": Out(1), "left": Out(bits)})

    def elaborate(self, platform):
        m = Module()
        # The present clock is included: loading `clocks` itself needs no subtractor.
        left = self.left
        m.d.comb += [self.ready.eq(left <= 1), self.soon.eq(left <= 2)]
        with m.If(self.start):
            m.d.sync += left.eq(self.clocks)
        with m.Elif(~self.ready):
            m.d.sync += left.eq(left - 1)
        return m


class ActivateWindow(wiring.Component):
    """tFAW: no five activates within `clocks`. Ports as in :class:`Timer`.

    Four timers take turns; the next in turn was started by the activate four before.
    """

    clocks: In(TIMER_BITS)
    start: In(1)
    ready: Out(1)
    soon: Out(1)

    def elaborate(self, platform):
        m = Module()
        timers = [Timer() for _ in range(4)]
        turn = Signal(2)
        with m.If(self.start):
            m.d.sync += turn.eq(turn + 1)
        for index, timer in enumerate(timers):
            m.submodules[f"timer{index}"] = timer
            m.d.comb += [timer.clocks.eq(self.clocks), timer.start.eq(self.start & (turn == index))]
        m.d.comb += [
            self.ready.eq(Array(timer.ready for timer in timers)[turn]),
            self.soon.eq(Array(timer.soon for timer in timers)[turn]),
        ]
        return m
