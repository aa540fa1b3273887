"""The C operand: rows of 32-bit values with which accumulators start."""

from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.tensor.walk_rows import Beat

__all__ = ["OperandRow"]


class OperandRow(wiring.Component):
    """Puts the beats of a row of C together.

    Members
    -------
    item
        Data and beat of an access to C. Columns beyond the beat's are undefined.
    row, valid
        A whole row, held until `take`; `row` stays for one cycle more.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "item": In(stream.Signature(data.StructLayout({"data": 8 * config.c_bytes, "note": Beat(config)}))),
            "row": Out(data.ArrayLayout(32, config.pe_columns)), "valid": Out(1), "take": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        half = 32 * self.config.pe_columns // 2
        note = self.item.payload.note
        m.d.comb += self.item.ready.eq(~self.valid)
        with m.If(self.take):
            m.d.sync += self.valid.eq(0)
        with m.If(self.item.valid & self.item.ready):
            m.d.sync += self.valid.eq(note.last)
            with m.If(note.number == 0):
                m.d.sync += self.row.as_value()[:half].eq(self.item.payload.data)
            with m.Else():
                m.d.sync += self.row.as_value()[half:].eq(self.item.payload.data)
        return m
