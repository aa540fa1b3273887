"""Rows of A on their way to the array: passed through, or, where A is transposed, turned block by block."""

from functools import reduce
from operator import or_

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import FLOATS
from rtl.tensor.formats import block_rows, element_log2, group_bytes, operands
from rtl.tensor.walk_a import BlockNote, RowNote

__all__ = ["PreparedRow", "Turn"]


class PreparedRow(data.StructLayout):
    """A row of A for one pass."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "data": 8 * config.a_bytes,
            "zero": 1,  # every element that takes part is +0 or -0
            "note": RowNote(config),
        })


class Turn(wiring.Component):
    """One row a cycle. Two blocks: one is filled channel by channel while the rows of the other leave.

    Members
    -------
    item
        Data and note of an access to A.
    row
        Registered. Bytes of `data` beyond the elements are undefined.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "item": In(stream.Signature(data.StructLayout({"data": 8 * config.a_bytes, "note": BlockNote(config)}))),
            "row": Out(stream.Signature(PreparedRow(config))),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        item, note = self.item, self.item.payload.note
        rows = block_rows(config, 1)

        # Two buffers of `rows` rows; which is filled next, which leaves next, and its row.
        buffers = [[Signal(8 * self._row_bytes(row), name=f"buffer{number}_{row}", reset_less=True) for row in range(rows)]
                   for number in range(2)]  # fmt: skip
        notes = [Signal(BlockNote(config), name=f"note{number}") for number in range(2)]
        full, fill, drain, place = Signal(2), Signal(), Signal(), Signal(range(rows))

        free = ~self.row.valid | self.row.ready
        turned = Signal(data.StructLayout({"data": 8 * config.a_bytes, "note": BlockNote(config)}))
        m.d.comb += [
            turned.note.eq(Mux(drain, notes[1], notes[0])),
            turned.data.eq(Array(Mux(drain, high, low) for low, high in zip(*buffers, strict=True))[place]),
        ]
        block_end = place + 1 == turned.note.rows
        emit, write = full.any() & free, Signal()
        m.d.comb += [
            item.ready.eq(Mux(note.transposed, ~full.bit_select(fill, 1), free & ~full.any())),
            write.eq(item.valid & item.ready & note.transposed),
        ]

        complete = write & (note.element + 1 == note.row.elements)
        m.d.sync += full.eq((full | (complete << fill)) & ~((emit & block_end) << drain))
        with m.If(complete):
            m.d.sync += fill.eq(~fill)
        with m.If(emit):
            m.d.sync += [place.eq(Mux(block_end, 0, place + 1)), drain.eq(drain ^ block_end)]
        for number, buffer in enumerate(buffers):
            with m.If(write & (fill == number)):
                m.d.sync += [notes[number].eq(note), *self._scatter(buffer)]

        # The row that leaves: of a block, else the access itself.
        out, chosen = self.row.payload, Signal(turned.shape())
        m.d.comb += chosen.eq(Mux(full.any(), turned, item.payload))
        with m.If(free):
            m.d.sync += [
                self.row.valid.eq(full.any() | (item.valid & ~note.transposed)), out.data.eq(chosen.data), out.note.eq(chosen.note.row),
                out.zero.eq(~self._nonzero(chosen)),
            ]  # fmt: skip
            with m.If(full.any() & (place != 0)):
                m.d.sync += out.note.first_row.eq(0)
            with m.If(full.any() & ~block_end):
                m.d.sync += [out.note.last_row.eq(0), out.note.last_m.eq(0), out.note.last.eq(0)]
        return m

    def _row_bytes(self, row: int) -> int:
        """Bytes that a row of a block can take: blocks of wide elements have fewer rows."""
        sizes = [group_bytes(self.config, format) for format in operands(self.config)
                 if block_rows(self.config, 1 << element_log2(format)) > row]  # fmt: skip
        return self.config.pe_rows * max(sizes)

    def _scatter(self, buffer: list[Signal]) -> list:
        """Element e of every row, from an access that has one element of each row."""
        bits, note = self.item.payload.data, self.item.payload.note
        statements = []
        for row, stored in enumerate(buffer):
            for octet in range(len(stored) // 8):
                value = stored.word_select(octet, 8)
                for log2 in {element_log2(format) for format in operands(self.config)}:
                    source = (row << log2) + octet % (1 << log2)
                    if source >= self.config.a_bytes or octet >> log2 >= 8 * self.config.pe_rows:
                        continue
                    is_size = reduce(or_, (note.row.format == format for format in operands(self.config) if element_log2(format) == log2))
                    hit = is_size & (note.element == octet >> log2)
                    value = Mux(hit, bits.word_select(source, 8), value)
                statements.append(stored.word_select(octet, 8).eq(value))
        return statements

    def _nonzero(self, row):
        """Some element that takes part is neither +0 nor -0."""
        result = 0
        for format in operands(self.config):
            size = 1 << element_log2(format)
            count = min(self.config.pe_rows * self.config.lanes(format), self.config.a_bytes // size)
            # The sign doesn't count, nor what TF32 ignores.
            top = 8 * size - (format in FLOATS)
            low = 8 * size - 1 - FLOATS[format].exponent - FLOATS[format].fraction if format in FLOATS else 0
            elements = (row.data.word_select(place, 8 * size)[low:top].any() & (row.note.row.elements > place) for place in range(count))
            result = result | ((row.note.row.format == format) & reduce(or_, elements))
        return result
