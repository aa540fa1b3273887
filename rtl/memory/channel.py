"""The timing rules between the banks of a channel."""

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.timers import ActivateWindow, Timer
from rtl.memory.timing import TimingValues

__all__ = ["ChannelTimers"]


class ChannelTimers(wiring.Component):
    """tRRD_S, tRRD_L, tFAW, tRREFD (activates, where a single-bank refresh counts as one) and tCCD, tWTR, RD to WR (columns).

    Rules within a bank are :class:`rtl.memory.bank.BankTimers`'.

    Members
    -------
    timing
        The distances.
    activate
        The second clock of an ACT, or a REFSB, in bank group `row_group`.
    refresh
        With `activate`: it is a REFSB.
    read, write
        The command goes to bank group `column_group` in this clock.
    can_activate
        For each group: an ACT may start in this clock (it counts from the next one).
    can_refresh, can_read, can_write
        For each group: the command may go out in this clock.
    """

    timing: In(TimingValues)
    activate: In(1)
    refresh: In(1)
    row_group: In(2)
    read: In(1)
    write: In(1)
    column_group: In(2)
    can_activate: Out(4)
    can_refresh: Out(4)
    can_read: Out(4)
    can_write: Out(4)

    def elaborate(self, platform):
        m = Module()
        t = self.timing

        def timer(name: str, start, clocks) -> Timer:
            m.submodules[name] = timer = Timer()
            m.d.comb += [timer.clocks.eq(clocks), timer.start.eq(start)]
            return timer

        m.submodules.tFAW = window = ActivateWindow()
        m.d.comb += [window.clocks.eq(t.tFAW), window.start.eq(self.activate)]
        activates = [window, timer("tRRD_S", self.activate, t.tRRD_S), timer("tRREFD", self.activate & self.refresh, t.tRREFD)]
        column = self.read | self.write
        any_column = timer("tCCD_S", column, t.tCCD_S)
        turn_read = timer("tWTR_S", self.write, t.write_to_read_S)
        turn_write = timer("tRTW", self.read, t.read_to_write)
        for group in range(4):
            row_here, column_here = self.row_group == group, self.column_group == group
            rows = [*activates, timer(f"tRRD_L{group}", self.activate & row_here, t.tRRD_L)]
            same = timer(f"tCCD_L{group}", column & column_here, t.tCCD_L)
            same_turn = timer(f"tWTR_L{group}", self.write & column_here, t.write_to_read_L)
            m.d.comb += [
                self.can_activate[group].eq(Cat(each.soon for each in rows).all()),
                self.can_refresh[group].eq(Cat(each.ready for each in rows).all()),
                self.can_read[group].eq(any_column.ready & same.ready & turn_read.ready & same_turn.ready),
                self.can_write[group].eq(any_column.ready & same.ready & turn_write.ready),
            ]
        return m
