"""Issues the micro-program: pass by pass over each strip, one slot a cycle."""

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import VectorCommand, VectorOp
from rtl.vector.check import micro_ops
from rtl.vector.slot import POINTER_BITS, Source, slot_layout, step_layout
from rtl.vector.strip import Strip, TapCounter

__all__ = ["Issue"]


class Issue(wiring.Component):
    """The passes of a strip: one reduction for each tap after the first, the micro-operations, and, where the last of them doesn't write
    V0, a move of V0 to z. The last pass sends its results to z and frees the slots.

    V1 without y, V2, V3 and parameters that were not loaded read as zero until the micro-program writes them.

    Members
    -------
    start, command : as in `Walk`
    walked, ended : as in `Strip`
    x_loaded, y_loaded : pointers behind the last slot whose first tap of x, and whose y, is in the registers
    operand : x of a later tap is there for the step; `take_operand`: the step uses it
    room : of `Store`
    position : of the slot whose `slot` is shown in the same cycle
    step : what is issued in this cycle; NOP is not
    reserve : the step's result goes to z; `freed`: the parameters are no longer needed
    released : pointer behind the last slot that was freed
    finished : every slot had its last pass
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "start": In(1), "command": In(VectorCommand), "walked": In(POINTER_BITS), "ended": In(1),
            "x_loaded": In(POINTER_BITS), "y_loaded": In(POINTER_BITS), "operand": In(1), "take_operand": Out(1), "room": In(1),
            "position": Out(POINTER_BITS - 1), "slot": In(slot_layout(config)),
            "step": Out(data.StructLayout({"valid": 1, "step": step_layout(config)})),
            "reserve": Out(1), "freed": Out(1), "released": Out(POINTER_BITS), "finished": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.strip = strip = Strip()
        m.submodules.taps = taps = TapCounter()
        command, mode, step = self.command, self.command.mode, self.step.step
        target = step.target
        program = micro_ops(command)

        many = Signal()  # more than one tap
        reducing = Signal()
        index = Signal(range(9))
        move = Signal()  # the last pass only moves V0
        last_op = Array(program[i] for i in range(8))[(mode.ops - 1)[:3]]
        micro = Array(program[i] for i in range(8))[index[:3]]
        in_program, last_pass = Signal(), Signal()
        m.d.comb += [many.eq((command.kh != 1) | (command.kw != 1)), in_program.eq(~reducing & (index < mode.ops))]
        with m.If(reducing):
            m.d.comb += last_pass.eq(taps.last & ~mode.ops.any())
        with m.Elif(in_program):
            m.d.comb += last_pass.eq((index == mode.ops - 1) & ~move)
        with m.Else():
            m.d.comb += last_pass.eq(1)
        m.d.comb += [
            taps.skip_first.eq(1), taps.kh.eq(command.kh), taps.kw.eq(command.kw), taps.start.eq(self.start),
            taps.step.eq(strip.turn & reducing),
        ]
        with m.If(self.start):
            ends_in_v0 = Mux(mode.ops.any(), (last_op.op != VectorOp.NOP) & (last_op.dst == 0), many)
            m.d.sync += [reducing.eq(many), index.eq(0), move.eq(~ends_in_v0)]
        with m.Elif(strip.turn):
            with m.If(last_pass):
                m.d.sync += [reducing.eq(many), index.eq(0)]
            with m.Elif(reducing):
                m.d.sync += reducing.eq(~taps.last)
            with m.Else():
                m.d.sync += index.eq(index + 1)

        # Which of V1 to V3 hold something in this strip.
        written = Signal(4)
        with m.If(self.start | strip.turn & last_pass):
            m.d.sync += written.eq(1 | mode.y_enable << 1)
        with m.Elif(strip.turn & in_program & (micro.op != VectorOp.NOP)):
            m.d.sync += written.eq(written | 1 << micro.dst)

        def resolved(code):
            holds = Mux(code[2], mode.params > code[:2], written.bit_select(code[:2], 1))
            return Mux(code[3] | holds, code, Source.ZERO.value)

        with m.If(reducing):
            m.d.comb += [step.op.eq(mode.reduce), step.a.eq(Source.V0), step.b.eq(Source.X), step.c.eq(Source.ZERO)]
        with m.Elif(in_program):
            m.d.comb += [
                step.op.eq(micro.op), target.register.eq(micro.dst), step.a.as_value().eq(resolved(micro.a.as_value())),
                step.b.as_value().eq(resolved(micro.b.as_value())), step.c.as_value().eq(resolved(Cat(micro.dst, Const(0, 2)))),
            ]
        with m.Else():
            m.d.comb += [step.op.eq(VectorOp.MOV), step.a.eq(Source.V0), step.b.eq(Source.ZERO), step.c.eq(Source.ZERO)]

        loaded = (strip.pointer != self.x_loaded) & (~mode.y_enable | (strip.pointer != self.y_loaded))
        take = Signal()
        m.d.comb += [
            strip.start.eq(self.start), strip.walked.eq(self.walked), strip.ended.eq(self.ended), strip.last_pass.eq(last_pass),
            take.eq(strip.present & loaded & (self.operand | ~reducing) & (self.room | ~last_pass)),
            strip.take.eq(take),
            self.take_operand.eq(take & reducing),
            self.position.eq(strip.pointer),
            self.step.valid.eq(take & (step.op != VectorOp.NOP)),
            step.entry.eq(self.slot.entry), target.store.eq(last_pass), target.position.eq(strip.pointer),
            target.columns.eq(self.slot.columns), target.z.eq(self.slot.z),
            self.reserve.eq(take & last_pass), self.freed.eq(take & last_pass & self.slot.last_row),
            self.finished.eq(strip.finished),
        ]
        with m.If(self.start):
            m.d.sync += self.released.eq(0)
        with m.Elif(take & last_pass):
            m.d.sync += self.released.eq(self.released + 1)
        return m
