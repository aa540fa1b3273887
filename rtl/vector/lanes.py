"""The lanes side by side, and what travels along with their operands."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import VectorOp
from rtl.vector.alu import STAGES, Alu
from rtl.vector.slot import step_layout, target_layout

__all__ = ["Lanes"]


class Lanes(wiring.Component):
    """All lanes, in step; seven cycles from a step to its result.

    Members
    -------
    step : what is issued; operands : from `Registers`, two cycles later
    outcome : {valid, target}, and `results`, seven cycles after `step`
    busy : an operation is on its way
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        width = 32 * config.vector_lanes
        step = data.StructLayout({"valid": 1, "step": step_layout(config)})
        super().__init__({
            "step": In(step),
            "operands": In(data.StructLayout({"op": VectorOp, "a": width, "b": width, "c": width})),
            "outcome": Out(data.StructLayout({"valid": 1, "target": target_layout(config)})), "results": Out(width), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        depth = STAGES + 2
        valid = Signal(depth)
        m.d.sync += valid.eq(Cat(self.step.valid, valid[:-1]))
        previous, moves = self.step.step.target, self.step.valid
        for i in range(depth):
            stage = Signal(target_layout(self.config), name=f"target_{i}", reset_less=True)
            with m.If(moves):
                m.d.sync += stage.eq(previous)
            previous, moves = stage, valid[i]
        m.d.comb += [self.outcome.valid.eq(valid[-1]), self.outcome.target.eq(previous), self.busy.eq(valid.any())]

        operands = self.operands
        for i in range(self.config.vector_lanes):
            lane = slice(32 * i, 32 * i + 32)
            m.submodules[f"alu_{i}"] = alu = Alu()
            m.d.comb += [
                alu.op.eq(operands.op), alu.a.eq(operands.a[lane]), alu.b.eq(operands.b[lane]), alu.c.eq(operands.c[lane]),
                alu.enable.eq(valid[1:1 + STAGES]), self.results[lane].eq(alu.result),
            ]
        return m
