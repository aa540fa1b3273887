"""The tensor core: matrix products and convolutions from L1 to L1, or to the vector engine."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.common.stream import StreamFifo
from rtl.config import ChipConfig
from rtl.isa import Activity, Cause, Completion, TensorCommand
from rtl.l1.port import l1_ports
from rtl.tensor.accumulator import Accumulators
from rtl.tensor.array import Array
from rtl.tensor.dispatch import Dispatch
from rtl.tensor.drain import Drain
from rtl.tensor.frontend import Frontend
from rtl.tensor.issue import Issue
from rtl.tensor.job import IssueJob
from rtl.tensor.loader import WeightLoader
from rtl.tensor.operand import OperandRow
from rtl.tensor.reader import Reader
from rtl.tensor.turn import Turn
from rtl.tensor.walk_a import BlockNote, WalkA
from rtl.tensor.walk_b import WalkB, WeightNote
from rtl.tensor.walk_rows import Beat, WalkRows

__all__ = ["TensorCore"]

#: Accesses in flight: the round trip of an access is some 8 cycles, and conflicts in the L1 take a few more.
_DEPTH = 16


class TensorCore(wiring.Component):
    """Runs :class:`rtl.isa.TensorCommand` s in order, each as if the ones before were done, though they overlap: while one drains, the next
    computes, and a third is checked.

    Each of A, B, C and D is walked by strides on its own, and buffered, so that reads run ahead of the array.

    Members
    -------
    command
        Commands; `ready` comes from a register.
    done : {valid, completion}
        One pulse per command, in order, when every effect of it is visible. A refused command has no effect.
    activity
        What this cycle went into, registered. BUSY is a row of A that enters the array.
    tensor_a, tensor_b, tensor_c, tensor_d
        L1 ports.
    result
        Rows for the vector engine: for each column tile and row of m the columns ascending, `vector_lanes` a beat, zeros beyond the last.
    overflow
        One pulse for each row of A in which the exact sum of an INT8 group and its accumulator left int32; before the command is done.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        ports = {name: Out(port) for name, port in l1_ports(config).items() if name.startswith("tensor_")}
        super().__init__({
            "command": In(stream.Signature(TensorCommand)),
            "done": Out(data.StructLayout({"valid": 1, "completion": Completion})),
            "activity": Out(Activity),
            **ports,
            "result": Out(stream.Signature(data.ArrayLayout(32, config.vector_lanes))),
            "overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.frontend = frontend = Frontend(config)
        m.submodules.dispatch = dispatch = Dispatch(config)
        m.submodules.array = array = Array(config)
        m.submodules.issue = issue = Issue(config, array.latency)
        m.submodules.accumulators = accumulators = Accumulators(config)
        m.submodules.drain = drain = Drain(config)
        connect(m, flipped(self.command), frontend.command)
        connect(m, frontend.verdict, dispatch.verdict)
        connect(m, dispatch.drain, drain.job)

        # The job that computes, and the next.
        m.submodules.jobs = jobs = StreamFifo(IssueJob, 2)
        m.d.comb += [
            jobs.input.valid.eq(dispatch.issue.valid), dispatch.issue.ready.eq(jobs.input.ready),
            *(jobs.input.payload[name].eq(dispatch.issue.payload[name]) for name, _ in data.Layout.cast(IssueJob)),
        ]  # fmt: skip
        connect(m, jobs.output, issue.job)

        self._operands(m, dispatch, issue, array, accumulators)
        connect(m, issue.fetch, accumulators.fetch)
        connect(m, issue.store, accumulators.store)
        connect(m, drain.drain, accumulators.drain)
        m.d.comb += [
            array.enter.eq(issue.enter), array.c.eq(accumulators.c), issue.flags.eq(array.flags), issue.result.eq(array.result),
            accumulators.fresh.eq(issue.fresh), accumulators.stored.eq(array.result),
            drain.complete.eq(issue.complete), issue.release.eq(drain.release),
            drain.drain_ready.eq(accumulators.drain_ready), drain.drained.eq(accumulators.drained),
            dispatch.finished.eq(drain.finished), self.done.eq(dispatch.done), self.overflow.eq(array.overflow),
        ]  # fmt: skip
        connect(m, drain.write, flipped(self.tensor_d))
        connect(m, drain.result, flipped(self.result))

        # What this cycle goes into. Where all rows are issued and nothing is offered, only the accumulators of the last job are left.
        tag, waiting = Signal(16), Signal(Cause)
        computes, offered = jobs.output, dispatch.issue
        m.d.comb += [
            tag.eq(Mux(computes.valid, computes.payload.tag, Mux(offered.valid, offered.payload.tag, self.activity.tag))),
            waiting.eq(Mux(issue.hazard | (jobs.level == 0) & ~offered.valid, Cause.ACCUMULATOR, Cause.OPERAND)),
        ]
        m.d.sync += [
            self.activity.tag.eq(tag),
            self.activity.cause.eq(
                Mux(~dispatch.running, Cause.IDLE, Mux(issue.issued, Cause.BUSY, Mux(issue.skipped, Cause.SKIPPED, waiting)))
            ),
        ]
        return m

    def _operands(self, m, dispatch, issue, array, accumulators):
        """From the walks of A, B and C to the array."""
        config = self.config
        m.submodules.walk_a = walk_a = WalkA(config)
        m.submodules.walk_b = walk_b = WalkB(config)
        m.submodules.walk_c = walk_c = WalkRows(config)
        m.submodules.read_a = read_a = Reader(self.tensor_a.signature, BlockNote(config), _DEPTH)
        m.submodules.read_b = read_b = Reader(self.tensor_b.signature, WeightNote(config), _DEPTH, sized=True)
        m.submodules.read_c = read_c = Reader(self.tensor_c.signature, Beat(config), _DEPTH)
        m.submodules.turn = turn = Turn(config)
        m.submodules.loader = loader = WeightLoader(config)
        m.submodules.operand = operand = OperandRow(config)
        for reader, port in ((read_a, self.tensor_a), (read_b, self.tensor_b), (read_c, self.tensor_c)):
            connect(m, reader.port, flipped(port))
        connect(m, dispatch.a, walk_a.job)
        connect(m, dispatch.b, walk_b.job)
        connect(m, walk_a.access, read_a.access)
        connect(m, walk_b.access, read_b.access)
        connect(m, read_a.item, turn.item)
        connect(m, turn.row, issue.row)
        connect(m, read_b.item, loader.item)
        connect(m, read_c.item, operand.item)
        connect(m, loader.bus, array.weights)

        beat, access = walk_c.beat, read_c.access
        job, rows = dispatch.c.payload, walk_c.job.payload
        m.d.comb += [
            walk_c.job.valid.eq(dispatch.c.valid), dispatch.c.ready.eq(walk_c.job.ready),
            rows.once.eq(job.c_broadcast), rows.element.eq(2), rows.beat_columns.eq(config.pe_columns // 2),
            *(rows[name].eq(job[name]) for name in ("ow", "oh", "n", "batch")),
            rows.base.eq(job.c_base), rows.by_ow.eq(job.c_ow), rows.by_oh.eq(job.c_oh), rows.by_batch.eq(job.c_batch),
            access.payload.address.eq(beat.payload.address), access.payload.size.eq(beat.payload.columns << 2),
            access.payload.note.eq(beat.payload), access.valid.eq(beat.valid), beat.ready.eq(access.ready),
            issue.weights_full.eq(loader.full), issue.weights_finite.eq(loader.finite), loader.swap.eq(issue.swap),
            issue.c_rows.eq(operand.rows), operand.reserve.eq(issue.c_reserve), operand.take.eq(issue.c_take),
            accumulators.initial.eq(Mux(issue.accumulate, operand.row, 0)),
        ]  # fmt: skip
