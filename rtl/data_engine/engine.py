"""The data engine: any move of a tensor of rank 5 between L1, L2 and L3, in one pass."""

from amaranth import Module, Mux, ResetInserter
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, CHUNK_BYTES, FABRIC_ADDRESS_BITS
from rtl.common.stream import StreamFifo
from rtl.config import ChipConfig
from rtl.data_engine.byte_fifo import ByteFifo
from rtl.data_engine.expand import Coalescer, ReadExpander, WriteExpander
from rtl.data_engine.front_end import FrontEnd
from rtl.data_engine.job import ReadBlock, Segment, WriteBlock
from rtl.data_engine.ledger import Ledger
from rtl.data_engine.mid_end import MidEnd
from rtl.data_engine.queue import SramFifo
from rtl.data_engine.reader import AXI_ID_BITS, Reader
from rtl.data_engine.reshape.reshaper import Reshaper
from rtl.data_engine.writer import Writer
from rtl.isa import Activity, Cause, Completion, DataCommand, Window
from rtl.l1.port import L1Read, L1Write

__all__ = ["DataEngine"]

#: Blocks that the read side may be ahead of the write side: rows of one beat, for the time to L3 and back.
BLOCKS = 64

#: Bytes on their way in: what a bus of 16 byte gives in 256 cycles covers the time to L3 and back, some 140 cycles through the fabric and
#: a busy controller.
ARRIVALS = 8192


class DataEngine(wiring.Component):
    """Front end (checks) -> mid end (blocks) -> back end (reader, arrivals, reshaper, departures, writer), as in `docs/data_engine.md`.

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
        m.submodules.mid_end = mid_end = MidEnd(self._config.bus_bytes)
        m.submodules.ledger = ledger = Ledger()
        m.submodules.reader = reader = Reader(self._config, self._cluster)
        m.submodules.writer = writer = Writer(self._config, self._cluster)
        m.submodules.reshaper = reshaper = Reshaper(self._config.bus_bytes)
        m.submodules.arrivals = arrivals = ByteFifo(self._config.bus_bytes, ARRIVALS)
        m.submodules.departures = departures = ByteFifo(self._config.bus_bytes, 2 * CHUNK_BYTES)

        wiring.connect(m, wiring.flipped(self.command), front_end.command)
        wiring.connect(m, front_end.task, mid_end.task)
        task = front_end.task.payload
        m.d.comb += [
            front_end.window.eq(self.window),
            ledger.started.eq(mid_end.task.valid & mid_end.task.ready), mid_end.start.eq(ledger.start), mid_end.slot.eq(ledger.slot),
            ledger.source.eq(task.source_box), ledger.list.eq(task.list_box), ledger.gathers.eq(task.gather),
            ledger.command.tag.eq(task.tag), ledger.command.status.eq(task.status), ledger.command.address.eq(task.address),
            ledger.command.reads.eq(task.reads), ledger.command.source.eq(task.source_box.space),
            ledger.command.destination.eq(task.destination_box),
            self.done.eq(ledger.done),
        ]

        # Blocks to runs. A part of a gather's list goes before the next block.
        m.submodules.reads = reads = StreamFifo(ReadBlock, 4)
        m.submodules.writes = writes = SramFifo(WriteBlock, BLOCKS)
        m.submodules.segments = segments = SramFifo(Segment, BLOCKS)
        m.submodules.read_expander = read_expander = ReadExpander()
        m.submodules.read_coalescer = read_coalescer = Coalescer()
        m.submodules.write_expander = write_expander = WriteExpander()
        m.submodules.write_coalescer = write_coalescer = Coalescer()
        wiring.connect(m, mid_end.read, reads.input)
        wiring.connect(m, mid_end.write, writes.input)
        wiring.connect(m, mid_end.segment, segments.input)
        wiring.connect(m, segments.output, reshaper.segment)
        wiring.connect(m, read_expander.run, read_coalescer.input)
        wiring.connect(m, read_coalescer.output, reader.run)
        wiring.connect(m, writes.output, write_expander.block)
        wiring.connect(m, write_expander.run, write_coalescer.input)
        wiring.connect(m, write_coalescer.output, writer.run)
        index = mid_end.index
        m.d.comb += [
            read_expander.block.valid.eq(index.valid | reads.output.valid),
            index.ready.eq(read_expander.block.ready), reads.output.ready.eq(read_expander.block.ready & ~index.valid),
            read_expander.block.payload.eq(reads.output.payload),
        ]
        with m.If(index.valid):
            m.d.comb += [
                read_expander.block.payload.skip.eq(0), read_expander.block.payload.lines.eq(1), read_expander.block.payload.index.eq(1),
            ]
            m.d.comb += [read_expander.block.payload[name].eq(index.payload[name]) for name in ("space", "address", "bytes", "slot")]

        m.d.comb += [
            reader.room.eq(arrivals.room), arrivals.reserve.eq(reader.reserve), arrivals.push.eq(reader.push),
            mid_end.index_push.eq(reader.index_push),
            reshaper.available.eq(arrivals.available), arrivals.claim.eq(reshaper.claim), arrivals.pop.eq(reshaper.pop),
            reshaper.data.eq(arrivals.data),
            reshaper.room.eq(departures.room), departures.reserve.eq(reshaper.reserve), departures.push.eq(reshaper.push),
            writer.available.eq(departures.available), departures.claim.eq(writer.claim), departures.pop.eq(writer.pop),
            writer.data.eq(departures.data),
            ledger.finished.eq(writer.finished), ledger.issued.eq(writer.issued),
            ledger.read_error.eq(reader.error), ledger.write_error.eq(writer.error), ledger.index_error.eq(mid_end.index_error),
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
