"""One engine's lane: its command register file, the queue of its commands, and what is known of those that it runs."""

from amaranth import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.common.sram import SramDual
from rtl.data_engine.job import SLOTS
from rtl.isa import Completion, DataCommand, RunOperand, TensorCommand, VectorCommand, words_of
from rtl.sequencer.interface import DONE, FinishedRun, QueuedRun

__all__ = ["FIELD_BITS", "IN_FLIGHT", "EngineLane"]

#: Number of a command word; the longest command has 35.
FIELD_BITS = 6

#: Commands that an engine may hold: the tensor core drains one, computes one, checks one and is offered one; the vector engine runs one and
#: prefetches one; the data engine runs as many as its ledger has slots, and checks one.
IN_FLIGHT = {TensorCommand: 4, VectorCommand: 2, DataCommand: SLOTS + 1}


class EngineLane(wiring.Component):
    """Queues snapshots of a command register file, hands each to the engine once its events are there, and keeps the order.

    A queued command is stored as the words that were written since the one before. They go into a small SRAM, one slot a
    command, and are copied one word a cycle to the register that the engine sees, while the engine works on earlier commands.
    So a snapshot costs no copy and no wide multiplexer, and words that nobody changes cost nothing.

    Parameters
    ----------
    command
        Struct of the engine's command, one 32-bit word per member.
    depth
        Commands that wait, the one that is offered to the engine not counted.

    Members
    -------
    clear
        For one cycle while the lane is empty: all words become zero.
    flush
        While high, everything queued is dropped, `command` is withdrawn and what the engine reports is ignored.
    word : {valid, field, value}
        Writes one word of the register file. Always taken.
    run
        Queues the register file as it stands. Not ready while `depth` commands wait.
    events, available, request, take
        `events` are those that the oldest queued command waits for and `available` says that they are all there. With
        `request` the lane wants to take them; in the cycle of `take` it does, and the command is issued.
    command, done
        To and from the engine. A command is valid one cycle after its events were taken.
    finished
        Each command that the engine completed, in order, until its receiver has sent its signals.
    empty
        Nothing is queued, running or unsignalled.
    waiting
        The oldest queued command waits for an event.
    issued, completed
        The engine took a command, gave one back.
    """

    def __init__(self, command: type, depth: int):
        if depth < 1:
            raise ValueError(f"a lane queues at least 1 command, not {depth}")
        self.words = words_of(command)
        self.in_flight = IN_FLIGHT[command]
        self.depth = depth
        super().__init__({
            "clear": In(1),
            "flush": In(1),
            "word": In(data.StructLayout({"valid": 1, "field": FIELD_BITS, "value": 32})),
            "run": In(stream.Signature(QueuedRun)),
            "events": Out(16),
            "available": In(1),
            "request": Out(1),
            "take": In(1),
            "command": Out(stream.Signature(command)),
            "done": In(DONE),
            "finished": Out(stream.Signature(FinishedRun)),
            "empty": Out(1),
            "waiting": Out(1),
            "issued": Out(1),
            "completed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        count = len(self.words)
        slots = self.depth + 1
        field_bits = (count - 1).bit_length()

        # Words of the queued commands and of the one that the program builds at `tail`.
        m.submodules.words = words = SramDual(slots << field_bits, 32)
        head, tail = Signal(range(slots)), Signal(range(slots))
        queued = Signal(range(self.depth + 1))
        changed = [Signal(count, name=f"changed{slot}") for slot in range(slots)]
        word_slot = Cat(self.word.field[:field_bits], tail)
        m.d.comb += [
            words.write.eq(self.word.valid), words.write_address.eq(word_slot), words.write_data.eq(self.word.value),
        ]

        # Copy the changed words of the oldest command to the engine's register, unless that still holds an offered one.
        copying = Signal()
        copied = Signal(field_bits)
        pending, chosen, first = Signal(count), Signal(field_bits), Signal(count)
        with m.Switch(head):
            for slot in range(slots):
                with m.Case(slot):
                    m.d.comb += pending.eq(changed[slot])
        m.d.comb += first.eq(pending & ~(pending - 1))
        for field in range(count):
            with m.If(first[field]):
                m.d.comb += chosen.eq(field)
        copy = (pending != 0) & ~self.command.valid & ~self.clear
        m.d.comb += [words.read_enable.eq(copy), words.read_address.eq(Cat(chosen, head))]
        m.d.sync += [copying.eq(copy), copied.eq(chosen)]
        registers = [Signal(32, name=name) for name in self.words]
        for field, register in enumerate(registers):
            with m.If(self.clear):
                m.d.sync += register.eq(0)
            with m.Elif(copying & (copied == field)):
                m.d.sync += register.eq(words.read_data)
        m.d.comb += Value.cast(self.command.payload).eq(Cat(*registers))
        marked, unmarked = Signal(count), Signal(count)
        m.d.comb += [
            marked.eq(Mux(self.word.valid, 1 << self.word.field, 0)),
            unmarked.eq(Mux(copy, first, 0)),
        ]
        for slot, flags in enumerate(changed):
            m.d.sync += flags.eq((flags & ~Mux(head == slot, unmarked, 0)) | Mux(tail == slot, marked, 0))

        # The runs of all commands from queue to completion.
        runs = self.depth + self.in_flight
        m.submodules.runs = memory = Memory(shape=QueuedRun, depth=runs, init=[])
        write, oldest, running = memory.write_port(), memory.read_port(domain="comb"), memory.read_port(domain="comb")
        in_flight = Signal(range(self.in_flight + 1))
        push = self.run.valid & self.run.ready
        pop = self.finished.valid & self.finished.ready
        accept = self.command.valid & self.command.ready
        # The last word is copied in the cycle in which the command becomes valid.
        m.d.comb += [
            self.run.ready.eq(queued != self.depth),
            write.data.eq(self.run.payload), write.en.eq(push),
            self.events.eq(RunOperand(oldest.data.instruction.imm).wait),
            self.request.eq((queued != 0) & (pending == 0) & ~self.command.valid & (in_flight != self.in_flight)),
        ]
        with m.If(push):
            m.d.sync += [tail.eq(_next(tail, slots)), write.addr.eq(_next(write.addr, runs))]
        with m.If(self.take):
            m.d.sync += [self.command.valid.eq(1), head.eq(_next(head, slots)), oldest.addr.eq(_next(oldest.addr, runs))]
        with m.Elif(accept):
            m.d.sync += self.command.valid.eq(0)
        with m.If(pop):
            m.d.sync += running.addr.eq(_next(running.addr, runs))
        m.d.sync += [
            queued.eq(queued + push - self.take),
            in_flight.eq(in_flight + self.take - pop),
            self.waiting.eq((queued != 0) & ~self.available),
            self.issued.eq(accept),
            self.completed.eq(self.done.valid & (in_flight != 0)),
        ]

        # As many entries as the engine can hold: `done` needs no back-pressure.
        m.submodules.completions = completions = fifo.SyncFIFO(width=Shape.cast(Completion).width, depth=self.in_flight)
        m.d.comb += [
            completions.w_en.eq(self.done.valid & (in_flight != 0) & ~self.flush),
            completions.w_data.eq(self.done.completion),
            self.finished.valid.eq(completions.r_rdy),
            Value.cast(self.finished.payload.completion).eq(completions.r_data),
            self.finished.payload.run.eq(running.data),
            completions.r_en.eq(self.finished.ready | self.flush),
            self.empty.eq((queued == 0) & (in_flight == 0)),
        ]
        with m.If(self.flush):
            m.d.sync += [
                queued.eq(0), in_flight.eq(0), self.command.valid.eq(0), self.waiting.eq(0),
                head.eq(tail), oldest.addr.eq(write.addr), running.addr.eq(write.addr),
            ]
        with m.If(self.clear | self.flush):
            m.d.sync += [signal.eq(0) for signal in changed]
        return m


def _next(value: Signal, count: int):
    """`value` + 1 modulo `count`, which need not be a power of two."""
    return Mux(value == count - 1, 0, value + 1)
