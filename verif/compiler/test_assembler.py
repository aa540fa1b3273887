"""Assembler and disassembler: encodings, exact refusals, and a proof by random programs that elided SETs never change a command."""

import random

import pytest

from compiler.assembler import Program, Reg, assemble, disassemble, micro_ops
from rtl.config import PRESETS
from rtl.formats import Format
from rtl.image import Image
from rtl.isa import COMMANDS, DataOp, Engine, Instruction, Opcode, RunOperand, Space, Status, TensorMode, VectorOp, VectorSource, word_index
from sim.golden.chip import GoldenChip
from verif.golden.kit import TINY, launch

T, V, D = Engine.TENSOR, Engine.VECTOR, Engine.DATA
R = [Reg(number) for number in range(32)]


def fields(bits: int) -> dict:
    i = Instruction.from_bits(bits)
    return {"opcode": i.opcode, **{name: int(getattr(i, name)) for name in ("imm", "field", "reg", "rs", "rd")}, "engine": i.engine}


def only(program: Program) -> dict:
    (bits,) = program.instructions
    return fields(bits)


def wanted(opcode, engine=T, **values) -> dict:
    return {"opcode": opcode, "imm": 0, "field": 0, "reg": 0, "rs": 0, "rd": 0, "engine": engine, **values}


def run_operand(wait, signal) -> int:
    return RunOperand.const({"wait": wait, "signal": signal}).as_bits()


ENCODINGS = {
    "set": (lambda p: p.set(D, fill=-1), wanted(Opcode.SET, D, field=word_index(COMMANDS[D], "fill"), imm=2**32 - 1)),
    "set signed": (lambda p: p.set(V, x_oh=-4), wanted(Opcode.SET, V, field=word_index(COMMANDS[V], "x_oh"), imm=2**32 - 4)),
    "set register": (lambda p: p.set(T, a_base=R[9]), wanted(Opcode.SETR, field=word_index(COMMANDS[T], "a_base"), rs=9)),
    "setr": (lambda p: p.set_register(T, "n", R[31], -2), wanted(Opcode.SETR, field=word_index(COMMANDS[T], "n"), rs=31, imm=2**32 - 2)),
    "run": (lambda p: p.run(V, wait=(0, 3), signal=[15]), wanted(Opcode.RUN, V, imm=run_operand(0b1001, 0x8000))),
    "run to": (lambda p: p.run(D, to=0), wanted(Opcode.RUN, D, reg=1)),
    "load": (lambda p: p.load(R[4], -3), wanted(Opcode.LOAD, rd=4, imm=2**32 - 3)),
    "add": (lambda p: p.add(R[1], R[2], 5), wanted(Opcode.ADD, rd=1, rs=2, imm=5)),
    "sub": (lambda p: p.sub(R[1], R[2], R[30]), wanted(Opcode.SUB, rd=1, rs=2, reg=1, field=30)),
    "minimum": (lambda p: p.minimum(R[1], R[2], -1), wanted(Opcode.MIN, rd=1, rs=2, imm=2**32 - 1)),
    "maximum": (lambda p: p.maximum(R[1], R[2], R[0]), wanted(Opcode.MAX, rd=1, rs=2, reg=1)),
    "shl": (lambda p: p.shl(R[1], R[2], 31), wanted(Opcode.SHL, rd=1, rs=2, imm=31)),
    "shr": (lambda p: p.shr(R[1], R[2], 0), wanted(Opcode.SHR, rd=1, rs=2)),
    "wait": (lambda p: p.wait(1, 2), wanted(Opcode.WAIT, imm=6)),
    "signal": (lambda p: p.signal(1, 2, to=5), wanted(Opcode.SIGNAL, imm=6 << 16, reg=1, field=5)),
    "fence": (lambda p: p.fence(), wanted(Opcode.FENCE, imm=7)),
    "fence one": (lambda p: p.fence(D), wanted(Opcode.FENCE, imm=4)),
    "end": (lambda p: p.end(), wanted(Opcode.END)),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_encoding(name):
    write, expected = ENCODINGS[name]
    program = Program()
    write(program)
    assert only(program) == expected


def test_loop_encoding():
    p = Program()
    with p.loop(R[7]):
        p.wait(1)
        with p.loop(9):
            p.wait(2)
    codes = [fields(bits) for bits in p.instructions]
    assert codes[0] == wanted(Opcode.LOOP, field=5, reg=1, rs=7)
    assert codes[2] == wanted(Opcode.LOOP, field=2, imm=9)
    assert [code["opcode"] for code in codes[3:]] == [Opcode.WAIT, Opcode.ENDLOOP, Opcode.ENDLOOP]


def test_a_mode_is_a_mapping_a_constant_or_a_number():
    mode = {"a_format": Format.UINT8, "d_format": 5, "accumulate": 1}
    bits = TensorMode.const({"a_format": Format.UINT8, "d_format": Format.INT32, "accumulate": 1}).as_bits()
    for value in (mode, TensorMode.const(mode | {"d_format": Format.INT32}), bits):
        p = Program()
        p.set(T, mode=value)
        assert only(p)["imm"] == bits


def test_micro_ops():
    words = micro_ops((VectorOp.FMA, 3, VectorSource.P1, VectorSource.S1), (VectorOp.ITOF, 1, VectorSource.V2))
    assert words == {"ops01": (5 | 3 << 6 | 5 << 8 | 9 << 12) | (16 | 1 << 6 | 2 << 8 | 10 << 12) << 16, "ops23": 0, "ops45": 0, "ops67": 0}


def _deep(p, depth):
    with p.loop(1):
        if depth:
            _deep(p, depth - 1)


def _long(p):
    with p.loop(1):
        for _ in range(4095):
            p.wait(0)


REFUSALS = {
    "unsigned": (lambda p: p.set(T, n=-1), "tensor.n: -1 is not in 0 to 4294967295"),
    "signed": (lambda p: p.set(T, a_kw=2**31), "tensor.a_kw: 2147483648 is not in -2147483648 to 2147483647"),
    "pattern": (lambda p: p.set(D, src_base=2**32), "data.src_base: 4294967296 is not in -2147483648 to 4294967295"),
    "not a number": (lambda p: p.set(D, fill=1.5), "data.fill: 1.5 is not in -2147483648 to 4294967295"),
    "word": (lambda p: p.set(V, a_base=1), "vector has no word 'a_base'"),
    "setr word": (lambda p: p.set_register(D, "x", R[0]), "data has no word 'x'"),
    "engine": (lambda p: p.run(Engine.SEQUENCER), "SEQUENCER is not an engine with commands"),
    "member": (
        lambda p: p.set(D, mode={"from": 1}),
        "data.mode: 'from' is not one of op, element, source, destination, tile, gather, index, share3, share4, convert, source_format, "
        "destination_format, reserved",
    ),
    "member's size": (lambda p: p.set(D, mode={"element": 4}), "data.mode.element: 4 is not in 0 to 3"),
    "mapping": (lambda p: p.set(D, fill={"a": 1}), "data.fill: a number is wanted, not {'a': 1}"),
    "event": (lambda p: p.wait(16), "event 16 is not in 0 to 15"),
    "run's event": (lambda p: p.run(D, signal=(-1,)), "event -1 is not in 0 to 15"),
    "SIP": (lambda p: p.run(D, to=4096), "SIP 4096 is not in 0 to 4095"),
    "step": (lambda p: p.set_register(D, "fill", R[0], 2**32), "step: 4294967296 is not in -2147483648 to 4294967295"),
    "shift": (lambda p: p.shl(R[0], R[0], 32), "shift: 32 is not in 0 to 31"),
    "load": (lambda p: p.load(R[3], 2**32), "r3: 4294967296 is not in -2147483648 to 4294967295"),
    "operand": (lambda p: p.add(R[0], R[0], -(2**31) - 1), "operand: -2147483649 is not in -2147483648 to 4294967295"),
    "register": (lambda p: p.load(Reg(32), 0), "register 32 is not in 0 to 31"),
    "count": (lambda p: _loop(p, -1), "count: -1 is not in 0 to 4294967295"),
    "depth": (lambda p: _deep(p, 8), "loops nest deeper than 8"),
    "body": (_long, "a loop body of 4096 instructions is longer than 4095"),
    "micro-operations": (lambda p: micro_ops(*[(VectorOp.NOP, 0, VectorSource.V0)] * 9), "9 micro-operations are more than 8"),
    "destination": (lambda p: micro_ops((VectorOp.NOP, 4, VectorSource.V0)), "micro-operation 0.dst: 4 is not in 0 to 3"),
    "no END": (lambda p: assemble(TINY, {0: p}), "the program of SIP 0 doesn't end with END"),
    "no SIP": (lambda p: assemble(TINY, {2: p}), "SIP 2 is not in 0 to 1"),
    "cluster": (lambda p: (p.run(T), p.end(), assemble(TINY, {1: p})), "the cluster's own sequencer has the data engine alone"),
    "target": (lambda p: (p.signal(1, to=2), p.end(), assemble(TINY, {0: p})), "a signal goes to SIP 2, which is not in 0 to 1"),
}


def _loop(p, count):
    with p.loop(count):
        p.wait(0)


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(name):
    write, message = REFUSALS[name]
    with pytest.raises(ValueError) as error:
        write(Program())
    assert str(error.value) == message


def test_an_open_loop_has_no_instructions():
    p = Program()
    with p.loop(2):
        with pytest.raises(ValueError, match="a loop is still open"):
            _ = p.instructions
    assert len(p.instructions) == 2


# Elided SETs


def count(program: Program, opcode: Opcode) -> int:
    return sum(fields(bits)["opcode"] is opcode for bits in program.instructions)


def test_only_what_changes_is_set():
    p = Program()
    p.set(D, fill=0, size0=3)
    p.set(D, fill=0, size0=3, size1=2)
    assert count(p, Opcode.SET) == 2
    p.set_register(D, "size0", R[0])
    p.set(D, size0=3)
    assert count(p, Opcode.SET) == 3
    p.forget(T)
    p.set(D, size0=3)
    p.set(T, n=0)
    p.forget()
    p.set(D, size0=3)
    assert count(p, Opcode.SET) == 5


def test_a_loop_sets_only_what_moves():
    p = Program()
    p.set(D, size0=4, fill=1)
    with p.loop(5):
        p.set(D, size0=4, size1=3, fill=1)
        p.run(D)
        p.set(D, fill=2)
        p.run(D)
    p.set(D, size0=4, size1=3, fill=2)
    # Before the loop size0 and fill; inside size1, fill = 1 (the second iteration needs it) and fill = 2; behind it nothing.
    assert count(p, Opcode.SET) == 5


def test_a_loop_that_may_not_run():
    p = Program()
    with p.loop(R[0]):
        p.set(D, fill=7)
    p.set(D, fill=7)
    with p.loop(2):
        p.set(D, size0=7)
    p.set(D, size0=7)
    assert count(p, Opcode.SET) == 3


def random_steps(rng: random.Random, depth: int = 0) -> list[tuple]:
    """A program as nested lists. Few words and values, so that values often come back, which is where tracking can go wrong."""
    steps = []
    for _ in range(rng.randint(1, 5)):
        kind = rng.random()
        if kind < 0.35 and depth < 3:
            steps.append(("loop", rng.choice((0, 1, 2, 3, R[0], R[2])), random_steps(rng, depth + 1)))
        elif kind < 0.92:
            steps.append(("set", rng.choice(("fill", "src_base")), rng.randint(0, 1)))
        else:
            steps.append(rng.choice((("setr", "fill"), ("forget",))))
    return steps


def write(program: Program, steps, tracked: bool):
    for step in steps:
        match step:
            case ("set", word, value):
                if not tracked:
                    program.forget()
                program.set(D, **{word: value})
                program.run(D)
            case ("setr", word):
                program.set_register(D, word, R[5], 1)
                program.run(D)
            case ("forget",):
                program.forget()
            case ("loop", count, body):
                with program.loop(count):
                    write(program, body, tracked)


def test_elided_sets_change_no_command():
    """Random programs with and without tracking queue the same commands; 2000 of them, of one loop nest or more each."""
    rng = random.Random(1)
    chip = GoldenChip(TINY)
    shorter = 0
    for number in range(2000):
        steps = random_steps(rng)
        traces, lengths = [], []
        for tracked in (True, False):
            program = Program()
            program.set(D, mode={"op": DataOp.FILL, "destination": Space.L1}, **{f"size{d}": 1 for d in range(5)})
            write(program, steps, tracked)
            program.end()
            assert launch(chip, program, [0, 0, 2]).status is Status.OK
            traces.append([entry.words for entry in chip.trace])
            lengths.append(len(program.instructions))
        assert traces[0] == traces[1], f"program {number}: {steps}"
        assert lengths[0] <= lengths[1]
        shorter += lengths[0] < lengths[1]
    assert shorter > 1000


# Images


def test_assemble_and_disassemble():
    config = PRESETS["tiny"]
    p, cluster = Program(), Program()
    p.set(T, n=5)
    with p.loop(R[3]):
        p.set_register(V, "x_base", R[1], 16)
        p.run(V, wait=(1, 2), signal=(3,), to=1)
    p.sub(R[1], R[2], R[3])
    p.add(R[1], R[2], 10)
    p.shl(R[1], R[1], 4)
    p.load(R[2], 255)
    p.fence(T, D)
    p.end()
    cluster.wait(3)
    cluster.signal(0, 4, to=0)
    cluster.end()
    image = assemble(config, {0: p, 1: cluster})
    assert image.fingerprint == config.fingerprint
    assert Image.from_bytes(image.to_bytes()) == image
    assert disassemble(image) == [
        "0:00000  set tensor.n, 0x5",
        "0:00008  loop r3, 3",
        "0:00010    setr vector.x_base, r1, 0x10",
        "0:00018    run vector, wait 1,2, signal 3 to 1",
        "0:00020  endloop",
        "0:00028  sub r1, r2, r3",
        "0:00030  add r1, r2, 0xa",
        "0:00038  shl r1, r1, 4",
        "0:00040  load r2, 0xff",
        "0:00048  fence tensor,data",
        "0:00050  end",
        "1:00000  wait 3",
        "1:00008  signal 0,4 to 0",
        "1:00010  end",
    ]


def test_disassemble_what_is_not_an_instruction():
    undefined = Instruction.const({"opcode": Opcode.SET, "engine": Engine.SEQUENCER, "field": 99}).as_bits()
    assert disassemble(Image(0, ((0, 2**64 - 1, undefined),))) == [
        "0:00000  .quad 0x0000000000000000", "0:00008  .quad 0xffffffffffffffff", "0:00010  set sequencer.99, 0x0",
    ]
