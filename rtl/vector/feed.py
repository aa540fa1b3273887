"""Everything that brings operands to the registers: x from L1 or the tensor core, y and the parameters from L1."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import VectorCommand
from rtl.l1.port import l1_ports
from rtl.vector.fetch import Fetch
from rtl.vector.load import XLoad, XTag, YLoad, YTag
from rtl.vector.slot import POINTER_BITS, RING, entries, slot_layout
from rtl.vector.unpack import Unpack

__all__ = ["Feed"]


class Feed(wiring.Component):
    """Loads V0 and V1 in the order of the slots, and the parameters in the order of the column beats.

    Members
    -------
    start, command : as in `Walk`
    walked, ended, x_position, x_slot, y_position, y_slot : of `SlotRing`
    freed : as in `YLoad`
    x_port, y_port : ports of L1
    result : rows of the tensor core
    load_0, load_1, parameter : {valid, position or entry, data} for `Registers`, which answers with `ready_0` and `ready_1`
    x_loaded, y_loaded : pointers behind the last slot that is in V0, V1
    parameters : beats of parameters that are there, modulo twice the entries
    operand : x of a later tap, for a reduction; `data` is that of `load_0`. `take_operand` takes it.
    moving : something arrived in this cycle
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        port = l1_ports(config)["vector_x"]
        width = 32 * config.vector_lanes
        load = data.StructLayout({"valid": 1, "position": range(RING), "data": width})
        super().__init__({
            "start": In(1), "command": In(VectorCommand), "walked": In(POINTER_BITS), "ended": In(1), "freed": In(1),
            "x_position": Out(range(RING)), "x_slot": In(slot_layout(config)),
            "y_position": Out(range(RING)), "y_slot": In(slot_layout(config)),
            "x_port": Out(port), "y_port": Out(port),
            "result": In(stream.Signature(data.ArrayLayout(32, config.vector_lanes))),
            "load_0": Out(load), "ready_0": In(1), "load_1": Out(load), "ready_1": In(1),
            "parameter": Out(data.StructLayout({"valid": 1, "index": 2, "entry": range(entries(config)), "data": width})),
            "x_loaded": Out(POINTER_BITS), "y_loaded": Out(POINTER_BITS), "parameters": Out(range(2 * entries(config))),
            "operand": Out(1), "take_operand": In(1), "moving": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        x_moves = self._x(m)
        y_moves = self._y(m)
        m.d.comb += self.moving.eq(x_moves | y_moves)
        return m

    def _x(self, m: Module):
        mode = self.command.mode
        m.submodules.x_load = load = XLoad(self.config)
        m.submodules.x_fetch = fetch = Fetch(self.x_port.signature, XTag)
        m.submodules.x_unpack = unpack = Unpack(self.config, XTag)
        m.submodules.result_register = rows = StreamRegister(self.result.payload.shape())
        m.d.comb += [
            load.start.eq(self.start), load.command.eq(self.command), load.walked.eq(self.walked), load.ended.eq(self.ended),
            self.x_position.eq(load.position), load.slot.eq(self.x_slot),
        ]
        wiring.connect(m, load.request, fetch.request)
        wiring.connect(m, fetch.l1, wiring.flipped(self.x_port))
        wiring.connect(m, wiring.flipped(self.result), rows.input)

        # Of the tensor core's rows only those of known slots: what follows belongs to another command.
        pulled = Signal(POINTER_BITS)
        pull = Signal()
        m.d.comb += [
            unpack.format.eq(mode.x_format),
            pull.eq(mode.from_tensor & (pulled != self.walked) & ~self.start),
            rows.output.ready.eq(pull & unpack.packed.ready),
            fetch.data.ready.eq(~mode.from_tensor & unpack.packed.ready),
        ]
        with m.If(mode.from_tensor):
            m.d.comb += [unpack.packed.valid.eq(pull & rows.output.valid), unpack.packed.payload.data.eq(rows.output.payload)]
        with m.Else():
            m.d.comb += [unpack.packed.valid.eq(fetch.data.valid), unpack.packed.payload.eq(fetch.data.payload)]

        lanes = unpack.lanes
        operand = lanes.payload.tag.operand
        m.d.comb += [
            self.load_0.valid.eq(lanes.valid & ~operand), self.load_0.position.eq(self.x_loaded), self.load_0.data.eq(lanes.payload.data),
            self.operand.eq(lanes.valid & operand),
            lanes.ready.eq(Mux(operand, self.take_operand, self.ready_0)),
        ]
        with m.If(self.start):
            m.d.sync += [pulled.eq(0), self.x_loaded.eq(0)]
        with m.Else():
            m.d.sync += [
                pulled.eq(pulled + (rows.output.valid & rows.output.ready)),
                self.x_loaded.eq(self.x_loaded + (self.load_0.valid & self.ready_0)),
            ]
        return lanes.valid & lanes.ready

    def _y(self, m: Module):
        m.submodules.y_load = load = YLoad(self.config)
        m.submodules.y_fetch = fetch = Fetch(self.y_port.signature, YTag)
        m.submodules.y_unpack = unpack = Unpack(self.config, YTag)
        m.d.comb += [
            load.start.eq(self.start), load.command.eq(self.command), load.walked.eq(self.walked), load.freed.eq(self.freed),
            self.y_position.eq(load.position), load.slot.eq(self.y_slot),
            # A parameter is a word of 32 bits, whatever y is.
            unpack.format.eq(Mux(fetch.data.payload.tag.parameter, Format.INT32, self.command.mode.y_format)),
        ]
        wiring.connect(m, load.request, fetch.request)
        wiring.connect(m, fetch.l1, wiring.flipped(self.y_port))
        wiring.connect(m, fetch.data, unpack.packed)

        lanes = unpack.lanes
        tag = lanes.payload.tag
        m.d.comb += [
            self.load_1.valid.eq(lanes.valid & ~tag.parameter), self.load_1.position.eq(self.y_loaded),
            self.load_1.data.eq(lanes.payload.data),
            self.parameter.valid.eq(lanes.valid & tag.parameter), self.parameter.index.eq(tag.index),
            self.parameter.entry.eq(self.parameters), self.parameter.data.eq(lanes.payload.data),
            lanes.ready.eq(tag.parameter | self.ready_1),
        ]
        with m.If(self.start):
            m.d.sync += [self.y_loaded.eq(0), self.parameters.eq(0)]
        with m.Else():
            m.d.sync += [
                self.y_loaded.eq(self.y_loaded + (self.load_1.valid & self.ready_1)),
                self.parameters.eq(self.parameters + (self.parameter.valid & tag.last)),
            ]
        return lanes.valid & lanes.ready
