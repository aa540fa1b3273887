"""The sequencer's own work: instructions one by one, scalar registers, the loop stack."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.isa import COMMANDS, Cause, Engine, Instruction, Opcode, RunOperand, Status, words_of
from rtl.sequencer.events import EventWait
from rtl.sequencer.fetch import WORD_BITS
from rtl.sequencer.interface import EndRecord, FetchedWord, QueuedRun, RemoteSignal
from rtl.sequencer.lane import FIELD_BITS

__all__ = ["Execute"]

#: Opcodes whose second operand may be register `field`.
_REGISTER_OPERAND = (Opcode.ADD, Opcode.SUB, Opcode.MIN, Opcode.MAX)


class Execute(wiring.Component):
    """Runs one instruction a cycle; a taken jump costs two cycles more, and RUN, WAIT, SIGNAL, FENCE and END may have to wait.

    Members
    -------
    start
        All scalar registers read as zero and no loop is open.
    enable
        Instructions are executed.
    word, pc, jump, keep
        The instruction, and the control of the reader (:class:`rtl.sequencer.fetch.Fetch`). The outermost loop whose body fits into
        the ring is kept there.
    argument : {valid, number, value}
        Writes a scalar register, while not enabled.
    command_word : {valid, engine, field, value}
        Writes a word of an engine's command register file.
    run : {valid, engine, run}, run_ready
        Queues a command. `run_ready` has a bit per engine.
    wait
        The events of WAIT.
    signal
        The events of SIGNAL; `remote` says that `target` counts.
    idle
        Per engine: nothing is queued or running.
    executed, ended
        An instruction was executed; it was the END.
    fault : {valid, record}
        The instruction can't be executed. It stays until `enable` falls.
    cause
        What this cycle was used for, while enabled.
    """

    def __init__(self, config: ChipConfig, engines: tuple[Engine, ...]):
        self.config = config
        self.engines = engines
        target = data.StructLayout({"remote": 1, "signal": RemoteSignal})
        super().__init__({
            "start": In(1),
            "enable": In(1),
            "word": In(stream.Signature(FetchedWord)),
            "pc": In(WORD_BITS),
            "jump": Out(data.StructLayout({"valid": 1, "target": WORD_BITS})),
            "keep": Out(data.StructLayout({"valid": 1, "address": WORD_BITS})),
            "argument": In(data.StructLayout({"valid": 1, "number": 5, "value": 32})),
            "command_word": Out(data.StructLayout({"valid": 1, "engine": Engine, "field": FIELD_BITS, "value": 32})),
            "run": Out(data.StructLayout({"valid": 1, "engine": Engine, "run": QueuedRun})),
            "run_ready": In(len(COMMANDS)),
            "wait": Out(EventWait()),
            "signal": Out(stream.Signature(target)),
            "idle": In(len(COMMANDS)),
            "executed": Out(1),
            "ended": Out(1),
            "fault": Out(data.StructLayout({"valid": 1, "record": EndRecord})),
            "cause": Out(Cause),
        })

    def elaborate(self, platform):
        m = Module()
        instruction = Instruction(self.word.payload.data)
        present, fault, can = Signal(), Signal(Status), Signal()
        m.d.comb += [
            present.eq(self.enable & self.word.valid),
            self.executed.eq(present & (fault == Status.OK) & can),
            self.word.ready.eq(self.executed),
            self.fault.valid.eq(present & (fault != Status.OK)),
            self.fault.record.status.eq(fault),
            self.fault.record.engine.eq(Engine.SEQUENCER),
            self.fault.record.pc.eq(Cat(C(0, 3), self.pc)),
            self.fault.record.command.eq(Mux(self.word.payload.status == Status.OK, self.word.payload.data, 0)),
            self.fault.record.address.eq(Mux(self.word.payload.status == Status.OK, 0, Cat(C(0, 3), self.pc))),
            self.cause.eq(Mux(self.executed, Cause.BUSY, Mux(self.word.valid, Cause.EVENT, Cause.MEMORY))),
        ]

        # Registers. What nobody wrote since the start reads as zero.
        m.submodules.registers = registers = Memory(shape=32, depth=ChipConfig.REGISTERS, init=[])
        write = registers.write_port()
        written = Signal(ChipConfig.REGISTERS)
        a, b = Signal(32), Signal(32)
        for number, value in ((instruction.rs, a), (instruction.field[:5], b)):
            port = registers.read_port(domain="comb")
            m.d.comb += [port.addr.eq(number), value.eq(Mux(written.bit_select(number, 1), port.data, 0))]
        with m.If(self.start):
            m.d.sync += written.eq(0)
        with m.Elif(write.en):
            m.d.sync += written.eq(written | (1 << write.addr))
        operand = Mux(instruction.reg, b, instruction.imm)
        result, writes = Signal(32), Signal()
        m.d.comb += [
            write.en.eq(self.argument.valid | (self.executed & writes)),
            write.addr.eq(Mux(self.argument.valid, self.argument.number,
                              Mux(instruction.opcode == Opcode.SETR, instruction.rs, instruction.rd))),
            write.data.eq(Mux(self.argument.valid, self.argument.value, result)),
        ]

        # Words of the command register files, and the queues.
        has_engine, has_word = Signal(), Signal()
        with m.Switch(instruction.engine):
            for engine in self.engines:
                with m.Case(engine):
                    m.d.comb += [has_engine.eq(1), has_word.eq(instruction.field < len(words_of(COMMANDS[engine])))]
        is_word = (instruction.opcode == Opcode.SET) | (instruction.opcode == Opcode.SETR)
        m.d.comb += [
            self.command_word.valid.eq(self.executed & is_word),
            self.command_word.engine.eq(instruction.engine),
            self.command_word.field.eq(instruction.field),
            self.command_word.value.eq(Mux(instruction.opcode == Opcode.SET, instruction.imm, a)),
            self.run.valid.eq(self.executed & (instruction.opcode == Opcode.RUN)),
            self.run.engine.eq(instruction.engine),
            self.run.run.instruction.eq(self.word.payload.data),
            self.run.run.pc.eq(Cat(C(0, 3), self.pc)),
        ]

        # Events.
        good = present & (fault == Status.OK)
        bad_target = instruction.reg & (instruction.field > self.config.sips)
        m.d.comb += [
            self.wait.events.eq(instruction.imm[:16]),
            self.wait.request.eq(good & (instruction.opcode == Opcode.WAIT)),
            self.signal.valid.eq(good & (instruction.opcode == Opcode.SIGNAL)),
            self.signal.payload.remote.eq(instruction.reg),
            self.signal.payload.signal.target.eq(instruction.field),
            self.signal.payload.signal.events.eq(RunOperand(instruction.imm).signal),
        ]
        fenced = Signal(len(COMMANDS))
        m.d.comb += fenced.eq(instruction.imm[:len(COMMANDS)] & ~self.idle)

        loops = self._loops(m, instruction, Mux(instruction.reg, a, instruction.imm))

        m.d.comb += can.eq(1)
        with m.If(self.word.payload.status != Status.OK):
            m.d.comb += fault.eq(self.word.payload.status)
        with m.Else():
            with m.Switch(instruction.opcode):
                with m.Case(Opcode.END):
                    m.d.comb += [can.eq(self.idle.all()), self.ended.eq(self.executed)]
                with m.Case(Opcode.SET, Opcode.SETR):
                    m.d.comb += [writes.eq(instruction.opcode == Opcode.SETR), result.eq(a + instruction.imm)]
                    with m.If(~has_engine):
                        m.d.comb += fault.eq(Status.UNDEFINED_ENGINE)
                    with m.Elif(~has_word):
                        m.d.comb += fault.eq(Status.UNDEFINED_FIELD)
                with m.Case(Opcode.RUN):
                    m.d.comb += can.eq(self.run_ready.bit_select(instruction.engine.as_value(), 1))
                    with m.If(~has_engine):
                        m.d.comb += fault.eq(Status.UNDEFINED_ENGINE)
                    with m.Elif(bad_target):
                        m.d.comb += fault.eq(Status.UNDEFINED_FIELD)
                with m.Case(Opcode.LOAD):
                    m.d.comb += [writes.eq(1), result.eq(instruction.imm)]
                with m.Case(*_REGISTER_OPERAND):
                    lesser = a.as_signed() < operand.as_signed()
                    m.d.comb += writes.eq(1)
                    with m.Switch(instruction.opcode):
                        with m.Case(Opcode.ADD):
                            m.d.comb += result.eq(a + operand)
                        with m.Case(Opcode.SUB):
                            m.d.comb += result.eq(a - operand)
                        with m.Case(Opcode.MIN):
                            m.d.comb += result.eq(Mux(lesser, a, operand))
                        with m.Default():
                            m.d.comb += result.eq(Mux(lesser, operand, a))
                    with m.If(instruction.reg & (instruction.field >= ChipConfig.REGISTERS)):
                        m.d.comb += fault.eq(Status.UNDEFINED_FIELD)
                with m.Case(Opcode.SHL):
                    m.d.comb += [writes.eq(1), result.eq(a << instruction.imm[:5])]
                with m.Case(Opcode.SHR):
                    m.d.comb += [writes.eq(1), result.eq(a >> instruction.imm[:5])]
                with m.Case(Opcode.LOOP, Opcode.ENDLOOP):
                    with m.If(loops):
                        m.d.comb += fault.eq(Status.LOOP_DEPTH)
                with m.Case(Opcode.WAIT):
                    m.d.comb += can.eq(self.wait.take)
                with m.Case(Opcode.SIGNAL):
                    m.d.comb += can.eq(self.signal.ready)
                    with m.If(bad_target):
                        m.d.comb += fault.eq(Status.UNDEFINED_FIELD)
                with m.Case(Opcode.FENCE):
                    m.d.comb += can.eq(fenced == 0)
                with m.Default():
                    m.d.comb += fault.eq(Status.UNDEFINED_OPCODE)
        return m

    def _loops(self, m: Module, instruction: Instruction, count):
        """The loop stack. Returns whether the LOOP or ENDLOOP at hand breaks its depth."""
        levels = ChipConfig.LOOP_DEPTH
        m.submodules.stack = stack = Memory(shape=data.StructLayout({"start": WORD_BITS, "left": 32}), depth=levels, init=[])
        write, top = stack.write_port(), stack.read_port(domain="comb")
        depth, kept = Signal(range(levels + 1)), Signal(range(levels))
        follow = (self.pc + 1)[:WORD_BITS]
        enter = (instruction.opcode == Opcode.LOOP) & (count != 0)
        skip = (instruction.opcode == Opcode.LOOP) & (count == 0)
        close = instruction.opcode == Opcode.ENDLOOP
        again = close & (top.data.left != 1)
        # A body of this many words fits the ring wherever its first word lies in a beat.
        fits = instruction.field <= self.config.instruction_buffer - self.config.bus_bytes // 8
        m.d.comb += [
            top.addr.eq((depth - 1)[:len(top.addr)]),
            write.en.eq(self.executed & (enter | again)),
            write.addr.eq(Mux(enter, depth[:len(top.addr)], top.addr)),
            write.data.start.eq(Mux(enter, follow, top.data.start)),
            write.data.left.eq(Mux(enter, count, top.data.left - 1)),
            self.jump.valid.eq(self.executed & (skip | again)),
            self.jump.target.eq(Mux(skip, follow + instruction.field, top.data.start)),
        ]
        with m.If(self.start):
            m.d.sync += [depth.eq(0), self.keep.valid.eq(0)]
        with m.Elif(self.executed & enter):
            m.d.sync += depth.eq(depth + 1)
            with m.If(~self.keep.valid & fits):
                m.d.sync += [self.keep.valid.eq(1), self.keep.address.eq(follow), kept.eq(depth)]
        with m.Elif(self.executed & close & ~again):
            m.d.sync += depth.eq(depth - 1)
            with m.If(kept == top.addr):
                m.d.sync += self.keep.valid.eq(0)
        return Mux(close, depth == 0, enter & (depth == levels))
