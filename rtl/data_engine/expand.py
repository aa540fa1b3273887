"""Expanders: blocks to runs of bytes, a run a cycle; and the coalescer, which joins runs that touch."""

from amaranth import Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import CHUNK_BYTES
from rtl.data_engine.job import BYTES_BITS, ReadBlock, Run, RunKind, WriteBlock

__all__ = ["Coalescer", "ReadExpander", "WriteExpander"]

_CHUNK_BITS = (CHUNK_BYTES - 1).bit_length()


class ReadExpander(wiring.Component):
    """The lines of a block. A place that is skipped takes a cycle too."""

    block: In(stream.Signature(ReadBlock))
    run: Out(stream.Signature(Run(BYTES_BITS)))

    def elaborate(self, platform):
        m = Module()
        block, held = Signal(ReadBlock), Signal()
        skipping, last = block.skip != 0, block.lines == 1
        step = Signal()
        m.d.comb += [
            step.eq(held & (skipping | self.run.ready)),
            self.block.ready.eq(~held | (step & ~skipping & last)),
            self.run.valid.eq(held & ~skipping),
            self.run.payload.kind.eq(Mux(block.index, RunKind.INDEX, RunKind.COPY)),
        ]
        m.d.comb += [self.run.payload[name].eq(block[name]) for name in ("space", "address", "bytes", "slot")]
        with m.If(step):
            m.d.sync += block.address.eq(block.address + block.pitch)
            with m.If(skipping):
                m.d.sync += block.skip.eq(block.skip - 1)
            with m.Else():
                m.d.sync += block.lines.eq(block.lines - 1)
        with m.If(self.block.ready):
            m.d.sync += [block.eq(self.block.payload), held.eq(self.block.valid)]
        return m


class _Part(enum.Enum, shape=2):
    HEAD = 0
    BODY = 1
    TAIL = 2


class WriteExpander(wiring.Component):
    """The columns of a block, those inside in up to three parts; a block without columns is one run of 0 bytes."""

    block: In(stream.Signature(WriteBlock))
    run: Out(stream.Signature(Run(BYTES_BITS)))

    def elaborate(self, platform):
        m = Module()
        block, held = Signal(WriteBlock), Signal()
        # Bytes of a column; where the current part begins.
        column = Signal(BYTES_BITS)
        address = Signal(32)
        part = Signal(_Part)
        inside = (block.before == 0) & (block.inside != 0)
        none = (block.before == 0) & (block.inside == 0) & (block.after == 0)

        column_ends, block_ends = Signal(), Signal()
        one_left = Signal()
        run = self.run.payload
        m.d.comb += [
            one_left.eq(none | ((block.before + block.inside + block.after) == 1)),
            block_ends.eq(column_ends & one_left),
            self.run.valid.eq(held),
            run.space.eq(block.space), run.slot.eq(block.slot), run.pattern.eq(block.fill), run.address.eq(address),
            run.kind.eq(RunKind.FILL), run.bytes.eq(Mux(none, 0, column)), run.last.eq(block.last & block_ends),
            column_ends.eq(1),
        ]
        with m.If(inside):
            with m.Switch(part):
                with m.Case(_Part.HEAD):
                    m.d.comb += [run.bytes.eq(block.head), column_ends.eq(0)]
                with m.Case(_Part.BODY):
                    m.d.comb += [run.bytes.eq(block.body), run.kind.eq(RunKind.COPY), column_ends.eq(block.tail == 0)]
                with m.Default():
                    m.d.comb += run.bytes.eq(block.tail)
        first = Mux(block.head != 0, _Part.HEAD, _Part.BODY)
        with m.If(held & self.run.ready):
            m.d.sync += [address.eq(address + run.bytes), part.eq(Mux(part == _Part.HEAD, _Part.BODY, _Part.TAIL))]
            with m.If(column_ends):
                m.d.sync += [block.address.eq(block.address + block.pitch), address.eq(block.address + block.pitch), part.eq(first)]
                with m.If(block.before != 0):
                    m.d.sync += block.before.eq(block.before - 1)
                with m.Elif(block.inside != 0):
                    m.d.sync += block.inside.eq(block.inside - 1)
                with m.Else():
                    m.d.sync += block.after.eq(block.after - 1)
        m.d.comb += self.block.ready.eq(~held | (self.run.ready & block_ends))
        with m.If(self.block.ready):
            given = self.block.payload
            m.d.sync += [
                block.eq(given), held.eq(self.block.valid), address.eq(given.address), column.eq(given.head + given.body + given.tail),
                part.eq(Mux(given.head != 0, _Part.HEAD, _Part.BODY)),
            ]
        return m


class Coalescer(wiring.Component):
    """Joins runs of COPY that touch, as long as the next stage is busy or more follow, and up to the end of a chunk: short rows that are
    dense in one space become long bursts there. A run that nothing follows leaves at once."""

    input: In(stream.Signature(Run(BYTES_BITS)))
    output: Out(stream.Signature(Run(BYTES_BITS)))

    def elaborate(self, platform):
        m = Module()
        run, held = Signal(Run(BYTES_BITS)), Signal()
        given = self.input.payload
        end = Signal(32)
        joins = Signal()
        m.d.comb += [
            end.eq(run.address + run.bytes),
            joins.eq(
                held & self.input.valid & (run.kind == RunKind.COPY) & (given.kind == RunKind.COPY) & (run.space == given.space)
                & ~run.last & (end == given.address) & end[:_CHUNK_BITS].any()
                & ~run.bytes[_CHUNK_BITS + 1:].any() & ~given.bytes[_CHUNK_BITS + 1:].any()
            ),
            self.output.valid.eq(held & ~joins),
            self.output.payload.eq(run),
            self.input.ready.eq(~held | joins | self.output.ready),
        ]
        with m.If(joins):
            m.d.sync += [run.bytes.eq(run.bytes + given.bytes), run.last.eq(given.last)]
        with m.Elif(self.input.ready):
            m.d.sync += [run.eq(given), held.eq(self.input.valid)]
        return m
