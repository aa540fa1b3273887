"""What decides the row command of a clock: the order in which banks were used, and the choice itself."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.schedule.recency import Recency
from rtl.memory.schedule.rows import RowChoice
from verif.formal.model import observe
from verif.formal.prove import Goal

__all__ = ["GOALS", "Chosen", "Order", "Rows"]


def at_most_one(bits: Value) -> Value:
    return (bits & (bits - 1)[:len(bits)]) == 0


def _before(m: Module, recency: Recency) -> list[Signal]:
    registers = observe(m, "recency", recency)
    return [registers[f"before{index}"] for index in range(BANKS)]


class Order(wiring.Component):
    """`Recency`'s matrix is the order in which banks were used: of any two, the one used last is later; any three are in order.

    Banks that were never used are in the order of their numbers, before all others.
    """

    constants = ("one", "two", "three")
    one: In(4)
    two: In(4)
    three: In(4)
    used: In(BANKS)

    def elaborate(self, platform):
        m = Module()
        recency = Recency(("first",), ("last",))
        matrix = Cat(*_before(m, recency))
        m.d.comb += recency.used.eq(self.used)
        # `one` after `two`.
        later, touched = Signal(), Signal()
        for bank, value in ((self.one, 1), (self.two, 0)):
            with m.If(self.used.bit_select(bank, 1)):
                m.d.sync += [later.eq(value), touched.eq(1)]

        def after(x: Value, y: Value) -> Value:
            return matrix.bit_select(Cat(y, x), 1)

        one, two, three = self.one, self.two, self.three
        m.d.sync += [
            Assume(at_most_one(self.used)), Assume((one != two) & (two != three) & (one != three)),
            Assert(after(one, two) == Mux(touched, later, one > two), "the one used last is later"),
            Assert(after(one, two) ^ after(two, one), "of two, one is later"),
            Assert(after(two, three) ^ after(three, two), "of two others"),
            Assert(after(one, three) ^ after(three, one), "of the last two"),
            Assert(~(after(one, two) & after(two, three)) | after(one, three), "three are in order"),
            Assert(~(after(two, one) & after(three, two)) | after(three, one), "three are in order the other way"),
            Assert(~after(one, one), "none is later than itself"),
            Cover(touched & after(two, one) & (two == 3) & (one == 9), "a higher one was used before"),
        ]
        return m


class Chosen(wiring.Component):
    """Given an order, `Recency` names of each set at most one bank, of the set, than which none of the set was used before, or after.

    That there is one is the nature of an order.

    Parameters
    ----------
    fault
        The answer of one query is given for the other.
    """

    some: In(BANKS)
    oldest: Out(BANKS)
    latest: Out(BANKS)

    def __init__(self, fault: bool = False):
        super().__init__()
        self.fault = fault

    def elaborate(self, platform):
        m = Module()
        recency = Recency(("first",), ("last",))
        before = _before(m, recency)
        m.d.comb += [
            recency.first.eq(self.some), recency.last.eq(self.some),
            self.oldest.eq(recency.last_chosen if self.fault else recency.first_chosen), self.latest.eq(recency.last_chosen),
        ]
        banks = range(BANKS)
        since = Cat((Cat(before[j][i] for i in banks) & self.latest).any() for j in banks)
        m.d.sync += [
            # `Order`, for all banks at once.
            Assume(Cat(~before[i][i] for i in banks).all()),
            Assume(Cat(before[i][j] ^ before[j][i] for i in banks for j in range(i)).all()),
            Assert(at_most_one(self.oldest), "oldest: one"), Assert((self.oldest & ~self.some) == 0, "oldest: of the set"),
            Assert(at_most_one(self.latest), "latest: one"), Assert((self.latest & ~self.some) == 0, "latest: of the set"),
            Assert(Cat(~self.oldest[i] | ~(before[i] & self.some).any() for i in banks).all(), "oldest: none before it"),
            Assert(Cat(~(self.latest[i] & before[j][i] & self.some[j]) for i in banks for j in banks).all(), "latest: none after it"),
            Assert(recency.last_since == sum(since), "latest: how many were used since"),
            Cover(self.oldest[3] & self.latest[9], "the oldest and the latest of a set"),
        ]
        return m


class Rows(wiring.Component):
    """`RowChoice` with any state of the banks: one command a clock, none in an ACT's second clock, and each only where timers allow it.

    Parameters
    ----------
    fault
        It does not see that a clock is an ACT's second.
    """

    def __init__(self, fault: bool = False):
        self.fault = fault
        members = RowChoice().signature.members
        #: Of `RowChoice`, all of them free here.
        self._inputs = [name for name, member in members.items() if member.flow is In]
        outputs = ("activate", "close", "precharge", "precharge_all", "refresh", "refresh_all")
        super().__init__({name: members[name] for name in (*self._inputs, *outputs)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = RowChoice()
        for name in self._inputs:
            m.d.comb += getattr(rows, name).eq(getattr(self, name))
        if self.fault:
            m.d.comb += rows.second.eq(0)
        outputs = ("activate", "close", "precharge", "precharge_all", "refresh", "refresh_all")
        m.d.comb += [getattr(self, name).eq(getattr(rows, name)) for name in outputs]
        commands = Cat(self.activate.any(), self.precharge, self.precharge_all, self.refresh, self.refresh_all)
        wrong_close = self.close & self.open & ~self.can_precharge

        def answer(chosen: Value, options: Value) -> Value:
            """What Recency answers."""
            return ((chosen & ~options) == 0) & (chosen.any() == options.any()) & at_most_one(chosen)

        m.d.sync += [
            Assume(answer(self.activating_chosen, rows.activating)), Assume(answer(self.closing_chosen, rows.closing)),
            Assume(at_most_one(self.target)), Assume((self.opening & ~self.open) == 0),
            # What may go out now may go out in the next clock; a channel refreshes by bank or all together.
            Assume((self.can_refresh & ~self.bank_rests) == 0), Assume(~self.all | (self.target == 0)),
            # A REFAB that is due holds the rows.
            Assume(~self.all | self.hold),
            Assert(at_most_one(commands), "one command a clock"),
            Assert(~(self.second | ~self.active) | ~commands.any(), "none in an ACT's second clock, none while stopped"),
            Assert(at_most_one(self.activate), "one bank is opened"),
            Assert((self.activate & (self.open | ~self.can_activate | self.target)) == 0, "opened: closed, at rest, not to be refreshed"),
            Assert((self.activate & ~(self.here | self.there)) == 0, "opened: somebody waits"),
            Assert(~self.refresh | ((self.target & ~self.open & self.can_refresh) != 0), "refreshed: closed and at rest"),
            Assert(~self.refresh_all | (~self.open.any() & self.ready_all), "all refreshed: all closed and at rest"),
            Assert(~self.precharge | (at_most_one(self.close) & ((self.close & self.open) != 0)), "closed: one, open"),
            Assert(~(self.precharge | self.precharge_all) | (wrong_close == 0), "closed: the timers allow it"),
            Assert((self.close & self.opening) == 0, "closed: not while it opens"),
            Assert((self.close == 0) | self.precharge | self.precharge_all, "closed: by a command"),
            Cover(self.refresh, "a REFSB"), Cover(self.refresh_all, "a REFAB"), Cover(self.activate[5], "an ACT"),
            Cover(self.precharge & self.close[2], "a PRE"), Cover(self.precharge_all, "a PREA"),
        ]
        return m


GOALS = [
    Goal("recency_order", Order), Goal("recency_choice", Chosen),
    Goal("recency_fault", lambda: Chosen(True), "bounded", 4, "broken", "oldest"),
    Goal("rows", Rows), Goal("rows_fault", lambda: Rows(True), "bounded", 1, "broken", "none in an ACT's second clock"),
]
