"""Front end: takes commands, checks each one whole, and hands it to the mid end as a task."""

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bounds import Bounds
from rtl.config import ChipConfig
from rtl.data_engine.clip import Clip
from rtl.data_engine.job import RANK, Task
from rtl.data_engine.merge import Merge
from rtl.isa import DataCommand, DataOp, Space, Status, Window

__all__ = ["FrontEnd"]


class FrontEnd(wiring.Component):
    """Checks the next command while earlier ones run: codes, sizes, alignment, then the bounds of source and destination.

    A reset drops the command inside. One dimension a cycle: a COPY or FILL takes 15 cycles from its acceptance to its task, and as many
    more as :class:`Merge` takes above 14; a SLICE 8 cycles more for each dimension, or up to 40 where its |step| > 1.

    Members
    -------
    command : stream
        Accepted when no other is being checked.
    task : stream
        Commands in order, the refused ones too.
    window
        Of the job's partition in L3; sampled during the check.
    busy
        A command is inside. `tag` and `memory` (one of its spaces lies behind the fabric) belong to it.
    """

    def __init__(self, config: ChipConfig, cluster: bool):
        self._config = config
        self._cluster = cluster
        super().__init__({
            "command": In(stream.Signature(DataCommand)),
            "task": Out(stream.Signature(Task)),
            "window": In(Window),
            "busy": Out(1),
            "tag": Out(16),
            "memory": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bounds = bounds = Bounds()
        m.submodules.clip = clip = Clip()
        m.submodules.merge = merge = Merge()

        command = Signal(DataCommand)
        task = self.task.payload
        dimension = Signal(range(RANK))
        last_dimension = dimension == RANK - 1

        def of(name: str) -> list[Value]:
            return [getattr(command, f"{name}{d}") for d in range(RANK)]

        def pick(name: str):
            return Array(of(name))[dimension]

        op = command.mode.op
        element = command.mode.element
        slicing = Signal()
        moving = Signal()
        m.d.comb += [slicing.eq(op == DataOp.SLICE), moving.eq(op != DataOp.FILL)]

        # What breaks a rule, gathered while the dimensions pass by.
        bad_op, unsupported = Signal(), Signal()
        bad_size, misaligned = Signal(), Signal()
        m.d.comb += [
            bad_op.eq((op != DataOp.COPY) & (op != DataOp.FILL) & (op != DataOp.SLICE)),
            unsupported.eq(
                (element == 3) | (Value.cast(command.mode.source) == 3) | (Value.cast(command.mode.destination) == 3)
                | (self._without_l1(command.mode.destination) | (moving & self._without_l1(command.mode.source)))
            ),
        ]

        def outside(word: Value) -> Value:
            return (word == 0) | word[16:].any()

        # Element bytes - 1: the low bits that must be 0, and the way to an element's last byte. Element 3 is refused anyway.
        mask = Cat(element != 0, element[1])

        def crooked(name: str, base: Value) -> Value:
            return ((Value.cast(pick(name)) | base)[:2] & mask).any()

        def look():
            step = Value.cast(pick("step"))
            return [
                bad_size.eq(
                    bad_size | outside(pick("size"))
                    | (slicing & (outside(pick("extent")) | (step[15:] != step[15].replicate(17))))
                ),
                misaligned.eq(
                    misaligned | crooked("dst_stride", command.dst_base) | (moving & crooked("src_stride", command.src_base))
                ),
            ]

        # Ranges inside the source, dimension by dimension; one empty range leaves nothing of the source.
        low = Signal.like(task.low)
        count = Signal.like(task.count)
        empty = Signal()

        m.d.comb += [
            clip.offset.eq(pick("offset")), clip.step.eq(pick("step")), clip.extent.eq(pick("extent")), clip.size.eq(pick("size")),
        ]

        # Bounds: the terms of the source (in SLICE two for each dimension: where the range begins and how far it reaches), then
        # those of the destination. They are registered before the multiplier.
        term = bounds.term
        destination_turn = Signal()
        space = Mux(destination_turn, Value.cast(command.mode.destination), Value.cast(command.mode.source))
        in_l3 = space == Space.L3.value
        m.d.sync += [
            bounds.valid.eq(0),
            term.first.eq(dimension == 0), term.last.eq(last_dimension), term.shift.eq(0),
            term.stride.eq(Mux(destination_turn, pick("dst_stride"), pick("src_stride"))),
            term.size.eq(pick("size")),
            term.base.eq(Mux(destination_turn, command.dst_base, Mux(slicing, command.src_base.as_signed(), command.src_base))),
            term.tail.eq(mask),
            term.low.eq(Mux(in_l3, self.window.base, 0)),
            term.limit.eq(Mux(in_l3, self.window.limit, Mux(space == Space.L2.value, self._config.l2_bytes, self._config.l1_bytes))),
        ]

        source_fault, source_address = Signal(), Signal(32)
        status, address = Signal(Status), Signal(32)

        def advance(following: str):
            m.d.sync += dimension.eq(dimension + 1)
            with m.If(last_dimension):
                m.d.sync += dimension.eq(0)
                m.next = following

        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += self.command.ready.eq(1)
                m.d.sync += [
                    command.eq(self.command.payload), dimension.eq(0), bad_size.eq(0), misaligned.eq(0), empty.eq(0), source_fault.eq(0),
                ]
                with m.If(self.command.valid):
                    m.next = "SOURCE"
            with m.State("SOURCE"):
                m.d.sync += look()
                with m.If(slicing):
                    m.d.comb += clip.start.eq(1)
                    m.next = "CLIP"
                with m.Else():
                    # Merging follows one dimension behind; a SLICE waits, since any empty range changes everything.
                    m.d.comb += merge.start.eq(dimension == 0)
                    m.d.sync += [low[dimension].eq(0), count[dimension].eq(pick("size")), bounds.valid.eq(moving)]
                    advance("DESTINATION")
            with m.State("CLIP"):
                m.d.sync += [term.size.eq(clip.low + 1), term.shift.eq(1), term.last.eq(0), bounds.valid.eq(clip.done)]
                with m.If(clip.done):
                    m.d.sync += [low[dimension].eq(clip.low), count[dimension].eq(clip.count), empty.eq(empty | (clip.count == 0))]
                    m.next = "RANGE"
            with m.State("RANGE"):
                m.d.sync += [term.size.eq(clip.count), term.first.eq(0), bounds.valid.eq(1)]
                m.next = "SOURCE"
                advance("DESTINATION")
            with m.State("DESTINATION"):
                m.d.comb += [destination_turn.eq(1), merge.start.eq(slicing & (dimension == 0))]
                m.d.sync += bounds.valid.eq(1)
                # Of the source: it comes 4 cycles after its last term was seen, within these five.
                with m.If(bounds.result.valid):
                    m.d.sync += [source_fault.eq(bounds.result.fault & ~empty), source_address.eq(bounds.result.address)]
                advance("VERDICT")
            with m.State("VERDICT"):
                with m.If(bounds.result.valid):
                    m.d.sync += [status.eq(Status.OK), address.eq(0)]
                    with m.If(bad_op):
                        m.d.sync += status.eq(Status.UNDEFINED_OPCODE)
                    with m.Elif(unsupported):
                        m.d.sync += status.eq(Status.UNSUPPORTED)
                    with m.Elif(bad_size):
                        m.d.sync += status.eq(Status.SIZE)
                    with m.Elif(misaligned):
                        m.d.sync += status.eq(Status.ALIGNMENT)
                    with m.Elif(source_fault | bounds.result.fault):
                        m.d.sync += [
                            status.eq(Status.ADDRESS), address.eq(Mux(source_fault, source_address, bounds.result.address)),
                        ]
                    m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.task.valid.eq(merge.done)
                with m.If(self.task.valid & self.task.ready):
                    m.next = "IDLE"
        merged = [merge.merged[d] for d in range(RANK)]
        m.d.comb += [
            self.busy.eq(~fsm.ongoing("IDLE")),
            self.tag.eq(command.tag[:16]),
            self.memory.eq((command.mode.destination != Space.L1) | (moving & (command.mode.source != Space.L1))),
            merge.copy.eq(task.copy), merge.element.eq(element), merge.low.eq(low), merge.count.eq(count),
            task.tag.eq(command.tag[:16]),
            task.copy.eq(moving & ~empty),
            task.source.eq(command.mode.source), task.destination.eq(command.mode.destination),
            task.source_base.eq(command.src_base), task.destination_base.eq(command.dst_base),
            task.head.eq(merge.head), task.body.eq(merge.body), task.row.eq(merge.row),
            task.fill.eq(Mux(element[1], command.fill, Mux(element[0], command.fill[:16].replicate(2), command.fill[:8].replicate(4)))),
            task.status.eq(status), task.address.eq(address),
        ]
        for d in range(RANK):
            m.d.comb += [
                merge.size[d].eq(of("size")[d]),
                merge.source_stride[d].eq(of("src_stride")[d]), merge.destination_stride[d].eq(of("dst_stride")[d]),
                task.source_stride[d].eq(of("src_stride")[d]), task.destination_stride[d].eq(of("dst_stride")[d]),
                task.size[d].eq(Mux(merged[d], 1, of("size")[d])),
                task.low[d].eq(Mux(merged[d], 0, low[d])),
                task.count[d].eq(Mux(merged[d], 1, count[d])),
            ]
        return m

    def _without_l1(self, space) -> Value:
        return (space == Space.L1) & self._cluster
