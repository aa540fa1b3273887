"""AXI4 write bursts become writes of atoms; their bytes wait in the write buffer."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import CHUNK_BYTES, Burst
from rtl.common.sram import SramDual
from rtl.common.stream import StreamFifo, StreamRegister
from rtl.memory.address import ATOM_BYTES
from rtl.memory.requests import SLOT_BITS, WRITE_SLOTS, write_request

__all__ = ["WriteIntake", "burst_layout", "burst_legal"]


def burst_layout(id_bits: int, chunk_beats: int) -> data.StructLayout:
    """A checked burst: its 256-byte chunk, the first beat in it, and the number of further beats (8 bit as on the bus)."""
    return data.StructLayout({
        "id": id_bits, "chunk": 32 - (CHUNK_BYTES - 1).bit_length(), "beat": (chunk_beats - 1).bit_length(), "length": 8, "legal": 1,
    })


def burst_legal(address, length, size, burst, *, channel_bytes: int, bus_bytes: int):
    """The fabric's rule, inside the channel: INCR, of full-width aligned beats, within a chunk."""
    shift = (bus_bytes - 1).bit_length()
    first = address[shift:8]
    return (
        (address[(channel_bytes - 1).bit_length():] == 0) & (address[:shift] == 0) & (size == shift) & (burst == Burst.INCR)
        & (first + length < CHUNK_BYTES // bus_bytes)
    )


class WriteIntake(wiring.Component):
    """Takes one beat a cycle and passes on one request per atom, in the bursts' order.

    A burst that breaks the fabric's rule or lies beyond the channel passes as one request with `error`.

    Members
    -------
    bursts, beats
        Write address and write data channel, from registers.
    requests
        One for each atom, when its bytes lie in the buffer.
    read_slot, read_slot_valid
        Read port of the buffer, and the end of the slot's use: the data follow one cycle later and stay until the next read.
    data, strobe
        The atom's bytes, and which of them were written.
    """

    def __init__(self, bus_bytes: int, atom_bits: int, id_bits: int):
        self.bus_bytes = bus_bytes
        self.atom_beats = ATOM_BYTES // bus_bytes
        self._burst = burst_layout(id_bits, CHUNK_BYTES // bus_bytes)
        self._beat = data.StructLayout({"data": 8 * bus_bytes, "strobe": bus_bytes})
        self._atom_bits, self._id_bits = atom_bits, id_bits
        super().__init__({
            "bursts": In(stream.Signature(self._burst)), "beats": In(stream.Signature(self._beat)),
            "requests": Out(stream.Signature(write_request(atom_bits, id_bits))),
            "read_slot": In(SLOT_BITS), "read_slot_valid": In(1), "data": Out(8 * ATOM_BYTES), "strobe": Out(ATOM_BYTES),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts = bursts = StreamFifo(self._burst, 8)
        m.submodules.beats = beats = StreamRegister(self._beat)
        m.submodules.requests = requests = StreamFifo(write_request(self._atom_bits, self._id_bits), WRITE_SLOTS)
        wiring.connect(m, wiring.flipped(self.bursts), bursts.input)
        wiring.connect(m, wiring.flipped(self.beats), beats.input)
        wiring.connect(m, requests.output, wiring.flipped(self.requests))

        # The buffer: bytes and strobes of a beat side by side, so that one beat is one write granule.
        granule = 9 * self.bus_bytes
        slot_bits = (WRITE_SLOTS - 1).bit_length()
        m.submodules.buffer = buffer = SramDual(WRITE_SLOTS, granule * self.atom_beats, granularity=granule)
        granules = [buffer.read_data.word_select(k, granule) for k in range(self.atom_beats)]
        m.d.comb += [
            buffer.read_enable.eq(self.read_slot_valid), buffer.read_address.eq(self.read_slot[:slot_bits]),
            self.data.eq(Cat(granule[:8 * self.bus_bytes] for granule in granules)),
            self.strobe.eq(Cat(granule[8 * self.bus_bytes:] for granule in granules)),
        ]

        # Slots are taken in order and freed in almost that order: the oldest one frees those behind it that are done.
        taken, freed = Signal(slot_bits + 1), Signal(slot_bits + 1)
        done = Signal(WRITE_SLOTS)
        room = (taken - freed)[:slot_bits + 1] != WRITE_SLOTS
        frees = done.bit_select(freed[:slot_bits], 1)
        ends = (self.read_slot_valid << self.read_slot[:slot_bits])[:WRITE_SLOTS]
        m.d.sync += done.eq((done | ends) & ~(frees << freed[:slot_bits])[:WRITE_SLOTS])
        with m.If(frees):
            m.d.sync += freed.eq(freed + 1)

        # The beat at hand.
        burst, beat = bursts.output.payload, beats.output.payload
        count = Signal(8)
        position = (burst.beat + count)[:len(burst.beat)]
        in_atom = position[:(self.atom_beats - 1).bit_length()]
        last = count == burst.length
        opens = (count == 0) | (in_atom == 0)
        closes = last | (in_atom == self.atom_beats - 1)
        step = Signal()
        m.d.comb += [
            step.eq(bursts.output.valid & beats.output.valid & requests.input.ready & (room | ~burst.legal)),
            beats.output.ready.eq(step), bursts.output.ready.eq(step & last),
            requests.input.valid.eq(step & Mux(burst.legal, closes, last)),
            requests.input.payload.atom.eq(Cat(position[(self.atom_beats - 1).bit_length():], burst.chunk)),
            requests.input.payload.slot.eq(taken[:slot_bits]), requests.input.payload.id.eq(burst.id),
            requests.input.payload.last.eq(last), requests.input.payload.error.eq(~burst.legal),
            buffer.write_address.eq(taken),
        ]
        for k in range(self.atom_beats):
            here = in_atom == k
            m.d.comb += [
                # An atom's first beat also clears the strobes of the others.
                buffer.write[k].eq(step & burst.legal & (opens | here)),
                buffer.write_data.word_select(k, granule).eq(Mux(here, Cat(beat.data, beat.strobe), 0)),
            ]
        with m.If(step):
            m.d.sync += count.eq(Mux(last, 0, count + 1))
            with m.If(burst.legal & closes):
                m.d.sync += taken.eq(taken + 1)
        return m
