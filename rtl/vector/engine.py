"""The vector engine: elementwise micro-programs, reductions over taps, and requantisation, between L1 or the tensor core and L1."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import Activity, Cause, Completion, Status, VectorCommand
from rtl.l1.port import l1_ports
from rtl.vector.check import VectorCheck
from rtl.vector.feed import Feed
from rtl.vector.issue import Issue
from rtl.vector.lanes import Lanes
from rtl.vector.registers import Registers
from rtl.vector.ring import SlotRing
from rtl.vector.unpack import Store

__all__ = ["VectorEngine"]


class VectorEngine(wiring.Component):
    """Runs :class:`VectorCommand` s in order. The next one is checked while one runs, and starts when all writes of that one are done.

    A slot (`vector_lanes` elements) takes as many cycles as the longest of: its reads of x (one for each tap), its reads of y, one write,
    and its passes (taps - 1 + micro-operations, at least 1; one more where the last of them doesn't write V0).

    Members
    -------
    command : the commands
    done : one pulse for each command
    activity : BUSY while something moves, OPERAND while all waits for L1 or the tensor core, IDLE without a command that passed its check
    vector_x, vector_y, vector_z : ports of L1
    result : rows of 32-bit results of the tensor core, `vector_lanes` columns a beat; exactly as many are taken as the command has slots
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "command": In(stream.Signature(VectorCommand)),
            "done": Out(data.StructLayout({"valid": 1, "completion": Completion})),
            "activity": Out(Activity),
            "result": In(stream.Signature(data.ArrayLayout(32, config.vector_lanes))),
            **{name: Out(port) for name, port in l1_ports(config).items() if name.startswith("vector_")},
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.check = check = VectorCheck(config)
        m.submodules.ring = ring = SlotRing(config)
        m.submodules.feed = feed = Feed(config)
        m.submodules.issue = issue = Issue(config)
        m.submodules.registers = registers = Registers(config)
        m.submodules.lanes = lanes = Lanes(config)
        m.submodules.store = store = Store(config)

        wiring.connect(m, wiring.flipped(self.command), check.command)
        wiring.connect(m, feed.x_port, wiring.flipped(self.vector_x))
        wiring.connect(m, feed.y_port, wiring.flipped(self.vector_y))
        wiring.connect(m, store.l1, wiring.flipped(self.vector_z))
        wiring.connect(m, wiring.flipped(self.result), feed.result)

        # One command runs at a time.
        command = Signal(VectorCommand)
        start, running, ends = Signal(), Signal(), Signal()
        checked = check.checked.payload
        m.d.comb += [check.checked.ready.eq(~running), ends.eq(running & ~start & issue.finished & store.idle)]
        m.d.sync += [start.eq(0), self.done.valid.eq(0)]
        with m.If(check.checked.valid & ~running):
            with m.If(checked.completion.status == Status.OK):
                m.d.sync += [command.eq(checked.command), start.eq(1), running.eq(1)]
            with m.Else():
                m.d.sync += [self.done.valid.eq(1), self.done.completion.eq(checked.completion)]
        with m.If(ends):
            m.d.sync += [running.eq(0), self.done.valid.eq(1), self.done.completion.eq(0)]

        for block in (ring, feed, issue):
            m.d.comb += [block.start.eq(start), block.command.eq(command)]
        for block in (feed, issue):
            m.d.comb += [block.walked.eq(ring.walked), block.ended.eq(ring.ended)]
        target, results = lanes.outcome.target, lanes.results
        m.d.comb += [
            ring.parameters.eq(feed.parameters), ring.released.eq(issue.released),
            ring.x_position.eq(feed.x_position), feed.x_slot.eq(ring.x_slot),
            ring.y_position.eq(feed.y_position), feed.y_slot.eq(ring.y_slot),
            ring.position.eq(issue.position), issue.slot.eq(ring.slot),

            feed.freed.eq(issue.freed), feed.take_operand.eq(issue.take_operand), issue.operand.eq(feed.operand),
            issue.x_loaded.eq(feed.x_loaded), issue.y_loaded.eq(feed.y_loaded), issue.room.eq(store.room),

            registers.step.eq(issue.step), registers.x.eq(feed.load_0.data),
            registers.s0.eq(command.s0), registers.s1.eq(command.s1),
            registers.load_0.eq(feed.load_0), feed.ready_0.eq(registers.ready_0),
            registers.load_1.eq(feed.load_1), feed.ready_1.eq(registers.ready_1),
            registers.parameter.eq(feed.parameter),
            registers.result.valid.eq(lanes.outcome.valid & ~target.store), registers.result.register.eq(target.register),
            registers.result.position.eq(target.position), registers.result.data.eq(results),

            lanes.step.eq(issue.step), lanes.operands.eq(registers.operands),
            store.reserve.eq(issue.reserve), store.format.eq(command.mode.z_format),
            store.result.valid.eq(lanes.outcome.valid & target.store), store.result.columns.eq(target.columns),
            store.result.address.eq(target.z), store.result.data.eq(results),
        ]

        moving = feed.moving | issue.step.valid | lanes.busy | (self.vector_z.request.valid & self.vector_z.request.ready)
        m.d.sync += [
            self.activity.tag.eq(command.tag),
            self.activity.cause.eq(Mux(running, Mux(moving, Cause.BUSY, Cause.OPERAND), Cause.IDLE)),
        ]
        return m
