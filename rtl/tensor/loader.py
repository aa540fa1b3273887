"""Loads the shadow weights of the PEs, row by row of B, while the active ones compute."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.tensor.formats import element_log2, operand_bits, operands
from rtl.tensor.job import JobLayout
from rtl.tensor.pe import PE_STAGES
from rtl.tensor.walk_b import WeightNote

__all__ = ["WeightBus", "WeightLoader"]


class WeightBus(wiring.Signature):
    """What goes to the PEs: a word for each column, and a strobe for each byte of each PE row's operand, by halves of the columns."""

    def __init__(self, config: ChipConfig):
        octets = operand_bits(config) // 8
        super().__init__({
            "words": Out(data.ArrayLayout(32, config.pe_columns)),
            "strobes": Out(data.ArrayLayout(data.ArrayLayout(octets, 2), config.pe_rows)),
        })


class WeightLoader(wiring.Component):
    """One access to B a cycle into the shadow weights. After the last one of a pass it waits until they have become active.

    Members
    -------
    item
        Data and note of an access to B.
    full
        The shadow weights are complete; a swap may be issued in this cycle.
    swap
        A swap is issued in this cycle. It reaches the last PE row (pe_rows - 1) * PE_STAGES cycles later; until then nothing is loaded.
    bus
        Registered.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "job": In(JobLayout(config)),
            "item": In(stream.Signature(data.StructLayout({"data": 8 * config.b_bytes, "note": WeightNote(config)}))),
            "full": Out(1), "swap": In(1), "bus": Out(WeightBus(config)),
        })

    def elaborate(self, platform):
        m = Module()
        item, note = self.item, self.item.payload.note
        half = self.config.pe_columns // 2

        taken = Signal()
        swapping = Signal(range((self.config.pe_rows - 1) * PE_STAGES + 1))
        m.d.comb += [item.ready.eq(~self.full & (swapping == 0)), taken.eq(item.valid & item.ready)]
        with m.If(self.swap):
            m.d.sync += [self.full.eq(0), swapping.eq((self.config.pe_rows - 1) * PE_STAGES)]
        with m.Else():
            with m.If(taken & note.last):
                m.d.sync += self.full.eq(1)
            with m.If(swapping.any()):
                m.d.sync += swapping.eq(swapping - 1)

        m.d.sync += self.bus.strobes.eq(0)
        with m.If(taken):
            with m.Switch(self.job.element):
                for log2 in range(3):
                    bits = 8 << log2
                    with m.Case(log2):
                        for column in range(self.config.pe_columns):
                            # Rows of 32-bit elements come in halves.
                            place = column % half if log2 == 2 else column
                            m.d.sync += self.bus.words[column].eq(item.payload.data.word_select(place, bits).replicate(32 // bits))
            with m.Switch(self.job.a_format):
                for format in operands(self.config):
                    with m.Case(format):
                        m.d.sync += self._strobes(format)
        return m

    def _strobes(self, format: Format) -> list:
        """Element e of a pass belongs to lane e mod lanes of PE row e / lanes."""
        note, lanes, size = self.item.payload.note, self.config.lanes(format), 1 << element_log2(format)
        statements = []
        for row in range(self.config.pe_rows):
            for upper in range(2):
                strobe = self.bus.strobes[row][upper]
                reached = note.upper == upper if size == 4 else 1
                for lane in range(lanes):
                    hit = (note.element == row * lanes + lane) & reached
                    statements += [strobe[lane * size + octet].eq(hit) for octet in range(size)]
        return statements
