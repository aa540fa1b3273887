"""The timers, alone and together, against the rules as `verif.memory.formal.rules` has them: for every valid timing set, for all time."""

from collections.abc import Callable
from itertools import pairwise

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.bank import BankTimers
from rtl.memory.channel import ChannelTimers
from rtl.memory.timers import ActivateWindow, Timer
from rtl.memory.timing import TIMER_BITS, TimingValues
from verif.formal.model import observe
from verif.formal.prove import Goal
from verif.memory.formal.rules import RULES, Monitor, Since, Sums, valid

__all__ = ["GOALS", "BankAndChannel", "OneTimer", "Window"]


def counts(left: Value, since: Value, clocks: Value) -> Value:
    """The invariant of a timer: what is left and what has passed make up the distance."""
    return Mux(since >= clocks, left <= 1, left + since == clocks + 1)


class OneTimer(wiring.Component):
    """`Timer`: ready in exactly the clocks that are `clocks` or more after the last start. `error` is added to what it is given."""

    constants = ("clocks",)
    clocks: In(TIMER_BITS)
    start: In(1)
    ready: Out(1)
    soon: Out(1)

    def __init__(self, error: int = 0):
        super().__init__()
        self.error = error

    def elaborate(self, platform):
        m = Module()
        timer = Timer()
        registers = observe(m, "timer", timer)
        since = Since("start")
        since.count(m, self.start)
        m.d.comb += [
            timer.clocks.eq(self.clocks + self.error), timer.start.eq(self.start), self.ready.eq(timer.ready), self.soon.eq(timer.soon),
        ]
        passed = since.value
        m.d.sync += [
            Assume(self.clocks >= 1), Assume((self.clocks + self.error >= 1) & (self.clocks + self.error < 1 << TIMER_BITS)),
            Assert(~self.ready | (passed >= self.clocks), "never ready early"),
            Assert(self.ready | (passed < self.clocks), "never ready late"),
            Assert(self.soon == (passed + 1 >= self.clocks), "soon is ready in the next clock"),
            Cover(self.ready & (passed == self.clocks) & (self.clocks == 5), "ready after five clocks"),
            Cover(self.start & ~self.ready & (passed == 3), "started anew while it counts"),
            Cover(self.ready & (self.clocks == 1) & (passed == 1), "ready at once"),
        ]
        if not self.error:
            m.d.sync += Assert(counts(registers["left"], passed, self.clocks), "lemma: left")
        return m


class Window(wiring.Component):
    """`ActivateWindow`: ready in exactly the clocks that are `clocks` or more after the fourth last start."""

    constants = ("clocks",)
    clocks: In(TIMER_BITS)
    start: In(1)
    ready: Out(1)
    soon: Out(1)

    def __init__(self, error: int = 0):
        super().__init__()
        self.error = error

    def elaborate(self, platform):
        m = Module()
        window = ActivateWindow()
        registers = observe(m, "window", window)
        history = [Since(f"start{k}") for k in range(4)]
        history[0].count(m, self.start)
        for newer, older in pairwise(history):
            older.count(m, self.start, newer.following)
        m.d.comb += [
            window.clocks.eq(self.clocks + self.error), window.start.eq(self.start),
            self.ready.eq(window.ready), self.soon.eq(window.soon),
        ]
        fourth = history[3].value
        m.d.sync += [
            Assume(self.clocks >= 1), Assume((self.clocks + self.error >= 1) & (self.clocks + self.error < 1 << TIMER_BITS)),
            Assert(~self.ready | (fourth >= self.clocks), "never ready early"),
            Assert(self.ready | (fourth < self.clocks), "never ready late"),
            Assert(self.soon == (fourth + 1 >= self.clocks), "soon is ready in the next clock"),
            Cover(self.ready & (fourth == self.clocks) & (self.clocks == 7), "the window has passed"),
            Cover(~self.ready & self.start, "a fifth start too early"),
        ]
        if not self.error:
            m.d.sync += window_lemma(m, registers, "", self.start, history, self.clocks)
        return m


def window_lemma(m: Module, registers: dict[str, Signal], path: str, start: Value, history: list[Since], clocks: Value) -> list:
    """Each timer counts from its own last start; the one before the one in turn was started last, and so on."""
    turn = registers[f"{path}turn"]
    own = [Since(f"timer{k}") for k in range(4)]
    for k, since in enumerate(own):
        since.count(m, start & (turn == k))
    values = Array(since.value for since in own)
    return [
        *(Assert(counts(registers[f"{path}timer{k}.left"], own[k].value, clocks), f"lemma: timer {k} of the window") for k in range(4)),
        *(Assert(since.value == values[(turn - 1 - k)[:2]], f"lemma: start {k} of the window") for k, since in enumerate(history)),
    ]


class RowWish(enum.Enum, shape=2):
    """A row command that the environment would like to send."""

    NONE = 0
    ACT = 1
    PRE = 2
    REFSB = 3


class ColumnWish(enum.Enum, shape=2):
    NONE = 0
    RD = 1
    WR = 2


class BankAndChannel(wiring.Component):
    """`BankTimers` of one bank and `ChannelTimers`, and a sender that wishes for anything in any clock, and sends what they allow.

    For the other 15 banks it asks the channel alone, so that whatever the rules within those banks are, what is proved holds. It respects
    no state: it may read a closed bank. What it sends obeys every rule, and what it may send is everything that the rules allow.

    Parameters
    ----------
    lawful
        The sender respects the state of all banks: for traces that others judge.
    weaken
        A field of TimingValues that the timers get one clock too short.
    lengthen
        One that they get too long.
    covers
        The rules of which it is shown that a command can meet them exactly.
    """

    constants = ("timing", "sums", "watched")
    enable: In(1)
    timing: In(TimingValues)
    sums: In(Sums)
    watched: In(4)
    row_wish: In(RowWish)
    row_bank: In(4)
    column_wish: In(ColumnWish)
    column_bank: In(4)
    acting_bank: Out(4)
    ACT: Out(1)
    PRE: Out(1)
    REFSB: Out(1)
    RD: Out(1)
    WR: Out(1)
    broken: Out(len(RULES))

    def __init__(self, weaken: str = "", lengthen: str = "", covers: tuple[str, ...] = ("tWR", "tFAW", "tRFCsb"),
                 lawful: bool = False):
        super().__init__()
        self.lawful = lawful
        self.weaken, self.lengthen, self.covers = weaken, lengthen, covers

    def elaborate(self, platform):
        m, whole = Module(), Module()
        bank, channel, monitor = BankTimers(), ChannelTimers(), Monitor()
        # BankTimers has an enable of its own, which is part of what is proved.
        registers = {f"bank.{name}": signal for name, signal in observe(whole, "bank", bank).items()}
        registers |= {f"channel.{name}": signal for name, signal in observe(m, "channel", channel).items()}
        m.submodules.monitor = monitor
        t, sums = self.timing, self.sums
        given = Signal(TimingValues)
        m.d.comb += given.eq(t)
        if self.weaken:
            m.d.comb += given[self.weaken].eq(t[self.weaken] - 1)
        if self.lengthen:
            m.d.comb += given[self.lengthen].eq(t[self.lengthen] + 1)
        whole.d.comb += [bank.enable.eq(self.enable), bank.timing.eq(given)]
        m.d.comb += [channel.timing.eq(given), monitor.timing.eq(t), monitor.sums.eq(sums), monitor.watched.eq(self.watched)]

        # The sender. An ACT takes the row bus for two clocks and is an event of the second.
        acting, acting_bank = Signal(), self.acting_bank
        row_here, column_here = self.row_bank == self.watched, self.column_bank == self.watched
        row_group, column_group = self.row_bank[:2], self.column_bank[:2]

        def allowed(here: Value, bank_allows: Value, channel_allows: Value, group: Value) -> Value:
            return (~here | bank_allows) & channel_allows.bit_select(group, 1)

        wish = Mux(acting, RowWish.NONE, self.row_wish)

        state = Signal(16)
        row_open, column_open = state.bit_select(self.row_bank, 1), state.bit_select(self.column_bank, 1)
        closed_law, open_law, column_law = (~row_open, row_open, column_open) if self.lawful else (1, 1, 1)
        activate = closed_law & (wish == RowWish.ACT) & allowed(row_here, bank.can_activate, channel.can_activate, row_group)
        refresh = closed_law & (wish == RowWish.REFSB) & allowed(row_here, bank.can_refresh, channel.can_refresh, row_group)
        precharge = open_law & (wish == RowWish.PRE) & (~row_here | bank.can_precharge)
        read = column_law & (self.column_wish == ColumnWish.RD) & allowed(column_here, bank.can_read, channel.can_read, column_group)
        write = column_law & (self.column_wish == ColumnWish.WR) & allowed(column_here, bank.can_write, channel.can_write, column_group)
        chosen = Signal(16)
        m.d.comb += chosen.eq(1 << self.row_bank)
        m.d.sync += [
            acting.eq(activate), acting_bank.eq(self.row_bank),
            state.eq((state | Mux(activate, chosen, 0)) & ~Mux(precharge, chosen, 0)),
        ]
        event_bank = Signal(4)
        m.d.comb += [
            self.ACT.eq(acting), self.REFSB.eq(refresh), self.PRE.eq(precharge), self.RD.eq(read), self.WR.eq(write),
            event_bank.eq(Mux(acting, acting_bank, self.row_bank)),
            monitor.ACT.eq(acting), monitor.REFSB.eq(refresh), monitor.PRE.eq(precharge), monitor.RD.eq(read), monitor.WR.eq(write),
            monitor.row_bank.eq(event_bank), monitor.column_bank.eq(self.column_bank), self.broken.eq(monitor.broken),
            channel.activate.eq(acting | refresh), channel.refresh.eq(refresh), channel.row_group.eq(event_bank[:2]),
            channel.read.eq(read), channel.write.eq(write), channel.column_group.eq(column_group),
        ]
        here = event_bank == self.watched
        whole.d.comb += [
            bank.activate.eq(acting & here), bank.refresh.eq(refresh & here), bank.precharge.eq(precharge & here),
            bank.read.eq(read & column_here), bank.write.eq(write & column_here),
        ]

        # Outside the enable: what is assumed and what is invariant holds in every clock.
        check = whole.d.sync
        check += [Assume(Cat(valid(t, sums)).all())]
        if self.weaken:
            check += Assume(t[self.weaken] >= 2)
        if self.lengthen:
            check += Assume(given[self.lengthen] != 0)
        for index, rule in enumerate(RULES):
            mine = here if rule.later in ("PRE", "ROW") else column_here
            check += Assert(~self.enable | ~monitor.broken[index], f"rule {rule.name}")
            if rule.name in self.covers:
                # A short distance: the counter's end also stands for never.
                met = (monitor.passed(rule) == rule.clocks(t, sums)) & (monitor.passed(rule) < 100)
                check += Cover(self.enable & self._later(rule.later) & mine & met, f"{rule.name} is met exactly")
        group = self.watched[:2]
        exact = (
            ("ACT", bank.can_activate & channel.can_activate.bit_select(group, 1), ("ROW",), 1),
            ("REFSB", bank.can_refresh & channel.can_refresh.bit_select(group, 1), ("ROW",), 0),
            ("PRE", bank.can_precharge, ("PRE",), 0),
            ("RD", bank.can_read & channel.can_read.bit_select(group, 1), ("RD", "COL"), 0),
            ("WR", bank.can_write & channel.can_write.bit_select(group, 1), ("WR", "COL"), 0),
        )
        for name, can, later, ahead in exact:
            check += Assert(can | ~monitor.allows(later, ahead), f"{name} as soon as the rules allow")
        if not (self.weaken or self.lengthen):
            check += self._lemmas(m, registers, monitor)
            # What was allowed for the next clock when the ACT started is allowed now.
            check += Assert(
                ~acting | (acting_bank != self.watched) | monitor.allows(("ROW",)), "lemma: an ACT under way is still allowed",
            )
        whole.submodules.rest = EnableInserter(self.enable)(m)
        return whole

    def _later(self, name: str) -> Value:
        return {
            "ROW": self.ACT | self.REFSB, "COL": self.RD | self.WR, "PRE": self.PRE, "RD": self.RD, "WR": self.WR,
        }[name]

    def _lemmas(self, m: Module, registers: dict[str, Signal], monitor: Monitor) -> list:
        lemmas = window_lemma(
            m, registers, "channel.tFAW.", self.ACT | self.REFSB, monitor.activates, self.timing.tFAW,
        )
        for rule in RULES:
            if rule.earlier == "FOURTH":
                continue
            if rule.scope == "bank":
                left = registers[f"bank.{rule.name}.left"]
            elif rule.scope == "channel":
                left = registers[f"channel.{rule.name}.left"]
            else:
                left = Array(registers[f"channel.{rule.name}{group}.left"] for group in range(4))[self.watched[:2]]
            clocks = rule.clocks(self.timing, self.sums)
            lemmas.append(Assert(counts(left, monitor.passed(rule), clocks), f"lemma: {rule.name}"))
        return lemmas


def _broken(name: str, harness: Callable[[], wiring.Component], fails: str, **options) -> Goal:
    return Goal(name, harness, "bounded", 16, "broken", fails, **options)


GOALS = [
    Goal("timer", OneTimer),
    _broken("timer_early", lambda: OneTimer(-1), ""),
    _broken("timer_late", lambda: OneTimer(1), ""),
    Goal("activate_window", Window),
    _broken("activate_window_early", lambda: Window(-1), ""),
    _broken("activate_window_late", lambda: Window(1), ""),
    Goal("bank_and_channel", BankAndChannel),
]
