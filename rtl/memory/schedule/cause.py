"""Why the data bus idles."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.interface import BusCause

__all__ = ["CauseFinder"]


class CauseFinder(wiring.Component):
    """One :class:`rtl.memory.interface.BusCause` for each clock, one clock after the decisions it is worked out from.

    A hit that its bank allows and its channel does not waits for the turn of the bus as long as the last column command was of the other
    direction, and for its bank group afterwards.

    Members
    -------
    reads, writes
        The decision for a column command.
    stopped, waits
        Nothing may be sent; a request waits anywhere.
    requested, open
        Banks that a request waits for; banks with an open row.
    target, refreshed, all_refresh
        The bank that is held for its refresh; those whose refresh is decided now; a refresh of all banks is due or under way.
    rests, can_precharge
        Banks whose timers allow an ACT, a PRE.
    ready_here
        Banks whose timers allow a hit of the present direction.
    legal_there
        Banks with a hit of the other direction that may go out.
    writing
        The present direction.
    cause
        Of the clock before.
    """

    reads: In(1)
    writes: In(1)
    stopped: In(1)
    waits: In(1)
    requested: In(BANKS)
    open: In(BANKS)
    target: In(BANKS)
    refreshed: In(BANKS)
    all_refresh: In(1)
    rests: In(BANKS)
    can_precharge: In(BANKS)
    ready_here: In(BANKS)
    legal_there: In(BANKS)
    writing: In(1)
    cause: Out(BusCause, init=BusCause.STOPPED)

    def elaborate(self, platform):
        m = Module()
        last_write, busy = Signal(), Signal()
        refreshing = Signal(BANKS)
        free, row_waits = Signal(BANKS), Signal(BANKS)
        m.d.sync += [
            busy.eq(self.reads | self.writes), refreshing.eq((refreshing & ~self.rests) | self.refreshed),
        ]
        with m.If(self.reads | self.writes):
            m.d.sync += last_write.eq(self.writes)
        m.d.comb += [
            free.eq(self.requested & ~self.target & ~refreshing),
            row_waits.eq(free & ~Mux(self.open, self.can_precharge, self.rests)),
        ]
        with m.If(self.reads):
            m.d.sync += self.cause.eq(BusCause.READ)
        with m.Elif(self.writes):
            m.d.sync += self.cause.eq(BusCause.WRITE)
        with m.Elif(busy):
            m.d.sync += self.cause.eq(Mux(last_write, BusCause.WRITE, BusCause.READ))
        with m.Elif(self.stopped):
            m.d.sync += self.cause.eq(BusCause.STOPPED)
        with m.Elif(~self.waits):
            m.d.sync += self.cause.eq(BusCause.EMPTY)
        with m.Elif(self.all_refresh | (self.requested.any() & ~free.any())):
            m.d.sync += self.cause.eq(BusCause.REFRESH)
        with m.Elif(self.ready_here.any()):
            m.d.sync += self.cause.eq(Mux(last_write ^ self.writing, BusCause.TURNAROUND, BusCause.GROUP))
        with m.Elif(self.legal_there.any()):
            m.d.sync += self.cause.eq(BusCause.DIRECTION)
        with m.Elif(row_waits.any() | ~self.requested.any()):
            m.d.sync += self.cause.eq(BusCause.ROW)
        with m.Else():
            m.d.sync += self.cause.eq(BusCause.ACTIVATE)
        return m
