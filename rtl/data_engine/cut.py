"""Cut: what of a block lies inside the source, and what each part of the back end does for it."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.job import SLOT_BITS, ReadBlock, Segment, Task, WriteBlock
from rtl.isa import Status

__all__ = ["Cut", "Place"]


class Place(data.Struct):
    """A block of the walk: `lines` places of dimension 0 by `elements` places of dimension 1, from these addresses and coordinates on."""

    source: 32
    destination: 32
    lines: 16
    elements: 10
    line: signed(34)  #: coordinate 0 of the first place
    element: signed(34)  #: coordinate 1
    inside: 1  #: all other coordinates are, and there is no gap
    last: 1


class _Range(data.Struct):
    """`before` places outside of the source, then `inside` ones; what is left is outside again."""

    before: 16
    inside: 16


class Cut(wiring.Component):
    """A block a cycle; latency two cycles.

    Members
    -------
    task, slot
        What the blocks belong to; held while `holds`.
    place : stream
    holds
        A block is inside.
    read, segment, write : stream
        A block goes to all that it concerns at once: `read` and `segment` only where something is copied.
    """

    task: In(Task)
    slot: In(SLOT_BITS)
    place: In(stream.Signature(Place))
    holds: Out(1)
    read: Out(stream.Signature(ReadBlock))
    segment: Out(stream.Signature(Segment))
    write: Out(stream.Signature(WriteBlock))

    def elaborate(self, platform):
        m = Module()
        task = self.task
        accepted = Signal()
        valid = [Signal(name=f"valid{n}") for n in range(2)]
        m.d.comb += [
            self.holds.eq(valid[0] | valid[1]),
            self.place.ready.eq(~valid[0] | ~valid[1] | accepted),
        ]

        # First stage: ranges.
        place = Signal(Place)
        with m.If(self.place.ready):
            m.d.sync += [place.eq(self.place.payload), valid[0].eq(self.place.valid)]
        lines, elements = Signal(_Range), Signal(_Range)
        for found, first, extent, places in (
            (lines, place.line, task.extent[0], place.lines), (elements, place.element, task.extent[1], place.elements),
        ):
            name = "lines" if found is lines else "elements"
            end = Signal(signed(36), name=f"{name}_end")
            before, through = Signal(16, name=f"{name}_before"), Signal(16, name=f"{name}_through")
            m.d.comb += [
                end.eq(extent - first),
                before.eq(Mux(first >= 0, 0, Mux(-first >= places, places, -first))),
                through.eq(Mux(end <= 0, 0, Mux(end >= places, places, end))),
            ]
            with m.If(~task.slices):
                m.d.comb += [found.before.eq(0), found.inside.eq(places)]
            with m.Elif(through > before):
                m.d.comb += [found.before.eq(before), found.inside.eq(through - before)]

        # Second stage: what follows from them.
        block = Signal(Place)
        line, element = Signal(_Range), Signal(_Range)
        copies = Signal()
        with m.If(~valid[1] | accepted):
            m.d.sync += [
                valid[1].eq(valid[0]), block.eq(place), line.eq(lines), element.eq(elements),
                copies.eq(place.inside & (lines.inside != 0) & (elements.inside != 0)),
            ]

        def bytes_in(count: Value) -> Value:
            return count << task.source_element

        def bytes_out(count: Value) -> Value:
            return count << task.destination_element

        refused = task.status != Status.OK
        dense = ~task.tile & task.row_in
        read, segment, write = self.read.payload, self.segment.payload, self.write.payload
        m.d.comb += [
            read.space.eq(task.source_box.space), read.slot.eq(self.slot), read.pitch.eq(task.source_step[0]),
            read.address.eq(block.source + bytes_in(Mux(task.tile, element.before, Mux(task.row_in, line.before, 0)))),
            read.skip.eq(Mux(dense, 0, line.before)), read.lines.eq(Mux(dense, 1, line.inside)),
            read.bytes.eq(bytes_in(Mux(task.tile, element.inside, Mux(task.row_in, line.inside, 1)))),
            segment.tile.eq(task.tile), segment.lines.eq(Mux(task.tile, line.inside, 1)),
            segment.bytes.eq(bytes_in(Mux(task.tile, element.inside, line.inside))), segment.conversion.eq(task.conversion),
        ]
        # Bytes that nothing looks into are bytes, so that commands of any element follow each other at once.
        with m.If(task.tile | task.conversion.enable):
            m.d.comb += [segment.element.eq(task.source_element), segment.result.eq(task.destination_element)]

        rest = block.lines - line.before - line.inside
        m.d.comb += [
            write.space.eq(task.destination_box.space), write.slot.eq(self.slot), write.fill.eq(task.fill),
            write.address.eq(block.destination), write.last.eq(block.last),
        ]
        with m.If(refused):
            pass
        with m.Elif(task.tile | task.row_out):
            m.d.comb += [
                write.pitch.eq(task.destination_stride[1]),
                write.before.eq(Mux(copies, element.before, block.elements)), write.inside.eq(Mux(copies, element.inside, 0)),
                write.after.eq(Mux(copies, block.elements - element.before - element.inside, 0)),
                write.head.eq(bytes_out(Mux(copies, line.before, block.lines))),
                write.body.eq(Mux(copies, bytes_out(line.inside), 0)), write.tail.eq(Mux(copies, bytes_out(rest), 0)),
            ]
        with m.Else():
            m.d.comb += [
                write.pitch.eq(task.destination_stride[0]), write.body.eq(bytes_out(1)),
                write.before.eq(Mux(copies, line.before, block.lines)), write.inside.eq(Mux(copies, line.inside, 0)),
                write.after.eq(Mux(copies, rest, 0)),
            ]
        ready = self.write.ready & self.read.ready & self.segment.ready
        moving = copies & ~refused
        m.d.comb += [
            accepted.eq(valid[1] & ready),
            self.write.valid.eq(accepted), self.read.valid.eq(accepted & moving), self.segment.valid.eq(accepted & moving),
        ]
        return m
