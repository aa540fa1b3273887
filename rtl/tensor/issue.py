"""Issue: lets a row of A into the array when its weights, its accumulators and its C operand are there."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.tensor.accumulator import AccumulatorPort, ring_rows
from rtl.tensor.array import EnterLayout, RowFlags
from rtl.tensor.control import ACCUMULATOR_STAGE, PE_STAGES
from rtl.tensor.job import IssueJob
from rtl.tensor.turn import PreparedRow

__all__ = ["Issue"]


class Issue(wiring.Component):
    """At most one row a cycle, in the order of `row`.

    The rows of a tile take places in the ring of accumulators in its first pass, as far as there is room. From then on, a row waits
    until the result of the same row in the pass before is there when it is needed.

    Members
    -------
    job
        One for each `last` row.
    row
        Row of A.
    weights_full, weights_finite, swap
        Shadow weights are complete, and have neither infinities nor NaNs; they are taken in this cycle.
    c_rows, c_reserve
        Rows of C that are there; one is used in this cycle.
    enter
        To the array, registered; one cycle after the issue.
    fetch, fresh
        Accumulators of the row, in the cycle of `enter`; with `fresh` they start anew.
    accumulate, c_take
        One cycle after `enter`: they start with the row of C and not with zero; that row is used up.
    flags, result
        Rows in the array, and the one that leaves it.
    store
        Where that is stored.
    complete
        One pulse for each row that is ready to drain, in order.
    release
        A row has been drained.
    issued, skipped, hazard
        A row was issued in this cycle; it was skipped; or only the accumulators held one back.
    """

    def __init__(self, config: ChipConfig, array_latency: int):
        self.config = config
        self.array_latency = array_latency
        super().__init__({
            "job": In(stream.Signature(IssueJob)), "row": In(stream.Signature(PreparedRow(config))),
            "weights_full": In(1), "weights_finite": In(1), "swap": Out(1), "c_rows": In(2), "c_reserve": Out(1),
            "enter": Out(EnterLayout(config)), "fetch": Out(AccumulatorPort(config)), "fresh": Out(1),
            "accumulate": Out(1), "c_take": Out(1),
            "flags": In(data.ArrayLayout(RowFlags(config), 1 + array_latency)), "result": In(data.ArrayLayout(32, config.pe_columns)),
            "store": Out(AccumulatorPort(config)), "complete": Out(1), "release": In(1),
            "issued": Out(1), "skipped": Out(1), "hazard": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        job, note = self.job.payload, self.row.payload.note
        ring = ring_rows(self.config)

        # Place of the next row, and of the first row of its tile; rows that hold something.
        place, base = Signal(range(ring)), Signal(range(ring))
        used = Signal(range(ring + 1))

        # A result is forwarded if it leaves the array when it is needed: so many cycles after the issue that the row itself needs.
        distance = self.config.pe_rows * (PE_STAGES - ACCUMULATOR_STAGE)
        same = Cat(flags.valid & ~flags.skipped & (flags.row == place) for flags in self.flags)
        early = same[: distance - 1].any() & ~note.first_pass
        weights_missing = note.first_row & ~self.weights_full
        c_missing = note.first_pass & job.accumulate & (self.c_rows == 0)
        here = self.row.valid & self.job.valid & ~weights_missing & ~c_missing
        blocked = Mux(note.first_pass, used == ring, early)
        go, skip = Signal(), self._skip(m, same)
        # A row of C that all rows of m share is used up by the last of them.
        c_used = note.first_pass & job.accumulate & (~job.c_broadcast | note.last_m)
        m.d.comb += [
            go.eq(here & ~blocked), self.row.ready.eq(go), self.job.ready.eq(go & note.last),
            self.swap.eq(go & note.first_row), self.c_reserve.eq(go & c_used),
            self.issued.eq(go & ~skip), self.skipped.eq(go & skip), self.hazard.eq(here & blocked),
        ]  # fmt: skip
        m.d.sync += used.eq(used + (go & note.first_pass) - self.release)
        tile_end = note.last_row & note.last_pass
        with m.If(go):
            m.d.sync += place.eq(Mux(note.last_row & ~note.last_pass, base, place + 1))
            with m.If(tile_end):
                m.d.sync += base.eq(place + 1)

        enter = self.enter
        c_used_then = Signal()
        m.d.sync += [
            enter.flags.valid.eq(go), enter.swap.eq(self.swap), self.fresh.eq(go & note.first_pass), c_used_then.eq(self.c_reserve),
            self.c_take.eq(c_used_then),
        ]  # fmt: skip
        accumulate = Signal()
        m.d.sync += self.accumulate.eq(accumulate)
        with m.If(go):
            m.d.sync += [
                enter.flags.skipped.eq(skip), enter.flags.last_pass.eq(note.last_pass), enter.flags.row.eq(place),
                enter.flags.columns.eq(note.columns), enter.format.eq(note.format), enter.align.eq(job.align),
                enter.elements.eq(note.elements), enter.a.eq(self.row.payload.data), accumulate.eq(job.accumulate),
            ]  # fmt: skip
        m.d.comb += [
            self.fetch.enable.eq(enter.flags.valid & ~enter.flags.skipped & ~self.fresh), self.fetch.row.eq(enter.flags.row),
        ]

        leave = self.flags[self.array_latency]
        m.d.comb += [
            self.store.enable.eq(leave.valid & ~leave.skipped), self.store.row.eq(leave.row),
            self.complete.eq(leave.valid & leave.last_pass),
        ]  # fmt: skip
        return m

    def _skip(self, m, same):
        """A row of zeros changes no bit if all weights are finite and its accumulators hold no -0, which 0 * 0 could turn into +0.

        Whether some row of the tile holds a -0 is known once the results of its earlier passes have left the array.
        """
        job, note = self.job.payload, self.row.payload.note
        finite, minus_zero = Signal(), Signal()
        leave = self.flags[self.array_latency]
        with m.If(self.swap):
            m.d.sync += finite.eq(self.weights_finite)
        with m.If(self.issued & note.first_pass & note.first_row):
            m.d.sync += minus_zero.eq(0)
        with m.Elif(leave.valid & ~leave.skipped):
            some = Cat((value == 1 << 31) & (leave.columns > column) for column, value in enumerate(self.result)).any()
            m.d.sync += minus_zero.eq(minus_zero | some)
        weights = Mux(note.first_row, self.weights_finite, finite)
        return job.skip_zero & self.row.payload.zero & ~note.first_pass & weights & ~minus_zero & ~same.any()
