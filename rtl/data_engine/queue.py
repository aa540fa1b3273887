"""A FIFO in an SRAM, for wide items that wait for the time to L3 and back."""

from amaranth import Module, Shape, Signal, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.sram import SramDual

__all__ = ["SramFifo"]


class SramFifo(wiring.Component):
    """FIFO of at least `depth` items (the next power of two) and one more at the output; latency two cycles, one item a cycle."""

    def __init__(self, shape: ShapeLike, depth: int):
        if depth < 1:
            raise ValueError(f"a FIFO has at least 1 entry, not {depth}")
        self.shape = shape
        self.depth = max(1 << (depth - 1).bit_length(), 2)
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.items = items = SramDual(self.depth, Shape.cast(self.shape).width)
        head, tail = Signal(range(self.depth)), Signal(range(self.depth))
        level = Signal(range(self.depth + 1))
        push, fetch = Signal(), Signal()
        m.d.comb += [
            self.input.ready.eq(level != self.depth),
            push.eq(self.input.valid & self.input.ready),
            items.write.eq(push), items.write_address.eq(tail), items.write_data.eq(self.input.payload),
            # The SRAM holds what it has read until the next read.
            fetch.eq((level != 0) & (~self.output.valid | self.output.ready)),
            items.read_enable.eq(fetch), items.read_address.eq(head), Value.cast(self.output.payload).eq(items.read_data),
        ]
        m.d.sync += [head.eq(head + fetch), tail.eq(tail + push), level.eq(level + push - fetch)]
        with m.If(fetch | self.output.ready):
            m.d.sync += self.output.valid.eq(fetch)
        return m
