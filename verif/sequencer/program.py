"""Programs of the sequencer's testbench: an assembler, an instruction-level model written from `rtl/isa.py`, random programs."""

import random
from collections import Counter
from dataclasses import dataclass, field

from rtl.isa import COMMANDS, Engine, Instruction, Opcode, words_of
from verif.common.streams import pack

__all__ = ["Issue", "Outcome", "Step", "assemble", "execute", "local_signals", "random_program"]

_M32 = 0xFFFFFFFF


def assemble(opcode: Opcode | int, **fields) -> int:
    """A 64-bit instruction. `wait` and `signal` are masks that make up `imm`."""
    if "wait" in fields or "signal" in fields:
        fields["imm"] = fields.pop("wait", 0) | fields.pop("signal", 0) << 16
    number = opcode.value if isinstance(opcode, Opcode) else opcode
    fields.setdefault("engine", Engine.TENSOR)
    fields["imm"] = fields.get("imm", 0) & _M32
    return pack(Instruction, {**fields, "opcode": Opcode.END}) & ~(0x3F << 58) | number << 58


@dataclass(frozen=True)
class Issue:
    """One command as its engine must see it. `index` is the RUN's place in the program."""

    words: tuple[int, ...]
    wait: int
    signal: int
    target: int | None
    index: int


@dataclass(frozen=True)
class Step:
    """An instruction as it was executed: loops around it, and the times of a LOOP."""

    instruction: int
    depth: int
    times: int | None


@dataclass
class Outcome:
    """What a program does that the outside can see."""

    issues: dict[Engine, list[Issue]] = field(default_factory=lambda: {engine: [] for engine in COMMANDS})
    #: Events that SIGNAL sends here and to others: (target or None, events).
    signals: list[tuple[int | None, int]] = field(default_factory=list)
    executed: int = 0
    #: Each kind of step once.
    steps: set[Step] = field(default_factory=set)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def execute(program: list[int], arguments: list[int], limit: int = 200_000) -> Outcome:
    """Runs a well-formed program to its END."""
    r = [*arguments, *[0] * (32 - len(arguments))]
    words = {engine: [0] * len(words_of(command)) for engine, command in COMMANDS.items()}
    loops: list[list[int]] = []
    outcome = Outcome()
    pc = 0
    while True:
        outcome.executed += 1
        assert outcome.executed < limit
        i = Instruction.from_bits(program[pc])
        opcode, engine = Opcode(i.opcode), Engine(i.engine)
        second = r[i.field & 31] if i.reg else i.imm
        following = pc + 1
        times = (r[i.rs] if i.reg else i.imm) if opcode == Opcode.LOOP else None
        outcome.steps.add(Step(program[pc], len(loops), times))
        if opcode == Opcode.END:
            return outcome
        if opcode == Opcode.SET:
            words[engine][i.field] = i.imm
        elif opcode == Opcode.SETR:
            words[engine][i.field] = r[i.rs]
            r[i.rs] = (r[i.rs] + i.imm) & _M32
        elif opcode == Opcode.RUN:
            target = i.field if i.reg else None
            outcome.issues[engine].append(Issue(tuple(words[engine]), i.imm & 0xFFFF, i.imm >> 16, target, pc))
        elif opcode == Opcode.LOAD:
            r[i.rd] = i.imm
        elif opcode == Opcode.ADD:
            r[i.rd] = (r[i.rs] + second) & _M32
        elif opcode == Opcode.SUB:
            r[i.rd] = (r[i.rs] - second) & _M32
        elif opcode == Opcode.MIN:
            r[i.rd] = min(_signed(r[i.rs]), _signed(second)) & _M32
        elif opcode == Opcode.MAX:
            r[i.rd] = max(_signed(r[i.rs]), _signed(second)) & _M32
        elif opcode == Opcode.SHL:
            r[i.rd] = r[i.rs] << (i.imm % 32) & _M32
        elif opcode == Opcode.SHR:
            r[i.rd] = r[i.rs] >> (i.imm % 32)
        elif opcode == Opcode.LOOP:
            assert times is not None
            if times == 0:
                following = pc + 1 + i.field
            else:
                loops.append([pc + 1, times])
        elif opcode == Opcode.ENDLOOP:
            loops[-1][1] -= 1
            if loops[-1][1]:
                following = loops[-1][0]
            else:
                loops.pop()
        elif opcode == Opcode.SIGNAL:
            outcome.signals.append((i.field if i.reg else None, i.imm >> 16))
        pc = following


class _Writer:
    """Writes a random program that can't deadlock: who waits for an event comes after who signals it, in the same loop body."""

    def __init__(self, rng: random.Random, engines: tuple[Engine, ...], sips: int):
        self.rng, self.engines, self.sips = rng, engines, sips
        self.events = list(range(16))
        rng.shuffle(self.events)

    def block(self, size: int, depth: int, budget: int) -> list[int]:
        """About `size` instructions; loops may multiply them to some `budget` executions."""
        rng = self.rng
        code: list[int] = []
        open_events: list[int] = []
        while len(code) < size:
            engine = rng.choice(self.engines)
            kind = rng.choices(["set", "setr", "alu", "load", "run", "loop", "signal", "fence"], [30, 12, 14, 6, 20, 8, 4, 2])[0]
            if kind == "set":
                field = rng.randrange(len(words_of(COMMANDS[engine])))
                code.append(assemble(Opcode.SET, engine=engine, field=field, imm=rng.getrandbits(32)))
            elif kind == "setr":
                field = rng.randrange(len(words_of(COMMANDS[engine])))
                step = rng.choice([0, 4, -64, rng.getrandbits(32)])
                code.append(assemble(Opcode.SETR, engine=engine, field=field, rs=rng.randrange(32), imm=step))
            elif kind == "load":
                code.append(assemble(Opcode.LOAD, rd=rng.randrange(32), imm=rng.getrandbits(32)))
            elif kind == "alu":
                opcode = rng.choice([Opcode.ADD, Opcode.SUB, Opcode.MIN, Opcode.MAX, Opcode.SHL, Opcode.SHR])
                code.append(assemble(opcode, rd=rng.randrange(32), rs=rng.randrange(32), reg=rng.randrange(2), field=rng.randrange(32),
                                     imm=rng.choice([rng.getrandbits(32), rng.randrange(64), 0x80000000, 0x7FFFFFFF])))
            elif kind == "run":
                wait = open_events.pop(0) if open_events and rng.random() < 0.6 else None
                signal = self.events.pop() if self.events and rng.random() < 0.5 else None
                remote = signal is None and rng.random() < 0.15
                code.append(assemble(Opcode.RUN, engine=engine, wait=0 if wait is None else 1 << wait,
                                     signal=rng.getrandbits(16) if remote else 0 if signal is None else 1 << signal,
                                     reg=int(remote), field=rng.randrange(self.sips + 1) if remote else rng.randrange(4096)))
                if signal is not None:
                    open_events.append(signal)
            elif kind == "signal":
                if self.events and rng.random() < 0.5:
                    open_events.append(self.events.pop())
                    code.append(assemble(Opcode.SIGNAL, signal=1 << open_events[-1]))
                else:
                    code.append(assemble(Opcode.SIGNAL, reg=1, field=rng.randrange(self.sips + 1), signal=rng.getrandbits(16)))
            elif kind == "fence":
                code.append(assemble(Opcode.FENCE, imm=rng.randrange(16)))
            elif depth and budget > 2:
                code += self.loop(size, depth, budget)
        # Whatever is still signalled is taken, so that a loop finds its events as it left them.
        for event in open_events:
            code.append(assemble(Opcode.WAIT, wait=1 << event))
        return code

    def loop(self, size: int, depth: int, budget: int) -> list[int]:
        rng = self.rng
        times = rng.choice([0, 1, 2, 3, rng.randrange(budget)])
        body = [*self.block(rng.randrange(max(size // 2, 1)), depth - 1, budget // max(times, 1)), assemble(Opcode.ENDLOOP)]
        if rng.random() < 0.5:
            return [assemble(Opcode.LOOP, imm=times, field=len(body)), *body]
        # A dynamic bound: any register, an argument at first, forced into 0 to `times`.
        return [
            assemble(Opcode.MIN, rd=31, rs=rng.randrange(32), imm=times), assemble(Opcode.MAX, rd=31, rs=31, imm=0),
            assemble(Opcode.LOOP, reg=1, rs=31, field=len(body), imm=99), *body,
        ]


def random_program(rng: random.Random, engines: tuple[Engine, ...], sips: int, size: int) -> list[int]:
    return [*_Writer(rng, engines, sips).block(size, rng.randrange(9), 24), assemble(Opcode.END)]


def local_signals(outcome: Outcome) -> Counter:
    """How often each event is signalled by SIGNAL to the sequencer itself."""
    return Counter(event for target, events in outcome.signals if target is None for event in range(16) if events >> event & 1)
