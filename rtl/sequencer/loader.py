"""Start of a job: checks the image's header, finds the program of this sequencer and loads the arguments."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ISA_VERSION, ChipConfig
from rtl.image import HEADER_BYTES, MAGIC, ImageEntry, ImageHeader
from rtl.isa import Status
from rtl.sequencer.fetch import WORD_BITS
from rtl.sequencer.interface import FetchedWord, LaunchRequest

__all__ = ["Loader"]


class Loader(wiring.Component):
    """Reads through the sequencer's :class:`rtl.sequencer.fetch.Fetch`: header and entry in one window, then the arguments.

    Checks, in this order, each before the next word is looked at: magic, version, fingerprint, an entry for this sequencer,
    its alignment and its length. The last window that it opens is the program.

    Members
    -------
    start
        Begins with `request`, which stays stable until `loaded` or `fault`.
    index
        Entry of the image to take.
    window
        To the reader, see there.
    word, pc
        From the reader, while the loader is at work.
    argument : {valid, number, value}
        Register `number` = `value`, one a cycle.
    loaded
        One pulse: the window of the program is open.
    fault : {valid, status, address}
        One pulse, instead of `loaded`. The address is that of the word that could not be read, else 0.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "start": In(1),
            "request": In(LaunchRequest),
            "index": In(5),
            "window": Out(data.StructLayout({"valid": 1, "start": WORD_BITS, "words": WORD_BITS})),
            "word": In(stream.Signature(FetchedWord)),
            "pc": In(WORD_BITS),
            "argument": Out(data.StructLayout({"valid": 1, "number": 5, "value": 32})),
            "loaded": Out(1),
            "fault": Out(data.StructLayout({"valid": 1, "status": Status, "address": 32})),
        })

    def elaborate(self, platform):
        m = Module()
        word = self.word.payload.data
        # Magic, version and entries from the first word, the fingerprint from the second.
        header = ImageHeader(Cat(word, word))
        entry = ImageEntry(word)
        failed = self.word.valid & (self.word.payload.status != Status.OK)
        exists = Signal()
        # Where the program lies, kept over the reading of the arguments.
        program = Signal(data.StructLayout({"start": WORD_BITS, "words": WORD_BITS}))
        done = Signal(6)

        def refuse(status):
            m.d.comb += [self.fault.valid.eq(1), self.fault.status.eq(status)]
            m.next = "REST"

        def check():
            with m.If(failed):
                m.d.comb += self.fault.address.eq(Cat(C(0, 3), self.pc))
                refuse(Status.FETCH_BUS)

        with m.FSM():
            with m.State("REST"):
                with m.If(self.start):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += [
                    self.window.valid.eq(1),
                    self.window.start.eq(self.request.image[3:]),
                    self.window.words.eq(HEADER_BYTES // 8 + 1 + self.index),
                ]
                m.next = "MAGIC"
            with m.State("MAGIC"):
                m.d.comb += self.word.ready.eq(1)
                check()
                with m.If(self.word.valid & ~failed):
                    with m.If(header.magic != MAGIC):
                        refuse(Status.BAD_MAGIC)
                    with m.Elif(header.version != ISA_VERSION):
                        refuse(Status.BAD_VERSION)
                    with m.Else():
                        m.d.sync += exists.eq(header.entries > self.index)
                        m.next = "FINGERPRINT"
            with m.State("FINGERPRINT"):
                m.d.comb += self.word.ready.eq(1)
                check()
                with m.If(self.word.valid & ~failed):
                    with m.If(header.fingerprint != self.config.fingerprint):
                        refuse(Status.BAD_FINGERPRINT)
                    with m.Elif(~exists):
                        refuse(Status.BAD_ENTRY)
                    with m.Else():
                        m.next = "ENTRY"
            with m.State("ENTRY"):
                m.d.comb += self.word.ready.eq(1)
                check()
                with m.If(self.word.valid & ~failed & (self.pc == (self.request.image[3:] + HEADER_BYTES // 8 + self.index)[:WORD_BITS])):
                    m.d.sync += [
                        program.start.eq((self.request.image + entry.offset)[3:32]),
                        # A program of 4 GiB or more is one that never leaves its range.
                        program.words.eq(Mux(entry.length[WORD_BITS:].any(), ~0, entry.length)),
                        done.eq(0),
                    ]
                    with m.If((entry.offset[:3] != 0) | (entry.length == 0)):
                        refuse(Status.BAD_ENTRY)
                    with m.Elif(self.request.arg_count == 0):
                        m.next = "PROGRAM"
                    with m.Else():
                        m.next = "ARGUMENTS"
            with m.State("ARGUMENTS"):
                m.d.comb += [
                    self.window.valid.eq(1),
                    self.window.start.eq(self.request.args[3:]),
                    self.window.words.eq((self.request.arg_count + 1) >> 1),
                ]
                m.next = "ARGUMENT"
            with m.State("ARGUMENT"):
                # Two arguments a word.
                check()
                last = done + 1 == self.request.arg_count
                m.d.comb += [
                    self.argument.valid.eq(self.word.valid & ~failed),
                    self.argument.number.eq(done),
                    self.argument.value.eq(word.word_select(done[0], 32)),
                    self.word.ready.eq(done[0] | last),
                ]
                with m.If(self.word.valid & ~failed):
                    m.d.sync += done.eq(done + 1)
                    with m.If(last):
                        m.next = "PROGRAM"
            with m.State("PROGRAM"):
                m.d.comb += [
                    self.window.valid.eq(1), self.window.start.eq(program.start), self.window.words.eq(program.words),
                    self.loaded.eq(1),
                ]
                m.next = "REST"
        return m
