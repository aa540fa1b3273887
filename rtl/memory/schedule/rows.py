"""The row command of a clock."""

from amaranth import Module, Mux, Signal, Value
from amaranth.hdl import Assert
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS

__all__ = ["RowChoice"]


def _first_class(classes: list[Signal]) -> Value:
    """The first of the sets that is not empty."""
    chosen: Value = classes[-1]
    for each in reversed(classes[:-1]):
        chosen = Mux(each.any(), each, chosen)
    return chosen


class RowChoice(wiring.Component):
    """At most one decision a clock, in this order: REFSB, REFAB, ACT, PREA, PRE.

    An ACT opens a row for the present direction, or, if none can, ahead of time for the other one. A PRE closes the row of the bank to
    refresh; else one without a hit of the present direction that a request of this direction waits to replace, even if the other
    direction has hits there; else one that only the other direction waits to replace; else one that has been idle for long. Among equals
    the bank goes first that had its last column command longest ago.

    Members
    -------
    active
        Commands may be sent.
    second
        This is an ACT's second clock.
    open, opening
        Banks with a row, and the one whose ACT was decided in the last clock.
    can_activate, can_refresh, can_precharge
        What timers allow, bank and channel together; `bank_rests` is `can_activate` of the bank alone.
    here, there, hits_here, hits_there
        Banks that requests of the present or the other direction wait for; and those with one for their open row that it may still serve.
    pressing, pressing_there
        Banks to open before others of the direction.
    idle
        Banks whose row nobody has used for long.
    target, forced
        The bank to refresh.
    all, hold, close_all
        A REFAB is due; no rows are to be opened; all are to be closed.
    ready_all
        A REFAB may go out, for all banks.
    activating, activating_chosen, closing, closing_chosen
        Queries of :class:`rtl.memory.schedule.recency.Recency`.
    activate, ahead
        One-hot: the bank to open, and that it is for the other direction.
    close
        The banks to close.
    precharge, precharge_all, refresh, refresh_all
        The decision.
    """

    def __init__(self):
        vectors = (
            "open", "opening", "can_activate", "bank_rests", "can_refresh", "can_precharge", "here", "there", "hits_here", "hits_there",
            "pressing", "pressing_there", "idle", "target", "activating_chosen", "closing_chosen",
        )
        super().__init__({
            **{name: In(BANKS) for name in vectors},
            **{name: In(1) for name in ("active", "second", "forced", "all", "hold", "close_all", "ready_all")},
            **{name: Out(BANKS) for name in ("activating", "closing", "activate", "close")},
            **{name: Out(1) for name in ("ahead", "precharge", "precharge_all", "refresh", "refresh_all")},
        })

    def elaborate(self, platform):
        m = Module()
        free = Signal()
        m.d.comb += free.eq(self.active & ~self.second)

        # An ACT counts a clock later than a REFSB and would always win the race for tRRD: none starts while one that is forced lacks only
        # that. One in advance lets the ACTs of this direction go first, since it would keep them for tRREFD.
        resting = ~self.open & self.bank_rests
        target_rests = self.forced & (self.target & resting).any()
        m.d.comb += [
            self.refresh.eq(
                free & (self.target & ~self.open & self.can_refresh).any() & (self.forced | ~(resting & self.here & ~self.target).any())
            ),
            self.refresh_all.eq(free & self.all & ~self.open.any() & self.ready_all),
        ]

        classes = [self.here & self.pressing, self.here, self.there & self.pressing_there, self.there]
        some = [Signal(BANKS, name=f"open{index}") for index in range(len(classes))]
        m.d.comb += [
            *(each.eq(~self.open & self.can_activate & ~self.target & kind) for each, kind in zip(some, classes, strict=True)),
            self.ahead.eq(~some[1].any()), self.activating.eq(_first_class(some)),
            self.activate.eq(
                Mux(free & ~self.refresh & ~target_rests & ~self.hold & ~self.close_all, self.activating_chosen, 0)
            ),
        ]

        ready = Signal(BANKS)
        m.d.comb += [
            ready.eq(self.open & ~self.opening & self.can_precharge & ~self.hits_here),
            self.precharge_all.eq(
                free & ~self.refresh & self.close_all & self.open.any()
                & ~(self.open & (self.opening | ~self.can_precharge)).any()
            ),
        ]
        classes = [
            self.target & ~self.hits_there,
            self.here,
            ~self.here & ~self.hits_there & self.there,
            ~self.here & ~self.there & self.idle,
        ]
        some = [Signal(BANKS, name=f"close{index}") for index in range(len(classes))]
        m.d.comb += [each.eq(ready & kind) for each, kind in zip(some, classes, strict=True)]
        m.d.comb += [
            self.closing.eq(_first_class(some)),
            self.precharge.eq(
                free & ~self.refresh & ~self.refresh_all & ~self.activate.any() & ~self.close_all & self.closing.any()
            ),
            self.close.eq(Mux(self.precharge_all, ~0, Mux(self.precharge, self.closing_chosen, 0))),
        ]
        decisions = self.refresh + self.refresh_all + self.activate.any() + self.precharge_all + self.precharge
        m.d.sync += [
            Assert(decisions <= 1, "one row command a clock"),
            Assert(~self.second | (decisions == 0), "none in the second clock of an ACT"),
            Assert((self.activate & (self.activate - 1)) == 0, "an ACT is for one bank"),
        ]
        return m


