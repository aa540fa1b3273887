"""Processing element: stationary weights for one group of K and one column of N, and the arithmetic of every format."""

from amaranth import Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.config import ChipConfig
from rtl.tensor.arithmetic import Arithmetic
from rtl.tensor.control import PE_STAGES, RowControl
from rtl.tensor.formats import operand_bits

__all__ = ["PE_STAGES", "ProcessingElement"]


class ProcessingElement(EmitOnce):
    """`result` = c + sum over the group of a * weight, by the rules of the row's format (`Arithmetic`).

    The weights are double-buffered: words or a whole line come into the shadow register while the active one computes; `swap` makes the
    shadow active.

    Members
    -------
    a : `operand_bits`
        One group of A, lane 0 lowest, sampled with control[0].
    c : 32
        FP32 or INT32 accumulator, sampled with control[ACCUMULATOR_STAGE], one cycle after its `a`.
    control
        control[s] is the row at stage s in this cycle.
    weight, strobe
        Byte i of the shadow register becomes byte i mod 4 of `weight` where bit i of `strobe` is set.
    line, take_line
        The whole shadow register becomes `line`; it wins over `strobe`.
    swap
        Loads the active register; a row that is at stage 0 in the next cycle is the first that sees it.
    result : 32
        Registered, PE_STAGES cycles after `a`.
    overflow
        Registered with `result`, for one cycle: the exact sum of an INT8 or UINT8 row left int32.
    """

    def __init__(self, config: ChipConfig):
        self._config = config
        self._bits = bits = operand_bits(config)
        super().__init__({
            "a": In(bits), "c": In(32), "control": In(data.ArrayLayout(RowControl, PE_STAGES)),
            "weight": In(32), "strobe": In(bits // 8), "line": In(bits), "take_line": In(1), "swap": In(1),
            "result": Out(32), "overflow": Out(1),
        })  # fmt: skip

    @property
    def key(self) -> tuple:
        return (tuple(sorted(self._config.formats)), self._config.int8_lanes, self._config.align)

    def build(self, platform):
        m = Module()
        shadow, active = Signal(self._bits, reset_less=True), Signal(self._bits, reset_less=True)
        for byte in range(self._bits // 8):
            with m.If(self.strobe[byte]):
                m.d.sync += shadow.word_select(byte, 8).eq(self.weight.word_select(byte % 4, 8))
        with m.If(self.take_line):
            m.d.sync += shadow.eq(self.line)
        with m.If(self.swap):
            m.d.sync += active.eq(shadow)

        m.submodules.arithmetic = arithmetic = Arithmetic(self._config)
        m.d.comb += [
            arithmetic.a.eq(self.a), arithmetic.b.eq(active), arithmetic.c.eq(self.c), arithmetic.control.eq(self.control),
            self.result.eq(arithmetic.result), self.overflow.eq(arithmetic.overflow),
        ]  # fmt: skip
        return m
