"""The guard: everything that is written gets its check bits, and what is written in part is read first."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.common.bits import number_of
from rtl.common.stream import StreamRegister
from rtl.memory.ecc.codec import Encoder
from rtl.memory.ecc.entry import Entry
from rtl.memory.ecc.rewrites import RewriteQueue
from rtl.memory.interface import WORDS, Injection, Source, coded_request, errors, request, returned, rewrite, verdict
from rtl.memory.secded import POISON

__all__ = ["Guard"]


class Guard(wiring.Component):
    """Stands between arbiter and scheduler. One request a clock, latency one clock for what passes.

    With `ecc`, a read and a write of a whole atom pass, the write with its check bits. A partial write takes an entry of a table: its
    atom is read, merged and written whole. An atom with a single error, found in any read, and one that the scrubber names, takes an
    entry without bytes, and is written only if a word of it was corrected.

    While an entry waits for its atom, writes to that atom join it, one read may wait in it (a read of an entry without bytes passes), and
    further requests to that atom stop the input; so does a partial write that finds no entry free. Accesses to one atom keep their order.
    Without `ecc`, all pass with their strobes; check bits are right where a whole word is written. A write without a strobe is dropped.

    It can't lock up: an entry's read leaves in the clock in which the entry is taken; what comes back is never stalled; an entry that is
    ready to write goes before everything else and waits for room in the scheduler alone, which never waits for the guard.

    Parameters
    ----------
    entries
        Atoms that may be read before they are written, at the same time.

    Members
    -------
    ecc
        Constant while anything is under way.
    hold
        Takes nothing new. What is under way comes to its end, then `idle` is high.
    request, coded
        From the arbiter, to the scheduler.
    returned, verdict
        From the decoder: every atom that comes back, whoever asked.
    scrub
        Atoms to be read and corrected; taken as entries are free.
    injection, injected
        `injected` says that the bits were inverted in this clock.
    errors
        One clock after `returned`. The read that precedes the correction of an error that was counted already isn't counted again.
    """

    def __init__(self, atom_bits: int, entries: int = 8):
        if not 2 <= entries <= 32:
            raise ValueError(f"the guard has 2 to 32 entries, not {entries}")
        self.atom_bits = atom_bits
        self.entries = entries
        super().__init__({
            "ecc": In(1), "hold": In(1), "idle": Out(1),
            "request": In(stream.Signature(request(atom_bits))), "coded": Out(stream.Signature(coded_request(atom_bits))),
            "returned": In(returned()), "verdict": In(verdict(atom_bits)), "scrub": In(stream.Signature(rewrite(atom_bits))),
            "injection": In(Injection), "injected": Out(1), "errors": Out(errors(atom_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.output = self._output = output = StreamRegister(coded_request(self.atom_bits))
        wiring.connect(m, output.output, wiring.flipped(self.coded))
        self._table = [Entry(self.atom_bits) for _ in range(self.entries)]
        for number, entry in enumerate(self._table):
            m.submodules[f"entry{number}"] = entry
        # The bytes of the entries: no two of them are written by requests, or filled, in one clock.
        m.submodules.bytes = self._bytes = Memory(shape=256, depth=self.entries, init=[])
        self._come_back(m)
        self._requests(m)
        self._encode(m)
        m.d.comb += self.idle.eq(Cat(entry.free for entry in self._table).all() & ~output.output.valid)
        return m

    def _come_back(self, m: Module):
        """Atoms for the entries, errors to count, errors to mend."""
        back, corrected = self.returned, self.verdict.corrected
        own = back.valid & (back.tag.source == Source.GUARD)
        for number, entry in enumerate(self._table):
            m.d.comb += [
                entry.bad.eq(back.bad), entry.corrected.eq(corrected.any()), entry.fill.eq(own & (back.tag.slot == number)),
            ]
        fill = self._bytes.write_port(granularity=8)
        m.d.comb += [
            fill.addr.eq(back.tag.slot), fill.data.eq(back.data), fill.en.eq(reduce(or_, (entry.lacks for entry in self._table))),
        ]
        counted = Cat(entry.fill & entry.counted for entry in self._table).any()
        counts = back.valid & ~counted
        m.d.sync += [
            self.errors.atom.eq(self.verdict.atom),
            self.errors.single.eq(Mux(counts, sum(corrected), 0)), self.errors.double.eq(Mux(counts, sum(back.bad), 0)),
        ]
        m.submodules.rewrites = self._rewrites = rewrites = RewriteQueue(self.atom_bits)
        m.d.comb += [rewrites.found.eq(back.valid & ~own & corrected.any()), rewrites.atom.eq(self.verdict.atom)]

    def _requests(self, m: Module):
        """Who may use the output in this clock: an entry, then an atom to be mended, then the input."""
        table, given, room = self._table, self.request.payload, self._output.input.ready
        offers = Cat(entry.offers for entry in table)
        free = Cat(entry.free for entry in table)
        self._offering = offering = Signal()
        self._chosen = chosen = Signal(self.entries)
        self._leaving = Signal(request(self.atom_bits))
        vacant = Signal(self.entries)
        m.d.comb += [offering.eq(offers.any()), chosen.eq(offers & (~offers + 1)), vacant.eq(free & (~free + 1))]

        # Errors that were found go before the scrubber.
        found, scrub = self._rewrites.output, self.scrub
        mended = Mux(found.valid, found.payload.atom, scrub.payload.atom)
        present = Cat(~entry.free & (entry.atom == mended) for entry in table).any()
        mends, settled = Signal(), Signal()
        m.d.comb += [
            mends.eq((found.valid | scrub.valid) & ~present & vacant.any() & ~offering & ~self.hold),
            settled.eq(((mends & room) | present) & ~self.hold), found.ready.eq(settled), scrub.ready.eq(settled & ~found.valid),
        ]

        hits = Signal(self.entries)
        m.d.comb += hits.eq(Cat(~entry.free & (entry.atom == given.atom) for entry in table))
        hit = hits.any()
        open_hit = (hits & Cat(entry.reading & ~entry.parked for entry in table)).any()
        dirty = (hits & Cat(entry.dirty for entry in table)).any()
        partial = self.ecc & given.write & ~given.strobe.all()
        joins, parks, drops, passes, takes = (Signal(name=name) for name in ("joins", "parks", "drops", "passes", "takes"))
        uses_output, go = Signal(), Signal()
        m.d.comb += [
            drops.eq(given.write & ~given.strobe.any()),
            joins.eq(given.write & open_hit & ~drops),
            parks.eq(~given.write & open_hit & dirty),
            passes.eq((~hit & ~partial) | (~given.write & open_hit & ~dirty)),
            takes.eq(~hit & partial & vacant.any() & ~drops),
            uses_output.eq(~(offering | mends | self.hold) & self.request.valid & (passes | takes) & ~drops),
            self.request.ready.eq(~self.hold & (drops | joins | parks | (~offering & ~mends & room & (passes | takes)))),
            go.eq(self.request.valid & self.request.ready),
        ]
        for number, entry in enumerate(table):
            m.d.comb += [
                *(entry.request[name].eq(given[name]) for name in ("urgent", "tag", "strobe")),
                entry.request.atom.eq(Mux(mends, mended, given.atom)), entry.rewrite.eq(mends), entry.known.eq(mends & found.valid),
                entry.allocate.eq(vacant[number] & ((mends & room) | (go & takes))),
                entry.merge.eq(hits[number] & go & joins), entry.park.eq(hits[number] & go & parks),
                entry.sent.eq(chosen[number] & room),
            ]

        slot = number_of(vacant)
        write = self._bytes.write_port(granularity=8)
        m.d.comb += [
            write.addr.eq(Mux(takes, slot, number_of(hits))), write.data.eq(given.data),
            write.en.eq(given.strobe & (go & (takes | joins)).replicate(32)),
        ]
        out = self._leaving
        m.d.comb += [
            self._output.input.valid.eq(offering | mends | uses_output),
            out.write.eq(given.write & passes & ~mends), out.urgent.eq(given.urgent & ~mends), out.atom.eq(Mux(mends, mended, given.atom)),
            out.tag.eq(given.tag), out.data.eq(given.data), out.strobe.eq(given.strobe),
        ]
        kept = self._bytes.read_port(domain="comb")
        m.d.comb += kept.addr.eq(number_of(self._chosen))
        with m.If(mends | takes):
            m.d.comb += [out.tag.source.eq(Source.GUARD), out.tag.slot.eq(slot)]
        with m.If(offering):
            m.d.comb += [
                *(getattr(out, name).eq(self._pick(name)) for name in ("write", "urgent", "atom", "tag")), out.data.eq(kept.data),
                out.strobe.eq(~0),
            ]

    def _pick(self, name: str) -> Value:
        """A member of the chosen entry: an AND-OR over the table."""
        values = [Value.cast(getattr(entry, name)) for entry in self._table]
        return reduce(or_, (value & bit.replicate(len(value)) for bit, value in zip(self._chosen, values, strict=True)))

    def _encode(self, m: Module):
        """Check bits, poison and injected errors, in front of the output's register."""
        leaving, out, wrong = self._leaving, self._output.input, self.injection
        m.submodules.encoder = encoder = Encoder()
        poison, hurts = Signal(WORDS), Signal()
        m.d.comb += [
            encoder.data.eq(leaving.data), poison.eq(Mux(self._offering, self._pick("poison"), 0)),
            hurts.eq(wrong.armed & out.valid & leaving.write & (~self._offering | self._pick("dirty"))),
            self.injected.eq(hurts & out.ready),
            *(getattr(out.payload, name).eq(getattr(leaving, name)) for name in ("write", "urgent", "atom", "tag", "strobe")),
        ]
        for word in range(WORDS):
            here = hurts & (wrong.word == word)
            data, check = (value.word_select(word, width) for value, width in ((leaving.data, 64), (encoder.check, 8)))
            m.d.comb += [
                out.payload.data.word_select(word, 64).eq(data ^ Mux(here, wrong.data, 0)),
                out.payload.check.word_select(word, 8).eq(check ^ Mux(poison[word], POISON, 0) ^ Mux(here, wrong.check, 0)),
            ]
