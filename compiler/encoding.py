"""Numbers and names to bits: instructions, words of command register files, micro-programs. ValueError for what doesn't fit."""

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache

from amaranth.hdl import Shape
from amaranth.lib import data

from rtl.config import ChipConfig
from rtl.isa import COMMANDS, Engine, Instruction, MicroOp, Opcode, VectorOp, VectorSource, words_of

__all__ = ["FIELD_LIMIT", "encode", "event_mask", "micro_ops", "pattern", "word_table", "word_value"]

FIELD_LIMIT = 1 << 12
#: Words that hold a bit pattern or a virtual address: they also take negative numbers.
_PATTERNS = {"src_base", "fill", "s0", "s1"}


@cache
def word_table(engine: Engine) -> dict[str, tuple[int, object]]:
    """Number and shape of each word of an engine's command."""
    if engine not in COMMANDS:
        raise ValueError(f"{engine.name} is not an engine with commands")
    layout = data.Layout.cast(COMMANDS[engine])
    return {name: (number, layout[name].shape) for number, name in enumerate(words_of(COMMANDS[engine]))}


_OFFSETS = {name: field.offset for name, field in data.Layout.cast(Instruction)}


def encode(opcode: Opcode, *, engine: Engine = Engine.TENSOR, **fields: int) -> int:
    """One instruction; the callers have checked every number."""
    bits = opcode.value << _OFFSETS["opcode"] | engine.value << _OFFSETS["engine"]
    for name, value in fields.items():
        bits |= value << _OFFSETS[name]
    return bits


def pattern(what: str, value: int, least: int = -(1 << 31), most: int = (1 << 32) - 1) -> int:
    """A 32-bit pattern; ValueError where the value doesn't fit."""
    if not isinstance(value, int) and hasattr(value, "__index__"):
        value = value.__index__()
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{what}: {value!r} is not in {least} to {most}")
    return value & 0xFFFFFFFF


def word_value(engine: Engine, name: str, value) -> int:
    number, shape = word_table(engine)[name]
    what = f"{engine.name.lower()}.{name}"
    if isinstance(value, Mapping):
        if not (isinstance(shape, type) and issubclass(shape, data.Struct)):
            raise ValueError(f"{what}: a number is wanted, not {dict(value)!r}")
        return _struct_value(what, shape, value)
    if isinstance(value, data.Const):
        return value.as_bits()
    if name in _PATTERNS or number == 0:
        return pattern(what, value)
    if Shape.cast(shape).signed:
        return pattern(what, value, -(1 << 31), (1 << 31) - 1)
    return pattern(what, value, 0)


def _struct_value(what: str, shape, value: Mapping) -> int:
    """Bits of a struct given by its members, enum members or numbers."""
    members = dict(data.Layout.cast(shape))
    bits = 0
    for name, member in value.items():
        if name not in members:
            raise ValueError(f"{what}: {name!r} is not one of {', '.join(members)}")
        code = member.value if isinstance(member, Enum) else int(member)
        bits |= pattern(f"{what}.{name}", code, 0, (1 << members[name].width) - 1) << members[name].offset
    return bits


def micro_ops(*steps: tuple[VectorOp, int, VectorSource, VectorSource] | tuple[VectorOp, int, VectorSource]) -> dict[str, int]:
    """Words ops01 to ops67 of a vector command from steps (op, dst, a, b); without b it is ZERO. The mode's `ops` is the caller's."""
    if len(steps) > 8:
        raise ValueError(f"{len(steps)} micro-operations are more than 8")
    halves = [0] * 8
    for index, (op, dst, a, *b) in enumerate(steps):
        step = {"op": op, "dst": dst, "a": a, "b": b[0] if b else VectorSource.ZERO}
        halves[index] = _struct_value(f"micro-operation {index}", MicroOp, step)
    return {name: halves[2 * i] | halves[2 * i + 1] << 16 for i, name in enumerate(("ops01", "ops23", "ops45", "ops67"))}


def event_mask(events: Iterable[int]) -> int:
    mask = 0
    for event in events:
        if not 0 <= event < ChipConfig.EVENTS:
            raise ValueError(f"event {event} is not in 0 to {ChipConfig.EVENTS - 1}")
        mask |= 1 << event
    return mask
