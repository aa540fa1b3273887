"""Splitter: cuts runs of bytes into pieces that one access of a port can serve."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import CHUNK_BYTES
from rtl.common.stream import StreamRegister
from rtl.data_engine.job import BYTES_BITS, Run
from rtl.isa import Space

__all__ = ["PIECE_BITS", "Piece", "Splitter"]

#: A piece is at most a whole chunk.
PIECE_BITS = CHUNK_BYTES.bit_length()


#: A part of a run: for the fabric inside one aligned chunk, else of `grain` bytes. `last` is with the last piece of a run that has it.
Piece = Run(PIECE_BITS)


class Splitter(wiring.Component):
    """A piece a cycle, also from run to run; latency two cycles. A run of 0 bytes gives one piece of 0 bytes.

    Parameters
    ----------
    grain
        Most bytes of a piece in L1, up to CHUNK_BYTES.
    """

    run: In(stream.Signature(Run(BYTES_BITS)))
    piece: Out(stream.Signature(Piece))

    def __init__(self, grain: int):
        if not 1 <= grain <= CHUNK_BYTES:
            raise ValueError(f"a piece has 1 to {CHUNK_BYTES} bytes, not {grain}")
        self._grain = grain
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.register = register = StreamRegister(Piece)
        wiring.connect(m, register.output, wiring.flipped(self.piece))

        run = Signal(Run(BYTES_BITS))
        held = Signal()
        limit = Signal(PIECE_BITS)
        ends = Signal()
        out = register.input.payload
        m.d.comb += [
            limit.eq(Mux(run.space == Space.L1, self._grain, CHUNK_BYTES - run.address[:PIECE_BITS - 1])),
            ends.eq(run.bytes <= limit),
            register.input.valid.eq(held),
            out.bytes.eq(Mux(ends, run.bytes[:PIECE_BITS], limit)), out.last.eq(run.last & ends),
            out.space.eq(run.space), out.address.eq(run.address), out.kind.eq(run.kind), out.pattern.eq(run.pattern), out.slot.eq(run.slot),
            self.run.ready.eq(~held | (register.input.ready & ends)),
        ]
        with m.If(register.input.ready):
            m.d.sync += [run.address.eq(run.address + limit), run.bytes.eq(run.bytes - limit)]
        with m.If(self.run.ready):
            m.d.sync += [run.eq(self.run.payload), held.eq(self.run.valid)]
        return m
