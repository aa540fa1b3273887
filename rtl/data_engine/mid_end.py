"""Mid end: walks the rows of a task and turns each into one to three jobs."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.job import RANK, SLOT_BITS, Job, JobKind, Task
from rtl.isa import Status

__all__ = ["MidEnd"]


class _Part(enum.Enum, shape=2):
    HEAD = 0
    BODY = 1
    TAIL = 2


class MidEnd(wiring.Component):
    """Issues a job a cycle; one cycle more between two tasks.

    Each dimension keeps the addresses at which its current index began, so that a step is one addition and nothing is multiplied.

    Members
    -------
    task : stream
        Taken when the walk before it has ended and `start` allows it: from then on the command is under way and will be done.
    slot
        The ledger's number for the task that is taken.
    start
        The ledger has a slot, and no write that is under way could change what the task reads.
    job : stream
        In order; the last one of a command has `last`. A refused command is one job of kind NONE.
    """

    task: In(stream.Signature(Task))
    slot: In(SLOT_BITS)
    start: In(1)
    job: Out(stream.Signature(Job))

    def elaborate(self, platform):
        m = Module()
        task = Signal(Task)
        slot = Signal.like(self.slot)
        walking = Signal()
        index = Signal(data.ArrayLayout(16, RANK))
        # Addresses of the current row (0), and of the first row of the current index of dimension d.
        source = Signal(data.ArrayLayout(32, RANK))
        destination = Signal(data.ArrayLayout(32, RANK))
        part = Signal(_Part)

        m.d.comb += self.task.ready.eq(~walking & self.start)
        with m.If(self.task.valid & self.task.ready):
            given = self.task.payload
            m.d.sync += [
                task.eq(given), slot.eq(self.slot), walking.eq(1), index.eq(0),
                part.eq(Mux(given.head != 0, _Part.HEAD, _Part.BODY)),
            ]
            m.d.sync += [source[d].eq(given.source_base) for d in range(RANK)]
            m.d.sync += [destination[d].eq(given.destination_base) for d in range(RANK)]

        # The job of this part of the row.
        refused = task.status != Status.OK
        inside = Signal()
        m.d.comb += inside.eq(task.copy & Cat((index[d] - task.low[d])[:16] < task.count[d] for d in range(RANK)).all())
        tail = Signal.like(task.row)
        before_tail = Signal.like(task.row)
        m.d.comb += [before_tail.eq(task.head + task.body), tail.eq(task.row - before_tail)]
        row_ends = Signal()
        job = self.job.payload
        m.d.comb += [
            self.job.valid.eq(walking),
            job.source.eq(task.source), job.destination.eq(task.destination), job.slot.eq(slot),
            job.kind.eq(JobKind.FILL), job.source_address.eq(task.fill),
            job.destination_address.eq(destination[0]),
            row_ends.eq(1),
        ]
        with m.If(refused):
            m.d.comb += [job.kind.eq(JobKind.NONE), job.bytes.eq(0)]
        with m.Elif(~inside):
            m.d.comb += job.bytes.eq(task.row)
        with m.Elif(part == _Part.HEAD):
            m.d.comb += [job.bytes.eq(task.head), row_ends.eq(0)]
        with m.Elif(part == _Part.BODY):
            m.d.comb += [
                job.kind.eq(JobKind.COPY), job.bytes.eq(task.body), row_ends.eq(tail == 0),
                job.source_address.eq(source[0] + task.head[:32]),
                job.destination_address.eq(destination[0] + task.head[:32]),
            ]
        with m.Else():
            m.d.comb += [job.bytes.eq(tail), job.destination_address.eq(destination[0] + before_tail[:32])]

        # The next row: the innermost dimension that isn't at its end steps, those below it begin anew.
        at_end = [index[d] == task.size[d] - 1 for d in range(RANK)]
        stepping = Signal(range(RANK))
        for d in reversed(range(RANK)):
            with m.If(~at_end[d]):
                m.d.comb += stepping.eq(d)

        def pick(members):
            return Array(members[d] for d in range(RANK))[stepping]

        ended = Signal()
        m.d.comb += [ended.eq(Cat(at_end).all()), job.last.eq(row_ends & (ended | refused))]
        next_source, next_destination = Signal(32), Signal(32)
        m.d.comb += [
            next_source.eq(pick(source) + pick(task.source_stride)),
            next_destination.eq(pick(destination) + pick(task.destination_stride)),
        ]
        with m.If(self.job.valid & self.job.ready):
            with m.If(row_ends):
                m.d.sync += part.eq(Mux(task.head != 0, _Part.HEAD, _Part.BODY))
                for d in range(RANK):
                    with m.If(stepping > d):
                        m.d.sync += index[d].eq(0)
                    with m.If(stepping >= d if d else 1):
                        m.d.sync += [source[d].eq(next_source), destination[d].eq(next_destination)]
                    with m.If(stepping == d):
                        m.d.sync += index[d].eq(index[d] + 1)
                with m.If(job.last):
                    m.d.sync += walking.eq(0)
            with m.Elif(part == _Part.HEAD):
                m.d.sync += part.eq(_Part.BODY)
            with m.Else():
                m.d.sync += part.eq(_Part.TAIL)
        return m

