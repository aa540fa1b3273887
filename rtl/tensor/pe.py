"""Processing element: stationary weights for one group of K and one column of N, and the arithmetic of every format."""

from amaranth import Module, Signal
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.tensor.fma import FusedMultiplyAdd
from rtl.tensor.formats import operand_bits, operands
from rtl.tensor.int8 import IntegerDot

__all__ = ["PE_STAGES", "ProcessingElement"]

#: Pipeline registers between `c` and `result`, the same for every format: the rows of PEs are chained through them.
PE_STAGES = 4


class ProcessingElement(EmitOnce):
    """`result` = c + sum over the group of a * weight, by the rules of the format.

    The weights are double-buffered: words come into the shadow register while the active one computes; `swap` makes the shadow active.

    Members
    -------
    a : `operand_bits`
        One group of A, lane 0 lowest, sampled with stage 0. Lanes that take no part are zero (INT8), or the row is not a float row (FP32).
    a_unsigned
        The bytes of `a` are unsigned; sampled with `a`.
    c : 32
        FP32 or INT32 accumulator, sampled with `a`.
    float_stage, integer_stage : 4
        Bit s: stage s works on a row in FP32, or in INT8. Each row passes the stages 0 to 3 in four successive cycles, in one of the two.
        A row without a valid lane passes as integer with a = 0, so that `c` comes out unchanged.
    weight, strobe
        Byte i of the shadow register becomes byte i mod 4 of `weight` where bit i of `strobe` is set.
    swap
        Loads the active register; a row that is at stage 0 in the next cycle is the first that sees it.
    result : 32
        Registered, `PE_STAGES` cycles after `a` and `c`.
    """

    def __init__(self, config: ChipConfig):
        self._bits = operand_bits(config)
        formats = operands(config)
        self._float = Format.FP32 in formats
        self._lanes = config.lanes(Format.INT8)
        super().__init__({
            "a": In(self._bits), "a_unsigned": In(1), "c": In(32), "float_stage": In(PE_STAGES), "integer_stage": In(PE_STAGES),
            "weight": In(32), "strobe": In(self._bits // 8), "swap": In(1), "result": Out(32),
        })

    @property
    def key(self) -> tuple:
        return (self._bits, self._float, self._lanes)

    def build(self, platform):
        m = Module()
        shadow, active = Signal(self._bits, reset_less=True), Signal(self._bits, reset_less=True)
        for byte in range(self._bits // 8):
            with m.If(self.strobe[byte]):
                m.d.sync += shadow.word_select(byte, 8).eq(self.weight.word_select(byte % 4, 8))
        with m.If(self.swap):
            m.d.sync += active.eq(shadow)

        # Without INT8 two lanes of zeros remain: the way by which `c` passes.
        lanes = self._lanes or 2
        m.submodules.integer_dot = integer = IntegerDot(lanes)
        m.d.comb += [
            integer.c.eq(self.c), integer.a_unsigned.eq(self.a_unsigned), integer.enable.eq(self.integer_stage[:3]),
        ]
        if self._lanes:
            m.d.comb += [integer.a.eq(self.a), integer.b.eq(active)]
        with m.If(self.integer_stage[3]):
            m.d.sync += self.result.eq(integer.result)

        if self._float:
            m.submodules.multiply_add = floating = FusedMultiplyAdd()
            m.d.comb += [
                floating.a.eq(self.a), floating.b.eq(active), floating.c.eq(self.c), floating.enable.eq(self.float_stage[:3]),
            ]
            with m.If(self.float_stage[3]):
                m.d.sync += self.result.eq(floating.result)
        return m
