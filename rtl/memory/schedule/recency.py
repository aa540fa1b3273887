"""The order in which something happened to banks."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS

__all__ = ["Recency"]


class Recency(wiring.Component):
    """Which bank of a set was used longest ago, or latest: a matrix of one bit for each pair of banks.

    Parameters
    ----------
    oldest, latest
        Names of the queries.

    Members
    -------
    used
        One-hot: the bank that is used now, if any.
    NAME, NAME_chosen
        Of each query: a set of banks, and the one of them that was used longest ago or latest, one-hot; none of an empty set.
    NAME_since
        Of a query for the latest: how many banks have been used since the chosen one was.
    """

    def __init__(self, oldest: tuple[str, ...], latest: tuple[str, ...] = ()):
        self.oldest, self.latest = oldest, latest
        queries = {name: In(BANKS) for name in (*oldest, *latest)}
        super().__init__({
            "used": In(BANKS), **queries, **{f"{name}_chosen": Out(BANKS) for name in queries},
            **{f"{name}_since": Out(range(BANKS)) for name in latest},
        })

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
        after = [~before[index] & ((1 << BANKS) - 1 - (1 << index)) for index in range(BANKS)]
        for name in self.latest:
            some, chosen = getattr(self, name), getattr(self, f"{name}_chosen")
            m.d.comb += chosen.eq(Cat(some[index] & ~(some & after[index]).any() for index in range(BANKS)))
            since = reduce(or_, (Mux(chosen[index], after[index], 0) for index in range(BANKS)))
            m.d.comb += getattr(self, f"{name}_since").eq(sum(since))
        return m
