"""Stand-in while the arithmetic is written elsewhere."""
from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.tensor.control import PE_STAGES, RowControl
from rtl.tensor.formats import operand_bits

__all__ = ["ProcessingElement"]


class ProcessingElement(EmitOnce):
    def __init__(self, config: ChipConfig):
        self.bits = operand_bits(config)
        self.lanes = config.lanes(Format.INT8)
        super().__init__({
            "a": In(self.bits), "c": In(32), "control": In(data.ArrayLayout(RowControl, PE_STAGES)), "weight": In(32),
            "strobe": In(self.bits // 8), "line": In(self.bits), "take_line": In(1), "swap": In(1), "result": Out(32), "overflow": Out(1),
        })

    @property
    def key(self):
        return (self.bits, self.lanes)

    def build(self, platform):
        m = Module()
        shadow, active = Signal(self.bits, reset_less=True), Signal(self.bits, reset_less=True)
        for byte in range(self.bits // 8):
            with m.If(self.take_line):
                m.d.sync += shadow.word_select(byte, 8).eq(self.line.word_select(byte, 8))
            with m.Elif(self.strobe[byte]):
                m.d.sync += shadow.word_select(byte, 8).eq(self.weight.word_select(byte % 4, 8))
        with m.If(self.swap):
            m.d.sync += active.eq(shadow)
        total, two, three = Signal(signed(24)), Signal(32), Signal(32)
        c0 = self.control[0]
        s = 0
        for lane in range(self.lanes):
            a, b = self.a.word_select(lane, 8), active.word_select(lane, 8)
            wide = Cat(a, a[7] & (c0.a_format == Format.INT8)).as_signed()
            s = s + wide * b.as_signed() * c0.lanes[lane]
        with m.If(c0.enable):
            m.d.sync += total.eq(s)
        with m.If(self.control[1].enable):
            m.d.sync += two.eq(self.c + total)
        with m.If(self.control[2].enable):
            m.d.sync += three.eq(two)
        with m.If(self.control[3].enable):
            m.d.sync += self.result.eq(three)
        return m
