"""The dispatcher: runs the released jobs one at a time on the sequencers of their masks."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.host.interface import RESULT, JobDescriptor
from rtl.isa import Engine, ErrorRecord, Status
from rtl.sequencer.interface import ENDED, LaunchRequest

__all__ = ["Dispatcher"]

#: An image and its arguments are aligned to this many bytes.
_ALIGN = 64


class Dispatcher(wiring.Component):
    """Checks a job, launches every sequencer of its mask in the same cycle, and waits until all of them have ended.

    The first part that fails gives the job's record (the lowest SIP, if several fail in one cycle), and all others are aborted. A
    job that can't be launched ends with BAD_JOB: an empty mask or one beyond the cluster's bit, more than 32 arguments, a partition
    that doesn't exist, an image or arguments (if any) that are not aligned to 64 byte. Its record names the lowest SIP of the mask.

    Members
    -------
    job
        Released jobs. The next one is taken two cycles after the end of the one before.
    launch, ended, cancel
        To and from sequencer i, the cluster's own last. `cancel` is a bit for each, high from a failure until that one has ended.
    issue, completion
        A bit per sequencer: an engine of it took a command, gave one back.
    partition
        Window that the running job uses.
    start, running
        One pulse before, and high while, a job's parts run: `total` is the number of cycles of `running`.
    result
        One pulse at the end of each job.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        self.count = config.sips + 1
        super().__init__({
            "job": In(stream.Signature(JobDescriptor)),
            "launch": Out(stream.Signature(LaunchRequest)).array(self.count),
            "ended": In(ENDED).array(self.count),
            "cancel": Out(self.count),
            "issue": In(self.count),
            "completion": In(self.count),
            "partition": Out(range(config.partitions)),
            "start": Out(1),
            "running": Out(1),
            "result": Out(RESULT),
        })

    def elaborate(self, platform):
        m = Module()
        job = Signal(JobDescriptor)
        record = Signal(ErrorRecord)
        pending, launching = Signal(self.count), Signal(self.count)
        total, elapsed, cycles = Signal(32), Signal(32), Signal(32)
        issued = Signal()

        for number, launch in enumerate(self.launch):
            m.d.comb += [
                launch.valid.eq(launching[number]), launch.payload.image.eq(job.image), launch.payload.args.eq(job.args),
                launch.payload.arg_count.eq(job.arg_count),
            ]
        ended = Cat(part.valid for part in self.ended)
        accepted = Cat(launch.ready for launch in self.launch)
        failure = Signal(ErrorRecord)
        # The lowest one is assigned last, so it wins.
        for number, part in reversed(list(enumerate(self.ended))):
            with m.If(part.valid & pending[number] & (part.record.status != Status.OK)):
                m.d.comb += [
                    failure.status.eq(part.record.status), failure.sip.eq(number), failure.engine.eq(part.record.engine),
                    failure.address.eq(part.record.address), failure.pc.eq(part.record.pc), failure.command.eq(part.record.command),
                ]

        lowest = Signal(5)
        for number in reversed(range(32)):
            with m.If(job.mask[number]):
                m.d.comb += lowest.eq(number)
        misaligned = (job.image % _ALIGN != 0) | ((job.arg_count != 0) & (job.args % _ALIGN != 0))
        bad = Signal()
        m.d.comb += bad.eq(
            (job.mask == 0) | (job.mask[self.count:] != 0) | (job.arg_count > ChipConfig.REGISTERS)
            | (job.partition >= self.config.partitions) | misaligned
        )

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.job.ready.eq(1)
                with m.If(self.job.valid):
                    m.d.sync += job.eq(self.job.payload)
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += self.start.eq(1)
                m.d.sync += [record.eq(0), total.eq(0), cycles.eq(0), issued.eq(0)]
                with m.If(bad):
                    m.d.sync += [record.status.eq(Status.BAD_JOB), record.sip.eq(lowest), record.engine.eq(Engine.SEQUENCER)]
                    m.next = "END"
                with m.Else():
                    m.d.sync += [pending.eq(job.mask), launching.eq(job.mask), self.partition.eq(job.partition)]
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.running.eq(1)
                m.d.sync += [
                    launching.eq(launching & ~accepted), pending.eq(pending & ~ended), total.eq(total + 1),
                    # One cycle after its end, nobody is told to stop any more.
                    self.cancel.eq(Mux((record.status != Status.OK) | (failure.status != Status.OK), pending & ~ended, 0)),
                ]
                with m.If((record.status == Status.OK) & (failure.status != Status.OK)):
                    m.d.sync += record.eq(failure)
                with m.If(self.issue.any() & ~issued):
                    m.d.sync += [issued.eq(1), elapsed.eq(1)]
                with m.Elif(issued):
                    m.d.sync += elapsed.eq(elapsed + 1)
                with m.If(self.completion.any() & issued):
                    m.d.sync += cycles.eq(elapsed)
                with m.If(pending == 0):
                    m.next = "END"
            with m.State("END"):
                m.d.comb += self.result.valid.eq(1)
                m.next = "IDLE"
        m.d.comb += [self.result.record.eq(record), self.result.cycles.eq(cycles), self.result.total.eq(total)]
        return m
