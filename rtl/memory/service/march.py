"""Fill and self-test: a march over a range of atoms."""

from amaranth import Array, C, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.isa import MemoryService
from rtl.memory.interface import SLOT_BITS, WORDS, Source, request, returned, verdict

__all__ = ["BACKGROUNDS", "ELEMENTS", "March"]

#: March C- (Marinescu 1982, van de Goor 1991). Walks down; reads; expects the background inverted; writes; writes it inverted.
ELEMENTS = (
    (0, 0, 0, 1, 0),
    (0, 1, 0, 1, 1),
    (0, 1, 1, 1, 0),
    (1, 1, 0, 1, 1),
    (1, 1, 1, 1, 0),
    (1, 1, 0, 0, 0),
)

#: Each word of the background, in the order of the test, so that it leaves zeros. Any two data bits of a byte differ in one of them, and
#: the last but one has check bits of ones: the code's own cells hold both values, though inverting all 64 data bits inverts none.
BACKGROUNDS = (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F, 0x1C3B1C3B1C3B1C3B, 0)


class March(wiring.Component):
    """Fills a range with zeros, or tests it with March C- for each of :data:`BACKGROUNDS`; steps in the clocks of the memory.

    In an element every atom of the range is read, compared and written, up or down the addresses; the next element begins when all
    reads are back. An atom is wrong if its data are, or if a word of it was corrected or could not be.

    Members
    -------
    command
        What to do; taken while not `busy`. 0: nothing. `begins` says that it is taken.
    first, last
        The range, `first` <= `last`; constant while `busy`.
    request
        To the arbiter, reads with source SERVICE.
    returned, verdict
        From the decoder.
    wrong, wrong_atom
        A read that found an atom wrong, two clocks after it came back.
    """

    def __init__(self, atom_bits: int):
        self.atom_bits = atom_bits
        super().__init__({
            "command": In(2), "begins": Out(1), "busy": Out(1), "first": In(unsigned(atom_bits)), "last": In(unsigned(atom_bits)),
            "request": Out(stream.Signature(request(atom_bits))), "returned": In(returned()), "verdict": In(verdict(atom_bits)),
            "wrong": Out(1), "wrong_atom": Out(unsigned(atom_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        element, background, fill = Signal(range(len(ELEMENTS))), Signal(range(len(BACKGROUNDS))), Signal()
        down, reads, expects_ones, writes, writes_ones = (
            Array(C(row[column], 1) for row in ELEMENTS)[element] for column in range(len(ELEMENTS[0]))
        )
        pattern = Signal(64)
        m.d.comb += pattern.eq(Array(C(word, 64) for word in BACKGROUNDS)[background])

        # Reads on their way.
        under_way = Signal(SLOT_BITS + 1)
        slot, atom, writing = Signal(SLOT_BITS), Signal(self.atom_bits), Signal()
        out = self.request
        back, checked = self.returned, Signal()
        mine = back.valid & (back.tag.source == Source.SERVICE)
        sent = out.valid & out.ready
        m.d.sync += under_way.eq(under_way + (sent & ~out.payload.write) - checked)

        walks = Signal()
        m.d.comb += [
            out.valid.eq(walks & (writing | (under_way < (1 << SLOT_BITS)))),
            out.payload.write.eq(writing), out.payload.atom.eq(atom), out.payload.strobe.eq(~0),
            out.payload.tag.slot.eq(slot), out.payload.tag.source.eq(Source.SERVICE),
            out.payload.data.eq((pattern ^ writes_ones.replicate(64)).replicate(WORDS)),
        ]
        with m.If(sent & ~writing):
            m.d.sync += slot.eq(slot + 1)

        # In two clocks: each word is compared, then all together.
        expected = pattern ^ expects_ones.replicate(64)
        differs = Signal(WORDS)
        m.d.sync += [
            differs.eq(Cat(back.data.word_select(word, 64) != expected for word in range(WORDS)) | back.bad | self.verdict.corrected),
            checked.eq(mine), self.wrong_atom.eq(self.verdict.atom),
        ]
        m.d.comb += self.wrong.eq(checked & differs.any())

        final = (element == len(ELEMENTS) - 1) & (background == len(BACKGROUNDS) - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.begins.eq(self.command != 0)
                with m.If(self.begins):
                    m.d.sync += [
                        self.busy.eq(1), fill.eq(self.command == MemoryService.FILL), element.eq(0),
                        background.eq(Mux(self.command == MemoryService.FILL, len(BACKGROUNDS) - 1, 0)),
                    ]
                    m.next = "ELEMENT"
            with m.State("ELEMENT"):
                m.d.sync += [atom.eq(Mux(down, self.last, self.first)), writing.eq(~reads)]
                m.next = "WALK"
            with m.State("WALK"):
                m.d.comb += walks.eq(1)
                with m.If(sent):
                    with m.If(~writing & writes):
                        m.d.sync += writing.eq(1)
                    with m.Else():
                        m.d.sync += [writing.eq(~reads), atom.eq(Mux(down, atom - 1, atom + 1))]
                        with m.If(atom == Mux(down, self.first, self.last)):
                            m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(under_way == 0):
                    m.next = "ELEMENT"
                    m.d.sync += element.eq(element + 1)
                    with m.If(element == len(ELEMENTS) - 1):
                        m.d.sync += [element.eq(0), background.eq(background + 1)]
                    with m.If(fill | final):
                        m.d.sync += self.busy.eq(0)
                        m.next = "IDLE"
        return m
