"""The data engine: moves, fills and slices tensors of rank 5 between L1, L2 and L3."""

from amaranth import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, CHUNK_BYTES, FABRIC_ADDRESS_BITS
from rtl.common.stream import StreamFifo
from rtl.config import ChipConfig
from rtl.data_engine.byte_fifo import ByteFifo
from rtl.data_engine.front_end import FrontEnd
from rtl.data_engine.job import JobKind
from rtl.data_engine.ledger import Ledger
from rtl.data_engine.mid_end import MidEnd
from rtl.data_engine.reader import AXI_ID_BITS, Reader
from rtl.data_engine.splitter import Run
from rtl.data_engine.writer import Writer
from rtl.isa import Activity, Cause, Completion, DataCommand, Window
from rtl.l1.port import L1Read, L1Write

__all__ = ["DataEngine"]

#: Jobs that the read side may be ahead of the write side: rows of one beat fill a FIFO of two chunks.
RUNS = 16


class DataEngine(wiring.Component):
    """Front end (checks) -> mid end (rows, jobs) -> back end (read side, byte FIFO, write side), as in `docs/data_engine.md`.

    A beat of `config.bus_bytes` a cycle on long rows; reads run ahead across rows and commands.

    Parameters
    ----------
    config : ChipConfig
    cluster : bool
        The cluster's own engine has no L1: L1 as an operand ends with UNSUPPORTED.

    Members
    -------
    command : stream of DataCommand
        Accepted while others run; effects and `done` are in order, and a command sees what the ones before it wrote.
    done : {valid, completion}
        Registered, one cycle for each command that was started or refused.
    activity : Activity
        Registered. `tag` is of the oldest command; `read` and `write` count useful bytes from and to L3, of any command.
    flush
        Drops the commands that have not started, and those that are accepted while it is high: they get no `done`. What
        runs, at most `SLOTS` commands, ends as always. The engine is idle once `activity` says so with `flush` high or no command offered.
    window : {base, limit}
        The job's partition of L3; to be held while a command is inside.
    data_read, data_write
        L1 ports (not with `cluster`).
    axi : AXI4
        Master with identifier 0. Bursts as the fabric asks; `rready` and `bready` are always high.
    """

    def __init__(self, config: ChipConfig, cluster: bool = False):
        self._config = config
        self._cluster = cluster
        members = {
            "command": In(stream.Signature(DataCommand)),
            "done": Out(data.StructLayout({"valid": 1, "completion": Completion})),
            "activity": Out(Activity),
            "flush": In(1),
            "window": In(Window),
            "axi": Out(AXI4(FABRIC_ADDRESS_BITS, config.bus_bytes, AXI_ID_BITS)),
        }
        if not cluster:
            members["data_read"] = Out(L1Read(config.l1_address_bits, config.bus_bytes))
            members["data_write"] = Out(L1Write(config.l1_address_bits, config.bus_bytes))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        front_end = FrontEnd(self._config, self._cluster)
        m.submodules.front_end = ResetInserter(self.flush)(front_end)
        m.submodules.mid_end = mid_end = MidEnd()
        m.submodules.ledger = ledger = Ledger()
        m.submodules.reader = reader = Reader(self._config, self._cluster)
        m.submodules.writer = writer = Writer(self._config, self._cluster)
        # As many chunks as there are bursts in flight, so that the fabric's latency is covered; a power of two for its addresses.
        chunks = 1 << (max(self._config.outstanding, 2) - 1).bit_length()
        m.submodules.byte_fifo = byte_fifo = ByteFifo(self._config.bus_bytes, chunks * CHUNK_BYTES)

        wiring.connect(m, wiring.flipped(self.command), front_end.command)
        wiring.connect(m, front_end.task, mid_end.task)
        m.d.comb += [
            front_end.window.eq(self.window),
            ledger.started.eq(mid_end.task.valid & mid_end.task.ready), mid_end.start.eq(ledger.start), mid_end.slot.eq(ledger.slot),
            self.done.eq(ledger.done),
        ]
        m.d.comb += [ledger.command[name].eq(front_end.task.payload[name]) for name, _ in ledger.command.shape()]

        # A job goes to both sides at once; the read side needs only those that copy.
        m.submodules.reads = reads = StreamFifo(Run, RUNS)
        m.submodules.writes = writes = StreamFifo(Run, RUNS)
        wiring.connect(m, reads.output, reader.run)
        wiring.connect(m, writes.output, writer.run)
        job = mid_end.job.payload
        copies = job.kind == JobKind.COPY
        both = Signal()
        m.d.comb += [
            both.eq(reads.input.ready & writes.input.ready),
            mid_end.job.ready.eq(both),
            reads.input.valid.eq(mid_end.job.valid & both & copies),
            writes.input.valid.eq(mid_end.job.valid & both),
            reads.input.payload.space.eq(job.source), reads.input.payload.address.eq(job.source_address),
            writes.input.payload.space.eq(job.destination), writes.input.payload.address.eq(job.destination_address),
            writes.input.payload.pattern.eq(job.source_address),
        ]
        for run in (reads.input.payload, writes.input.payload):
            m.d.comb += [run.bytes.eq(job.bytes), run.kind.eq(job.kind), run.slot.eq(job.slot), run.last.eq(job.last)]

        m.d.comb += [
            reader.room.eq(byte_fifo.room), byte_fifo.reserve.eq(reader.reserve), byte_fifo.push.eq(reader.push),
            writer.available.eq(byte_fifo.available), byte_fifo.claim.eq(writer.claim), byte_fifo.pop.eq(writer.pop),
            writer.data.eq(byte_fifo.data),
            ledger.finished.eq(writer.finished), ledger.issued.eq(writer.issued),
            ledger.read_error.eq(reader.error), ledger.write_error.eq(writer.error),
        ]

        for side in (reader, writer):
            for name, member in side.axi.signature.members.items():
                ours, theirs = getattr(self.axi, name), getattr(side.axi, name)
                m.d.comb += ours.eq(theirs) if member.flow is Out else theirs.eq(ours)
        if not self._cluster:
            wiring.connect(m, reader.l1, wiring.flipped(self.data_read))
            wiring.connect(m, writer.l1, wiring.flipped(self.data_write))

        activity = self.activity
        m.d.sync += [activity.read.eq(reader.l3_bytes), activity.write.eq(writer.l3_bytes)]
        with m.If(ledger.busy):
            m.d.sync += [activity.tag.eq(ledger.tag), activity.cause.eq(ledger.waiting)]
            with m.If(writer.moved):
                m.d.sync += activity.cause.eq(Cause.BUSY)
            with m.Elif(writer.memory_stall):
                m.d.sync += activity.cause.eq(Cause.MEMORY)
            with m.Elif(writer.l1_stall):
                m.d.sync += activity.cause.eq(Cause.OPERAND)
        with m.Else():
            m.d.sync += [
                activity.tag.eq(Mux(front_end.busy, front_end.tag, 0)),
                activity.cause.eq(Mux(front_end.busy, Mux(front_end.memory, Cause.MEMORY, Cause.OPERAND), Cause.IDLE)),
            ]
        return m
