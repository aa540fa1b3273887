"""Vector registers and parameters, and the selection of a step's operands."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.sram import SramDual
from rtl.config import ChipConfig
from rtl.isa import VectorOp
from rtl.vector.slot import RING, STRIP, Source, entries, step_layout

__all__ = ["Registers"]


class Registers(wiring.Component):
    """V0 to V3 and P0 to P3, all lanes side by side. A step's operands come two cycles after it: one to read, one to select.

    V0 and V1 hold two strips, in two banks, so that one fills while the other is worked on. Results go first: a load waits where its
    bank takes a result in that cycle.

    Members
    -------
    step, x : the step, and its element of x
    operands : {op, a, b, c}, two cycles later
    result : {valid, register, position, data} to write
    load_0, load_1 : {valid, position, data} for V0 and V1; taken if `ready`
    parameter : {valid, index, entry, data} to write
    s0, s1 : scalars
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        width = 32 * config.vector_lanes
        load = data.StructLayout({"valid": 1, "position": range(RING), "data": width})
        super().__init__({
            "step": In(data.StructLayout({"valid": 1, "step": step_layout(config)})), "x": In(width),
            "operands": Out(data.StructLayout({"op": VectorOp, "a": width, "b": width, "c": width})),
            "result": In(data.StructLayout({"valid": 1, "register": 2, "position": range(RING), "data": width})),
            "load_0": In(load), "ready_0": Out(1), "load_1": In(load), "ready_1": Out(1),
            "parameter": In(data.StructLayout({"valid": 1, "index": 2, "entry": range(entries(config)), "data": width})),
            "s0": In(32), "s1": In(32),
        })

    def elaborate(self, platform):
        m = Module()
        width = 32 * self.config.vector_lanes
        step, valid, result = self.step.step, self.step.valid, self.result
        row, bank = step.target.position[:-1], step.target.position[-1]

        def uses(source):
            return valid & ((step.a == source) | (step.b == source) | (step.c == source))

        read = {}
        bank_read = Signal()
        with m.If(valid):
            m.d.sync += bank_read.eq(bank)
        for number, load, ready in ((0, self.load_0, self.ready_0), (1, self.load_1, self.ready_1)):
            source = Source(number)
            outputs, conflicts = [], []
            for half in (0, 1):
                m.submodules[f"v{number}_{half}"] = memory = SramDual(STRIP, width)
                written = Signal(name=f"v{number}_{half}_result")
                loaded = load.valid & (load.position[-1] == half)
                m.d.comb += [
                    written.eq(result.valid & (result.register == number) & (result.position[-1] == half)),
                    memory.read_enable.eq(uses(source) & (bank == half)), memory.read_address.eq(row),
                    memory.write.eq(written | loaded),
                    memory.write_address.eq(Mux(written, result.position, load.position)[:3]),
                    memory.write_data.eq(Mux(written, result.data, load.data)),
                ]
                outputs.append(memory.read_data)
                conflicts.append(written)
            m.d.comb += ready.eq(~Mux(load.position[-1], conflicts[1], conflicts[0]))
            read[source] = Mux(bank_read, outputs[1], outputs[0])
        for number in (2, 3):
            m.submodules[f"v{number}"] = memory = SramDual(STRIP, width)
            m.d.comb += [
                memory.read_enable.eq(uses(Source(number))), memory.read_address.eq(row),
                memory.write.eq(result.valid & (result.register == number)),
                memory.write_address.eq(result.position), memory.write_data.eq(result.data),
            ]
            read[Source(number)] = memory.read_data
        for number in range(4):
            source = Source[f"P{number}"]
            m.submodules[f"p{number}"] = memory = SramDual(entries(self.config), width)
            m.d.comb += [
                memory.read_enable.eq(uses(source)), memory.read_address.eq(step.entry),
                memory.write.eq(self.parameter.valid & (self.parameter.index == number)),
                memory.write_address.eq(self.parameter.entry), memory.write_data.eq(self.parameter.data),
            ]
            read[source] = memory.read_data
        lanes = self.config.vector_lanes
        read[Source.S0], read[Source.S1] = self.s0.replicate(lanes), self.s1.replicate(lanes)
        x = Signal(width, reset_less=True)
        with m.If(uses(Source.X)):
            m.d.sync += x.eq(self.x)
        read[Source.X] = x

        selected = Signal(data.StructLayout({"op": VectorOp, "a": Source, "b": Source, "c": Source}))
        selecting = Signal()
        m.d.sync += selecting.eq(valid)
        with m.If(valid):
            m.d.sync += [selected.op.eq(step.op), selected.a.eq(step.a), selected.b.eq(step.b), selected.c.eq(step.c)]
        with m.If(selecting):
            m.d.sync += self.operands.op.eq(selected.op)
            for name in "abc":
                with m.Switch(selected[name]):
                    for source, value in read.items():
                        if name != "c" or source.value < 4:
                            with m.Case(source):
                                m.d.sync += self.operands[name].eq(value)
                    with m.Default():
                        m.d.sync += self.operands[name].eq(0)
        return m
