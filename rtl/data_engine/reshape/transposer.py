"""Transposer: a double tile buffer that takes lines of elements and gives columns."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.sram import SramDual
from rtl.common.stream import StreamRegister
from rtl.data_engine.byte_fifo import rotate
from rtl.data_engine.reshape.beat import TILE_ROWS, TileShape, beat

__all__ = ["Transposer"]


class Transposer(wiring.Component):
    """A beat a cycle on both sides at once: one tile fills while the one before is emitted.

    The buffer is skewed: with n elements to a beat, element c of line r lies in lane (r + c) mod n of row c + elements * floor(r / n), so
    that n elements of a line, and the elements of n lines in one column, are in n different lanes. One SRAM a byte lane, two rotators.

    Members
    -------
    tile : stream
        A shape for each tile, in order; it may come long before the tile.
    input : stream
        Line by line. A beat never crosses the end of a line; all but a line's last one are full.
    output : stream
        Element 0 of every line, then element 1 of every line, and so on, in the same way. The first beat comes
        3 cycles after a tile's last one went in.
    """

    def __init__(self, width: int):
        self._width = width
        super().__init__({
            "tile": In(stream.Signature(TileShape)),
            "input": In(stream.Signature(beat(width))),
            "output": Out(stream.Signature(beat(width))),
        })

    def elaborate(self, platform):
        m = Module()
        width = self._width
        lane_bits = (width - 1).bit_length()
        half_rows = TILE_ROWS // 2
        row_bits = (half_rows - 1).bit_length()
        full = Signal(2)
        shapes = [Signal(TileShape, name=f"shape{half}") for half in range(2)]

        def per_beat(element):
            """Elements of a full beat."""
            return Mux(element[1], width // 4, Mux(element[0], width // 2, width))

        def place_of(lane: int):
            """Which element of a beat a byte lane belongs to."""
            return Mux(fill.element[1], lane >> 2, Mux(fill.element[0], lane >> 1, lane))

        # The next shape waits here, or its tile would come a cycle late.
        m.submodules.next_shape = next_shape = StreamRegister(TileShape)
        wiring.connect(m, wiring.flipped(self.tile), next_shape.input)
        shape = next_shape.output

        # Filling: `row` is where element 0 of the line lies, `column` the elements of the line that are in.
        fill, held, filling = Signal(TileShape), Signal(), Signal()
        line, column, row = Signal(10), Signal(10), Signal(row_bits + 1)
        taken, line_ends, tile_ends = Signal(), Signal(), Signal()
        elements_in = Signal(range(width + 1))
        given = self.input.payload
        m.d.comb += [
            self.input.ready.eq(held & ~full.bit_select(filling, 1)),
            taken.eq(self.input.valid & self.input.ready),
            elements_in.eq(given.count >> fill.element),
            line_ends.eq(column + elements_in == fill.elements),
            tile_ends.eq(taken & line_ends & (line + 1 == fill.lines)),
            shape.ready.eq(~held | tile_ends),
        ]
        line_place = Signal(lane_bits)
        m.d.comb += line_place.eq(line & (per_beat(fill.element) - 1))
        with m.If(taken):
            m.d.sync += column.eq(Mux(line_ends, 0, column + elements_in))
            with m.If(line_ends):
                m.d.sync += line.eq(line + 1)
                with m.If(line_place == per_beat(fill.element) - 1):
                    m.d.sync += row.eq(row + fill.elements)
        with m.If(tile_ends):
            m.d.sync += [filling.eq(~filling), line.eq(0), row.eq(0)]
        with m.If(shape.ready):
            m.d.sync += [fill.eq(shape.payload), held.eq(shape.valid)]

        # Emitting: a beat is lines `group` * n and up of column `place`, at `address`.
        emitting = Signal()
        drain = Signal(TileShape)
        m.d.comb += drain.eq(Mux(emitting, shapes[1].as_value(), shapes[0].as_value()))
        place, left, address = Signal(10), Signal(10), Signal(row_bits)
        begun = Signal()
        lines_left, count = Signal(10), Signal(range(width + 1))
        at = Signal(row_bits)
        column_ends, go, drained = Signal(), Signal(), Signal()
        fetched = Signal(data.StructLayout({"valid": 1, "count": range(width + 1), "turn": lane_bits}))
        m.submodules.out = out = StreamRegister(beat(width))
        wiring.connect(m, out.output, wiring.flipped(self.output))
        m.d.comb += [
            # The shape is known only when the tile is there, so its first beat looks it up.
            lines_left.eq(Mux(begun, left, drain.lines)), at.eq(Mux(begun, address, 0)),
            column_ends.eq(lines_left <= per_beat(drain.element)),
            count.eq(Mux(column_ends, lines_left, per_beat(drain.element)) << drain.element),
            go.eq(full.bit_select(emitting, 1) & (~fetched.valid | out.input.ready)),
            drained.eq(go & column_ends & (place + 1 == drain.elements)),
        ]
        with m.If(go):
            m.d.sync += [
                begun.eq(~drained), left.eq(lines_left - per_beat(drain.element)), address.eq(at + drain.elements),
            ]
            with m.If(column_ends):
                m.d.sync += [left.eq(drain.lines), address.eq(place + 1), place.eq(place + 1)]
        with m.If(drained):
            m.d.sync += [place.eq(0), emitting.eq(~emitting)]
        with m.If(~fetched.valid | out.input.ready):
            m.d.sync += [fetched.valid.eq(go), fetched.count.eq(count), fetched.turn.eq(-(place << drain.element))]
        for half in range(2):
            with m.If(tile_ends & (filling == half)):
                m.d.sync += [full[half].eq(1), shapes[half].eq(fill)]
            with m.Elif(drained & (emitting == half)):
                m.d.sync += full[half].eq(0)

        # The lanes.
        turn_in = Signal(lane_bits)
        m.d.comb += turn_in.eq(line_place << fill.element)
        turned = rotate(m, "in", given.data, turn_in)
        columns = []
        for lane in range(width):
            m.submodules[f"lane{lane}"] = memory = SramDual(TILE_ROWS, 8)
            # The element of the beat that this lane takes.
            element = Signal(lane_bits, name=f"element{lane}")
            m.d.comb += [
                element.eq((place_of(lane) - line_place) & (per_beat(fill.element) - 1)),
                memory.write.eq(taken & (element < elements_in)),
                memory.write_address.eq(Cat((row + column + element)[:row_bits], filling)),
                memory.write_data.eq(turned.word_select(lane, 8)),
                memory.read_enable.eq(go),
                memory.read_address.eq(Cat(at, emitting)),
            ]
            columns.append(memory.read_data)
        m.d.comb += [
            out.input.valid.eq(fetched.valid), out.input.payload.count.eq(fetched.count),
            out.input.payload.data.eq(rotate(m, "out", Cat(columns), fetched.turn)),
        ]
        return m
