"""AXI4 read bursts become reads of atoms, and atoms come back as beats."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import CHUNK_BYTES, Response
from rtl.common.sram import SramDual
from rtl.common.stream import StreamFifo, StreamRegister
from rtl.memory.address import ATOM_BYTES
from rtl.memory.requests import READ_SLOTS, SLOT_BITS, read_request
from rtl.memory.write_intake import burst_layout

__all__ = ["ReadIntake", "ReadReturn", "beat_layout"]

#: Bursts between the address and the data channel. Bursts of one atom fill the lookahead and the return buffer with as many.
BURSTS = 64


def beat_layout(bus_bytes: int, id_bits: int) -> data.StructLayout:
    """A beat of the read data channel."""
    return data.StructLayout({"id": id_bits, "data": 8 * bus_bytes, "response": Response, "last": 1})


class ReadIntake(wiring.Component):
    """Passes on one request per atom and cycle, in the bursts' order, and each burst to the return path.

    A burst that breaks the fabric's rule or lies beyond the channel makes no request.
    """

    def __init__(self, bus_bytes: int, atom_bits: int, id_bits: int):
        self.atom_beats = ATOM_BYTES // bus_bytes
        self._burst = burst_layout(id_bits, CHUNK_BYTES // bus_bytes)
        self._atom_bits = atom_bits
        super().__init__({
            "bursts": In(stream.Signature(self._burst)), "requests": Out(stream.Signature(read_request(atom_bits))),
            "returns": Out(stream.Signature(self._burst)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts = bursts = StreamFifo(self._burst, 8)
        m.submodules.requests = requests = StreamFifo(read_request(self._atom_bits), 16)
        m.submodules.returns = returns = StreamFifo(self._burst, BURSTS)
        wiring.connect(m, wiring.flipped(self.bursts), bursts.input)
        wiring.connect(m, requests.output, wiring.flipped(self.requests))
        wiring.connect(m, returns.output, wiring.flipped(self.returns))

        burst = bursts.output.payload
        shift = (self.atom_beats - 1).bit_length()
        # Legal bursts end within the chunk, so that the atom's number in it does not overflow.
        first = burst.beat[shift:]
        final = (burst.beat + burst.length)[shift:len(burst.beat)]
        offset = Signal.like(first)
        atom = (first + offset)[:len(first)]
        last = (atom == final) | ~burst.legal
        begins = offset == 0
        step = Signal()
        m.d.comb += [
            step.eq(bursts.output.valid & requests.input.ready & (returns.input.ready | ~begins)),
            bursts.output.ready.eq(step & last),
            requests.input.valid.eq(step & burst.legal), requests.input.payload.atom.eq(Cat(atom, burst.chunk)),
            returns.input.valid.eq(step & begins), returns.input.payload.eq(burst),
        ]
        with m.If(step):
            m.d.sync += offset.eq(Mux(last, 0, offset + 1))
        return m


class ReadReturn(wiring.Component):
    """The return buffer: atoms enter in any order of slots, leave in order of slots, and go out as one beat a cycle.

    Members
    -------
    returns
        The bursts, in the order of their slots.
    atom, slot, atom_valid
        An atom from the device; never stalled.
    freed
        Number of slots given back so far, modulo 2 * READ_SLOTS: whoever hands slots out stops at READ_SLOTS more.
    beats
        Read data channel, from registers.
    """

    def __init__(self, bus_bytes: int, id_bits: int):
        self.bus_bytes = bus_bytes
        self.atom_beats = ATOM_BYTES // bus_bytes
        self._burst = burst_layout(id_bits, CHUNK_BYTES // bus_bytes)
        self._beat = beat_layout(bus_bytes, id_bits)
        super().__init__({
            "returns": In(stream.Signature(self._burst)),
            "atom": In(8 * ATOM_BYTES), "slot": In(SLOT_BITS), "atom_valid": In(1),
            "freed": Out(SLOT_BITS + 1), "beats": Out(stream.Signature(self._beat)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = SramDual(READ_SLOTS, 8 * ATOM_BYTES)
        m.submodules.beats = beats = StreamRegister(self._beat)
        wiring.connect(m, beats.output, wiring.flipped(self.beats))

        # Slots that hold an atom; the oldest is fetched as soon as the buffer's output is free.
        full = Signal(READ_SLOTS)
        oldest = self.freed[:SLOT_BITS]
        fetched, taken = Signal(), Signal()
        fetch = full.bit_select(oldest, 1) & (~fetched | taken)
        arrives = (self.atom_valid << self.slot)[:READ_SLOTS]
        m.d.sync += full.eq((full | arrives) & ~(fetch << oldest)[:READ_SLOTS])
        m.d.comb += [
            buffer.write.eq(self.atom_valid), buffer.write_address.eq(self.slot), buffer.write_data.eq(self.atom),
            buffer.read_enable.eq(fetch), buffer.read_address.eq(oldest),
        ]
        m.d.sync += fetched.eq(fetch | (fetched & ~taken))
        with m.If(fetch):
            m.d.sync += self.freed.eq(self.freed + 1)

        burst = self.returns.payload
        count = Signal(8)
        position = (burst.beat + count)[:(self.atom_beats - 1).bit_length()]
        last = count == burst.length
        step = Signal()
        m.d.comb += [
            step.eq(self.returns.valid & (fetched | ~burst.legal) & beats.input.ready),
            beats.input.valid.eq(step), self.returns.ready.eq(step & last),
            taken.eq(step & burst.legal & (last | (position == self.atom_beats - 1))),
            beats.input.payload.id.eq(burst.id), beats.input.payload.last.eq(last),
            beats.input.payload.response.eq(Mux(burst.legal, Response.OKAY, Response.SLVERR)),
            beats.input.payload.data.eq(Mux(burst.legal, buffer.read_data.word_select(position, 8 * self.bus_bytes), 0)),
        ]
        with m.If(step):
            m.d.sync += count.eq(Mux(last, 0, count + 1))
        return m
