"""Read side of the back end: fetches runs of bytes from L1 or over the fabric into the byte FIFO."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import FABRIC_ADDRESS_BITS, AXI4Read, Burst
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.data_engine.job import BYTES_BITS, SLOT_BITS, Run, RunKind
from rtl.data_engine.queue import SramFifo
from rtl.data_engine.splitter import PIECE_BITS, Splitter
from rtl.isa import Space
from rtl.l1.port import L1Read

__all__ = ["AXI_ID_BITS", "BusError", "Reader"]

#: One identifier, 0: answers come in the order of the requests.
AXI_ID_BITS = 1

#: L1 reads in flight: more than the cycles from a request to its answer, so that an L1 without conflicts gives a beat a cycle.
L1_READS = 8

#: A bad response: the command's slot and the address of its burst.
BusError = data.StructLayout({"valid": 1, "slot": SLOT_BITS, "address": 32})


class Reader(wiring.Component):
    """Asks ahead as far as the FIFO has room, across runs and commands; takes every answer at once.

    A piece a cycle, a beat a cycle. Bursts of up to CHUNK_BYTES, at most `config.outstanding` in flight. The answers of one port come
    in order, so all requests to one port are answered before the first one to the other.

    Members
    -------
    run : stream
        Bytes to read, in order.
    room, reserve, push
        As in :class:`rtl.data_engine.byte_fifo.ByteFifo`.
    index_push
        The same for runs of kind INDEX, which take no room in the FIFO.
    error
        One cycle for each beat with a bad response; its bytes are pushed all the same.
    l3_bytes : bytes
        Useful bytes that came from L3 in this cycle.
    """

    def __init__(self, config: ChipConfig, cluster: bool):
        self._config = config
        self._cluster = cluster
        self._width = config.bus_bytes
        self._lane_bits = (config.bus_bytes - 1).bit_length()
        self._l1 = L1Read(config.l1_address_bits, config.bus_bytes)
        push = data.StructLayout({"count": self._lane_bits + 1, "lane": self._lane_bits, "data": 8 * self._width})
        members = {
            "run": In(stream.Signature(Run(BYTES_BITS))),
            "room": In(32), "reserve": Out(PIECE_BITS),
            "push": Out(push), "index_push": Out(push),
            "error": Out(BusError),
            "l3_bytes": Out(self._lane_bits + 1),
            "axi": Out(AXI4Read(FABRIC_ADDRESS_BITS, config.bus_bytes, AXI_ID_BITS)),
        }
        if not cluster:
            members["l1"] = Out(self._l1)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        lane_bits = self._lane_bits
        m.submodules.splitter = splitter = Splitter(self._width)
        wiring.connect(m, wiring.flipped(self.run), splitter.run)

        burst_shape = data.StructLayout({"address": FABRIC_ADDRESS_BITS, "beats": 8})
        m.submodules.ar = ar = StreamRegister(burst_shape)
        m.submodules.expected = expected = SramFifo(
            data.StructLayout({"space": Space, "address": 32, "bytes": PIECE_BITS, "slot": SLOT_BITS, "index": 1}),
            max(self._config.outstanding, L1_READS),
        )

        # Requests.
        piece = splitter.piece.payload
        from_l1 = piece.space == Space.L1
        of_list = piece.kind == RunKind.INDEX
        in_flight = Signal(range(max(self._config.outstanding, L1_READS) + 1))
        of_l1 = Signal()
        answered = Signal()
        go = Signal()
        blocked = Signal()
        m.d.comb += [
            blocked.eq(
                (~of_list & (self.room < piece.bytes))
                | (in_flight >= Mux(from_l1, L1_READS, self._config.outstanding))
                | ((in_flight != 0) & (of_l1 != from_l1))
            ),
            splitter.piece.ready.eq(go),
            self.reserve.eq(Mux(go & ~of_list, piece.bytes, 0)),
            expected.input.valid.eq(go),
            expected.input.payload.space.eq(piece.space), expected.input.payload.address.eq(piece.address),
            expected.input.payload.bytes.eq(piece.bytes), expected.input.payload.slot.eq(piece.slot),
            expected.input.payload.index.eq(of_list),
            ar.input.valid.eq(go & ~from_l1),
            ar.input.payload.address.eq(Cat(Const(0, lane_bits), piece.address[lane_bits:], piece.space == Space.L2)),
            ar.input.payload.beats.eq((piece.address[:lane_bits] + piece.bytes - 1)[lane_bits:]),
        ]
        m.d.sync += in_flight.eq(in_flight + go - answered)
        with m.If(go):
            m.d.sync += of_l1.eq(from_l1)

        ready = ar.input.ready
        response_valid, response_data = self.axi.rvalid, self.axi.rdata
        if not self._cluster:
            m.submodules.l1_request = l1 = StreamRegister(self._l1.request_shape)
            wiring.connect(m, l1.output, wiring.flipped(self.l1.request))
            m.d.comb += [
                l1.input.valid.eq(go & from_l1),
                l1.input.payload.address.eq(piece.address), l1.input.payload.size.eq(piece.bytes),
            ]
            ready = Mux(from_l1, l1.input.ready, ready)
            response_valid = Mux(of_l1, self.l1.response.valid, response_valid)
            response_data = Mux(of_l1, self.l1.response.data, response_data)
        m.d.comb += [
            go.eq(splitter.piece.valid & ~blocked & ready),
            self.axi.arvalid.eq(ar.output.valid), ar.output.ready.eq(self.axi.arready),
            self.axi.araddr.eq(ar.output.payload.address), self.axi.arlen.eq(ar.output.payload.beats),
            self.axi.arsize.eq(lane_bits), self.axi.arburst.eq(Burst.INCR), self.axi.arid.eq(0),
            # Room was reserved, so no answer waits.
            self.axi.rready.eq(1),
        ]

        # Answers: of the first beat the lanes from the address up, of the last one only as many as are left.
        now = expected.output.payload
        begun = Signal()
        left = Signal(PIECE_BITS)
        offered = Signal(range(self._width + 1))
        remaining = Signal(PIECE_BITS)
        lane = Signal(lane_bits)
        count = Signal(range(self._width + 1))
        m.d.comb += [
            lane.eq(Mux(begun | (now.space == Space.L1), 0, now.address[:lane_bits])),
            remaining.eq(Mux(begun, left, now.bytes)),
            offered.eq(self._width - lane),
            count.eq(Mux(remaining < offered, remaining, offered)),
            answered.eq(response_valid & (remaining <= offered)),
            expected.output.ready.eq(answered),
            self.l3_bytes.eq(Mux(response_valid & (now.space == Space.L3), count, 0)),
            self.error.valid.eq(self.axi.rvalid & self.axi.rresp.as_value()[1]),
            self.error.slot.eq(now.slot),
            self.error.address.eq(Cat(Const(0, lane_bits), now.address[lane_bits:])),
        ]
        with m.If(response_valid):
            m.d.sync += [begun.eq(~answered), left.eq(remaining - count)]
        m.d.sync += [
            self.push.count.eq(Mux(response_valid & ~now.index, count, 0)),
            self.index_push.count.eq(Mux(response_valid & now.index, count, 0)),
        ]
        m.d.sync += [port.data.eq(response_data) for port in (self.push, self.index_push)]
        m.d.sync += [port.lane.eq(lane) for port in (self.push, self.index_push)]
        return m


