"""Timers: each enforces one minimum distance between two DRAM commands, counted in enabled clocks."""

from amaranth import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ActivateWindow", "Timer"]


class Timer(wiring.Component):
    """Distance of at least `clocks` from each `start`.

    Members
    -------
    start
        The event that the distance counts from; a later one starts the count anew.
    ready
        A command may go out in this clock. Low for the `clocks - 1` clocks that follow `start`; says nothing of `start`'s own clock.
    soon
        A command may go out in the next clock: what an ACT asks, which counts from its second clock.
    """

    start: In(1)
    ready: Out(1)
    soon: Out(1)

    def __init__(self, clocks: int):
        if clocks < 1:
            raise ValueError(f"a timer counts at least 1 clock, not {clocks}")
        self.clocks = clocks
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        left = Signal(range(max(self.clocks, 2)))
        with m.If(self.start):
            m.d.sync += left.eq(self.clocks - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.comb += [self.ready.eq(left == 0), self.soon.eq(left <= 1)]
        return m


class ActivateWindow(wiring.Component):
    """tFAW: no five activates within `clocks`. Ports as in :class:`Timer`.

    Four timers take turns; the next in turn was started by the activate four before.
    """

    start: In(1)
    ready: Out(1)
    soon: Out(1)

    def __init__(self, clocks: int):
        self.clocks = clocks
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        timers = [Timer(self.clocks) for _ in range(4)]
        turn = Signal(2)
        with m.If(self.start):
            m.d.sync += turn.eq(turn + 1)
        for index, timer in enumerate(timers):
            m.submodules[f"timer{index}"] = timer
            m.d.comb += timer.start.eq(self.start & (turn == index))
        m.d.comb += [
            self.ready.eq(Array(timer.ready for timer in timers)[turn]),
            self.soon.eq(Array(timer.soon for timer in timers)[turn]),
        ]
        return m
