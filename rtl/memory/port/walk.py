"""Read bursts become atoms."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import Response
from rtl.memory.port.layouts import OFFSET_BITS, PAGE_ATOM_BITS, atom_layout, burst_layout

__all__ = ["AtomWalk"]


class AtomWalk(wiring.Component):
    """An atom a clock, without latency: `atoms` is combinational from `bursts`.

    A WRAP that begins within an atom reads that one twice, at its beginning and at its end.
    """

    def __init__(self, atom_bits: int, id_bits: int):
        super().__init__({
            "bursts": In(stream.Signature(burst_layout(atom_bits, id_bits))),
            "atoms": Out(stream.Signature(atom_layout(atom_bits, id_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        burst, out = self.bursts.payload, self.atoms.payload
        begins = Signal(init=1)
        #: Beats less one from this atom on, and those that lie in it.
        left, walked_left, room = Signal(8), Signal(8), Signal(OFFSET_BITS)
        place, walked = Signal(PAGE_ATOM_BITS), Signal(PAGE_ATOM_BITS)
        ends = Signal()
        m.d.comb += [
            left.eq(Mux(begins, burst.length, walked_left)),
            place.eq(Mux(begins, burst.atom[:PAGE_ATOM_BITS], walked)),
            out.part.offset.eq(Mux(begins, burst.offset, 0)),
            room.eq(~out.part.offset >> burst.size),
            ends.eq(burst.single | (burst.response != Response.OKAY) | (left <= room)),
            out.atom.eq(Cat(place, burst.atom[PAGE_ATOM_BITS:])), out.urgent.eq(burst.urgent),
            out.part.beats.eq(Mux(ends, left, room)), out.part.more.eq(~ends),
            *(out.part[name].eq(burst[name]) for name in ("id", "size", "offset_moves", "response")),
            self.atoms.valid.eq(self.bursts.valid), self.bursts.ready.eq(self.atoms.ready & ends),
        ]
        with m.If(self.atoms.valid & self.atoms.ready):
            m.d.sync += [
                begins.eq(ends), walked_left.eq(left - room - 1),
                walked.eq((place & ~burst.atom_moves) | ((place + 1)[:PAGE_ATOM_BITS] & burst.atom_moves)),
            ]
        return m
