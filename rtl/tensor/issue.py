"""Issue: lets a row of A into the array when its weights, its accumulators and its C operand are there."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.tensor.accumulator import AccumulatorPort
from rtl.tensor.array import ARRAY_FLAGS, EnterLayout
from rtl.tensor.job import JobLayout
from rtl.tensor.pe import PE_STAGES
from rtl.tensor.walk_a import RowNote

__all__ = ["Issue"]


class Issue(wiring.Component):
    """At most one row a cycle, in the order of `item`.

    A tile starts when one of the two banks is free. From its second pass on, a row waits until the same row of the pass before has been
    written: with `rows` in the tile, fewer than `rows` may be in flight.

    Members
    -------
    item
        Row of A and its note.
    weights_full, swap
        Shadow weights are complete; they are taken in this cycle.
    operand_valid, operand_take
        Row of C is there; it is used up in this cycle.
    enter
        To the array, registered; one cycle after the issue.
    fetch
        Row of the accumulators, in the cycle of the issue; their data go along with `enter`, unless `fresh`.
    fresh
        With `enter`: the accumulators start anew, from the C operand or from zero.
    leave, store
        What comes out of the array, and where it is stored.
    tile
        One pulse per tile, when its last row has been stored.
    release
        A bank has drained.
    issued, hazard
        A row was issued in this cycle; or only the accumulators held it back.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "job": In(JobLayout(config)),
            "item": In(stream.Signature(data.StructLayout({"data": 8 * config.a_bytes, "note": RowNote(config)}))),
            "weights_full": In(1), "swap": Out(1), "operand_valid": In(1), "operand_take": Out(1),
            "enter": Out(EnterLayout(config)), "fetch": Out(AccumulatorPort(config)), "fresh": Out(1),
            "leave": In(ARRAY_FLAGS), "store": Out(AccumulatorPort(config)),
            "tile": Out(1), "release": In(1), "issued": Out(1), "hazard": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        item, note = self.item, self.item.payload.note
        first_of_tile, last_of_tile = note.first_pass & note.first_row, note.last_pass & note.last_row

        # Issue is one cycle ahead of `enter`, the array takes one cycle and its stages, and the store is seen one cycle later.
        in_flight = Signal(range(self.config.pe_rows * PE_STAGES + 4))
        rows = Signal(range(self.config.accumulator_rows + 1))
        banks_used = Signal(2)
        row, bank = Signal(range(self.config.accumulator_rows)), Signal()

        weights_missing = note.first_row & ~self.weights_full
        operand_missing = note.first_pass & self.job.accumulate & ~self.operand_valid
        busy = Mux(note.first_pass, note.first_row & banks_used[1], in_flight >= rows)
        here = item.valid & ~weights_missing & ~operand_missing
        go = here & ~busy
        m.d.comb += [
            item.ready.eq(go), self.issued.eq(go), self.hazard.eq(here & busy), self.swap.eq(go & note.first_row),
            # A row that all rows of m share is used up by the last of them.
            self.operand_take.eq(go & note.first_pass & self.job.accumulate & (~self.job.c_broadcast | note.last_m)),
            self.fetch.enable.eq(go & ~note.first_pass), self.fetch.bank.eq(bank), self.fetch.row.eq(row),
        ]  # fmt: skip
        m.d.sync += [
            in_flight.eq(in_flight + go - self.leave.valid),
            banks_used.eq(banks_used + (go & first_of_tile) - self.release),
            self.enter.flags.valid.eq(go), self.enter.swap.eq(self.swap),
        ]
        with m.If(go):
            m.d.sync += [
                row.eq(Mux(note.last_row, 0, row + 1)), bank.eq(bank ^ last_of_tile),
                self.enter.flags.last_row.eq(note.last_row), self.enter.flags.last_pass.eq(note.last_pass),
                self.enter.a_format.eq(self.job.a_format), self.enter.elements.eq(note.elements), self.enter.a.eq(item.payload.data),
                self.fresh.eq(note.first_pass),
            ]  # fmt: skip
            with m.If(note.first_pass & note.last_row):
                m.d.sync += rows.eq(row + 1)

        # Rows leave in the order in which they were issued, so a second pair of counters knows where they belong.
        stored_row, stored_bank = Signal.like(row), Signal()
        end = self.leave.last_row & self.leave.last_pass
        m.d.comb += [self.store.enable.eq(self.leave.valid), self.store.row.eq(stored_row), self.store.bank.eq(stored_bank)]
        m.d.sync += self.tile.eq(self.leave.valid & end)
        with m.If(self.leave.valid):
            m.d.sync += [stored_row.eq(Mux(self.leave.last_row, 0, stored_row + 1)), stored_bank.eq(stored_bank ^ end)]
        return m
