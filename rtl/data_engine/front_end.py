"""Front end: takes commands, checks each one whole, and hands it to the mid end as a task."""

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.data_engine.boxes import Boxes, Product
from rtl.data_engine.job import RANK, Task
from rtl.data_engine.rules import Rules
from rtl.isa import DataCommand, DataOp, Space, Status, Window

__all__ = ["FrontEnd"]


class FrontEnd(wiring.Component):
    """Checks the next command while earlier ones run: the rules of `docs/data_engine.md`, in their order.

    A reset drops the command inside. A command takes 6 cycles from its acceptance to its task, and 3 more (SLICE: 5) for each
    dimension that isn't trivial.

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
        m.submodules.rules = rules = Rules(self._cluster)
        m.submodules.boxes = boxes = Boxes()

        command = Signal(DataCommand)
        m.d.comb += rules.command.eq(command)
        mode = command.mode
        slicing, reads, gathers = mode.op == DataOp.SLICE, mode.op != DataOp.FILL, mode.gather

        def of(name: str) -> list[Value]:
            return [getattr(command, f"{name}{d}") for d in range(RANK)]

        # Dimensions with anything to multiply, from the lowest up.
        left = Signal(RANK)
        busy_dimensions = Cat(
            (size != 1) | (slicing & owned & ((extent != 1) | (offset != 0)))
            for size, extent, offset, owned in zip(of("size"), of("extent"), of("offset"), rules.owned, strict=True)
        )
        dimension = Signal(range(RANK))
        for d in reversed(range(RANK)):
            with m.If(left[d]):
                m.d.comb += dimension.eq(d)
        after = left & (left - 1)[:RANK]

        def pick(words, index=dimension):
            return Value.cast(Array(words)[index])

        owners = Array([0, 1, 2, Mux(mode.share3 == 0, 3, mode.share3 - 1), Mux(mode.share4 == 0, 4, mode.share4 - 1)])
        owner = Signal(range(RANK))
        owned = Signal()
        of_list = Signal()
        m.d.comb += [owner.eq(owners[dimension]), owned.eq(pick(rules.owned)), of_list.eq(gathers & (dimension == RANK - 1))]

        # The terms of a dimension, one a cycle.
        turn = Signal(Product)
        order = {
            Product.SOURCE: Product.DESTINATION, Product.DESTINATION: Product.COUNT, Product.COUNT: Product.BASE,
            Product.BASE: Product.STEP,
        }
        size, extent = pick(of("size")), pick(of("extent")) - 1
        term = boxes.term
        m.d.comb += [
            term.product.eq(turn), term.dimension.eq(dimension),
            term.stride.eq(Mux(turn == Product.DESTINATION, pick(of("dst_stride")), pick(of("src_stride"), owner))),
            boxes.source_base.eq(command.src_base), boxes.destination_base.eq(command.dst_base),
        ]
        with m.Switch(turn):
            with m.Case(Product.SOURCE):
                m.d.comb += term.factor.eq(Mux(slicing, Mux(owned, extent[:16], 0), (size - 1)[:16]))
            with m.Case(Product.DESTINATION):
                m.d.comb += term.factor.eq((size - 1)[:16])
            with m.Case(Product.COUNT):
                m.d.comb += term.factor.eq(size[:16])
            with m.Case(Product.BASE):
                m.d.comb += term.factor.eq(Mux(owned, pick(of("offset"))[:17].as_signed(), 0))
                with m.If(of_list):
                    m.d.comb += [term.factor.eq(extent[16:31]), term.product.eq(Product.SOURCE_HIGH)]
            with m.Case(Product.STEP):
                m.d.comb += term.factor.eq(pick(of("step"))[:16].as_signed())

        # Verdict.
        source_top, destination_top = Signal.like(boxes.source_high), Signal.like(boxes.destination_high)
        list_top = Signal(34)
        bytes_out = Signal(len(boxes.count) + 2)
        drain = Signal(2)
        status, address = Signal(Status), Signal(32)

        def tail(element: Value) -> Value:
            """Bytes of an element behind its first one."""
            return Cat(element != 0, element[1])

        def fault(space: Value, low: Value, top: Value, allowed: Value) -> tuple[Value, Value]:
            """Is a box outside, and the address to report."""
            far = Value.cast(space) == Space.L3.value
            limit = Mux(far, self.window.limit, Mux(space == Space.L2, self._config.l2_bytes, self._config.l1_bytes))
            below = (low < Mux(far, self.window.base, 0)) | (far & ~allowed)
            return below | (top >= limit), Mux(below, low, top)[:32]

        source_fault, source_address = fault(mode.source, boxes.source_low, source_top, self.window.read)
        list_fault, list_address = fault(mode.index, command.index_base, list_top, self.window.read)
        destination_fault, destination_address = fault(mode.destination, boxes.destination_low, destination_top, self.window.write)

        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += self.command.ready.eq(1)
                m.d.sync += command.eq(self.command.payload)
                with m.If(self.command.valid):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += boxes.start.eq(1)
                m.d.sync += [left.eq(busy_dimensions), turn.eq(Product.SOURCE), drain.eq(2)]
                m.next = "WALK"
            with m.State("WALK"):
                m.d.comb += boxes.valid.eq(left.any())
                with m.Switch(turn):
                    for now, following in order.items():
                        with m.Case(now):
                            m.d.sync += turn.eq(following)
                with m.If((turn == Product.STEP) | ((turn == Product.COUNT) & ~slicing)):
                    m.d.sync += [turn.eq(Product.SOURCE), left.eq(after)]
                with m.If(~left.any()):
                    m.d.sync += drain.eq(drain - 1)
                with m.If((~left.any() & (drain == 1)) | (rules.status != Status.OK)):
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.sync += [
                    source_top.eq(boxes.source_high + tail(rules.source_element)),
                    destination_top.eq(boxes.destination_high + tail(rules.destination_element)),
                    list_top.eq(command.index_base + ((command.size4[:16] << 2) - 1)),
                    bytes_out.eq(boxes.count << rules.destination_element),
                ]
                m.next = "VERDICT"
            with m.State("VERDICT"):
                m.d.sync += [status.eq(rules.status), address.eq(0)]
                with m.If(rules.status == Status.OK):
                    with m.If(reads & source_fault):
                        m.d.sync += [status.eq(Status.ADDRESS), address.eq(source_address)]
                    with m.Elif(gathers & list_fault):
                        m.d.sync += [status.eq(Status.ADDRESS), address.eq(list_address)]
                    with m.Elif(destination_fault):
                        m.d.sync += [status.eq(Status.ADDRESS), address.eq(destination_address)]
                    with m.Elif(bytes_out > destination_top - boxes.destination_low + 1):
                        m.d.sync += status.eq(Status.SIZE)
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.task.valid.eq(1)
                with m.If(self.task.ready):
                    m.next = "IDLE"
        m.d.comb += [
            self.busy.eq(~fsm.ongoing("IDLE")),
            self.tag.eq(command.tag[:16]),
            self.memory.eq((mode.destination != Space.L1) | (reads & (mode.source != Space.L1))),
        ]
        self._offer(m, command, rules, boxes, source_top, destination_top, list_top)
        m.d.comb += [self.task.payload.status.eq(status), self.task.payload.address.eq(address)]
        return m

    def _offer(self, m: Module, command, rules: Rules, boxes: Boxes, source_top, destination_top, list_top):
        """The task, from the command and what was worked out."""
        task, mode = self.task.payload, command.mode
        slicing = mode.op == DataOp.SLICE
        interior = Cat(command.interior01, command.interior23, command.interior4)
        one = command.size0 == 1
        dense = (command.src_stride0 == 1 << rules.source_element) & (~slicing | (command.step0 == 1))
        fill = command.fill
        m.d.comb += [
            task.tag.eq(command.tag[:16]), task.reads.eq(mode.op != DataOp.FILL), task.slices.eq(slicing),
            task.tile.eq(mode.tile), task.gather.eq(mode.gather),
            task.source_box.space.eq(mode.source), task.source_box.low.eq(boxes.source_low), task.source_box.high.eq(source_top),
            task.list_box.space.eq(mode.index), task.list_box.low.eq(command.index_base), task.list_box.high.eq(list_top),
            task.destination_box.space.eq(mode.destination),
            task.destination_box.low.eq(boxes.destination_low), task.destination_box.high.eq(destination_top),
            task.source_element.eq(rules.source_element), task.destination_element.eq(rules.destination_element),
            task.source_base.eq(boxes.base), task.destination_base.eq(command.dst_base),
            task.row_in.eq(one | dense), task.row_out.eq(one | (command.dst_stride0 == 1 << rules.destination_element)),
            task.fill.eq(Mux(
                rules.destination_element[1], fill, Mux(rules.destination_element[0], fill[:16].replicate(2), fill[:8].replicate(4)),
            )),
            task.share3.eq(mode.share3), task.share4.eq(mode.share4),
            task.single.eq(slicing & ((command.step0 != 1) | (interior[:8] != 0))),
            task.table.eq(command.extent4), task.pitch.eq(command.src_stride4),
        ]
        with m.If(mode.convert):
            m.d.comb += [
                task.conversion.enable.eq(1),
                task.conversion.source.eq(mode.source_format), task.conversion.destination.eq(mode.destination_format),
            ]
        for d in range(RANK):
            m.d.comb += [
                task.size[d].eq(getattr(command, f"size{d}")),
                task.source_step[d].eq(Mux(slicing, boxes.step[d], getattr(command, f"src_stride{d}"))),
                task.destination_stride[d].eq(getattr(command, f"dst_stride{d}")),
                task.start[d].eq(getattr(command, f"offset{d}")), task.step[d].eq(getattr(command, f"step{d}")),
                task.extent[d].eq(getattr(command, f"extent{d}")),
                task.gaps[d].eq(Mux(slicing, interior.word_select(2 * d, 8), 0)),
                task.phase[d].eq(Mux(slicing, interior.word_select(2 * d + 1, 8), 0)),
            ]
        # The list, not an index, moves coordinate 4.
        with m.If(mode.gather):
            m.d.comb += [task.gaps[RANK - 1].eq(0), task.phase[RANK - 1].eq(0)]
