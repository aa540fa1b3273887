"""What is owed in refreshes stays small, if the banks to refresh get their turn in time."""

from dataclasses import replace

from amaranth.hdl import Assert, Assume, Cover, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.schedule.refresh import Refresh
from rtl.memory.timing import MAX_POSTPONED, TimingSet
from verif.formal.model import observe
from verif.formal.prove import Goal

__all__ = ["GOALS", "Debt"]

#: Clocks in which a bank that is to be refreshed gets its REFSB, once `FORCED` refreshes are owed.
TURN = 256


class Debt(wiring.Component):
    """`Refresh` with any requests, by bank, and a scheduler that grants a target at any time.

    Assumed: from `FORCED` owed on, a target has its REFSB within `TURN` clocks and is not dropped before. Then at most `limit` bank
    refreshes are owed, and no bank owes more than eight of its own: one falls due with every sixteenth of the channel's.

    The proof is by a potential: time that has not been served. It grows by one in each clock and falls by tREFIsb with a REFSB; a round of
    16 takes 16 * (TURN + 2) + tRFCsb clocks at the most, less than the 16 * tREFIsb that it serves.

    Parameters
    ----------
    turn
        Another number of clocks for `TURN`.
    late
        The grants may come so many clocks later than assumed: the limit must break.
    """

    constants = ("watched",)
    watched: In(4)
    requested: In(BANKS)
    hit: In(BANKS)
    served: In(BANKS)
    idle_chosen: In(BANKS)
    idle_since: In(range(BANKS))
    busy_chosen: In(BANKS)
    refreshed: In(1)
    target: Out(BANKS)
    forced: Out(1)
    owed: Out(signed(12))
    debt: Out(signed(8))

    def __init__(self, timing: TimingSet, turn: int = TURN, late: int = 0):
        super().__init__()
        self.timing, self.turn, self.late = timing, turn, late
        #: Clocks by which a REFSB comes sooner than the next one falls due.
        self.slack = timing.tREFIsb - (turn + 2)
        forced, interval = Refresh.FORCED, timing.tREFIsb
        self.limit = (forced * interval + 15 * self.slack + timing.tRFCsb + turn + 2) // interval

    def elaborate(self, platform):
        m = Module()
        t, interval = self.timing, self.timing.tREFIsb
        refresh = Refresh()
        registers = observe(m, "refresh", refresh)
        left, done, gap = registers["left"], registers["done"], registers["gap.left"]
        m.d.comb += [
            refresh.active.eq(1), refresh.all_banks.eq(0), refresh.tREFI.eq(t.tREFI), refresh.tREFIsb.eq(interval),
            refresh.tRFCsb.eq(t.tRFCsb), refresh.requested.eq(self.requested), refresh.hit.eq(self.hit),
            refresh.served.eq(self.served), refresh.idle_chosen.eq(self.idle_chosen), refresh.idle_since.eq(self.idle_since),
            refresh.busy_chosen.eq(self.busy_chosen), refresh.refreshed.eq(self.refreshed),
            refresh.all_refreshed.eq(0), self.target.eq(refresh.target), self.forced.eq(refresh.forced), self.owed.eq(refresh.owed),
        ]
        must = refresh.owed >= Refresh.FORCED
        some = refresh.target.any()
        # Clocks that the target has had since so much is owed.
        waited = Signal(range(self.turn + self.late + 2))
        m.d.sync += waited.eq(Mux(must & some & ~self.refreshed, waited + 1, 0))

        # What the watched bank owes.
        due = left <= 1
        phase = Signal(4)
        m.d.sync += phase.eq(phase + due)
        mine = self.refreshed & refresh.target.bit_select(self.watched, 1)
        m.d.sync += self.debt.eq(self.debt + (due & (phase == 15)) - mine)

        def one_of(chosen: Value, options: Value) -> Value:
            return ((chosen & ~options) == 0) & (chosen.any() == options.any()) & ((chosen & (chosen - 1)[:BANKS]) == 0)

        m.d.sync += [
            # What Recency answers.
            Assume(one_of(self.idle_chosen, refresh.idle)), Assume(one_of(self.busy_chosen, refresh.busy)),
            Assume(~self.refreshed | some),
            Assume(~must | ~some | self.refreshed | (waited < self.turn + self.late)),
            Assume(~must | refresh.forced | ~(refresh.target & self.requested).any() | self.refreshed),
            Assert(refresh.owed <= self.limit, "no more is owed than the limit"),
            Assert(self.debt <= MAX_POSTPONED, "no bank owes more than eight"),
            Assert(~self.refreshed | ((done & refresh.target) == 0), "each bank once in a round"),
            Cover(done == 1 << 9, "a bank is done"),
        ]
        if self.timing.tREFIsb < 10:
            m.d.sync += [
                Cover(self.refreshed & refresh.target[3] & (done == 1 << 9), "the second refresh of a round"),
                Cover(self.refreshed & refresh.forced & must, "a refresh that was forced"),
            ]
        if self.late:
            return m

        count = sum(done[bank] for bank in range(BANKS))
        unserved = Signal(signed(24))
        progress = Signal(signed(16))
        m.d.comb += [
            unserved.eq(refresh.owed * interval + interval - Mux(left == 0, 1, left)),
            # In a round's pause, how far away its end is; else how long the target has waited.
            progress.eq(Mux(gap > 1, 1 - gap, Mux(some, waited + 1, 0))),
        ]
        m.d.sync += [
            Assert(left <= interval, "lemma: left"), Assert(~done.all(), "lemma: a round ends"),
            Assert((refresh.target & (refresh.target - 1)[:BANKS]) == 0, "lemma: one target"),
            Assert((refresh.target & done) == 0, "lemma: the target is not done"),
            Assert((gap <= 1) | (done == 0) & ~some, "lemma: a pause between rounds"), Assert(gap <= t.tRFCsb, "lemma: pause"),
            Assert(waited <= self.turn, "lemma: waited"), Assert(some | (waited == 0), "lemma: the target waits"),
            Assert(
                unserved <= Refresh.FORCED * interval + 15 * self.slack + t.tRFCsb + progress - count * self.slack, "lemma: unserved",
            ),
            Assert(((self.debt + done.bit_select(self.watched, 1)) << 4) + phase == refresh.owed + count, "lemma: shares"),
            Assert((refresh.owed > -Refresh.EARLY) | ((refresh.owed == -Refresh.EARLY) & ~some), "lemma: not too early"),
        ]
        return m


#: So short that a run from reset gets to where refreshes are forced.
SHORT = replace(TimingSet.load("P3200"), name="short", tREFIsb=4, tREFI=64, tRFC=5, tRFCsb=5, tRREFD=1)

GOALS = [
    *(Goal(f"refresh_{name}", lambda name=name: Debt(TimingSet.load(name)), long=name != "P3200") for name in TimingSet.names()),
    Goal("refresh_short", lambda: Debt(SHORT, 1), reach=45, long=True),
    Goal("refresh_late", lambda: Debt(SHORT, 1, late=40), "bounded", 60, "broken", "no more is owed", long=True),
]
