"""The memory's code: encoder and decoder together, for all data and all errors of up to two bits of a word.

Each check bit is the XOR of 26 bits, and that the decoder's XOR of data and error is the encoder's of the data and that of the error
is what a SAT solver finds hardest. Lemmas break it up: they say so of each byte of the word, in the clock before the decoder's answer.
"""

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.ecc.codec import Decoder, Encoder
from rtl.memory.secded import MASKS
from verif.formal.prove import Goal

__all__ = ["GOALS", "Code"]

#: Data and check bits of a word.
BITS = 72


class Code(wiring.Component):
    """An atom is encoded, bits of each word are inverted on the way, it is decoded. The errors of the four words are free of each other.

    Parameters
    ----------
    watched
        The word that is judged.
    fault
        A bit of the encoder's output for that word to invert: a wrong code.

    Members
    -------
    data
        The atom.
    wrong, first, second
        Of the watched word: how many bits are inverted, and which. 0 to 63 are data, 64 to 71 check bits.
    noise
        What is inverted in the other words.
    """

    data: In(256)
    wrong: In(2)
    first: In(7)
    second: In(7)
    noise: In(4 * BITS)
    word: Out(64)
    corrected: Out(1)
    bad: Out(1)

    def __init__(self, watched: int, fault: bool = False):
        super().__init__()
        self.watched, self.fault = watched, fault

    def elaborate(self, platform):
        m = Module()
        m.submodules.encoder = encoder = Encoder()
        m.submodules.decoder = decoder = Decoder(8)
        error = Signal(BITS)
        one, two = (Cat(position == bit for bit in range(BITS)) for position in (self.first, self.second))
        m.d.comb += [
            error.eq(Mux(self.wrong >= 1, one, 0) ^ Mux(self.wrong == 2, two, 0)),
            encoder.data.eq(self.data), decoder.ecc.eq(1), decoder.fetched.valid.eq(1),
        ]
        words, checks = [], []
        for word in range(4):
            flip = error if word == self.watched else self.noise.word_select(word, BITS)
            words.append(self.data.word_select(word, 64) ^ flip[:64])
            checks.append(encoder.check.word_select(word, 8) ^ flip[64:])
        own, changed = self.data.word_select(self.watched, 64), words[self.watched]
        for bit, mask in enumerate(MASKS):
            for byte in range(8):
                of_own, of_changed, of_error = ((value & mask).word_select(byte, 8).xor() for value in (own, changed, error[:64]))
                m.d.sync += Assert(of_changed == of_own ^ of_error, f"byte {byte} of check bit {bit}")
        m.d.comb += [decoder.fetched.data.eq(Cat(words)), decoder.fetched.check.eq(Cat(checks) ^ (self.fault << 8 * self.watched))]

        # The decoder takes a clock.
        sent, stored, wrong = Signal(64), Signal(64), Signal(2, init=3)
        m.d.sync += [sent.eq(own), stored.eq(changed), wrong.eq(self.wrong)]
        m.d.comb += [
            self.word.eq(decoder.returned.data.word_select(self.watched, 64)),
            self.bad.eq(decoder.returned.bad[self.watched]), self.corrected.eq(decoder.verdict.corrected[self.watched]),
        ]
        m.d.sync += [
            Assume(self.wrong <= 2), Assume((self.first < BITS) & (self.second < BITS) & (self.first != self.second)),
            Assert((wrong != 0) | ((self.word == sent) & ~self.bad & ~self.corrected), "without an error nothing changes"),
            Assert((wrong != 1) | ((self.word == sent) & ~self.bad & self.corrected), "one error is corrected"),
            Assert((wrong != 2) | ((self.word == stored) & self.bad & ~self.corrected), "two errors are bad"),
            *(Cover(wrong == number, f"{number} errors") for number in range(3)),
        ]
        return m


GOALS = [
    *(Goal(f"code_word{word}", lambda word=word: Code(word)) for word in range(4)),
    Goal("code_fault", lambda: Code(1, fault=True), "bounded", 3, "broken"),
]
