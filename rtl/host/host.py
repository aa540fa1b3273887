"""The host block: registers, job queue, dispatcher and cycle counters behind an AXI4-Lite port."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4Lite
from rtl.bus.registers import RegisterFanout, RegisterPort
from rtl.config import ChipConfig
from rtl.host.axi_lite import ADDRESS_BITS, AxiLiteSlave
from rtl.host.counters import CauseCounters
from rtl.host.dispatcher import Dispatcher
from rtl.host.queue import JobQueue
from rtl.host.registers import MEMORY_ADDRESS_BITS, WATCHDOG_CYCLES, HostRegisters
from rtl.isa import MEMORY_BYTES, Window
from rtl.sequencer.interface import ENDED, LaneCauses, LaunchRequest

__all__ = ["MEMORY_REGISTERS", "Host"]

#: The registers of one memory controller.
MEMORY_REGISTERS = RegisterPort((MEMORY_BYTES - 1).bit_length())


class Host(wiring.Component):
    """What the host sees of the chip, and what runs its jobs. Everywhere, the cluster's own sequencer is the last of `sips` + 1.

    Members
    -------
    axi
        AXI4-Lite slave with the registers of `rtl.isa.HostRegister`, and those of the memory controllers.
    memory
        The registers of each memory controller (`rtl.isa.MemoryRegister`).
    interrupt
        High while an enabled bit of INTERRUPT is set.
    memory_ready
        Shown in STATUS.
    launch, ended, cancel
        See :class:`rtl.host.dispatcher.Dispatcher`.
    issue, completion
        A bit per sequencer, see there.
    overflow
        A bit per SIP, made sticky in OVERFLOW.
    causes
        Per sequencer, what its engines do in this cycle. Counted while a job runs, so the counts of an engine add up to JOB_TOTAL.
    windows, partition, watchdog
        L3 windows of all partitions, the running job's partition, and the limit of each sequencer's watchdog, in cycles. From registers;
        `windows` and `watchdog` change when the host writes them, `partition` between jobs.
    running
        A job runs.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        count = config.sips + 1
        super().__init__({
            "axi": In(AXI4Lite(ADDRESS_BITS)),
            "memory": Out(MEMORY_REGISTERS).array(config.channels),
            "interrupt": Out(1),
            "memory_ready": In(1),
            "launch": Out(stream.Signature(LaunchRequest)).array(count),
            "ended": In(ENDED).array(count),
            "cancel": Out(count),
            "issue": In(count),
            "completion": In(count),
            "overflow": In(config.sips),
            "causes": In(data.ArrayLayout(LaneCauses, count)),
            "windows": Out(data.ArrayLayout(Window, config.partitions)),
            "partition": Out(range(config.partitions)),
            "watchdog": Out(32, init=WATCHDOG_CYCLES),
            "running": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.slave = slave = AxiLiteSlave()
        m.submodules.registers = registers = HostRegisters(self.config)
        m.submodules.queue = queue = JobQueue(self.config.job_queue_depth)
        m.submodules.dispatcher = dispatcher = Dispatcher(self.config)
        wiring.connect(m, wiring.flipped(self.axi), slave.axi)
        wiring.connect(m, slave.write, registers.write)
        wiring.connect(m, slave.read, registers.read)
        m.submodules.memory = memory = RegisterFanout(MEMORY_ADDRESS_BITS, MEMORY_REGISTERS.address_bits, self.config.channels)
        wiring.connect(m, registers.memory, memory.port)
        for part, port in zip(memory.parts, self.memory, strict=True):
            wiring.connect(m, part, wiring.flipped(port))
        wiring.connect(m, queue.job, dispatcher.job)
        m.d.comb += [
            queue.push.eq(registers.push), queue.doorbell.eq(registers.doorbell),
            registers.full.eq(queue.full), registers.empty.eq(queue.empty),
            registers.queued.eq(queue.queued), registers.released.eq(queue.released),
            registers.running.eq(dispatcher.running), registers.result.eq(dispatcher.result),
            registers.memory_ready.eq(self.memory_ready), registers.overflow.eq(self.overflow),
            dispatcher.issue.eq(self.issue), dispatcher.completion.eq(self.completion),
            self.cancel.eq(dispatcher.cancel), self.partition.eq(dispatcher.partition), self.running.eq(dispatcher.running),
            self.windows.eq(registers.windows), self.watchdog.eq(registers.watchdog), self.interrupt.eq(registers.interrupt),
        ]
        for number, launch in enumerate(self.launch):
            wiring.connect(m, wiring.flipped(launch), dispatcher.launch[number])
            m.d.comb += dispatcher.ended[number].eq(self.ended[number])

        lane = Signal.like(registers.lane)
        m.d.sync += lane.eq(registers.lane)
        for number, causes in enumerate(self.causes):
            m.submodules[f"counters{number}"] = counters = CauseCounters()
            m.d.comb += [
                counters.clear.eq(dispatcher.start), counters.enable.eq(dispatcher.running), counters.causes.eq(causes),
                counters.engine.eq(registers.engine), counters.cause.eq(registers.cause),
            ]
            with m.If(lane == number):
                m.d.comb += registers.count.eq(counters.count)
        return m
