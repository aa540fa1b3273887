"""Reshaper: what happens to the bytes between the two byte FIFOs: nothing, a transposition of tiles, a conversion, or both."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.job import Segment
from rtl.data_engine.reshape.beat import beat
from rtl.data_engine.reshape.converter import Converter
from rtl.data_engine.reshape.transposer import Transposer
from rtl.data_engine.splitter import PIECE_BITS

__all__ = ["Reshaper"]

#: Elements inside: at most a whole tile buffer of bytes, and what the stages hold.
_PENDING_BITS = 15


class Reshaper(wiring.Component):
    """A beat a cycle. Segments of the same kind follow each other without a gap; before a different one, the stages run empty.

    Members
    -------
    segment : stream
        What to do with the bytes, in order.
    available, claim, pop, data
        The FIFO that bytes come from: as in :class:`rtl.data_engine.byte_fifo.ByteFifo`.
    room, reserve, push
        The FIFO that they go to.
    """

    def __init__(self, width: int):
        self._width = width
        lane_bits = (width - 1).bit_length()
        super().__init__({
            "segment": In(stream.Signature(Segment)),
            "available": In(32), "claim": Out(PIECE_BITS),
            "pop": Out(data.StructLayout({"valid": 1, "count": lane_bits + 1, "lane": lane_bits})), "data": In(8 * width),
            "room": In(32), "reserve": Out(PIECE_BITS),
            "push": Out(data.StructLayout({"count": lane_bits + 1, "lane": lane_bits, "data": 8 * width})),
        })

    def elaborate(self, platform):
        m = Module()
        width = self._width
        segment, held = Signal(Segment), Signal()
        left = Signal.like(segment.bytes)
        given = self.segment.payload

        # Beats out of the first FIFO; its data is there one cycle after the request.
        count = Signal(range(width + 1))
        line_ends = left <= width
        go, ends = Signal(), Signal()
        fetched = Signal(data.StructLayout({"valid": 1, "count": range(width + 1)}))
        taken = Signal()
        m.d.comb += [
            count.eq(Mux(line_ends, left, width)),
            go.eq(held & Mux(line_ends, self.available >= left, self.available >= width) & (~fetched.valid | taken)),
            ends.eq(go & line_ends & (segment.lines == 1)),
            self.pop.valid.eq(go), self.pop.count.eq(count), self.claim.eq(Mux(go, count, 0)),
        ]
        with m.If(go):
            m.d.sync += [left.eq(Mux(line_ends, segment.bytes, left - count)), segment.lines.eq(segment.lines - line_ends)]
        with m.If(go | taken):
            m.d.sync += [fetched.valid.eq(go), fetched.count.eq(count)]

        m.submodules.transposer = transposer = Transposer(width)
        m.submodules.converter = converter = Converter(width)

        # The next segment.
        pending = Signal(_PENDING_BITS)
        alike = (
            (given.tile == segment.tile) & (given.element == segment.element) & (given.result == segment.result)
            & (given.conversion.as_value() == segment.conversion.as_value())
        )
        load, may_load = Signal(), Signal()
        m.d.comb += [
            may_load.eq(Mux(held, ends & alike, alike | ((pending == 0) & ~fetched.valid))),
            load.eq(self.segment.valid & may_load & (~given.tile | transposer.tile.ready)),
            self.segment.ready.eq(load),
        ]
        with m.If(ends):
            m.d.sync += held.eq(0)
        with m.If(load):
            m.d.sync += [segment.eq(given), held.eq(1), left.eq(given.bytes)]

        # Through the stages, and into the second FIFO.
        tile, converts = segment.tile, segment.conversion.enable
        out = stream.Signature(beat(width)).create()
        m.d.comb += [
            transposer.tile.payload.lines.eq(given.lines), transposer.tile.payload.elements.eq(given.bytes >> given.element),
            transposer.tile.payload.element.eq(given.element), transposer.tile.valid.eq(self.segment.valid & given.tile & may_load),
            transposer.input.valid.eq(fetched.valid & tile),
            transposer.input.payload.data.eq(self.data), transposer.input.payload.count.eq(fetched.count),
            converter.input.payload.source.eq(segment.conversion.source),
            converter.input.payload.destination.eq(segment.conversion.destination),
        ]
        straight = converter.input.payload.beat
        with m.If(tile):
            m.d.comb += [straight.eq(transposer.output.payload), taken.eq(fetched.valid & transposer.input.ready)]
        with m.Else():
            m.d.comb += [
                straight.data.eq(self.data), straight.count.eq(fetched.count),
                taken.eq(fetched.valid & Mux(converts, converter.input.ready, out.ready)),
            ]
        m.d.comb += [
            converter.input.valid.eq(converts & Mux(tile, transposer.output.valid, fetched.valid)),
            transposer.output.ready.eq(tile & Mux(converts, converter.input.ready, out.ready)),
            converter.output.ready.eq(converts & out.ready),
            out.valid.eq(Mux(converts, converter.output.valid, Mux(tile, transposer.output.valid, fetched.valid))),
            out.payload.eq(Mux(converts, converter.output.payload.as_value(), straight.as_value())),
        ]
        pushed = Signal(range(width + 1))
        m.d.comb += [
            out.ready.eq(self.room >= width),
            pushed.eq(Mux(out.valid & out.ready, out.payload.count, 0)),
            self.reserve.eq(pushed), self.push.count.eq(pushed), self.push.data.eq(out.payload.data),
        ]
        m.d.sync += pending.eq(pending + (Mux(go, count, 0) >> segment.element) - (pushed >> segment.result))
        return m
