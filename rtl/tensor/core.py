"""The tensor core: matrix products and convolutions from L1 to L1, or to the vector engine."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.config import ChipConfig
from rtl.isa import Activity, Cause, Completion, Status, TensorCommand
from rtl.l1.port import l1_ports
from rtl.tensor.accumulator import Accumulators
from rtl.tensor.array import Array
from rtl.tensor.drain import Drain
from rtl.tensor.frontend import Frontend
from rtl.tensor.issue import Issue
from rtl.tensor.job import JobLayout
from rtl.tensor.loader import WeightLoader
from rtl.tensor.operand import OperandRow
from rtl.tensor.reader import Reader
from rtl.tensor.walk_a import RowNote, WalkA
from rtl.tensor.walk_b import WalkB, WeightNote
from rtl.tensor.walk_rows import Beat, WalkRows

__all__ = ["TensorCore"]

#: Accesses in flight: the round trip of an access is some 8 cycles, and conflicts in the L1 take a few more.
_DEPTH = 16


class TensorCore(wiring.Component):
    """Runs :class:`rtl.isa.TensorCommand` s in order. Checks the next one while one runs; its accesses start when that one is done.

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
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.frontend = frontend = Frontend(config)
        m.submodules.issue = issue = Issue(config)
        m.submodules.array = array = Array(config)
        m.submodules.accumulators = accumulators = Accumulators(config)
        m.submodules.drain = drain = Drain(config)
        connect(m, flipped(self.command), frontend.command)

        # One job at a time; the verdict on the next one waits.
        job, running, start = Signal(JobLayout(config)), Signal(), Signal()
        verdict = frontend.verdict
        refused = verdict.payload.completion.status != Status.OK
        m.d.comb += verdict.ready.eq(~running)
        m.d.sync += [start.eq(0), self.done.valid.eq(0)]
        with m.If(verdict.valid & verdict.ready):
            m.d.sync += self.done.completion.eq(verdict.payload.completion)
            with m.If(refused):
                m.d.sync += self.done.valid.eq(1)
            with m.Else():
                m.d.sync += [job.eq(verdict.payload.job), running.eq(1), start.eq(1)]
        with m.Elif(running & ~start & drain.done):
            m.d.sync += [running.eq(0), self.done.valid.eq(1)]
        m.d.comb += [drain.start.eq(start), *(block.job.eq(job) for block in (issue, drain))]

        self._operands(m, job, start, issue, array, accumulators)
        connect(m, issue.fetch, accumulators.fetch)
        connect(m, issue.store, accumulators.store)
        connect(m, drain.drain, accumulators.drain)
        m.d.comb += [
            array.enter.eq(issue.enter), issue.leave.eq(array.leave), accumulators.stored.eq(array.result),
            drain.tile.eq(issue.tile), issue.release.eq(drain.release), drain.drained.eq(accumulators.drained),
        ]
        connect(m, drain.write, flipped(self.tensor_d))
        connect(m, drain.result, flipped(self.result))

        # What this cycle goes into. After the last row only the accumulators are left.
        issued_all = Signal()
        with m.If(start):
            m.d.sync += issued_all.eq(0)
        with m.Elif(issue.issued & issue.item.payload.note.last):
            m.d.sync += issued_all.eq(1)
        waiting = Mux(issue.hazard | (issued_all & ~start), Cause.ACCUMULATOR, Cause.OPERAND)
        m.d.sync += [
            self.activity.tag.eq(job.tag),
            self.activity.cause.eq(Mux(~running, Cause.IDLE, Mux(issue.issued, Cause.BUSY, waiting))),
        ]
        return m

    def _operands(self, m, job, start, issue, array, accumulators):
        """From the walks of A, B and C to the array."""
        config = self.config
        m.submodules.walk_a = walk_a = WalkA(config)
        m.submodules.walk_b = walk_b = WalkB(config)
        m.submodules.walk_c = walk_c = WalkRows(config)
        m.submodules.read_a = read_a = Reader(self.tensor_a.signature, RowNote(config), _DEPTH)
        m.submodules.read_b = read_b = Reader(self.tensor_b.signature, WeightNote(config), _DEPTH)
        m.submodules.read_c = read_c = Reader(self.tensor_c.signature, Beat(config), _DEPTH)
        m.submodules.loader = loader = WeightLoader(config)
        m.submodules.operand = operand = OperandRow(config)
        for reader, port in ((read_a, self.tensor_a), (read_b, self.tensor_b), (read_c, self.tensor_c)):
            connect(m, reader.port, flipped(port))
        connect(m, walk_a.access, read_a.access)
        connect(m, walk_b.access, read_b.access)
        connect(m, read_a.item, issue.item)
        connect(m, read_b.item, loader.item)
        connect(m, read_c.item, operand.item)
        connect(m, loader.bus, array.weights)

        beat, access = walk_c.beat, read_c.access
        m.d.comb += [
            *(block.job.eq(job) for block in (walk_a, walk_b, loader)), walk_a.start.eq(start), walk_b.start.eq(start),
            walk_c.start.eq(start & job.accumulate), walk_c.once.eq(job.c_broadcast),
            walk_c.element.eq(2), walk_c.beat_columns.eq(config.pe_columns // 2),
            walk_c.ow.eq(job.ow), walk_c.oh.eq(job.oh), walk_c.n.eq(job.n), walk_c.batch.eq(job.batch),
            walk_c.base.eq(job.c_base), walk_c.by_ow.eq(job.c_ow), walk_c.by_oh.eq(job.c_oh), walk_c.by_batch.eq(job.c_batch),
            access.payload.address.eq(beat.payload.address), access.payload.size.eq(beat.payload.columns << 2),
            access.payload.note.eq(beat.payload), access.valid.eq(beat.valid), beat.ready.eq(access.ready),
            issue.weights_full.eq(loader.full), loader.swap.eq(issue.swap),
            issue.operand_valid.eq(operand.valid), operand.take.eq(issue.operand_take),
            array.c.eq(Mux(issue.fresh, Mux(job.accumulate, operand.row, 0), accumulators.fetched)),
        ]  # fmt: skip
