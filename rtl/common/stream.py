"""Small stages for streams: a register that cuts all paths, and a FIFO."""

from amaranth import Module, Mux, Shape, Signal, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamFifo", "StreamRegister", "StreamSkid"]


class StreamRegister(wiring.Component):
    """Two-entry buffer: `valid`, `payload` and `ready` all come from registers.

    Latency one cycle, one item a cycle. It stands wherever a stream crosses the boundary of a block.
    """

    def __init__(self, shape: ShapeLike):
        self.shape = shape
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        held = Signal(self.shape)
        held_valid = Signal()
        m.d.comb += self.input.ready.eq(~held_valid)
        with m.If(self.output.ready | ~self.output.valid):
            m.d.sync += [
                self.output.valid.eq(self.input.valid | held_valid),
                held_valid.eq(0),
            ]
            with m.If(held_valid):
                m.d.sync += self.output.payload.eq(held)
            with m.Else():
                m.d.sync += self.output.payload.eq(self.input.payload)
        with m.Elif(self.input.valid & ~held_valid):
            m.d.sync += [held.eq(self.input.payload), held_valid.eq(1)]
        return m


class StreamSkid(wiring.Component):
    """One-entry buffer: `ready` comes from a register, `valid` and `payload` pass through while it is empty.

    No latency, one item a cycle.
    """

    def __init__(self, shape: ShapeLike):
        self.shape = shape
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        held = Signal(self.shape)
        held_valid = Signal()
        m.d.comb += [
            self.input.ready.eq(~held_valid), self.output.valid.eq(self.input.valid | held_valid),
            Value.cast(self.output.payload).eq(Mux(held_valid, held, self.input.payload)),
        ]
        m.d.sync += held_valid.eq(self.output.valid & ~self.output.ready)
        with m.If(~held_valid):
            m.d.sync += held.eq(self.input.payload)
        return m


class StreamFifo(wiring.Component):
    """FIFO of `depth` items with a registered output; latency two cycles, one item a cycle.

    Members
    -------
    level
        Items inside, the one at the output included.
    """

    def __init__(self, shape: ShapeLike, depth: int):
        if depth < 1:
            raise ValueError(f"a FIFO has at least 1 entry, not {depth}")
        self.shape = shape
        self.depth = depth
        super().__init__({
            "input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=Shape.cast(self.shape).width, depth=self.depth)
        m.d.comb += [
            queue.w_data.eq(self.input.payload), queue.w_en.eq(self.input.valid), self.input.ready.eq(queue.w_rdy),
            Value.cast(self.output.payload).eq(queue.r_data),
            self.output.valid.eq(queue.r_rdy), queue.r_en.eq(self.output.ready), self.level.eq(queue.level),
        ]
        return m
