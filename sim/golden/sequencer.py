"""Sequencer: fetches, decodes and runs the instructions of one SIP, or of the cluster, and queues engine commands.

It has no time: :meth:`Sequencer.step` runs one instruction, or says that the instruction has to wait.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from amaranth.lib import data

from rtl.config import ChipConfig
from rtl.isa import COMMANDS, Engine, Instruction, Opcode, Status, words_of
from sim.golden.outcome import Fault

__all__ = ["EVENT_LIMIT", "Decoded", "Events", "Queued", "Sequencer", "decode_instruction"]

#: The greatest value of an event.
EVENT_LIMIT = 255

_MASK = 0xFFFFFFFF
_WORDS = {engine: len(words_of(command)) for engine, command in COMMANDS.items()}
_FIELDS = [(f.offset, (1 << f.width) - 1) for f in (dict(data.Layout.cast(Instruction))[n] for n in (
    "opcode", "engine", "rd", "rs", "reg", "field", "imm"))]


class Decoded(NamedTuple):
    """One instruction; `opcode` is None where it is undefined."""

    opcode: Opcode | None
    engine: Engine
    rd: int
    rs: int
    reg: int
    field: int
    imm: int


@lru_cache(1 << 14)
def decode_instruction(bits: int) -> Decoded:
    """Members of a 64-bit instruction."""
    opcode, engine, *rest = (bits >> offset & mask for offset, mask in _FIELDS)
    return Decoded(Opcode._value2member_map_.get(opcode), Engine(engine), *rest)


class Events:
    """The 16 counting events of one SIP or of the cluster, 8 bit each."""

    def __init__(self) -> None:
        self.counts = [0] * ChipConfig.EVENTS

    def take(self, mask: int) -> bool:
        """Takes one from each event of the mask, if all of them are above zero; else takes none and returns False."""
        events = [e for e in range(ChipConfig.EVENTS) if mask >> e & 1]
        if not all(self.counts[e] for e in events):
            return False
        for e in events:
            self.counts[e] -= 1
        return True

    def signal(self, mask: int):
        """Adds one to each event of the mask; EVENT_OVERFLOW beyond 255."""
        for e in range(ChipConfig.EVENTS):
            if mask >> e & 1:
                if self.counts[e] == EVENT_LIMIT:
                    raise Fault(Status.EVENT_OVERFLOW)
                self.counts[e] += 1


@dataclass(frozen=True)
class Queued:
    """A command in an engine's queue: a copy of the register file, its events, and the RUN that queued it."""

    engine: Engine
    words: tuple[int, ...]
    wait: int
    signal: int
    target: int  #: SIP that gets the signals
    pc: int
    instruction: int


@dataclass
class _Loop:
    body: int
    left: int


@dataclass
class Sequencer:
    """One sequencer at the start of a job.

    Parameters
    ----------
    config, index
        The chip, and the number of this SIP; `config.sips` is the cluster.
    base, program
        Byte address of the first instruction in L3, and the instructions.
    arguments
        They become r0, r1, ...; the other registers, the command register files and the events start as zero.
    events
        The events of every SIP and, last, of the cluster.
    idle
        Says whether an engine has neither a queued nor a running command.
    """

    config: ChipConfig
    index: int
    base: int
    program: Sequence[int] | np.ndarray
    arguments: Sequence[int]
    events: Sequence[Events]
    idle: Callable[[Engine], bool]
    ended: bool = False
    queues: dict[Engine, deque[Queued]] = field(default_factory=lambda: {engine: deque() for engine in COMMANDS})

    def __post_init__(self) -> None:
        self.pc = self.base
        self.registers = [int(value) & _MASK for value in self.arguments]
        self.registers += [0] * (self.config.REGISTERS - len(self.registers))
        self.files = {engine: [0] * _WORDS[engine] for engine in COMMANDS}
        self.loops: list[_Loop] = []

    @property
    def instruction(self) -> int:
        """The 64 bits at the program counter, 0 outside the program."""
        index, odd = divmod(self.pc - self.base, 8)
        return int(self.program[index]) if not odd and 0 <= index < len(self.program) else 0

    def step(self) -> bool:
        """Runs one instruction. False if it has to wait or the program has ended; raises :class:`Fault`."""
        if self.ended:
            return False
        if not 0 <= self.pc - self.base < 8 * len(self.program):
            raise Fault(Status.BAD_ENTRY, self.pc)
        decoded = decode_instruction(self.instruction)
        if decoded.opcode is None:
            raise Fault(Status.UNDEFINED_OPCODE)
        following = self._HANDLERS[decoded.opcode](self, decoded)
        if following is None:
            return False
        self.pc = following
        return True

    # Handlers return the next program counter, or None to wait.

    def _end(self, _: Decoded) -> int | None:
        if not all(self.idle(engine) for engine in COMMANDS):
            return None
        self.ended = True
        return self.pc

    def _engine(self, decoded: Decoded) -> Engine:
        own = (Engine.DATA,) if self.index == self.config.sips else tuple(COMMANDS)
        if decoded.engine not in own:
            raise Fault(Status.UNDEFINED_ENGINE)
        return decoded.engine

    def _word(self, decoded: Decoded, value: int):
        engine = self._engine(decoded)
        if decoded.field >= _WORDS[engine]:
            raise Fault(Status.UNDEFINED_FIELD)
        self.files[engine][decoded.field] = value

    def _set(self, decoded: Decoded) -> int:
        self._word(decoded, decoded.imm)
        return self.pc + 8

    def _set_register(self, decoded: Decoded) -> int:
        self._word(decoded, self.registers[decoded.rs])
        self.registers[decoded.rs] = self.registers[decoded.rs] + decoded.imm & _MASK
        return self.pc + 8

    def _target(self, decoded: Decoded) -> int:
        if not decoded.reg:
            return self.index
        if decoded.field > self.config.sips:
            raise Fault(Status.UNDEFINED_FIELD)
        return decoded.field

    def _run(self, decoded: Decoded) -> int | None:
        engine, target = self._engine(decoded), self._target(decoded)
        if len(self.queues[engine]) >= self.config.queue_depth:
            return None
        wait, signal = decoded.imm & 0xFFFF, decoded.imm >> 16
        command = Queued(engine, tuple(self.files[engine]), wait, signal, target, self.pc, self.instruction)
        self.queues[engine].append(command)
        return self.pc + 8

    def _load(self, decoded: Decoded) -> int:
        self.registers[decoded.rd] = decoded.imm
        return self.pc + 8

    def _operand(self, decoded: Decoded) -> int:
        if not decoded.reg:
            return decoded.imm
        if decoded.field >= self.config.REGISTERS:
            raise Fault(Status.UNDEFINED_FIELD)
        return self.registers[decoded.field]

    def _alu(self, decoded: Decoded) -> int:
        a, b = self.registers[decoded.rs], self._operand(decoded)
        match decoded.opcode:
            case Opcode.ADD:
                result = a + b
            case Opcode.SUB:
                result = a - b
            case Opcode.MIN:
                result = min(a, b, key=_signed)
            case _:
                result = max(a, b, key=_signed)
        self.registers[decoded.rd] = result & _MASK
        return self.pc + 8

    def _shift(self, decoded: Decoded) -> int:
        a, amount = self.registers[decoded.rs], decoded.imm % 32
        self.registers[decoded.rd] = a << amount & _MASK if decoded.opcode is Opcode.SHL else a >> amount
        return self.pc + 8

    def _loop(self, decoded: Decoded) -> int:
        count = self.registers[decoded.rs] if decoded.reg else decoded.imm
        if count == 0:
            return self.pc + 8 + 8 * decoded.field
        if len(self.loops) == self.config.LOOP_DEPTH:
            raise Fault(Status.LOOP_DEPTH)
        self.loops.append(_Loop(self.pc + 8, count))
        return self.pc + 8

    def _endloop(self, _: Decoded) -> int:
        if not self.loops:
            raise Fault(Status.LOOP_DEPTH)
        loop = self.loops[-1]
        loop.left -= 1
        if loop.left:
            return loop.body
        self.loops.pop()
        return self.pc + 8

    def _wait(self, decoded: Decoded) -> int | None:
        return self.pc + 8 if self.events[self.index].take(decoded.imm & 0xFFFF) else None

    def _signal(self, decoded: Decoded) -> int:
        self.events[self._target(decoded)].signal(decoded.imm >> 16)
        return self.pc + 8

    def _fence(self, decoded: Decoded) -> int | None:
        return self.pc + 8 if all(self.idle(e) for e in COMMANDS if decoded.imm >> e.value & 1) else None

    _HANDLERS = {
        Opcode.END: _end, Opcode.SET: _set, Opcode.SETR: _set_register, Opcode.RUN: _run, Opcode.LOAD: _load,
        Opcode.ADD: _alu, Opcode.SUB: _alu, Opcode.MIN: _alu, Opcode.MAX: _alu, Opcode.SHL: _shift, Opcode.SHR: _shift,
        Opcode.LOOP: _loop, Opcode.ENDLOOP: _endloop, Opcode.WAIT: _wait, Opcode.SIGNAL: _signal, Opcode.FENCE: _fence,
    }


def _signed(value: int) -> int:
    return value - (value >> 31 << 32)
