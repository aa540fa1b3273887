"""The host registers of `rtl.isa.HostRegister`: identity, jobs, interrupts, the error record, windows."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.registers import RegisterPort, RegisterRead, RegisterWrite
from rtl.config import ChipConfig
from rtl.host.axi_lite import ADDRESS_BITS
from rtl.host.interface import DOORBELL, NO_SIP, PUSH, RESULT, JobDescriptor
from rtl.isa import (
    COUNTER_BASE,
    ISA_VERSION,
    MEMORY_BASE,
    Cause,
    Engine,
    ErrorRecord,
    HostRegister,
    Interrupt,
    Status,
    Window,
    window_access_address,
    window_address,
)

__all__ = ["CLUSTER_ID", "MEMORY_ADDRESS_BITS", "WATCHDOG_CYCLES", "HostRegisters"]

#: "MGCU" in memory order.
CLUSTER_ID = 0x5543474D

#: Cycles without progress before a SIP gives up, after reset.
WATCHDOG_CYCLES = 1_000_000

#: The upper half of the address space belongs to the memory controllers.
MEMORY_ADDRESS_BITS = ADDRESS_BITS - 1
assert MEMORY_BASE == 1 << MEMORY_ADDRESS_BITS

_LANE_BITS = 5


class HostRegisters(wiring.Component):
    """Every register but the counters, the error record and the interrupt.

    - Writes take the bytes of their strobes; the others keep their value in a register that can be read back and count as zero in DOORBELL
      and INTERRUPT. A write without any strobe has no effect.
    - Writes to a read-only register and reads of a write-only one are OKAY, without effect and zero.
    - An address that has no register answers with an error and makes a BAD_REGISTER record.
    - A limit of 0xFFFFFFFF means 2^32: a window of the last byte alone can't be left out, and 4 GiB can be written.
    - The record of what the host did wrong has `sip` = `NO_SIP`, engine SEQUENCER and, for BAD_REGISTER, the register's address.

    Members
    -------
    write, read
        Accesses from :class:`rtl.host.axi_lite.AxiLiteSlave`.
    memory
        What lies from MEMORY_BASE on; its errors are answered and recorded as those of an address that has no register.
    push, doorbell, full, empty, queued, released
        To and from :class:`rtl.host.queue.JobQueue`.
    running, memory_ready, result, overflow
        The state of the chip, and the end of each job.
    lane, engine, cause, count
        The cycle counter to read; `count` answers one cycle later.
    windows, watchdog, interrupt
        To the chip, from registers.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        depth = range(config.job_queue_depth + 1)
        super().__init__({
            "write": In(RegisterWrite(ADDRESS_BITS)),
            "read": In(RegisterRead(ADDRESS_BITS)),
            "memory": Out(RegisterPort(MEMORY_ADDRESS_BITS)),
            "push": Out(PUSH),
            "doorbell": Out(DOORBELL),
            "full": In(1),
            "empty": In(1),
            "queued": In(depth),
            "released": In(depth),
            "running": In(1),
            "memory_ready": In(1),
            "result": In(RESULT),
            "overflow": In(config.sips),
            "lane": Out(_LANE_BITS),
            "engine": Out(Engine),
            "cause": Out(Cause),
            "count": In(32),
            "windows": Out(data.ArrayLayout(Window, config.partitions)),
            "watchdog": Out(32, init=WATCHDOG_CYCLES),
            "interrupt": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, register = self.config, HostRegister

        job = Signal(JobDescriptor)
        enable, status = Signal(len(Interrupt)), Signal(len(Interrupt))
        jobs_done, job_status, job_cycles, job_total = Signal(32), Signal(Status), Signal(32), Signal(32)
        cycle, cycle_high = Signal(64), Signal(32)
        record = Signal(ErrorRecord)
        overflow = Signal(config.sips)
        limit = min(config.l3_bytes, 0xFFFFFFFF)
        bases = [Signal(32, name=f"base{number}") for number in range(config.partitions)]
        limits = [Signal(32, name=f"limit{number}", init=limit) for number in range(config.partitions)]
        accesses = [Signal(2, name=f"access{number}", init=3) for number in range(config.partitions)]
        for window, base, limit, access in zip(self.windows, bases, limits, accesses, strict=True):
            m.d.comb += [window.base.eq(base), window.limit.eq(limit + limit.all()), window.read.eq(access[0]), window.write.eq(access[1])]

        words = {
            register.JOB_IMAGE: job.image, register.JOB_ARGS: job.args, register.JOB_ARG_COUNT: job.arg_count, register.JOB_MASK: job.mask,
            register.JOB_PARTITION: job.partition, register.INTERRUPT_ENABLE: enable, register.WATCHDOG: self.watchdog,
        }
        for number, (base, limit, access) in enumerate(zip(bases, limits, accesses, strict=True)):
            words |= {window_address(number): base, window_address(number) + 4: limit, window_access_address(number): access}
        readable = {
            register.ID: CLUSTER_ID, register.VERSION: ISA_VERSION,
            register.FINGERPRINT_LO: config.fingerprint & 0xFFFFFFFF, register.FINGERPRINT_HI: config.fingerprint >> 32,
            register.BUILD_LO: config.build_hash & 0xFFFFFFFF, register.BUILD_HI: config.build_hash >> 32,
            register.SIPS: config.sips, register.MEMORY_BYTES: config.l3_bytes >> 10,
            register.QUEUE: self.queued | (self.released << 8), register.STATUS: Cat(self.running, self.memory_ready),
            register.INTERRUPT: status, register.JOBS_DONE: jobs_done, register.JOB_STATUS: job_status.as_value(),
            register.JOB_CYCLES: job_cycles, register.JOB_TOTAL: job_total,
            register.CYCLE_LO: cycle[:32], register.CYCLE_HI: cycle_high,
            register.ERROR_CAUSE: Cat(record.status, record.sip, record.engine), register.ERROR_ADDRESS: record.address,
            register.ERROR_PC: record.pc, register.ERROR_COMMAND_LO: record.command[:32], register.ERROR_COMMAND_HI: record.command[32:],
            register.OVERFLOW: overflow,
            **words,
        }
        write_only = (register.JOB_PUSH, register.DOORBELL)

        # The memory controllers' half.
        memory, words_below = self.memory, MEMORY_ADDRESS_BITS - 2
        write_memory, read_memory, was_memory = self.write.address[-1], self.read.address[-1], Signal()
        m.d.sync += was_memory.eq(read_memory)
        m.d.comb += [
            memory.write.valid.eq(self.write.valid & write_memory), memory.write.address.eq(self.write.address[:words_below]),
            memory.write.data.eq(self.write.data), memory.write.strobe.eq(self.write.strobe),
            memory.read.valid.eq(self.read.valid & read_memory), memory.read.address.eq(self.read.address[:words_below]),
        ]

        # Writes.
        strobe = Cat(bit.replicate(8) for bit in self.write.strobe)
        given = self.write.data & strobe
        writes = {}
        with m.Switch(self.write.address):
            for address in (*readable, *write_only):
                hit = writes[address] = Signal(name=f"write_{int(address):x}")
                with m.Case(int(address) >> 2):
                    m.d.comb += hit.eq(self.write.valid & self.write.strobe.any())
            with m.Default():
                m.d.comb += self.write.error.eq(Mux(write_memory, memory.write.error, ~self._is_counter(self.write.address)))
        for address, word in words.items():
            with m.If(writes[address]):
                m.d.sync += word.eq((word & ~strobe) | given)
        m.d.comb += [
            self.push.valid.eq(writes[register.JOB_PUSH]), self.push.job.eq(job),
            self.doorbell.valid.eq(writes[register.DOORBELL]), self.doorbell.count.eq(given),
        ]

        m.d.sync += overflow.eq(Mux(writes[register.OVERFLOW], 0, overflow) | self.overflow)

        # Reads.
        counter, found, unknown = Signal(), Signal(32), Signal()
        m.d.comb += Cat(self.cause, self.engine, self.lane).eq(self.read.address)
        m.d.sync += [counter.eq(self._is_counter(self.read.address)), unknown.eq(0)]
        with m.Switch(self.read.address):
            for address, value in readable.items():
                with m.Case(int(address) >> 2):
                    m.d.sync += found.eq(value)
            with m.Case(*(int(address) >> 2 for address in write_only)):
                m.d.sync += found.eq(0)
            with m.Default():
                m.d.sync += [found.eq(0), unknown.eq(~self._is_counter(self.read.address))]
        m.d.comb += [
            self.read.data.eq(Mux(was_memory, memory.read.data, Mux(counter, self.count, found))),
            self.read.error.eq(Mux(was_memory, memory.read.error, unknown)),
        ]
        m.d.sync += cycle.eq(cycle + 1)
        with m.If(self.read.valid & (self.read.address == register.CYCLE_LO >> 2)):
            m.d.sync += cycle_high.eq(cycle[32:])

        # Jobs that end, errors, interrupts.
        with m.If(self.result.valid):
            m.d.sync += [
                jobs_done.eq(jobs_done + 1), job_status.eq(self.result.record.status),
                job_cycles.eq(self.result.cycles), job_total.eq(self.result.total),
            ]
        refused = self.read.error & _last(m, self.read.valid)
        read_address = _last(m, self.read.address)
        error = Signal(ErrorRecord)
        m.d.comb += [error.sip.eq(NO_SIP), error.engine.eq(Engine.SEQUENCER)]
        with m.If(self.result.valid & (self.result.record.status != Status.OK)):
            m.d.comb += error.eq(self.result.record)
        with m.Elif(self.full):
            m.d.comb += error.status.eq(Status.QUEUE_FULL)
        with m.Elif(self.empty):
            m.d.comb += error.status.eq(Status.DOORBELL_EMPTY)
        with m.Elif(self.write.valid & self.write.error):
            m.d.comb += [error.status.eq(Status.BAD_REGISTER), error.address.eq(self.write.address << 2)]
        with m.Elif(refused):
            m.d.comb += [error.status.eq(Status.BAD_REGISTER), error.address.eq(read_address << 2)]
        failed = error.status != Status.OK
        with m.If(failed & ((record.status == Status.OK) | writes[register.ERROR_CAUSE])):
            m.d.sync += record.eq(error)
        with m.Elif(writes[register.ERROR_CAUSE]):
            m.d.sync += record.eq(0)
        happened = Signal(len(Interrupt))
        m.d.comb += [happened[Interrupt.JOB_DONE].eq(self.result.valid), happened[Interrupt.ERROR].eq(failed)]
        m.d.sync += [
            status.eq((status & ~Mux(writes[register.INTERRUPT], given, 0)) | happened),
            self.interrupt.eq((status & enable).any()),
        ]
        return m

    def _is_counter(self, address):
        """Whether a word address is that of a cycle counter."""
        base = COUNTER_BASE >> 2
        index = address - base
        return (address >= base) & (index < (self.config.sips + 1) * 0x20) & (address[:3] < len(Cause))


def _last(m: Module, value):
    """`value` one cycle ago."""
    register = Signal(len(value))
    m.d.sync += register.eq(value)
    return register
