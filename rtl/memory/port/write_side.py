"""The write side of a port."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import Response
from rtl.common.stream import StreamFifo, StreamRegister
from rtl.memory.address import ATOM_BYTES
from rtl.memory.port.burst import following
from rtl.memory.port.layouts import OFFSET_BITS, PAGE_ATOM_BITS, burst_layout, response_layout, write_beat, write_offer

__all__ = ["WriteSide"]

#: Bursts whose data are to come, atoms that wait for the arbiter, and bursts that wait for their response.
BURSTS, ATOMS, RESPONSES = 8, 8, 16


class WriteSide(wiring.Component):
    """Beats are put together to atoms; a burst is answered when its last atom has been taken by the arbiter.

    A beat a clock, of any burst. Responses come in the order of the bursts. The strobes alone say what is written; an atom without any is
    not offered. A refused burst takes its beats and accesses nothing. If WLAST and AWLEN disagree, AWLEN counts, the strobed bytes are
    written, and the response is SLVERR.

    Members
    -------
    bursts, beats
        Checked bursts and their data; data may come first.
    offers
        Atoms, in order.
    responses
        The write response channel, from a register.
    refused
        A burst is refused, or ends with a WLAST in the wrong place, in this clock.
    """

    def __init__(self, bus_bytes: int, atom_bits: int, id_bits: int):
        self._bus_bytes, self._atom_bits, self._id_bits = bus_bytes, atom_bits, id_bits
        # Atoms pass while a master takes no responses: as many as the bursts that wait for theirs can have.
        self._count_bits = ((RESPONSES + 4) << PAGE_ATOM_BITS).bit_length() + 1
        super().__init__({
            "bursts": In(stream.Signature(burst_layout(atom_bits, id_bits))), "beats": In(stream.Signature(write_beat(bus_bytes))),
            "offers": Out(stream.Signature(write_offer(atom_bits))), "responses": Out(stream.Signature(response_layout(id_bits))),
            "refused": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts = bursts = StreamFifo(burst_layout(self._atom_bits, self._id_bits), BURSTS)
        m.submodules.beats = beats = StreamRegister(write_beat(self._bus_bytes))
        m.submodules.offers = offers = StreamFifo(write_offer(self._atom_bits), ATOMS)
        m.submodules.pending = pending = StreamFifo(
            data.StructLayout({"answer": response_layout(self._id_bits), "upto": self._count_bits}), RESPONSES
        )
        wiring.connect(m, wiring.flipped(self.bursts), bursts.input)
        wiring.connect(m, wiring.flipped(self.beats), beats.input)
        wiring.connect(m, offers.output, wiring.flipped(self.offers))

        # Where the beat at hand goes.
        burst, beat = bursts.output.payload, beats.output.payload
        count = Signal(8)
        offset, walked = Signal(OFFSET_BITS), Signal(OFFSET_BITS)
        place, walked_place = Signal(PAGE_ATOM_BITS), Signal(PAGE_ATOM_BITS)
        begins, last, step, closes = (count == 0), (count == burst.length), Signal(), Signal()
        legal = burst.response == Response.OKAY
        after, carries = following(offset, burst.size, burst.offset_moves)
        m.d.comb += [
            offset.eq(Mux(begins, burst.offset, walked)), place.eq(Mux(begins, burst.atom[:PAGE_ATOM_BITS], walked_place)),
            closes.eq(legal & (last | (carries & ~burst.single))),
            step.eq(bursts.output.valid & beats.output.valid & (offers.input.ready | ~closes) & (pending.input.ready | ~last)),
            beats.output.ready.eq(step), bursts.output.ready.eq(step & last),
        ]
        with m.If(step):
            m.d.sync += [count.eq(Mux(last, 0, count + 1)), walked.eq(after), walked_place.eq(place)]
            with m.If(closes):
                m.d.sync += walked_place.eq((place & ~burst.atom_moves) | ((place + 1)[:PAGE_ATOM_BITS] & burst.atom_moves))

        self._assemble(m, offers.input.payload, beat, offset, step & legal, closes)
        atom = offers.input.payload
        m.d.comb += [
            atom.atom.eq(Cat(place, burst.atom[PAGE_ATOM_BITS:])), atom.urgent.eq(burst.urgent),
            offers.input.valid.eq(step & closes & (atom.strobe != 0)),
        ]
        self._answer(m, burst, pending, step, last, beat.last, offers)
        return m

    def _assemble(self, m: Module, atom, beat, offset, takes, closes):
        """The atom with the strobed bytes of the beat; kept until it is closed."""
        kept, kept_strobe = Signal(8 * ATOM_BYTES), Signal(ATOM_BYTES)
        bus = self._bus_bytes
        for word in range(ATOM_BYTES // bus):
            here = offset[(bus - 1).bit_length():] == word
            for lane in range(bus):
                byte = bus * word + lane
                m.d.comb += [
                    atom.strobe[byte].eq(kept_strobe[byte] | (here & beat.strobe[lane])),
                    atom.data.word_select(byte, 8).eq(
                        Mux(here & beat.strobe[lane], beat.data.word_select(lane, 8), kept.word_select(byte, 8))
                    ),
                ]
        with m.If(takes):
            m.d.sync += [kept.eq(atom.data), kept_strobe.eq(Mux(closes, 0, atom.strobe))]

    def _answer(self, m: Module, burst, pending: StreamFifo, step, last, marked, offers: StreamFifo):
        """A burst is answered once as many atoms have passed as had been offered by its end."""
        offered, passed = Signal(self._count_bits), Signal(self._count_bits)
        upto = Signal(self._count_bits)
        legal = burst.response == Response.OKAY
        wrong, was_wrong = Signal(), Signal()
        entry, waits = pending.input.payload, pending.output
        m.d.comb += [
            wrong.eq(was_wrong | (marked != last)),
            upto.eq(offered + offers.input.valid),
            entry.answer.id.eq(burst.id), entry.upto.eq(upto),
            entry.answer.response.eq(Mux(legal & wrong, Response.SLVERR, burst.response)),
            pending.input.valid.eq(step & last), self.refused.eq(step & last & (~legal | wrong)),
        ]
        m.d.sync += [offered.eq(upto), passed.eq(passed + (self.offers.valid & self.offers.ready))]
        with m.If(step):
            m.d.sync += was_wrong.eq(wrong & ~last)

        m.submodules.responses = responses = StreamRegister(response_layout(self._id_bits))
        lead = Signal(signed(self._count_bits))
        m.d.comb += [
            lead.eq(passed - waits.payload.upto),
            responses.input.payload.eq(waits.payload.answer), responses.input.valid.eq(waits.valid & (lead >= 0)),
            waits.ready.eq(responses.input.ready & (lead >= 0)),
        ]
        wiring.connect(m, responses.output, wiring.flipped(self.responses))
