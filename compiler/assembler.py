"""Assembler: programs of instructions with names instead of bits, and images of programs.

A :class:`Program` knows what its sequencer's command register files hold, so that `set` emits only what changes, also inside loops.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from compiler.disassembler import disassemble
from compiler.encoding import FIELD_LIMIT, encode, event_mask, micro_ops, pattern, word_table, word_value
from rtl.config import ChipConfig
from rtl.image import Image
from rtl.isa import COMMANDS, Engine, Opcode

__all__ = ["Program", "Reg", "assemble", "disassemble", "micro_ops"]


@dataclass(frozen=True)
class Reg:
    """A scalar register of the sequencer, r0 to r31."""

    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < ChipConfig.REGISTERS:
            raise ValueError(f"register {self.number} is not in 0 to {ChipConfig.REGISTERS - 1}")

    def __str__(self) -> str:
        return f"r{self.number}"


@dataclass(frozen=True)
class _Known:
    """Value of a word, and how many loops were open where it was set."""

    value: int
    depth: int


@dataclass
class _Elided:
    """A SET that isn't needed as long as the word keeps the value that it had outside the loop."""

    engine: Engine
    word: str
    depth: int
    instruction: int
    needed: bool = False


class _Loop(list):
    """Items of a loop's body."""

    def __init__(self, header: Mapping[str, int]):
        super().__init__()
        self.header = header


class Program:
    """The program of one sequencer, written instruction by instruction. Every method raises ValueError for what can't be encoded."""

    def __init__(self) -> None:
        #: Engines and target SIPs that the program names.
        self.engines: set[Engine] = set()
        self.targets: set[int] = set()
        self._items: list = []
        self._open: list[list] = [self._items]
        # The register files start as zeros; a word that is not here is unknown.
        self._known = {engine: {name: _Known(0, 0) for name in word_table(engine)} for engine in COMMANDS}

    # Command register files

    def set(self, engine: Engine, **words):
        """Makes words of a command register file hold values; emits nothing for a word that holds its value already.

        A value is a number, a mapping of members (`mode`), an Amaranth constant, or a :class:`Reg`.
        """
        for name, value in words.items():
            if name not in word_table(engine):
                raise ValueError(f"{engine.name.lower()} has no word {name!r}")
            if isinstance(value, Reg):
                self.set_register(engine, name, value)
                continue
            self.engines.add(engine)
            bits = word_value(engine, name, value)
            instruction = encode(Opcode.SET, engine=engine, field=word_table(engine)[name][0], imm=bits)
            known = self._known[engine].get(name)
            if known is not None and known.value == bits:
                self._open[-1].append(_Elided(engine, name, known.depth, instruction))
            else:
                self._open[-1].append(instruction)
                self._known[engine][name] = _Known(bits, self._depth)

    def set_register(self, engine: Engine, word: str, rs: Reg, step: int = 0):
        """word = rs; then rs += step."""
        if word not in word_table(engine):
            raise ValueError(f"{engine.name.lower()} has no word {word!r}")
        self.engines.add(engine)
        self._emit(Opcode.SETR, engine=engine, field=word_table(engine)[word][0], rs=rs.number, imm=pattern("step", step))
        self._known[engine].pop(word, None)

    def forget(self, engine: Engine | None = None):
        """From here on nothing is known about the register file of an engine, or of all."""
        for each in COMMANDS if engine is None else (engine,):
            self._known[each].clear()

    def run(self, engine: Engine, wait: Iterable[int] = (), signal: Iterable[int] = (), to: int | None = None):
        """Queues the command. `wait` and `signal` are event numbers; the signals go to SIP `to`, else to this one."""
        word_table(engine)
        self.engines.add(engine)
        self._emit(Opcode.RUN, engine=engine, imm=event_mask(wait) | event_mask(signal) << 16, **self._target(to))

    # Scalar registers

    def load(self, rd: Reg, value: int):
        """rd = value"""
        self._emit(Opcode.LOAD, rd=rd.number, imm=pattern(str(rd), value))

    def add(self, rd: Reg, rs: Reg, operand: Reg | int):
        """rd = rs + operand, modulo 2^32"""
        self._alu(Opcode.ADD, rd, rs, operand)

    def sub(self, rd: Reg, rs: Reg, operand: Reg | int):
        """rd = rs - operand, modulo 2^32"""
        self._alu(Opcode.SUB, rd, rs, operand)

    def minimum(self, rd: Reg, rs: Reg, operand: Reg | int):
        """rd = the lesser of rs and operand, signed"""
        self._alu(Opcode.MIN, rd, rs, operand)

    def maximum(self, rd: Reg, rs: Reg, operand: Reg | int):
        """rd = the greater of rs and operand, signed"""
        self._alu(Opcode.MAX, rd, rs, operand)

    def shl(self, rd: Reg, rs: Reg, amount: int):
        """rd = rs << amount"""
        self._emit(Opcode.SHL, rd=rd.number, rs=rs.number, imm=pattern("shift", amount, 0, 31))

    def shr(self, rd: Reg, rs: Reg, amount: int):
        """rd = rs >> amount, logical"""
        self._emit(Opcode.SHR, rd=rd.number, rs=rs.number, imm=pattern("shift", amount, 0, 31))

    # Control

    @contextmanager
    def loop(self, count: int | Reg) -> Iterator[None]:
        """The instructions of the `with` block, `count` times."""
        if self._depth == ChipConfig.LOOP_DEPTH:
            raise ValueError(f"loops nest deeper than {ChipConfig.LOOP_DEPTH}")
        if isinstance(count, Reg):
            body = _Loop({"reg": 1, "rs": count.number})
        else:
            body = _Loop({"imm": pattern("count", count, 0)})
        before = {engine: dict(known) for engine, known in self._known.items()}
        self._open[-1].append(body)
        self._open.append(body)
        yield
        self._open.pop()
        self._close(body, before, may_skip=isinstance(count, Reg) or count == 0)
        _flat(body)

    def wait(self, *events: int):
        """Waits until all events are above zero and takes one from each."""
        self._emit(Opcode.WAIT, imm=event_mask(events))

    def signal(self, *events: int, to: int | None = None):
        """Adds one to each event, of SIP `to` or of this one."""
        self._emit(Opcode.SIGNAL, imm=event_mask(events) << 16, **self._target(to))

    def fence(self, *engines: Engine):
        """Waits until the engines are idle; all of them, if none is named."""
        self._emit(Opcode.FENCE, imm=sum(1 << engine.value for engine in set(engines or COMMANDS)))

    def end(self):
        """Ends this sequencer's part of the job once its engines are done."""
        self._emit(Opcode.END)

    @property
    def instructions(self) -> list[int]:
        """The program as 64-bit numbers."""
        if len(self._open) > 1:
            raise ValueError("a loop is still open")
        return _flat(self._items)

    @property
    def _depth(self) -> int:
        return len(self._open) - 1

    def _emit(self, opcode: Opcode, **fields):
        self._open[-1].append(encode(opcode, **fields))

    def _target(self, to: int | None) -> dict[str, int]:
        if to is None:
            return {}
        if not 0 <= to < FIELD_LIMIT:
            raise ValueError(f"SIP {to} is not in 0 to {FIELD_LIMIT - 1}")
        self.targets.add(to)
        return {"reg": 1, "field": to}

    def _alu(self, opcode: Opcode, rd: Reg, rs: Reg, operand: Reg | int):
        if isinstance(operand, Reg):
            self._emit(opcode, rd=rd.number, rs=rs.number, reg=1, field=operand.number)
        else:
            self._emit(opcode, rd=rd.number, rs=rs.number, imm=pattern("operand", operand))

    def _close(self, body: _Loop, before: Mapping[Engine, Mapping[str, _Known]], may_skip: bool):
        """Makes a loop's body right for its second iteration too, and works out what is known behind the loop."""
        depth = self._depth
        for engine, known in self._known.items():
            changed = {
                name for name in word_table(engine)
                if name in before[engine] and (name not in known or known[name].value != before[engine][name].value)
            }
            for item in _elided(body):
                if item.engine is engine and item.word in changed and item.depth <= depth:
                    item.needed = True
            for name in list(known):
                outside = before[engine].get(name)
                if outside is not None and outside.value == known[name].value:
                    known[name] = outside
                elif may_skip:
                    del known[name]
                else:
                    known[name] = _Known(known[name].value, min(known[name].depth, depth))


def _elided(items: Iterable) -> Iterator[_Elided]:
    for item in items:
        if isinstance(item, _Loop):
            yield from _elided(item)
        elif isinstance(item, _Elided):
            yield item


def _flat(items: Iterable) -> list[int]:
    """Instructions of a list of items; a loop becomes LOOP, its body and ENDLOOP."""
    code: list[int] = []
    if isinstance(items, _Loop):
        body = _flat(list(items))
        length = len(body) + 1
        if length >= FIELD_LIMIT:
            raise ValueError(f"a loop body of {length} instructions is longer than {FIELD_LIMIT - 1}")
        return [encode(Opcode.LOOP, field=length, **items.header), *body, encode(Opcode.ENDLOOP)]
    for item in items:
        if isinstance(item, _Loop):
            code += _flat(item)
        elif isinstance(item, _Elided):
            code += [item.instruction] * item.needed
        else:
            code.append(item)
    return code


def assemble(config: ChipConfig, programs: Mapping[int, Program]) -> Image:
    """The image of one program per SIP; SIP `config.sips` is the cluster's own sequencer. Raises ValueError."""
    code = [()] * (config.sips + 1)
    for sip, program in programs.items():
        if not 0 <= sip <= config.sips:
            raise ValueError(f"SIP {sip} is not in 0 to {config.sips}")
        if sip == config.sips and program.engines - {Engine.DATA}:
            raise ValueError("the cluster's own sequencer has the data engine alone")
        if program.targets and max(program.targets) > config.sips:
            raise ValueError(f"a signal goes to SIP {max(program.targets)}, which is not in 0 to {config.sips}")
        code[sip] = tuple(program.instructions)
        if not code[sip] or code[sip][-1] != encode(Opcode.END):
            raise ValueError(f"the program of SIP {sip} doesn't end with END")
    return Image(config.fingerprint, tuple(code))
