"""The memory controller of one HBM pseudo-channel: an AXI4 slave on one side, DRAM commands on the other."""

from amaranth import EnableInserter, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, CHUNK_BYTES, Response
from rtl.common.stream import StreamFifo
from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.core import MemoryCore
from rtl.memory.dfi import DFI
from rtl.memory.read_intake import ReadIntake, ReadReturn
from rtl.memory.timing import TimingSet
from rtl.memory.write_intake import WriteIntake, burst_legal

__all__ = ["ClockEnable", "MemoryController"]


class ClockEnable(wiring.Component):
    """High in p of q clocks, spread evenly, from a register."""

    enable: Out(1)

    def __init__(self, p: int, q: int):
        if not 1 <= p <= q:
            raise ValueError(f"a clock enable is high in p of q clocks with 1 <= p <= q, not {p} of {q}")
        self.p, self.q = p, q
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        phase = Signal(range(self.q))
        carries = phase >= self.q - self.p
        m.d.sync += self.enable.eq(carries)
        with m.If(carries):
            m.d.sync += phase.eq(phase - (self.q - self.p))
        with m.Else():
            m.d.sync += phase.eq(phase + self.p)
        return m


class MemoryController(wiring.Component):
    """Open pages, rows opened ahead, refresh by bank, accesses in order but for a window of four. See `docs/memory.md`.

    Parameters
    ----------
    config
        Width of the bus, rows, and the memory clock.
    timing
        A timing set, by default the one that `config` names.
    id_bits
        Width of the AXI identifiers.

    Members
    -------
    axi
        Byte addresses within the channel. Bursts obey the fabric's rule (INCR, full-width aligned beats, inside an aligned 256-byte
        chunk); any other, and one beyond the channel, is answered by SLVERR without an access. Responses come in the order of the
        requests of each direction. A write response means that every read accepted later sees the bytes.
    dfi
        Commands and data of the device; steps on p of q clocks.
    ready
        The device is initialised. Requests may come earlier: they wait.
    """

    def __init__(self, config: ChipConfig, timing: TimingSet | None = None, id_bits: int = 6):
        self.config = config
        self.timing = TimingSet.load(config.dram_timing) if timing is None else timing
        self.map = AddressMap(config.dram_rows)
        self.id_bits = id_bits
        super().__init__({"axi": In(AXI4(32, config.bus_bytes, id_bits)), "dfi": Out(DFI()), "ready": Out(1)})

    def elaborate(self, platform):
        m = Module()
        bus_bytes, axi, dfi = self.config.bus_bytes, self.axi, self.dfi
        m.submodules.clock = clock = ClockEnable(*self.config.memory_clock)
        enable = clock.enable
        core = MemoryCore(self.timing, self.map, self.id_bits)
        m.submodules.core = EnableInserter(enable)(core)
        m.submodules.writes = writes = WriteIntake(bus_bytes, self.map.atom_bits, self.id_bits)
        m.submodules.reads = reads = ReadIntake(bus_bytes, self.map.atom_bits, self.id_bits)
        m.submodules.returns = returns = ReadReturn(bus_bytes, self.id_bits)
        m.submodules.responses = responses = StreamFifo(data.StructLayout({"id": self.id_bits, "response": Response}), 16)
        wiring.connect(m, reads.returns, returns.returns)

        shift = (bus_bytes - 1).bit_length()
        for intake, prefix in ((writes, "aw"), (reads, "ar")):
            address, length, size, burst = (getattr(axi, prefix + part) for part in ("addr", "len", "size", "burst"))
            payload = intake.bursts.payload
            legal = burst_legal(address, length, size, burst, channel_bytes=self.config.channel_bytes, bus_bytes=bus_bytes)
            m.d.comb += [
                payload.id.eq(getattr(axi, prefix + "id")), payload.chunk.eq(address[(CHUNK_BYTES - 1).bit_length():]),
                payload.beat.eq(address[shift:]), payload.length.eq(length), payload.legal.eq(legal),
                intake.bursts.valid.eq(getattr(axi, prefix + "valid")), getattr(axi, prefix + "ready").eq(intake.bursts.ready),
            ]
        m.d.comb += [
            writes.beats.payload.data.eq(axi.wdata), writes.beats.payload.strobe.eq(axi.wstrb),
            writes.beats.valid.eq(axi.wvalid), axi.wready.eq(writes.beats.ready),
            axi.bvalid.eq(responses.output.valid), responses.output.ready.eq(axi.bready),
            axi.bid.eq(responses.output.payload.id), axi.bresp.eq(responses.output.payload.response),
            axi.rvalid.eq(returns.beats.valid), returns.beats.ready.eq(axi.rready), axi.rid.eq(returns.beats.payload.id),
            axi.rdata.eq(returns.beats.payload.data), axi.rlast.eq(returns.beats.payload.last),
            axi.rresp.eq(returns.beats.payload.response),
        ]

        # Between bus and core there are FIFOs: the core's side of them moves in enabled clocks.
        request = writes.requests.payload
        m.d.comb += [
            core.enable.eq(enable),
            core.reads.payload.eq(reads.requests.payload), core.reads.valid.eq(reads.requests.valid),
            reads.requests.ready.eq(core.reads.ready & enable),
            # The write that ends a burst passes together with its response.
            core.writes.payload.eq(request), core.writes.valid.eq(writes.requests.valid & responses.input.ready),
            writes.requests.ready.eq(core.writes.ready & enable & responses.input.ready),
            responses.input.valid.eq(writes.requests.valid & writes.requests.ready & request.last),
            responses.input.payload.id.eq(request.id),
            responses.input.payload.response.eq(Mux(request.error, Response.SLVERR, Response.OKAY)),
            writes.read_slot.eq(core.write_slot), writes.read_slot_valid.eq(core.write_slot_valid & enable),
            returns.atom.eq(dfi.read_data), returns.slot.eq(core.read_slot), returns.atom_valid.eq(dfi.read_valid & enable),
            core.read_taken.eq(dfi.read_valid), core.freed.eq(returns.freed),
            dfi.enable.eq(enable), dfi.row.eq(core.row), dfi.column.eq(core.column),
            dfi.write_data.eq(writes.data), dfi.write_mask.eq(~writes.strobe), self.ready.eq(core.ready),
        ]
        return m
