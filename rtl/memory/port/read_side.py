"""The read side of a port."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import Response
from rtl.common.stream import StreamRegister
from rtl.memory.interface import Source, returned
from rtl.memory.port.beats import AtomBeats
from rtl.memory.port.layouts import beat_layout, burst_layout, read_offer
from rtl.memory.port.return_buffer import ReturnBuffer
from rtl.memory.port.walk import AtomWalk

__all__ = ["ReadSide"]


class ReadSide(wiring.Component):
    """Checked bursts in, offers of atoms out; atoms in, beats out.

    Members
    -------
    bursts
        From a register.
    offers
        An atom a clock, one clock after its burst; from a register.
    returned
        Atoms of every source; those of this one are picked out.
    beats
        The read data channel.
    refused
        A burst is refused in this clock.
    """

    def __init__(self, bus_bytes: int, atom_bits: int, id_bits: int, slots: int, source: Source, *, interleave: bool):
        self.source = source
        self._bus_bytes, self._atom_bits, self._id_bits, self._slots, self._interleave = bus_bytes, atom_bits, id_bits, slots, interleave
        super().__init__({
            "bursts": In(stream.Signature(burst_layout(atom_bits, id_bits))), "offers": Out(stream.Signature(read_offer(atom_bits))),
            "returned": In(returned()), "beats": Out(stream.Signature(beat_layout(bus_bytes, id_bits))), "refused": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = AtomWalk(self._atom_bits, self._id_bits)
        m.submodules.buffer = buffer = ReturnBuffer(self._slots, self._id_bits, interleave=self._interleave)
        m.submodules.beats = beats = AtomBeats(self._bus_bytes, self._id_bits)
        m.submodules.offers = offers = StreamRegister(read_offer(self._atom_bits))
        wiring.connect(m, wiring.flipped(self.bursts), walk.bursts)
        wiring.connect(m, buffer.atoms, beats.atoms)
        wiring.connect(m, beats.beats, wiring.flipped(self.beats))
        wiring.connect(m, offers.output, wiring.flipped(self.offers))

        # A refused burst needs a place in the order of its identifier, and nothing else.
        atom, offer = walk.atoms.payload, offers.input.payload
        refused = atom.part.response != Response.OKAY
        goes = refused | offers.input.ready
        m.d.comb += [
            buffer.parts.payload.eq(atom.part), buffer.whole.eq(refused),
            buffer.parts.valid.eq(walk.atoms.valid & goes), walk.atoms.ready.eq(buffer.parts.ready & goes),
            offers.input.valid.eq(walk.atoms.valid & buffer.parts.ready & ~refused),
            offer.atom.eq(atom.atom), offer.urgent.eq(atom.urgent), offer.tag.slot.eq(buffer.slot), offer.tag.source.eq(self.source),
            self.refused.eq(walk.atoms.valid & walk.atoms.ready & refused),
            buffer.returned.eq(self.returned.valid & (self.returned.tag.source == self.source)),
            buffer.returned_slot.eq(self.returned.tag.slot),
            buffer.returned_atom.data.eq(self.returned.data), buffer.returned_atom.bad.eq(self.returned.bad),
        ]
        return m
