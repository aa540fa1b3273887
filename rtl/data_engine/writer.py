"""Write side of the back end: stores runs of bytes, from the byte FIFO or of a pattern, to L1 or over the fabric."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, CHUNK_BYTES, FABRIC_ADDRESS_BITS, Burst
from rtl.common.stream import StreamFifo, StreamRegister
from rtl.config import ChipConfig
from rtl.data_engine.job import BYTES_BITS, SLOT_BITS, SLOTS, Run, RunKind
from rtl.data_engine.queue import SramFifo
from rtl.data_engine.reader import AXI_ID_BITS, BusError
from rtl.data_engine.splitter import PIECE_BITS, Splitter
from rtl.isa import Space
from rtl.l1.port import L1Write

__all__ = ["Writer"]

#: L1 writes in flight: more than the cycles from a request to its `written`.
L1_WRITES = 8


class Writer(wiring.Component):
    """Writes a beat a cycle, also from piece to piece. Heads and tails of beats are masked by strobes.

    A piece starts once all its bytes are in the FIFO, so that a burst never holds the fabric while it waits for data. Bursts of up
    to CHUNK_BYTES, at most `config.outstanding` without a response.

    Members
    -------
    run : stream
        Bytes to write, in order.
    available, claim, pop, data
        As in :class:`rtl.data_engine.byte_fifo.ByteFifo`.
    finished
        Bit s: the last write of the command in slot s has been acknowledged, so all have.
    issued
        Bit s: the last beat of the command in slot s leaves for its port.
    error
        A write that got a bad response.
    moved
        A beat is taken by the destination.
    memory_stall, l1_stall
        A beat, or the address of a burst, waits for the fabric or for L1.
    l3_bytes : bytes
        Useful bytes that go to L3 in this cycle.
    """

    def __init__(self, config: ChipConfig, cluster: bool):
        self._config = config
        self._cluster = cluster
        self._width = config.bus_bytes
        self._lane_bits = (config.bus_bytes - 1).bit_length()
        self._l1 = L1Write(config.l1_address_bits, config.bus_bytes)
        channels = AXI4(FABRIC_ADDRESS_BITS, config.bus_bytes, AXI_ID_BITS).members
        members = {
            "run": In(stream.Signature(Run(BYTES_BITS))),
            "available": In(32), "claim": Out(PIECE_BITS),
            "pop": Out(data.StructLayout({"valid": 1, "count": self._lane_bits + 1, "lane": self._lane_bits})),
            "data": In(8 * self._width),
            "finished": Out(SLOTS), "issued": Out(SLOTS),
            "error": Out(BusError),
            "moved": Out(1), "memory_stall": Out(1), "l1_stall": Out(1),
            "l3_bytes": Out(self._lane_bits + 1),
            "axi": Out(wiring.Signature({name: member for name, member in channels.items() if name.startswith(("aw", "w", "b"))})),
        }
        if not cluster:
            members["l1"] = Out(self._l1)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        width, lane_bits = self._width, self._lane_bits
        m.submodules.splitter = splitter = Splitter(CHUNK_BYTES)
        wiring.connect(m, wiring.flipped(self.run), splitter.run)

        m.submodules.aw = aw = StreamRegister(data.StructLayout({"address": FABRIC_ADDRESS_BITS, "beats": 8}))
        m.submodules.w = w = StreamRegister(data.StructLayout(
            {"data": 8 * width, "strobe": width, "last": 1, "l3_bytes": lane_bits + 1}
        ))
        m.submodules.responses = responses = SramFifo(
            data.StructLayout({"address": 32, "slot": SLOT_BITS, "last": 1}), self._config.outstanding
        )
        targets = {"w": w}
        if not self._cluster:
            m.submodules.l1_request = l1 = StreamRegister(self._l1.request_shape)
            m.submodules.l1_written = l1_written = StreamFifo(data.StructLayout({"slot": SLOT_BITS, "last": 1}), L1_WRITES)
            targets["l1"] = l1

        # Admission: the next piece becomes the current one as that sends its last beat.
        following = splitter.piece
        piece = Signal(splitter.piece.payload.shape())
        held = Signal()
        head_beat = Signal()
        beat, ends = Signal(), Signal()
        covered = (following.payload.kind == RunKind.FILL) | (self.available >= following.payload.bytes)
        nothing = following.payload.bytes == 0
        admit = Signal()
        m.d.comb += [
            following.ready.eq((~held | (beat & ends)) & covered),
            admit.eq(following.valid & following.ready),
            self.claim.eq(Mux(admit & (following.payload.kind == RunKind.COPY), following.payload.bytes, 0)),
        ]

        # Beats of the current piece.
        to_l1 = piece.space == Space.L1
        lane = Signal(lane_bits)
        offered = Signal(range(width + 1))
        count = Signal(range(width + 1))
        advance = Signal()
        can_go = Signal()
        m.d.comb += [
            lane.eq(Mux(to_l1, 0, piece.address[:lane_bits])),
            offered.eq(width - lane),
            ends.eq(piece.bytes <= offered),
            count.eq(Mux(ends, piece.bytes, offered)),
            beat.eq(held & advance & can_go),
            self.pop.valid.eq(beat & (piece.kind == RunKind.COPY)), self.pop.count.eq(count), self.pop.lane.eq(lane),
        ]
        with m.If(beat):
            m.d.sync += [piece.address.eq(piece.address + count), piece.bytes.eq(piece.bytes - count), head_beat.eq(0)]
        with m.If(~held | (beat & ends)):
            m.d.sync += [piece.eq(following.payload), held.eq(admit & ~nothing), head_beat.eq(1)]

        # A burst is announced with its first beat.
        announce = beat & head_beat & ~to_l1
        in_flight = Signal(range(self._config.outstanding + 1))
        m.d.sync += in_flight.eq(in_flight + announce - self.axi.bvalid)
        m.d.comb += [
            can_go.eq(~head_beat | (aw.input.ready & (in_flight != self._config.outstanding))),
            aw.input.valid.eq(announce), responses.input.valid.eq(announce),
            aw.input.payload.address.eq(Cat(Const(0, lane_bits), piece.address[lane_bits:], piece.space == Space.L2)),
            aw.input.payload.beats.eq((lane + piece.bytes - 1)[lane_bits:]),
            responses.input.payload.address.eq(Cat(Const(0, lane_bits), piece.address[lane_bits:])),
            responses.input.payload.slot.eq(piece.slot), responses.input.payload.last.eq(piece.last),
        ]

        # The cycle in which the FIFO reads its SRAMs.
        stage = Signal(data.StructLayout({
            "valid": 1, "to_l1": 1, "l3": 1, "address": self._config.l1_address_bits, "strobe": width, "count": lane_bits + 1, "last": 1,
            "fill": 1, "pattern": 32,
        }))
        with m.If(advance):
            m.d.sync += [
                stage.valid.eq(beat), stage.to_l1.eq(to_l1), stage.l3.eq(piece.space == Space.L3), stage.address.eq(piece.address),
                stage.strobe.eq((((Const(1, 1) << count) - 1)[:width] << lane)[:width]), stage.count.eq(count), stage.last.eq(ends),
                stage.fill.eq(piece.kind == RunKind.FILL), stage.pattern.eq(piece.pattern),
            ]
        word = Mux(stage.fill, stage.pattern.replicate(width // 4), self.data)
        m.d.comb += [
            w.input.valid.eq(stage.valid & ~stage.to_l1),
            w.input.payload.data.eq(word), w.input.payload.strobe.eq(stage.strobe), w.input.payload.last.eq(stage.last),
            w.input.payload.l3_bytes.eq(Mux(stage.l3, stage.count, 0)),
        ]
        accepted = w.input.ready

        # Ports and acknowledgements.
        def slot_bit(condition, slot):
            return Cat(condition & (slot == number) for number in range(SLOTS))

        finished = slot_bit(admit & nothing, following.payload.slot)
        m.d.comb += [
            self.axi.awvalid.eq(aw.output.valid), aw.output.ready.eq(self.axi.awready),
            self.axi.awaddr.eq(aw.output.payload.address), self.axi.awlen.eq(aw.output.payload.beats),
            self.axi.awsize.eq(lane_bits), self.axi.awburst.eq(Burst.INCR), self.axi.awid.eq(0),
            self.axi.wvalid.eq(w.output.valid), w.output.ready.eq(self.axi.wready),
            self.axi.wdata.eq(w.output.payload.data), self.axi.wstrb.eq(w.output.payload.strobe), self.axi.wlast.eq(w.output.payload.last),
            self.axi.bready.eq(1), responses.output.ready.eq(self.axi.bvalid),
            self.error.valid.eq(self.axi.bvalid & self.axi.bresp.as_value()[1]),
            self.error.slot.eq(responses.output.payload.slot), self.error.address.eq(responses.output.payload.address),
        ]
        answered = responses.output.payload
        finished |= slot_bit(self.axi.bvalid & answered.last, answered.slot)
        moved = self.axi.wvalid & self.axi.wready
        if not self._cluster:
            wiring.connect(m, l1.output, wiring.flipped(self.l1.request))
            m.d.comb += [
                l1.input.valid.eq(stage.valid & stage.to_l1),
                l1.input.payload.address.eq(stage.address), l1.input.payload.strobe.eq(stage.strobe), l1.input.payload.data.eq(word),
                l1_written.input.valid.eq(beat & to_l1),
                l1_written.input.payload.slot.eq(piece.slot), l1_written.input.payload.last.eq(piece.last & ends),
                l1_written.output.ready.eq(self.l1.written),
                self.l1_stall.eq(self.l1.request.valid & ~self.l1.request.ready),
            ]
            with m.If(to_l1):
                m.d.comb += can_go.eq(l1_written.input.ready)
            accepted = Mux(stage.to_l1, l1.input.ready, accepted)
            finished |= slot_bit(self.l1.written & l1_written.output.payload.last, l1_written.output.payload.slot)
            moved |= self.l1.request.valid & self.l1.request.ready
        m.d.comb += [
            advance.eq(~stage.valid | accepted),
            self.finished.eq(finished),
            self.issued.eq(slot_bit(beat & ends & piece.last, piece.slot)),
            self.moved.eq(moved),
            self.memory_stall.eq((self.axi.wvalid & ~self.axi.wready) | (self.axi.awvalid & ~self.axi.awready)),
            self.l3_bytes.eq(Mux(self.axi.wvalid & self.axi.wready, w.output.payload.l3_bytes, 0)),
        ]
        return m
