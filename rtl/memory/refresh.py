"""Chooses the banks to refresh: those that a stream has just left, else all in one go."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.timers import Timer
from rtl.memory.timing import TimingSet

__all__ = ["Refresh"]


class Refresh(wiring.Component):
    """Single-bank refresh in rounds: each bank once, then tRFCsb before the next round.

    A bank without accesses whose row has served a stream (`STREAM` column commands or more) is refreshed in advance, the one used last
    first: a stream comes back to it last. So is any bank in a pause of `PAUSE` clocks, the one used longest ago first.
    At `FORCED` refreshes owed, the accesses are held and banks are refreshed one after the other until the round ends or none is owed:
    for scattered accesses this costs less than banks that are missing now and then. `owed` counts bank refreshes, one each tREFIsb, and
    stays within -EARLY to some 2 * FORCED: two for each bank, where eight are allowed.

    Members
    -------
    open, busy
        For each bank: a row is open; accesses are on their way.
    wanted, wanted_valid
        The bank that the next access wants: a target that is not forced is dropped for it.
    used, used_bank
        A column command goes to this bank.
    opened, opened_bank
        A row of this bank is opened.
    grant
        The REFSB goes out.
    hold
        No access may start.
    target, target_valid
        The bank to close, if it is open, and to refresh.
    drained
        With `hold`: no accesses are left, all banks may be closed.
    """

    FORCED = 16
    EARLY = 64
    STREAM = 16
    PAUSE = 64

    open: In(BANKS)
    busy: In(BANKS)
    wanted: In(4)
    wanted_valid: In(1)
    used: In(1)
    used_bank: In(4)
    opened: In(1)
    opened_bank: In(4)
    grant: In(1)
    hold: Out(1)
    target: Out(4)
    target_valid: Out(1)
    drained: Out(1)

    def __init__(self, timing: TimingSet):
        self.timing = timing
        super().__init__()

    def elaborate(self, platform):
        m = Module()

        # The debt.
        interval = Signal(range(self.timing.tREFIsb))
        due = interval == self.timing.tREFIsb - 1
        # Signed, with room for a round beyond FORCED.
        owed = Signal(range(-self.EARLY - 1, 2 * self.FORCED + 32))
        m.d.sync += [interval.eq(Mux(due, 0, interval + 1)), owed.eq(owed + due - self.grant)]

        # The round.
        done = Signal(BANKS)
        after = done | (self.grant << self.target)[:BANKS]
        closes = self.grant & after.all()
        m.submodules.gap = gap = Timer(self.timing.tRFCsb)
        m.d.comb += gap.start.eq(closes)
        with m.If(self.grant):
            m.d.sync += done.eq(Mux(closes, 0, after))

        with m.If(self.hold):
            with m.If(closes | (owed <= 0)):
                m.d.sync += self.hold.eq(0)
        with m.Elif(owed >= self.FORCED):
            m.d.sync += self.hold.eq(1)

        # later[i][j]: bank i was used after bank j. Exactly one of a set of banks is later than all its others.
        later = [Signal(BANKS, name=f"later{i}", init=(1 << i) - 1) for i in range(BANKS)]
        streamed = Signal(BANKS)
        for i in range(BANKS):
            mine = self.used_bank == i
            with m.If(self.used):
                m.d.sync += later[i].eq(Mux(mine, ~0, later[i] & ~(1 << self.used_bank)))
            served = Signal(range(self.STREAM + 1), name=f"served{i}")
            m.d.comb += streamed[i].eq(served == self.STREAM)
            with m.If(self.opened & (self.opened_bank == i)):
                m.d.sync += served.eq(0)
            with m.Elif(self.used & mine & ~streamed[i]):
                m.d.sync += served.eq(served + 1)

        # Among banks that a stream has left, the one used last; in a pause, or with the accesses held, the one used first.
        drained = ~self.busy.any()
        pause = Signal(range(self.PAUSE + 1))
        quiet = pause == self.PAUSE
        with m.If(~drained | self.wanted_valid):
            m.d.sync += pause.eq(0)
        with m.Elif(~quiet):
            m.d.sync += pause.eq(pause + 1)
        resting = Signal(BANKS)
        left = Signal(BANKS)
        chosen, chosen_valid = Signal(4), Signal()
        m.d.comb += [
            resting.eq(~done & ~self.busy), left.eq(resting & streamed & ~self.hold.replicate(BANKS)),
            chosen_valid.eq(left.any() | (resting.any() & (quiet | self.hold))),
        ]
        for i in range(BANKS):
            last_left = left[i] & ~(left & ~later[i] & ~(1 << i)).any()
            first_used = resting[i] & ~left.any() & ~(resting & later[i] & ~(1 << i)).any()
            with m.If(last_left | first_used):
                m.d.comb += chosen.eq(i)

        m.d.comb += self.drained.eq(self.hold & drained)
        dropped = ~self.hold & self.wanted_valid & (self.wanted == self.target)
        with m.If(self.grant | Array(self.busy)[self.target] | dropped):
            m.d.sync += self.target_valid.eq(0)
        with m.Elif(~self.target_valid):
            m.d.sync += [
                self.target.eq(chosen),
                self.target_valid.eq(chosen_valid & gap.ready & ~closes & (owed > -self.EARLY) & (~self.hold | drained)),
            ]
        return m
