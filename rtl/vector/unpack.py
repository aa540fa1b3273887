"""Bytes of L1 to lane values, and back."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.convert import Narrow, Widen
from rtl.common.stream import StreamFifo, StreamRegister
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.l1.port import L1Write
from rtl.vector.slot import log_bytes

__all__ = ["Store", "Unpack"]


class Unpack(wiring.Component):
    """Spreads a beat of elements over the lanes and widens them to FP32 or INT32. One beat a cycle, latency one cycle.

    Members
    -------
    packed : {data, tag}, elements without gaps from bit 0 up
    format : of the elements; it belongs to the beat that is offered
    lanes : {data, tag}, 32 bits a lane
    """

    def __init__(self, config: ChipConfig, tag: ShapeLike):
        self.config = config
        layout = data.StructLayout({"data": 32 * config.vector_lanes, "tag": tag})
        super().__init__({"packed": In(stream.Signature(layout)), "format": In(Format), "lanes": Out(stream.Signature(layout))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.register = register = StreamRegister(self.packed.payload.shape())
        log = log_bytes(self.format)
        packed = self.packed.payload.data
        for i in range(self.config.vector_lanes):
            m.submodules[f"widen_{i}"] = widen = Widen()
            byte, half, word = packed[8 * i:8 * i + 8], packed[16 * i:16 * i + 16], packed[32 * i:32 * i + 32]
            m.d.comb += [
                widen.format.eq(self.format),
                widen.code.eq(Mux(log == 2, word, Mux(log == 1, half, byte))),
                register.input.payload.data[32 * i:32 * i + 32].eq(widen.value),
            ]
        m.d.comb += [
            register.input.payload.tag.eq(self.packed.payload.tag),
            register.input.valid.eq(self.packed.valid), self.packed.ready.eq(register.input.ready),
        ]
        wiring.connect(m, register.output, wiring.flipped(self.lanes))
        return m


class Store(wiring.Component):
    """Narrows results to the elements of z and writes them to L1, one beat a cycle.

    Members
    -------
    reserve : a slot whose result will come has been issued; only with `room`
    room : a result that is issued now finds a place
    result : {valid, columns, address, data}; it is always taken
    format : of z
    l1 : write port
    idle : every result that was reserved is written
    """

    #: Results in flight from the issue to the port: 11 cycles, and some waiting for banks.
    DEPTH = 16
    #: Writes that the port has taken and L1 has not yet done.
    OUTSTANDING = 15

    def __init__(self, config: ChipConfig):
        self.config = config
        self.port = L1Write(config.l1_address_bits, config.vector_bytes)
        super().__init__({
            "reserve": In(1), "room": Out(1), "format": In(Format),
            "result": In(data.StructLayout({
                "valid": 1, "columns": range(config.vector_lanes + 1), "address": config.l1_address_bits, "data": 32 * config.vector_lanes,
            })),
            "l1": Out(self.port),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes, shape = self.config.vector_lanes, self.port.request_shape
        m.submodules.queue = queue = StreamFifo(shape, self.DEPTH)
        log = log_bytes(self.format)

        codes = []
        for i in range(lanes):
            m.submodules[f"narrow_{i}"] = narrow = Narrow()
            m.d.comb += [narrow.format.eq(self.format), narrow.value.eq(self.result.data[32 * i:32 * i + 32])]
            codes.append(narrow.code)
        packed = Mux(log == 2, Cat(*codes), Mux(log == 1, Cat(*(code[:16] for code in codes)), Cat(*(code[:8] for code in codes))))
        columns = Cat(*(self.result.columns > i for i in range(lanes)))
        strobes = [Cat(*(columns[i].replicate(width) for i in range(lanes))) for width in (1, 2, 4)]
        request = Signal(shape)
        valid = Signal()
        m.d.sync += valid.eq(self.result.valid)
        with m.If(self.result.valid):
            m.d.sync += [
                request.address.eq(self.result.address), request.data.eq(packed),
                request.strobe.eq(Mux(log == 2, strobes[2], Mux(log == 1, strobes[1], strobes[0]))),
            ]
        m.d.comb += [queue.input.valid.eq(valid), queue.input.payload.eq(request)]

        held = Signal(range(self.DEPTH + 1))
        outstanding = Signal(range(self.OUTSTANDING + self.DEPTH + 2))
        sent = self.l1.request.valid & self.l1.request.ready
        m.d.sync += [
            held.eq(held + self.reserve - sent),
            outstanding.eq(outstanding + self.reserve - self.l1.written),
            self.room.eq((held < self.DEPTH - 1) & (outstanding < self.OUTSTANDING + self.DEPTH - 1)),
            self.idle.eq((outstanding == 0) & ~self.reserve),
        ]
        wiring.connect(m, queue.output, wiring.flipped(self.l1.request))
        return m
