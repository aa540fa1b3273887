"""The C operand: rows of 32-bit values with which accumulators start."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.tensor.walk_rows import Beat

__all__ = ["OperandRow"]


class OperandRow(wiring.Component):
    """Puts the beats of rows of C together; two rows at a time.

    Members
    -------
    item
        Data and beat of an access to C. Columns beyond the beat's are undefined.
    rows
        Whole rows that are there and not reserved.
    reserve
        Takes one of `rows`.
    take
        Two cycles after `reserve`: its row is used up.
    row
        The oldest row that is not used up.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "item": In(stream.Signature(data.StructLayout({"data": 8 * config.c_bytes, "note": Beat(config)}))),
            "rows": Out(2), "reserve": In(1), "row": Out(data.ArrayLayout(32, config.pe_columns)), "take": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        half = 32 * self.config.pe_columns // 2
        note = self.item.payload.note
        rows = [Signal(2 * half, name=f"row{number}", reset_less=True) for number in range(2)]
        kept, fill, oldest = Signal(2), Signal(), Signal()
        taken, complete = Signal(), Signal()
        m.d.comb += [
            self.item.ready.eq(kept != 2), taken.eq(self.item.valid & self.item.ready), complete.eq(taken & note.last),
            self.row.eq(Mux(oldest, rows[1], rows[0])),
        ]
        m.d.sync += [
            kept.eq(kept + complete - self.take), self.rows.eq(self.rows + complete - self.reserve),
            fill.eq(fill ^ complete), oldest.eq(oldest ^ self.take),
        ]  # fmt: skip
        for number, row in enumerate(rows):
            with m.If(taken & (fill == number)):
                with m.If(note.number == 0):
                    m.d.sync += row[:half].eq(self.item.payload.data)
                with m.Else():
                    m.d.sync += row[half:].eq(self.item.payload.data)
        return m
