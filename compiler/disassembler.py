"""Disassembler: the instructions of an image as text."""

from rtl.config import ChipConfig
from rtl.image import Image
from rtl.isa import COMMANDS, Instruction, Opcode, words_of

__all__ = ["disassemble", "instruction_text"]


def _events(mask: int) -> str:
    return ",".join(str(event) for event in range(ChipConfig.EVENTS) if mask >> event & 1) or "-"


def instruction_text(bits: int) -> str:
    """One instruction as text."""
    try:
        i = Instruction.from_bits(bits)
        opcode = i.opcode
    except ValueError:
        opcode = None
    if opcode is None:
        return f".quad {bits:#018x}"
    engine = i.engine.name.lower()
    words = words_of(COMMANDS[i.engine]) if i.engine in COMMANDS else []
    word = f"{engine}.{words[i.field] if i.field < len(words) else i.field}"
    target = f" to {i.field}" if i.reg else ""
    operand = f"r{i.field}" if i.reg else f"{i.imm:#x}"
    match opcode:
        case Opcode.SET:
            return f"set {word}, {i.imm:#x}"
        case Opcode.SETR:
            return f"setr {word}, r{i.rs}, {i.imm:#x}"
        case Opcode.RUN:
            return f"run {engine}, wait {_events(i.imm & 0xFFFF)}, signal {_events(i.imm >> 16)}{target}"
        case Opcode.LOAD:
            return f"load r{i.rd}, {i.imm:#x}"
        case Opcode.ADD | Opcode.SUB | Opcode.MIN | Opcode.MAX:
            return f"{opcode.name.lower()} r{i.rd}, r{i.rs}, {operand}"
        case Opcode.SHL | Opcode.SHR:
            return f"{opcode.name.lower()} r{i.rd}, r{i.rs}, {i.imm % 32}"
        case Opcode.LOOP:
            return f"loop {f'r{i.rs}' if i.reg else i.imm}, {i.field}"
        case Opcode.WAIT:
            return f"wait {_events(i.imm & 0xFFFF)}"
        case Opcode.SIGNAL:
            return f"signal {_events(i.imm >> 16)}{target}"
        case Opcode.FENCE:
            return f"fence {','.join(engine.name.lower() for engine in COMMANDS if i.imm >> engine.value & 1) or '-'}"
    return opcode.name.lower()


def disassemble(image: Image) -> list[str]:
    """One line per instruction: SIP, byte offset in its program, text; loop bodies are indented."""
    lines = []
    for sip, program in enumerate(image.programs):
        depth = 0
        for index, bits in enumerate(program):
            text = instruction_text(bits)
            depth -= text == "endloop" and depth > 0
            lines.append(f"{sip}:{8 * index:05x}  {'  ' * depth}{text}")
            depth += text.startswith("loop ")
    return lines
