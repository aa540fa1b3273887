"""The order in which banks were used, and what is chosen by it."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS

__all__ = ["ColumnChoice", "Recency"]


class Recency(wiring.Component):
    """Which bank of a set had a column command longest ago, or latest: a matrix of one bit for each pair of banks.

    Parameters
    ----------
    oldest, latest
        Names of the queries.

    Members
    -------
    used
        One-hot: the bank that a column command goes to, if any.
    NAME, NAME_chosen
        Of each query: a set of banks, and the one of them that was used longest ago or latest, one-hot; none of an empty set.
    """

    def __init__(self, oldest: tuple[str, ...], latest: tuple[str, ...] = ()):
        self.oldest, self.latest = oldest, latest
        queries = {name: In(BANKS) for name in (*oldest, *latest)}
        super().__init__({"used": In(BANKS), **queries, **{f"{name}_chosen": Out(BANKS) for name in queries}})

    def elaborate(self, platform):
        m = Module()
        # Bit j of before[i]: bank j was used before bank i.
        before = [Signal(BANKS, name=f"before{index}", init=(1 << index) - 1) for index in range(BANKS)]
        for index in range(BANKS):
            m.d.sync += before[index].eq(Mux(self.used[index], (1 << BANKS) - 1 - (1 << index), before[index] & ~self.used))
        for name in self.oldest:
            some = getattr(self, name)
            m.d.comb += getattr(self, f"{name}_chosen").eq(
                Cat(some[index] & ~(some & before[index]).any() for index in range(BANKS))
            )
        for name in self.latest:
            some = getattr(self, name)
            m.d.comb += getattr(self, f"{name}_chosen").eq(
                Cat(some[index] & ~(some & ~before[index] & ((1 << BANKS) - 1 - (1 << index))).any() for index in range(BANKS))
            )
        return m


class ColumnChoice(wiring.Component):
    """The bank to read from: in each group the one whose row was opened first, of these the one whose group was used longest ago.

    Rows that were opened first are so done with first, and their banks are free for what comes next while the others still move data;
    the groups take turns, which is what tCCD_L asks for.

    Members
    -------
    opened
        One-hot: the bank whose row is opened now, if any.
    used
        One-hot: the bank that a column command goes to, if any.
    ready, expired, chosen
        Banks with a read that may go out; those whose oldest read has expired, which go first; the bank of the read that does, one-hot.
    """

    opened: In(BANKS)
    used: In(BANKS)
    ready: In(BANKS)
    expired: In(BANKS)
    chosen: Out(BANKS)

    def elaborate(self, platform):
        m = Module()
        leading = Signal(BANKS)
        groups = range(4)
        # A bank with an endless stream to its row would keep the others of its group waiting.
        late, able = Signal(BANKS), Signal(BANKS)
        m.d.comb += [late.eq(self.ready & self.expired), able.eq(Mux(late.any(), late, self.ready))]
        used = Signal(4)
        m.d.comb += used.eq(Cat(self.used[group::4].any() for group in groups))
        turn = Signal(4)
        for group in groups:
            banks = range(group, BANKS, 4)
            ready = Cat(able[bank] for bank in banks)
            opened = Cat(self.opened[bank] for bank in banks)
            for number, bank in enumerate(banks):
                # Bit j: the row of the group's bank j was opened before.
                before = Signal(4, name=f"opened_before{bank}", init=(1 << number) - 1)
                m.d.sync += before.eq(Mux(opened[number], 15 - (1 << number), before & ~opened))
                m.d.comb += leading[bank].eq(ready[number] & ~(ready & before).any())
            earlier = Signal(4, name=f"used_before{group}", init=(1 << group) - 1)
            m.d.sync += earlier.eq(Mux(used[group], 15 - (1 << group), earlier & ~used))
            some = Cat(Cat(able[bank] for bank in range(other, BANKS, 4)).any() for other in groups)
            m.d.comb += turn[group].eq(some[group] & ~(some & earlier).any())
        m.d.comb += self.chosen.eq(leading & Cat(turn[bank & 3] for bank in range(BANKS)))
        return m
