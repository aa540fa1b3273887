"""Tops of the testbenches: parts of the vector engine alone (one operation a clock in, its result a fixed time later), and the engine."""

from amaranth import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.common.convert import Narrow, Widen
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import VectorOp
from rtl.vector.alu import STAGES, Alu
from rtl.vector.engine import VectorEngine
from sim.verilog.emit import ports_of

__all__ = ["AluBench", "ConvertBench", "EngineBench"]


class AluBench(wiring.Component):
    """`Alu` with the enables that its engine would give: operands count in a cycle with `valid`, `done` marks their result."""

    valid: In(1)
    op: In(VectorOp)
    a: In(32)
    b: In(32)
    c: In(32)
    done: Out(1)
    result: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.submodules.alu = alu = Alu()
        moving = Signal(STAGES)
        m.d.sync += [moving.eq(moving << 1 | self.valid), self.done.eq(moving[STAGES - 2])]
        m.d.comb += [
            alu.op.eq(self.op), alu.a.eq(self.a), alu.b.eq(self.b), alu.c.eq(self.c),
            alu.enable.eq(moving << 1 | self.valid), self.result.eq(alu.result),
        ]
        return m


class ConvertBench(wiring.Component):
    """Both converters behind one register."""

    format: In(Format)
    code: In(32)
    value: Out(32)
    narrow: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.submodules.widen = widen = Widen()
        m.submodules.narrow = narrow = Narrow()
        m.d.comb += [
            widen.format.eq(self.format), widen.code.eq(self.code), narrow.format.eq(self.format), narrow.value.eq(self.code),
        ]
        m.d.sync += [self.value.eq(widen.value), self.narrow.eq(narrow.code)]
        return m


class EngineBench(wiring.Component):
    """The engine as its SIP holds it: with a reset of its own, `drop`."""

    def __init__(self, config: ChipConfig):
        self._engine = VectorEngine(config)
        super().__init__({"drop": In(1), **self._engine.signature.members})

    def elaborate(self, platform):
        m = Module()
        m.submodules.engine = ResetInserter(self.drop)(self._engine)
        outer = {name: value for name, _, value in ports_of(self)}
        for name, direction, inner in ports_of(self._engine):
            m.d.comb += inner.eq(outer[name]) if direction == "i" else outer[name].eq(inner)
        return m
