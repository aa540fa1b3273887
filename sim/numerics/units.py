"""Tops that put one arithmetic unit of the chip behind a port that takes an operation a clock and gives its result a fixed time later.

Nothing is computed here: operands are spread over the real component's ports, and delayed by as many registers as its timing asks for.
"""

from collections.abc import Sequence

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.convert import Narrow, Widen
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import AlignMode, VectorOp
from rtl.tensor.control import ACCUMULATOR_STAGE, PE_STAGES
from rtl.tensor.formats import operand_bits, operands
from rtl.tensor.pe import ProcessingElement
from rtl.vector.alu import STAGES, Alu

__all__ = ["ElementMode", "ElementUnit", "LaneMode", "LaneUnit", "StreamUnit"]

#: Operations of a lane that follow one another in :class:`LaneUnit`.
LANE_STEPS = 4


class ElementMode(data.Struct):
    """What a processing element does with every operation of a stream."""

    operand: Format
    align: AlignMode
    reserved: 27


class LaneMode(data.Struct):
    """Format that a lane loads, its operations in order, format that it stores."""

    load: Format
    store: Format
    ops: data.ArrayLayout(VectorOp, LANE_STEPS)
    reserved: 2


class StreamUnit(wiring.Component):
    """One operation a clock.

    Parameters
    ----------
    words : number of 32-bit words of operands; more than two, so that simulators see an array
    latency : clocks from `operands` to `result`

    Members
    -------
    mode : constant over a stream
    operands : one operation, word 0 lowest
    result : the code in its low bits
    """

    def __init__(self, words: int, latency: int):
        self.words, self.latency = words, latency
        super().__init__({"mode": In(32), "operands": In(32 * words), "result": Out(32)})


def _delayed(m: Module, value, clocks: int, name: str):
    for stage in range(clocks):
        after = Signal.like(value, name=f"{name}_{stage}")
        m.d.sync += after.eq(value)
        value = after
    return value


class ElementUnit(StreamUnit):
    """A :class:`ProcessingElement` whose weights change with every operation: a group of A, a group of B, then c.

    The weights come by the whole line: they are in the shadow register after one clock, active after two, so that `a` waits for them.
    """

    def __init__(self, config: ChipConfig):
        self._config = config
        self._bits = operand_bits(config)
        super().__init__(2 * self._bits // 32 + 1, 2 + PE_STAGES)

    def elaborate(self, platform):
        m = Module()
        m.submodules.element = element = ProcessingElement(self._config)
        a, b, c = self.operands[: self._bits], self.operands[self._bits : 2 * self._bits], self.operands[-32:]
        mode = data.View(ElementMode, self.mode)
        m.d.comb += [
            element.line.eq(b), element.take_line.eq(1), element.swap.eq(1),
            element.a.eq(_delayed(m, a, 2, "a")), element.c.eq(_delayed(m, c, 2 + ACCUMULATOR_STAGE, "c")),
            self.result.eq(element.result),
        ]
        for stage in range(PE_STAGES):
            control = element.control[stage]
            m.d.comb += [
                control.enable.eq(1), control.a_format.eq(mode.operand), control.align.eq(mode.align),
            ]
            with m.Switch(mode.operand):
                for format in operands(self._config):
                    with m.Case(format):
                        m.d.comb += control.lanes.eq((1 << self._config.lanes(format)) - 1)
        return m


class LaneUnit(StreamUnit):
    """What a lane of the vector engine does with an element: load, a micro-program of up to four operations, store.

    The operations are unrolled in space, one :class:`Alu` each, so that a stream has no loops. Operands: the element, then the second
    operand of the first two operations, the destination's old value of the first, and the second operand of the last.
    """

    def __init__(self):
        super().__init__(4, LANE_STEPS * STAGES)

    def elaborate(self, platform):
        m = Module()
        mode = data.View(LaneMode, self.mode)
        element, second, old, last = (self.operands.word_select(word, 32) for word in range(4))
        m.submodules.widen = widen = Widen()
        m.d.comb += [widen.format.eq(mode.load), widen.code.eq(element)]
        value = widen.value
        seconds: Sequence = [second, _delayed(m, second, STAGES, "second"), 0, _delayed(m, last, (LANE_STEPS - 1) * STAGES, "last")]
        for step, operand in enumerate(seconds):
            m.submodules[f"alu_{step}"] = alu = Alu()
            m.d.comb += [
                alu.op.eq(mode.ops[step]), alu.a.eq(value), alu.b.eq(operand), alu.c.eq(old if step == 0 else 0),
                alu.enable.eq((1 << STAGES) - 1),
            ]
            value = alu.result
        m.submodules.narrow = narrow = Narrow()
        m.d.comb += [narrow.format.eq(mode.store), narrow.value.eq(value), self.result.eq(narrow.code)]
        return m
