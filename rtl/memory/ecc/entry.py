"""One atom that the guard reads before it writes it."""

from amaranth import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.interface import WORDS, Tag

__all__ = ["Entry"]


class _State(enum.Enum, shape=2):
    FREE = 0
    READING = 1  #: the atom is on its way
    WRITING = 2  #: the merged atom waits to leave
    PARKED = 3  #: the write has left, a read that came after it waits to leave


def _taken(atom_bits: int) -> data.StructLayout:
    """Of a request, what an entry keeps."""
    return data.StructLayout({"urgent": 1, "atom": unsigned(atom_bits), "tag": Tag, "strobe": 32})


class Entry(wiring.Component):
    """An entry of the guard's table: from a partial write, or from an atom to be corrected, to the write of the whole atom.

    The guard keeps the bytes. Into an entry's row it writes the strobed ones of `allocate` and `merge`, and with `fill` those that
    `lacks`: bytes that were written win over those that are read. A word with an error that can't be corrected and that wasn't written
    wholly leaves poisoned. An entry without bytes to write whose atom comes back without a correction ends without a write.

    Members
    -------
    request
        What `allocate`, `merge` and `park` take.
    allocate, rewrite, known
        The entry is taken for `request`; with `rewrite` it has only an atom. `known`: its error has been counted before.
    merge, park, fill, sent
        The bytes of `request` join; the read `request` waits behind the write; the atom has come; what is offered
        has left. `merge` and `park` come only while `reading` and not `parked`.
    bad, corrected
        With `fill`: the words with an error that can't be corrected; a word was corrected.
    free, reading, dirty, parked
        State: unused; its atom hasn't come; it has bytes to write; a read waits.
    lacks
        With `fill`: the bytes that are to come from the memory, since nobody wrote them, nor does in this clock.
    offers, write, atom, poison, urgent, tag
        What is to leave: a write of the row with the words of `poison` poisoned, or the read `tag`.
    counted
        `known` of the entry.
    """

    def __init__(self, atom_bits: int):
        super().__init__({
            "request": In(_taken(atom_bits)), "allocate": In(1), "rewrite": In(1), "known": In(1),
            "merge": In(1), "park": In(1), "fill": In(1), "bad": In(WORDS), "corrected": In(1), "sent": In(1),
            "free": Out(1), "reading": Out(1), "dirty": Out(1), "parked": Out(1),
            "lacks": Out(32), "offers": Out(1), "write": Out(1), "atom": Out(unsigned(atom_bits)), "poison": Out(WORDS),
            "urgent": Out(1), "tag": Out(Tag), "counted": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        state = Signal(_State)
        strobe, wrong = Signal(32), Signal(WORDS)
        given = self.request

        joins = Signal(32)
        m.d.comb += [
            joins.eq(Mux((self.allocate & ~self.rewrite) | self.merge, given.strobe, 0)),
            self.lacks.eq(Mux(self.fill, ~(strobe | joins), 0)),
        ]

        with m.If(self.allocate):
            m.d.sync += [
                state.eq(_State.READING), self.atom.eq(given.atom), strobe.eq(joins), wrong.eq(0), self.parked.eq(0),
                self.counted.eq(self.known), self.urgent.eq(given.urgent & ~self.rewrite),
            ]
        with m.Else():
            m.d.sync += strobe.eq(strobe | joins)
            with m.If((self.merge | self.park) & given.urgent):
                m.d.sync += self.urgent.eq(1)
        with m.If(self.park):
            m.d.sync += [self.parked.eq(1), self.tag.eq(given.tag)]
        with m.If(self.fill):
            m.d.sync += [
                wrong.eq(self.bad),
                state.eq(Mux(self.dirty | self.merge | self.corrected, _State.WRITING, _State.FREE)),
            ]
        with m.If(self.sent):
            m.d.sync += state.eq(Mux(self.write & self.parked, _State.PARKED, _State.FREE))

        whole = Cat(strobe.word_select(word, 8).all() for word in range(WORDS))
        m.d.comb += [
            self.free.eq(state == _State.FREE), self.reading.eq(state == _State.READING), self.dirty.eq(strobe.any()),
            self.write.eq(state == _State.WRITING), self.offers.eq(self.write | (state == _State.PARKED)),
            self.poison.eq(wrong & ~whole),
        ]
        return m
