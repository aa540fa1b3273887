"""Encoder and decoder of the memory's code: four words of SECDED (72, 64) to an atom."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.interface import CHECK_BITS, WORDS, fetched, returned, verdict
from rtl.memory.secded import COLUMNS, MASKS

__all__ = ["Decoder", "Encoder"]


def _parities(word: Value) -> Value:
    """The eight check bits of a word: XORs of 26 bits, five gates deep."""
    return Cat((word & mask).xor() for mask in MASKS)


class Encoder(wiring.Component):
    """Check bits of the four words of an atom; combinational.

    Members
    -------
    data, check
        Byte w of `check` belongs to word w.
    """

    data: In(256)
    check: Out(CHECK_BITS)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.check.eq(Cat(_parities(self.data.word_select(word, 64)) for word in range(WORDS)))
        return m


class Decoder(wiring.Component):
    """Corrects atoms as they come, one a clock if need be; latency one clock.

    A word with one wrong bit, be it a check bit, is *corrected*; one with an error that can't be corrected is *bad* and leaves as it was
    stored. Two wrong bits of a word are always bad.

    Members
    -------
    ecc
        Low: everything passes as it is, and no word is corrected or bad.
    fetched, returned
        From the scheduler, and to whom the tag names.
    verdict
        Valid with `returned`.
    """

    def __init__(self, atom_bits: int):
        super().__init__({
            "ecc": In(1), "fetched": In(fetched(atom_bits)), "returned": Out(returned()), "verdict": Out(verdict(atom_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        given = self.fetched
        corrected, bad, words = [], [], []
        for number in range(WORDS):
            word = given.data.word_select(number, 64)
            syndrome = Signal(8, name=f"syndrome{number}")
            flip = Signal(64, name=f"flip{number}")
            lone = Cat(syndrome == 1 << bit for bit in range(8)).any()
            m.d.comb += [
                syndrome.eq(Mux(self.ecc, _parities(word) ^ given.check.word_select(number, 8), 0)),
                flip.eq(Cat(syndrome == column for column in COLUMNS)),
            ]
            known = lone | flip.any()
            words.append(word ^ flip)
            corrected.append(known)
            bad.append(syndrome.any() & ~known)
        m.d.sync += [
            self.returned.valid.eq(given.valid), self.returned.tag.eq(given.tag), self.returned.data.eq(Cat(words)),
            self.returned.bad.eq(Cat(bad)), self.verdict.atom.eq(given.atom), self.verdict.corrected.eq(Cat(corrected)),
        ]
        return m
