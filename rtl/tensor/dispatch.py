"""Dispatch: hands checked jobs to the walkers and to the drain, and says when each is done."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import Completion, Status
from rtl.tensor.frontend import BoxLayout, Verdict
from rtl.tensor.job import JobLayout

__all__ = ["Dispatch"]

_TAKERS = ("a", "b", "c", "issue", "drain")


class Dispatch(wiring.Component):
    """Offers one job to all that work on it; each takes it as soon as it is through with the job before.

    So a job is read and computed while the one before drains, and the next is offered when the drain has taken it. A job that reads what
    the one before writes to L1 is offered once that is done; a refused command is reported once all before it are done.

    Members
    -------
    verdict
        From the front end.
    a, b, c, issue, drain
        The offered job; `c` only for a job with a C operand.
    finished
        One pulse when the drain is done with a job.
    done
        One pulse per command, in order.
    running
        Some job isn't done.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "verdict": In(stream.Signature(Verdict(config))),
            **{name: Out(stream.Signature(JobLayout(config))) for name in _TAKERS},
            "finished": In(1), "done": Out(data.StructLayout({"valid": 1, "completion": Completion})), "running": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        job = Signal(JobLayout(self.config))
        takers = [getattr(self, name) for name in _TAKERS]
        for taker in takers:
            m.d.comb += taker.payload.eq(job)
            with m.If(taker.valid & taker.ready):
                m.d.sync += taker.valid.eq(0)

        # The drain takes a job when the one before is done, so while nothing is offered at most one isn't: the one whose D is `written`.
        unfinished = Signal(range(3))
        written, writes = Signal(BoxLayout(self.config)), Signal()
        boxes = self.verdict.payload.boxes

        def reads_written(box):
            return (box.low <= written.high) & (box.high >= written.low)

        accumulate = self.verdict.payload.job.accumulate
        depends = writes & (reads_written(boxes.a) | reads_written(boxes.b) | accumulate & reads_written(boxes.c))
        offered = Cat(taker.valid for taker in takers).any()
        refused = self.verdict.payload.completion.status != Status.OK
        idle = unfinished == 0
        take = Signal()
        m.d.comb += [
            self.verdict.ready.eq(~offered & (idle | ~refused & ~depends)),
            take.eq(self.verdict.valid & self.verdict.ready),
            self.running.eq(~idle),
        ]
        m.d.sync += [
            unfinished.eq(unfinished + (take & ~refused) - self.finished),
            self.done.valid.eq(self.finished | (take & refused)), self.done.completion.eq(0),
        ]  # fmt: skip
        with m.If(take & refused):
            m.d.sync += self.done.completion.eq(self.verdict.payload.completion)
        with m.If(take & ~refused):
            m.d.sync += [
                job.eq(self.verdict.payload.job), written.eq(boxes.d), writes.eq(~self.verdict.payload.job.to_vector),
                *(taker.valid.eq(1) for taker in takers), self.c.valid.eq(accumulate),
            ]  # fmt: skip
        return m
