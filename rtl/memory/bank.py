"""The timing rules within one bank."""

from amaranth import EnableInserter, Module
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.memory.timers import Timer
from rtl.memory.timing import TIMER_BITS, TimingValues

__all__ = ["BankTimers"]


class BankTimers(EmitOnce):
    """tRC, tRP, tRFCsb (activate, refresh), tRAS, tRTP, tWR (precharge), tRCDRD, tRCDWR (columns) of one bank.

    Rules between banks are :class:`rtl.memory.channel.ChannelTimers`'; that commands fit the bank's state is their senders' business.

    Members
    -------
    enable
        Steps the timers.
    timing
        The distances.
    activate
        The second clock of an ACT to this bank.
    precharge, refresh, read, write
        The command goes to this bank in this clock.
    can_activate
        An ACT may start in this clock (it counts from the next one).
    can_refresh, can_precharge, can_read, can_write
        The command may go out in this clock.
    read_left, write_left
        Clocks to the first read and write that the last ACT allows, the present one included.
    """

    enable: In(1)
    timing: In(TimingValues)
    activate: In(1)
    precharge: In(1)
    refresh: In(1)
    read: In(1)
    write: In(1)
    can_activate: Out(1)
    can_refresh: Out(1)
    can_precharge: Out(1)
    can_read: Out(1)
    can_write: Out(1)
    read_left: Out(TIMER_BITS)
    write_left: Out(TIMER_BITS)

    @property
    def key(self) -> tuple:
        return ()

    def build(self, platform):
        m = Module()
        t = self.timing

        def timer(name: str, start, clocks) -> Timer:
            m.submodules[name] = timer = Timer()
            m.d.comb += [timer.clocks.eq(clocks), timer.start.eq(start)]
            return timer

        rest = [
            timer("tRC", self.activate, t.tRC), timer("tRP", self.precharge, t.tRP), timer("tRFCsb", self.refresh, t.tRFCsb),
        ]
        busy = [
            timer("tRAS", self.activate, t.tRAS), timer("tRTP", self.read, t.tRTP), timer("tWR", self.write, t.write_to_precharge),
        ]
        read, write = timer("tRCDRD", self.activate, t.tRCDRD), timer("tRCDWR", self.activate, t.tRCDWR)
        m.d.comb += [
            self.can_activate.eq(rest[0].soon & rest[1].soon & rest[2].soon),
            self.can_refresh.eq(rest[0].ready & rest[1].ready & rest[2].ready),
            self.can_precharge.eq(busy[0].ready & busy[1].ready & busy[2].ready),
            self.can_read.eq(read.ready),
            self.can_write.eq(write.ready),
            self.read_left.eq(read.left), self.write_left.eq(write.left),
        ]
        return EnableInserter(self.enable)(m)
