"""Which bank is read from."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.schedule.recency import Recency

__all__ = ["ReadChoice"]


class ReadChoice(wiring.Component):
    """Of the banks with a read that may go out, one whose oldest read has expired, since a bank with an endless stream to its row would
    keep others waiting; else one with an urgent hit; else one that writes wait to have another row of. Among these the bank whose row was
    opened first: so the banks that a phase of writes needs end one after the other, and are opened for it while the last ones still move
    data. Else the groups take turns, which is what tCCD_L asks for and lets all banks of a stream end together.

    Members
    -------
    opened
        One-hot: the bank whose row is opened now, if any.
    used
        One-hot: the bank that a column command goes to, if any.
    ready
        Banks with a read that may go out.
    expired, urgent, wanted
        Banks whose oldest read has expired; with an urgent hit; that the other direction wants to have another row of.
    chosen
        One-hot: the bank whose read goes out.
    """

    opened: In(BANKS)
    used: In(BANKS)
    ready: In(BANKS)
    expired: In(BANKS)
    urgent: In(BANKS)
    wanted: In(BANKS)
    chosen: Out(BANKS)

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = Recency(("first",))
        some = [Signal(BANKS, name=name) for name in ("late", "hurried", "freed")]
        m.d.comb += [
            *(each.eq(self.ready & kind) for each, kind in zip(some, (self.expired, self.urgent, self.wanted), strict=True)),
            rows.used.eq(self.opened), rows.first.eq(Mux(some[0].any(), some[0], Mux(some[1].any(), some[1], some[2]))),
        ]

        groups = range(4)
        ready, used = Signal(4), Signal(4)
        m.d.comb += [
            ready.eq(Cat(self.ready[group::4].any() for group in groups)), used.eq(Cat(self.used[group::4].any() for group in groups)),
        ]
        turn, leading = Signal(4), Signal(BANKS)
        for group in groups:
            earlier = Signal(4, name=f"used_before{group}", init=(1 << group) - 1)
            m.d.sync += earlier.eq(Mux(used[group], 15 - (1 << group), earlier & ~used))
            m.d.comb += turn[group].eq(ready[group] & ~(ready & earlier).any())
            banks = self.ready[group::4]
            opened = self.opened[group::4]
            for number in range(4):
                before = Signal(4, name=f"opened_before{group}_{number}", init=(1 << number) - 1)
                m.d.sync += before.eq(Mux(opened[number], 15 - (1 << number), before & ~opened))
                m.d.comb += leading[group + 4 * number].eq(banks[number] & ~(banks & before).any())
        m.d.comb += self.chosen.eq(Mux(rows.first.any(), rows.first_chosen, leading & Cat(turn[bank & 3] for bank in range(BANKS))))
        return m
