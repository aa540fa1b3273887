"""When which bank is refreshed."""

from amaranth import Module, Mux, Signal, signed
from amaranth.hdl import Assert
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.timers import Timer
from rtl.memory.timing import TIMER_BITS

__all__ = ["Refresh"]


class Refresh(wiring.Component):
    """Bank by bank in rounds, each bank once in a round and tRFCsb between two of them; or all banks together.

    A bank without requests is refreshed in advance, up to `EARLY` bank refreshes: the one that was used last, since a stream has just left
    it and comes back to it last. Two kinds of banks have time until a refresh is due, for they stand in the way of a stream with pauses:
    those that served any of the last `RECENT` column commands (up to twice as many), where it is; and those of the half that was used
    longest ago, where it is going, until nothing has been served for `STILL` clocks.

    From `FORCED` owed on, a bank with requests is taken if there is no other: its row serves what it has for `DRAIN` clocks at most.
    Where that does not keep up (a set with frequent refresh and long tRAS or tRP), no rows are opened from `BEHIND` owed on until fewer
    than `FORCED` are. `owed` counts bank refreshes: a bank's own debt is a sixteenth of it, and one round at most.

    Members
    -------
    active
        Commands may be sent. The debt grows at all times.
    all_banks
        Refresh all banks together, at each tREFI.
    tREFI, tREFIsb, tRFCsb
        Of the timing set.
    requested, hit, pressing
        Banks that a request waits for; with one for their open row; with many.
    served
        One-hot: the bank of this clock's column command.
    idle, idle_chosen, idle_since, busy, busy_chosen
        Queries of :class:`rtl.memory.schedule.recency.Recency`.
    refreshed, all_refreshed
        The decision for the REFSB of the target, or for a REFAB.
    target
        One-hot: the bank to close and refresh. It has no requests, or `forced` is set: then no row of it is to be opened.
    close
        Banks whose rows serve nothing any more.
    all
        A REFAB is due.
    hold
        No rows are to be opened: a REFAB is due, or banks one by one can't keep up.
    owed
        Bank refreshes due and not done, negative in advance.
    """

    EARLY = 64
    RECENT = 16
    STILL = 255
    FORCED = 8
    DRAIN = 64
    BEHIND = 48

    active: In(1)
    all_banks: In(1)
    tREFI: In(16)
    tREFIsb: In(12)
    tRFCsb: In(TIMER_BITS)
    requested: In(BANKS)
    hit: In(BANKS)
    pressing: In(BANKS)
    served: In(BANKS)
    idle: Out(BANKS)
    idle_chosen: In(BANKS)
    idle_since: In(range(BANKS))
    busy: Out(BANKS)
    busy_chosen: In(BANKS)
    refreshed: In(1)
    all_refreshed: In(1)
    target: Out(BANKS)
    forced: Out(1)
    close: Out(BANKS)
    all: Out(1)
    hold: Out(1)
    owed: Out(signed(12))

    def elaborate(self, platform):
        m = Module()
        left = Signal(16)
        due = left <= 1
        m.d.sync += left.eq(Mux(due, Mux(self.all_banks, self.tREFI, self.tREFIsb), left - 1))
        # It stops where nothing could be made good any more: after a long stop.
        change = Signal(signed(6))
        m.d.comb += change.eq(
            Mux(due & (self.owed < 1024), Mux(self.all_banks, BANKS, 1), 0) - Mux(self.all_refreshed, BANKS, self.refreshed)
        )
        m.d.sync += self.owed.eq(self.owed + change)

        m.d.sync += Assert(~self.refreshed | self.target.any(), "a REFSB has its bank")

        done = Signal(BANKS)
        after = Signal(BANKS)
        closes = Signal()
        m.d.comb += [after.eq(done | self.target), closes.eq(self.refreshed & after.all())]

        # Clocks without a column command. Banks served since the last multiple of `RECENT` of them, and between that and the one before.
        still = Signal(range(self.STILL + 1))
        count, now, before = Signal(range(self.RECENT)), Signal(BANKS), Signal(BANKS)
        with m.If(self.served.any()):
            m.d.sync += [still.eq(0), count.eq(count + 1), now.eq(now | self.served)]
            with m.If(count == self.RECENT - 1):
                m.d.sync += [before.eq(now | self.served), now.eq(0)]
        with m.Elif(still != self.STILL):
            m.d.sync += still.eq(still + 1)

        due_now, early = Signal(), Signal()
        m.submodules.gap = gap = Timer()
        m.submodules.rest = rest = Timer()
        m.d.comb += [
            gap.start.eq(closes), gap.clocks.eq(self.tRFCsb), rest.start.eq(self.refreshed), rest.clocks.eq(self.tRFCsb),
            due_now.eq(self.owed > 0),
            # With several banks away at once, their requests fill the queues and leave others idle, which would then follow them.
            early.eq(due_now | (
                (self.owed > -self.EARLY) & ((still == self.STILL) | (rest.ready & (self.idle_since < BANKS // 2)))
            )),
        ]
        with m.If(self.all_refreshed | closes):
            m.d.sync += done.eq(0)
        with m.Elif(self.refreshed):
            m.d.sync += done.eq(after)

        quiet, calm = Signal(BANKS), Signal(BANKS)
        m.d.comb += [
            self.idle.eq(~done & ~self.requested & ~Mux(due_now, 0, now | before)),
            quiet.eq(~done & ~self.hit), calm.eq(quiet & ~self.pressing),
            self.busy.eq(Mux(calm.any(), calm, Mux(quiet.any(), quiet, ~done))),
        ]
        drain = Signal(range(self.DRAIN + 1))
        drained = drain == 0
        m.d.sync += drain.eq(drain - (~drained))
        behind = Signal()
        m.d.comb += self.hold.eq(self.all | behind)
        with m.If(~self.active | self.all_banks | (self.owed < self.FORCED)):
            m.d.sync += behind.eq(0)
        with m.Elif(~behind & (self.owed >= self.BEHIND)):
            m.d.sync += [behind.eq(1), drain.eq(self.DRAIN)]
        m.d.comb += self.close.eq(Mux(self.hold, drained.replicate(BANKS), self.target & (self.forced & drained).replicate(BANKS)))
        dropped = ~self.forced & (self.target & self.requested).any()
        with m.If(self.refreshed | dropped | ~self.active | self.all_banks):
            m.d.sync += [self.target.eq(0), self.forced.eq(0)]
        with m.Elif(self.target.any()):
            with m.If(~self.forced & (self.owed >= self.FORCED)):
                m.d.sync += self.forced.eq(1)
                with m.If(~self.hold):
                    m.d.sync += drain.eq(self.DRAIN)
        with m.Elif(gap.ready):
            with m.If(self.idle.any()):
                m.d.sync += self.target.eq(Mux(early, self.idle_chosen, 0))
            with m.Elif(self.owed >= self.FORCED):
                m.d.sync += [self.target.eq(self.busy_chosen), self.forced.eq(1)]
                with m.If(~self.hold):
                    m.d.sync += drain.eq(self.DRAIN)

        with m.If(self.all_refreshed | ~self.all_banks | ~self.active):
            m.d.sync += self.all.eq(0)
        with m.Elif(~self.all & (self.owed >= BANKS)):
            m.d.sync += [self.all.eq(1), drain.eq(self.DRAIN)]
        return m
