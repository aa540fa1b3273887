"""Mid end: walks a task block by block; a block is a row, a tile or an element."""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.cut import Cut
from rtl.data_engine.gather import Gather, IndexError, IndexRequest
from rtl.data_engine.job import RANK, SLOT_BITS, ReadBlock, Segment, Task, WriteBlock
from rtl.isa import Space, Status

__all__ = ["MidEnd"]

#: A coordinate: 17 bits of offset and three dimensions of 16 x 16 bit.
_COORDINATE = signed(34)


class MidEnd(wiring.Component):
    """Issues a block a cycle; two cycles more between two tasks.

    Each dimension keeps the addresses at which its current index began, so that a step is one addition and nothing is multiplied.

    Members
    -------
    task : stream
        Taken when the walk before it has ended and `start` allows it: from then on the command is under way and will be done.
    slot
        The ledger's number for the task that is taken.
    start
        The ledger has a slot, and no write that is under way could change what the task reads.
    read, segment, write : stream
        What each part of the back end does for a block: `read` and `segment` only for blocks that copy. In order; the last `write` of a
        command has `last`.
    index, index_push, index_error
        As `request`, `push` and `error` of :class:`rtl.data_engine.gather.Gather`.
    """

    def __init__(self, width: int):
        self._width = width
        lane_bits = (width - 1).bit_length()
        super().__init__({
            "task": In(stream.Signature(Task)), "slot": In(SLOT_BITS), "start": In(1),
            "read": Out(stream.Signature(ReadBlock)), "segment": Out(stream.Signature(Segment)), "write": Out(stream.Signature(WriteBlock)),
            "index": Out(stream.Signature(IndexRequest)),
            "index_push": In(data.StructLayout({"count": lane_bits + 1, "lane": lane_bits, "data": 8 * width})),
            "index_error": Out(IndexError),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.gather = gather = Gather(self._width)
        m.submodules.cut = cut = Cut()
        wiring.connect(m, gather.request, wiring.flipped(self.index))
        wiring.connect(m, cut.read, wiring.flipped(self.read))
        wiring.connect(m, cut.segment, wiring.flipped(self.segment))
        wiring.connect(m, cut.write, wiring.flipped(self.write))
        m.d.comb += [gather.push.eq(self.index_push), self.index_error.eq(gather.error)]

        task = cut.task
        given = self.task.payload
        taken = self.task.valid & self.task.ready
        walking, waiting = Signal(), Signal()
        index = Signal(data.ArrayLayout(16, RANK))
        phase = Signal(data.ArrayLayout(8, RANK))
        # Addresses of the current block (0), and of the first block of the current index of dimension d; what d added to its coordinate.
        source, destination = Signal(data.ArrayLayout(32, RANK)), Signal(data.ArrayLayout(32, RANK))
        moved = Signal(data.ArrayLayout(_COORDINATE, RANK))
        bad_row = Signal()

        # The next task; its tiles, as powers of two of elements.
        tile_bits = [Signal(4, name=f"tile_bits{d}") for d in range(2)]
        hops = Signal(data.ArrayLayout(32, 4))
        m.d.comb += [
            self.task.ready.eq(~walking & ~waiting & self.start & gather.list.ready & ~cut.holds),
            gather.list.valid.eq(taken & given.gather & (given.status == Status.OK)),
            gather.list.payload.space.eq(given.list_box.space), gather.list.payload.address.eq(given.list_box.low),
            gather.list.payload.count.eq(given.size[RANK - 1]), gather.list.payload.rows.eq(given.table),
            gather.list.payload.pitch.eq(given.pitch), gather.list.payload.slot.eq(self.slot),
        ]
        lines, elements = self._tile(given)
        with m.If(taken):
            listed = given.gather & (given.status == Status.OK)
            m.d.sync += [
                task.eq(given), cut.slot.eq(self.slot), walking.eq(~listed), waiting.eq(listed), index.eq(0), phase.eq(given.phase),
                moved.eq(0), bad_row.eq(0),
                tile_bits[0].eq(lines), tile_bits[1].eq(elements),
                hops[0].eq(given.source_step[0] << Mux(given.tile, lines, 0)),
                hops[1].eq(given.source_step[1] << Mux(given.tile, elements, 0)),
                hops[2].eq(given.destination_stride[0] << Mux(given.tile, lines, 0)),
                hops[3].eq(given.destination_stride[1] << Mux(given.tile, elements, 0)),
            ]
            m.d.sync += [source[d].eq(given.source_base) for d in range(RANK)]
            m.d.sync += [destination[d].eq(given.destination_base) for d in range(RANK)]

        # The block at hand.
        spans = [Signal(10, name=f"span{d}") for d in range(2)]
        m.d.comb += [span.eq(Mux(task.tile, 1 << bits, 1)) for span, bits in zip(spans, tile_bits, strict=True)]
        row = ~task.tile & ~task.single
        left = [task.size[d] - index[d] for d in range(2)]
        refused = task.status != Status.OK
        at_end = [
            row | (left[0] <= spans[0]), left[1] <= spans[1],
            *(index[d] == task.size[d] - 1 for d in range(2, RANK)),
        ]
        ended = Signal()
        m.d.comb += ended.eq(Cat(at_end).all() | refused)
        place = cut.place.payload
        shares = [Mux(task.share3 == k + 1, moved[3], 0) + Mux(task.share4 == k + 1, moved[4], 0) for k in range(3)]
        coordinate = [(task.start[k] + moved[k] + (shares[k] if k < 3 else 0))[:34].as_signed() for k in range(RANK)]
        owned = [1, 1, 1, task.share3 == 0, task.share4 == 0]
        inside = [
            ~task.slices | ~owned[k] | (~coordinate[k][33] & (coordinate[k] < task.extent[k])) for k in range(2, RANK)
        ]
        inside[-1] = Mux(task.gather, ~bad_row, inside[-1])
        m.d.comb += [
            cut.place.valid.eq(walking),
            place.source.eq(source[0]), place.destination.eq(destination[0]), place.last.eq(ended),
            place.lines.eq(Mux(row, task.size[0], Mux(left[0] < spans[0], left[0], spans[0]))),
            place.elements.eq(Mux(left[1] < spans[1], left[1], spans[1])),
            place.line.eq(coordinate[0]), place.element.eq(coordinate[1]),
            place.inside.eq(task.reads & Cat(inside).all() & ~Cat(phase[d] != 0 for d in range(RANK)).any()),
        ]

        # The next one: the innermost dimension that isn't at its end steps, those below it begin anew.
        stepping = Signal(range(RANK))
        for d in reversed(range(RANK)):
            with m.If(~at_end[d]):
                m.d.comb += stepping.eq(d)

        def pick(members):
            return Array(members)[stepping]

        source_hop = [hops[0], hops[1], *(task.source_step[d] for d in range(2, RANK))]
        destination_hop = [hops[2], hops[3], *(task.destination_stride[d] for d in range(2, RANK))]
        strides = [Mux(task.tile, spans[d], task.step[d]) for d in range(2)] + [task.step[d] for d in range(2, RANK)]
        next_source, next_destination, next_moved = Signal(32), Signal(32), Signal(_COORDINATE)
        # A gap stands for no source element: only the step on to an element moves in the source. `phase` 0 is an element.
        onward = Signal()
        next_list = Signal()
        m.d.comb += [
            onward.eq(pick([phase[d] == task.gaps[d] for d in range(RANK)])),
            next_source.eq(pick([source[d] for d in range(RANK)]) + Mux(onward, pick(source_hop), 0)),
            next_destination.eq(pick([destination[d] for d in range(RANK)]) + pick(destination_hop)),
            next_moved.eq(pick([moved[d] for d in range(RANK)]) + Mux(onward, pick(strides), 0)),
            next_list.eq(task.gather & (stepping == RANK - 1) & ~ended),
        ]
        with m.If(cut.place.valid & cut.place.ready):
            for d in range(RANK):
                with m.If(stepping > d):
                    m.d.sync += [index[d].eq(0), phase[d].eq(task.phase[d]), moved[d].eq(0)]
                with m.If(stepping >= d if d else 1):
                    m.d.sync += [source[d].eq(next_source), destination[d].eq(next_destination)]
                with m.If(stepping == d):
                    m.d.sync += [
                        index[d].eq(index[d] + (spans[d] if d < 2 else 1)), phase[d].eq(Mux(onward, 0, phase[d] + 1)),
                        moved[d].eq(next_moved),
                    ]
            m.d.sync += [walking.eq(~ended & ~next_list), waiting.eq(next_list)]

        # The first row of a gather, or its next one.
        m.d.comb += gather.row.ready.eq(waiting)
        with m.If(waiting & gather.row.valid):
            m.d.sync += [walking.eq(1), waiting.eq(0), bad_row.eq(gather.row.payload.bad)]
            m.d.sync += [source[d].eq(task.source_base + gather.row.payload.offset) for d in range(RANK)]
        return m

    def _tile(self, task: Task):
        """log2 of the lines and of the elements of a line: long runs where they go over the fabric, short ones in L1.

        In L1 a run of two beats walks over the banks, so that reads and writes of large powers of two don't meet in the same ones.
        """
        beat = (self._width - 1).bit_length()
        near_in, near_out = task.source_box.space == Space.L1, task.destination_box.space == Space.L1
        shapes = []
        for element in range(3):
            both = 9 + beat - element
            near = beat
            short, long = beat - element, 9 - element
            shapes.append((
                Mux(near_in, Mux(near_out, near, long), Mux(near_out, short, both // 2)),
                Mux(near_in, Mux(near_out, near, short), Mux(near_out, long, both - both // 2)),
            ))
        return tuple(Mux(task.source_element[1], shapes[2][n], Mux(task.source_element[0], shapes[1][n], shapes[0][n])) for n in range(2))
