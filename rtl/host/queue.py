"""The job queue: jobs wait here until a doorbell releases them."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamFifo
from rtl.host.interface import DOORBELL, PUSH, JobDescriptor

__all__ = ["JobQueue"]


class JobQueue(wiring.Component):
    """Holds up to `depth` jobs, released or not, and hands out the released ones in order.

    Members
    -------
    push, full
        Adds a job. In the cycle of a push that finds no room, `full` is high and the job is lost.
    doorbell, empty
        Releases `count` of the jobs that were pushed before. With fewer than that, `empty` is high in this cycle and none is released.
    job
        The oldest released job.
    queued, released
        Jobs that are not released yet; jobs that are released and not taken.
    """

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__({
            "push": In(PUSH),
            "full": Out(1),
            "doorbell": In(DOORBELL),
            "empty": Out(1),
            "job": Out(stream.Signature(JobDescriptor)),
            "queued": Out(range(depth + 1)),
            "released": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.jobs = jobs = StreamFifo(JobDescriptor, self.depth)
        taken, pushed, rung = Signal(), Signal(), Signal(range(self.depth + 1))
        m.d.comb += [
            self.full.eq(self.push.valid & (self.queued + self.released == self.depth)),
            self.empty.eq(self.doorbell.valid & (self.doorbell.count > self.queued)),
            pushed.eq(self.push.valid & ~self.full),
            jobs.input.payload.eq(self.push.job), jobs.input.valid.eq(pushed),
            self.job.payload.eq(jobs.output.payload), self.job.valid.eq(jobs.output.valid & (self.released != 0)),
            jobs.output.ready.eq(taken), taken.eq(self.job.valid & self.job.ready),
        ]
        with m.If(self.doorbell.valid & ~self.empty):
            m.d.comb += rung.eq(self.doorbell.count)
        m.d.sync += [self.queued.eq(self.queued + pushed - rung), self.released.eq(self.released + rung - taken)]
        return m
