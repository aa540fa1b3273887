"""Loads the shadow weights of the PEs while the active ones compute: row by row of B, or, transposed, column by column."""

from functools import reduce
from operator import and_, or_

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import FLOATS
from rtl.tensor.control import ACCUMULATOR_STAGE, PE_STAGES
from rtl.tensor.formats import element_log2, group_bytes, operand_bits, operands
from rtl.tensor.walk_b import WeightNote, line_chunks

__all__ = ["WeightBus", "WeightLoader"]


class WeightBus(wiring.Signature):
    """What goes to the PEs: a word for each column with a strobe for each byte of each PE row's operand, by halves of the columns; or the
    whole operands of one column, one for each PE row."""

    def __init__(self, config: ChipConfig):
        octets = operand_bits(config) // 8
        super().__init__({
            "words": Out(data.ArrayLayout(32, config.pe_columns)),
            "strobes": Out(data.ArrayLayout(data.ArrayLayout(octets, 2), config.pe_rows)),
            "lines": Out(data.ArrayLayout(8 * octets, config.pe_rows)),
            "take_line": Out(config.pe_columns),
        })


class WeightLoader(wiring.Component):
    """One access to B a cycle into the shadow weights. After the last one of a pass it waits for the swap that makes them active.

    Members
    -------
    item
        Data, note and size of an access to B.
    full
        The shadow weights are complete; a swap may be issued in this cycle.
    finite
        With `full`: no element of them is an infinity or a NaN.
    swap
        A swap is issued in this cycle. It reaches each PE row some cycles after the one before; until then nothing is loaded there.
    bus
        Registered.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "item": In(stream.Signature(self._item(config))),
            "full": Out(1), "finite": Out(1, init=1), "swap": In(1), "bus": Out(WeightBus(config)),
        })

    @staticmethod
    def _item(config: ChipConfig) -> data.StructLayout:
        return data.StructLayout({"data": 8 * config.b_bytes, "note": WeightNote(config), "size": range(config.b_bytes + 1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        item, note = self.item, self.item.payload.note
        half, step = config.pe_columns // 2, PE_STAGES - ACCUMULATOR_STAGE

        # A swap comes to each PE row `step` cycles after the one before. What is taken now is stored in the next cycle, which may be
        # that of the swap itself; so the first row never waits.
        way = step * (config.pe_rows - 1)
        swapping = Signal(range(way + 1))
        reached = Signal(config.pe_rows)
        m.d.comb += reached.eq(Cat(1, *((swapping <= way - step * row + 1) & ~self.swap for row in range(1, config.pe_rows))))
        taken = Signal()
        m.d.comb += [
            item.ready.eq((~self.full | self.swap) & Mux(note.transposed, reached[-1], reached.bit_select(note.pe_row, 1))),
            taken.eq(item.valid & item.ready),
        ]
        with m.If(self.swap):
            m.d.sync += [swapping.eq(way), self.full.eq(0)]
        with m.Elif(swapping.any()):
            m.d.sync += swapping.eq(swapping - 1)
        clean = self._finite()
        with m.If(taken):
            m.d.sync += self.finite.eq((self.finite | ~self._loading(m, taken)) & clean)
            with m.If(note.last):
                m.d.sync += self.full.eq(1)

        m.d.sync += [self.bus.strobes.eq(0), self.bus.take_line.eq(0)]
        with m.If(taken & note.transposed):
            self._line(m)
        with m.Elif(taken):
            with m.Switch(note.format):
                for format in operands(config):
                    bits = 8 << element_log2(format)
                    with m.Case(format):
                        for column in range(config.pe_columns):
                            # Rows of 32-bit elements come in halves.
                            place = column % half if bits == 32 else column
                            m.d.sync += self.bus.words[column].eq(item.payload.data.word_select(place, bits).replicate(32 // bits))
                        m.d.sync += self._strobes(format)
        return m

    def _loading(self, m, taken):
        """Some accesses of this pass were taken before."""
        begun = Signal()
        with m.If(taken):
            m.d.sync += begun.eq(~self.item.payload.note.last)
        return begun

    def _strobes(self, format) -> list:
        """A lane's bytes in the operand of its PE row."""
        note, lanes, size = self.item.payload.note, self.config.lanes(format), 1 << element_log2(format)
        statements = []
        for row in range(self.config.pe_rows):
            for upper in range(2):
                strobe = self.bus.strobes[row][upper]
                reached = (note.upper == upper) if size == 4 else 1
                for lane in range(lanes):
                    hit = (note.pe_row == row) & (note.lane == lane) & reached
                    statements += [strobe[lane * size + octet].eq(hit) for octet in range(size)]
        return statements

    def _line(self, m):
        """Chunks of a column's line are put together; with the last one the PEs of the column take their parts."""
        config = self.config
        note, chunks = self.item.payload.note, line_chunks(config)
        line = Signal(8 * config.b_bytes * chunks)
        kept = Signal(8 * config.b_bytes * (chunks - 1)) if chunks > 1 else None
        for chunk in range(chunks):
            part = line.word_select(chunk, 8 * config.b_bytes)
            if chunk < chunks - 1:
                old = kept.word_select(chunk, 8 * config.b_bytes)
                m.d.comb += part.eq(Mux(note.chunk == chunk, self.item.payload.data, old))
                with m.If(note.chunk == chunk):
                    m.d.sync += old.eq(self.item.payload.data)
            else:
                m.d.comb += part.eq(self.item.payload.data)
        with m.If(note.line_last):
            m.d.sync += self.bus.take_line.eq(1 << note.column)
        # A line that ends before its last chunk leaves that undefined: those lanes take no part.
        with m.Switch(note.format):
            for format in operands(config):
                bits = 8 * group_bytes(config, format)
                with m.Case(format):
                    m.d.sync += [self.bus.lines[row].eq(line.word_select(row, bits)) for row in range(config.pe_rows)]

    def _finite(self):
        """No element of this access has an exponent of all ones."""
        note, bits = self.item.payload.note, self.item.payload.data
        result = 1
        for format in operands(self.config):
            if format not in FLOATS:
                continue
            layout, size = FLOATS[format], 1 << element_log2(format)
            top = 8 * size - 1
            special = [
                bits.word_select(place, 8 * size)[top - layout.exponent : top].all() & (self.item.payload.size > place * size)
                for place in range(self.config.b_bytes // size)
            ]
            result = and_(result, ~((note.format == format) & reduce(or_, special)))
        return result
