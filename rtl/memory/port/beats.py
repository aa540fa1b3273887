"""Atoms from the return buffer become beats of the read data channel."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import Response
from rtl.common.stream import StreamSkid
from rtl.memory.interface import WORDS
from rtl.memory.port.burst import following, size_mask
from rtl.memory.port.layouts import OFFSET_BITS, beat_layout, held_atom

__all__ = ["AtomBeats"]


class AtomBeats(wiring.Component):
    """A beat a clock, without gaps and without latency; `beats.ready` ends at a register.

    A beat that touches a bad word has SLVERR and the data as they came. A refused burst has zeros.
    """

    def __init__(self, bus_bytes: int, id_bits: int):
        self._bus_bytes = bus_bytes
        self._beat = beat_layout(bus_bytes, id_bits)
        super().__init__({"atoms": In(stream.Signature(held_atom(id_bits))), "beats": Out(stream.Signature(self._beat))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.skid = skid = StreamSkid(self._beat)
        wiring.connect(m, skid.output, wiring.flipped(self.beats))
        atom, part, out = self.atoms.payload, self.atoms.payload.part, skid.input.payload

        count = Signal(8)
        offset, walked = Signal(OFFSET_BITS), Signal(OFFSET_BITS)
        touched = Signal(WORDS)
        last = count == part.beats
        refused = part.response != Response.OKAY
        final = (offset | size_mask(part.size))[3:]
        place = offset[(self._bus_bytes - 1).bit_length():]
        word = atom.data.word_select(place, 8 * self._bus_bytes) if len(place) else atom.data
        m.d.comb += [
            offset.eq(Mux(count == 0, part.offset, walked)),
            # From the word of the first byte to that of the last.
            touched.eq((0b1111 << offset[3:]) & ~(0b1110 << final)),
            out.id.eq(part.id), out.last.eq(last & ~part.more),
            out.data.eq(Mux(refused, 0, word)),
            out.response.eq(Mux(refused, part.response, Mux((touched & atom.bad).any(), Response.SLVERR, Response.OKAY))),
            skid.input.valid.eq(self.atoms.valid), self.atoms.ready.eq(skid.input.ready & last),
        ]
        with m.If(self.atoms.valid & skid.input.ready):
            m.d.sync += [count.eq(Mux(last, 0, count + 1)), walked.eq(following(offset, part.size, part.offset_moves)[0])]
        return m
