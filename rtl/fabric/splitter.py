"""Cuts any AXI4 burst into bursts of the fabric."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import CHUNK_BYTES, FABRIC_ADDRESS_BITS, Burst
from rtl.common.stream import StreamRegister

__all__ = ["Splitter", "burst_layout", "part_layout"]

#: AXI4 bursts don't cross a boundary of 4 KiB, so an address counts only in these bits.
_PAGE_BITS = 12


def burst_layout(id_bits: int) -> data.StructLayout:
    """AR or AW of full AXI4."""
    return data.StructLayout({"id": id_bits, "address": FABRIC_ADDRESS_BITS, "len": 8, "size": 3, "burst": Burst})


def part_layout(id_bits: int) -> data.StructLayout:
    """One burst of the fabric; `final` is the last of its host burst."""
    return data.StructLayout({"id": id_bits, "address": FABRIC_ADDRESS_BITS, "len": 8, "final": 1})


class Splitter(wiring.Component):
    """Every beat of the burst becomes a beat of a part, in order, at the aligned word that holds its bytes.

    A full-width INCR burst is cut at chunks. FIXED, WRAP and narrow bursts become single beats. An unaligned address starts in the
    middle of its first word, as AXI says. `size` beyond the bus counts as full width, a reserved burst type as INCR, and a burst that
    leaves its 4 KiB page (AXI forbids it) goes on at the page's start.

    Members
    -------
    burst
        From the host.
    part
        One a cycle; three cycles from `burst` to its first part.
    """

    def __init__(self, data_bytes: int, id_bits: int):
        self.data_bytes = data_bytes
        self.id_bits = id_bits
        super().__init__({
            "burst": In(stream.Signature(burst_layout(id_bits))), "part": Out(stream.Signature(part_layout(id_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        word_bits = (self.data_bytes - 1).bit_length()
        chunk_bits = (CHUNK_BYTES - 1).bit_length()
        m.submodules.input = source = StreamRegister(burst_layout(self.id_bits))
        m.submodules.output = sink = StreamRegister(part_layout(self.id_bits))
        m.d.comb += [
            source.input.valid.eq(self.burst.valid), source.input.payload.eq(self.burst.payload),
            self.burst.ready.eq(source.input.ready),
            self.part.valid.eq(sink.output.valid), self.part.payload.eq(sink.output.payload), sink.output.ready.eq(self.part.ready),
        ]

        active = Signal()
        burst = Signal(burst_layout(self.id_bits))
        #: Bytes of a beat, less one; bytes of a WRAP burst, less one.
        beat, around = Signal(word_bits), Signal(_PAGE_BITS)
        streams = Signal()
        length, final = Signal(8), Signal()
        page = burst.address[:_PAGE_BITS]
        m.d.comb += [
            streams.eq(beat.all() & (burst.burst != Burst.FIXED) & (burst.burst != Burst.WRAP)),
            length.eq(0),
            final.eq(burst.len == length),
            sink.input.valid.eq(active),
            sink.input.payload.id.eq(burst.id),
            sink.input.payload.address.eq(Cat(Const(0, word_bits), burst.address[word_bits:])),
            sink.input.payload.len.eq(length),
            sink.input.payload.final.eq(final),
        ]
        room = ~burst.address[word_bits:chunk_bits]
        with m.If(streams):
            m.d.comb += length.eq(Mux(burst.len < room, burst.len, room))

        following = Signal(_PAGE_BITS)
        stepped = ((page | beat) + 1)[:_PAGE_BITS]
        with m.If(streams):
            m.d.comb += following.eq(Cat(Const(0, chunk_bits), (page[chunk_bits:] + 1)[: _PAGE_BITS - chunk_bits]))
        with m.Elif(burst.burst == Burst.FIXED):
            m.d.comb += following.eq(page)
        with m.Elif(burst.burst == Burst.WRAP):
            m.d.comb += following.eq((page & ~around) | (stepped & around))
        with m.Else():
            m.d.comb += following.eq(stepped)

        done = active & sink.input.ready & final
        m.d.comb += source.output.ready.eq(~active | done)
        with m.If(active & sink.input.ready):
            m.d.sync += [page.eq(following), burst.len.eq(burst.len - length - 1)]
        with m.If(source.output.ready):
            fresh = source.output.payload
            size = Mux(fresh.size > word_bits, word_bits, fresh.size)
            bytes_less_one = ((1 << size) - 1)[:word_bits]
            m.d.sync += [
                active.eq(source.output.valid), burst.eq(fresh), beat.eq(bytes_less_one),
                around.eq((fresh.len << size) | bytes_less_one),
            ]
        return m
