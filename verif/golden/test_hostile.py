"""Golden chip: every bad job, instruction and command ends in its status and record, and the next job runs."""

import dataclasses
import struct

import numpy as np
import pytest

from compiler.assembler import Program, Reg
from rtl.formats import Format
from rtl.isa import ISA_VERSION, DataOp, Engine, Instruction, Opcode, Space, Status
from sim.golden.chip import GoldenChip
from sim.job import ErrorInfo, Job
from verif.golden.kit import ARGUMENTS, IMAGE, TINY, launch, load_image

TWO = dataclasses.replace(TINY, name="two", sips=2)
#: First instruction of an image with two or three entries.
CODE = IMAGE + 128
D = Engine.DATA


def instruction(opcode, **fields) -> int:
    """One instruction without the assembler's checks; the opcode may be a number."""
    number = fields.pop("number", None)
    bits = Instruction.const({"opcode": opcode, **fields}).as_bits()
    return bits if number is None else bits & ~(63 << 58) | number << 58


END = instruction(Opcode.END)


def good() -> Program:
    p = Program()
    p.set(D, mode={"op": DataOp.FILL, "destination": Space.L1}, dst_base=77, fill=5, **{f"size{d}": 1 for d in range(5)})
    p.run(D)
    p.end()
    return p


@pytest.fixture
def chip():
    """A chip that, after the test, runs a good job with the right result."""
    chip = GoldenChip(TINY)
    yield chip
    chip.l1[0][77] = 0
    assert launch(chip, good()).status is Status.OK
    assert chip.l1[0][77] == 5


def expect(result, status, *, sip=0, engine=Engine.SEQUENCER, address=0, pc=0, command=0):
    assert result.error == ErrorInfo(status, sip, engine, address % 2**32, pc, command)
    assert result.status is status


BAD_JOBS = {
    "no SIP": dict(mask=0),
    "a SIP that doesn't exist": dict(mask=0b101),
    "33 arguments": dict(arg_count=33),
    "no such partition": dict(partition=4),
    "image at 8": dict(image=IMAGE + 8),
    "arguments at 4": dict(args=ARGUMENTS + 4, arg_count=1),
}


@pytest.mark.parametrize("case", BAD_JOBS)
def test_bad_job(chip, case):
    launch(chip, good())
    job = Job(**{"image": IMAGE, "args": ARGUMENTS, "arg_count": 0, **BAD_JOBS[case]})
    expect(chip.run(job), Status.BAD_JOB)


def header(magic=0x5543474D, version=ISA_VERSION, entries=2, fingerprint=TINY.fingerprint, offset=128, length=1) -> bytes:
    raw = struct.pack("<IHHQ", magic, version, entries, fingerprint).ljust(64, b"\0") + struct.pack("<IIII", offset, length, 0, 0)
    return raw.ljust(128, b"\0") + struct.pack("<Q", END)


BAD_IMAGES = {
    "magic": (dict(magic=0x5543474C, version=9), Status.BAD_MAGIC, 0),
    "version": (dict(version=ISA_VERSION + 1, fingerprint=0), Status.BAD_VERSION, 0),
    "fingerprint": (dict(fingerprint=TINY.fingerprint ^ 1 << 63, entries=0), Status.BAD_FINGERPRINT, 0),
    "no entry": (dict(entries=0), Status.BAD_ENTRY, 0),
    "misaligned entry": (dict(offset=132), Status.BAD_ENTRY, 0),
    "empty entry": (dict(length=0), Status.BAD_ENTRY, 0),
    "instructions outside": (dict(offset=TINY.l3_bytes - IMAGE - 8, length=2), Status.FETCH_BUS, TINY.l3_bytes),
    "instructions far outside": (dict(offset=2**32 - 8), Status.FETCH_BUS, IMAGE - 8),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_image(chip, case):
    fields, status, address = BAD_IMAGES[case]
    load_image(chip, header(**fields))
    expect(chip.run(Job(IMAGE, ARGUMENTS, 0)), status, address=address)


def test_the_hand_made_image_is_good(chip):
    load_image(chip, header())
    assert chip.run(Job(IMAGE, ARGUMENTS, 0)).status is Status.OK
    # The cluster's entry is empty.
    expect(chip.run(Job(IMAGE, ARGUMENTS, 0, mask=0b11)), Status.BAD_ENTRY, sip=1)


def test_image_and_arguments_outside(chip):
    end = TINY.l3_bytes
    expect(chip.run(Job(end, ARGUMENTS, 0)), Status.FETCH_BUS, address=end)
    expect(chip.run(Job(2**32 - 64, ARGUMENTS, 0)), Status.FETCH_BUS, address=2**32 - 64)
    load_image(chip, header())
    expect(chip.run(Job(IMAGE, end - 64, 17)), Status.FETCH_BUS, address=end)
    assert chip.run(Job(IMAGE, end - 64, 16)).status is Status.OK
    # The header is the last thing in L3: its entries lie outside.
    load_image(chip, header()[:64], end - 64)
    expect(chip.run(Job(end - 64, ARGUMENTS, 0)), Status.FETCH_BUS, address=end)


BAD_INSTRUCTIONS = {
    "opcode 0": (instruction(Opcode.END, number=0), Status.UNDEFINED_OPCODE),
    "opcode 17": (instruction(Opcode.END, number=17), Status.UNDEFINED_OPCODE),
    "opcode 63": (instruction(Opcode.END, number=63), Status.UNDEFINED_OPCODE),
    "SET of the sequencer": (instruction(Opcode.SET, engine=Engine.SEQUENCER), Status.UNDEFINED_ENGINE),
    "SETR of the sequencer": (instruction(Opcode.SETR, engine=Engine.SEQUENCER, field=99), Status.UNDEFINED_ENGINE),
    "RUN of the sequencer": (instruction(Opcode.RUN, engine=Engine.SEQUENCER), Status.UNDEFINED_ENGINE),
    "tensor word 27": (instruction(Opcode.SET, engine=Engine.TENSOR, field=27), Status.UNDEFINED_FIELD),
    "vector word 26": (instruction(Opcode.SET, engine=Engine.VECTOR, field=26), Status.UNDEFINED_FIELD),
    "data word 39": (instruction(Opcode.SETR, engine=D, field=39), Status.UNDEFINED_FIELD),
    "RUN for SIP 2": (instruction(Opcode.RUN, engine=D, reg=1, field=2), Status.UNDEFINED_FIELD),
    "SIGNAL for SIP 4095": (instruction(Opcode.SIGNAL, reg=1, field=4095, imm=1 << 16), Status.UNDEFINED_FIELD),
    **{f"{opcode.name} of r32": (instruction(opcode, reg=1, field=32), Status.UNDEFINED_FIELD) for opcode in (
        Opcode.ADD, Opcode.SUB, Opcode.MIN, Opcode.MAX)},
    "ENDLOOP alone": (instruction(Opcode.ENDLOOP), Status.LOOP_DEPTH),
}


@pytest.mark.parametrize("case", BAD_INSTRUCTIONS)
def test_bad_instruction(chip, case):
    bits, status = BAD_INSTRUCTIONS[case]
    result = launch(chip, {0: [instruction(Opcode.LOAD, imm=1), bits, END]})
    expect(result, status, pc=CODE + 8, command=bits)


def test_last_words_and_sips_that_exist(chip):
    code = [
        instruction(Opcode.SET, engine=Engine.TENSOR, field=26), instruction(Opcode.SET, engine=Engine.VECTOR, field=25),
        instruction(Opcode.SET, engine=D, field=34), instruction(Opcode.SIGNAL, reg=1, field=1, imm=0xFFFF << 16),
        instruction(Opcode.ADD, reg=1, field=31), instruction(Opcode.SHL, reg=1, field=32),
        instruction(Opcode.END) | 1 << 57, END,
    ]
    assert launch(chip, {0: code}).status is Status.OK


@pytest.mark.parametrize("engine", (Engine.TENSOR, Engine.VECTOR, Engine.SEQUENCER))
@pytest.mark.parametrize("opcode", (Opcode.SET, Opcode.SETR, Opcode.RUN))
def test_the_cluster_has_the_data_engine_alone(chip, engine, opcode):
    bits = instruction(opcode, engine=engine)
    expect(launch(chip, {1: [bits, END]}), Status.UNDEFINED_ENGINE, sip=1, pc=CODE, command=bits)


def test_nine_loops(chip):
    loop = instruction(Opcode.LOOP, imm=2, field=20)
    expect(launch(chip, {0: [loop] * 9 + [END]}), Status.LOOP_DEPTH, pc=CODE + 64, command=loop)
    # A body whose end isn't where the LOOP says, or a length of 0, just runs on.
    endloop = instruction(Opcode.ENDLOOP)
    assert launch(chip, {0: [instruction(Opcode.LOOP, imm=2), endloop, END]}).status is Status.OK
    assert launch(chip, {0: [instruction(Opcode.LOOP, imm=1, field=1), END]}).status is Status.OK


def test_running_off_the_end(chip):
    load = instruction(Opcode.LOAD)
    expect(launch(chip, {0: [load, load]}), Status.BAD_ENTRY, address=CODE + 16, pc=CODE + 16)
    skip = instruction(Opcode.LOOP, imm=0, field=100)
    expect(launch(chip, {0: [skip, END]}), Status.BAD_ENTRY, address=CODE + 808, pc=CODE + 808)


def test_event_overflow_by_the_sequencer(chip):
    signal = instruction(Opcode.SIGNAL, imm=1 << 21)
    code = [instruction(Opcode.LOOP, imm=256, field=2), signal, instruction(Opcode.ENDLOOP), END]
    expect(launch(chip, {0: code}), Status.EVENT_OVERFLOW, pc=CODE + 8, command=signal)


def test_event_overflow_by_a_command(chip):
    p = Program()
    p.set(D, mode={"op": DataOp.FILL, "destination": Space.L1}, **{f"size{d}": 1 for d in range(5)})
    with p.loop(256):
        p.run(D, signal=(5,))
    p.end()
    index = len(p.instructions) - 3
    expect(launch(chip, p), Status.EVENT_OVERFLOW, engine=D, pc=CODE + 8 * index, command=p.instructions[index])


@pytest.mark.parametrize(("engine", "words", "status", "address"), [
    (D, dict(mode={"op": 9}), Status.UNDEFINED_OPCODE, 0),
    (D, dict(mode={"op": DataOp.FILL}), Status.SIZE, 0),
    (D, dict(mode={"op": DataOp.FILL}, dst_base=TINY.l1_bytes, **{f"size{d}": 1 for d in range(5)}), Status.ADDRESS, TINY.l1_bytes),
    (Engine.TENSOR, dict(mode={"d_format": Format.INT8}), Status.UNSUPPORTED, 0),
    (Engine.VECTOR, dict(mode={"ops": 1}, ops01=33), Status.UNDEFINED_OPCODE, 0),
    (Engine.VECTOR, dict(n=1, ow=1, oh=1, kw=1, kh=1, x_ow=1), Status.ALIGNMENT, 0),
])
def test_bad_command(chip, engine, words, status, address):
    p = Program()
    p.set(engine, **words)
    p.run(engine)
    p.run(engine, wait=(3,))
    p.end()
    index = len(p.instructions) - 3
    expect(launch(chip, p), status, engine=engine, address=address, pc=CODE + 8 * index, command=p.instructions[index])
    assert chip.trace == []


def test_a_bad_half_of_a_pair(chip):
    """A vector command that takes rows is checked although no tensor command ever sends any."""
    p = Program()
    p.set(Engine.VECTOR, mode={"from_tensor": 1})
    p.run(Engine.VECTOR)
    p.end()
    assert launch(chip, p).status is Status.SIZE


def test_watchdog_names_the_lowest_stuck_sip():
    chip = GoldenChip(TWO)
    ends, stuck = Program(), Program()
    ends.end()
    stuck.load(Reg(1), 5)
    stuck.wait(0, 15)
    stuck.end()
    wait = stuck.instructions[1]
    expect(launch(chip, {0: ends, 1: stuck}), Status.WATCHDOG, sip=1, pc=CODE + 16, command=wait)
    expect(launch(chip, {0: stuck, 1: stuck}), Status.WATCHDOG, sip=0, pc=CODE + 8, command=wait)
    # A program that has come to its END, with a command that never starts.
    p = Program()
    p.run(D, wait=(0,))
    p.end()
    expect(launch(chip, {0: p}), Status.WATCHDOG, pc=CODE + 8, command=END)
    assert launch(chip, {0: ends, 1: ends}).status is Status.OK


def test_an_error_stops_the_other_sips():
    chip = GoldenChip(TWO)
    chip.l1[1][77] = 0
    waits = Program()
    waits.wait(0)
    waits.end()
    bad = instruction(Opcode.ENDLOOP)
    result = launch(chip, {0: waits.instructions, 1: [bad]})
    expect(result, Status.LOOP_DEPTH, sip=1, pc=CODE + 16, command=bad)
    assert launch(chip, {0: good(), 1: good()}).status is Status.OK
    assert chip.l1[1][77] == 5


def test_the_record_keeps_the_first_error(chip):
    first = launch(chip, {0: [instruction(Opcode.ENDLOOP)]})
    second = launch(chip, {0: [instruction(Opcode.END, number=0)]})
    assert second.status is Status.UNDEFINED_OPCODE
    assert chip.error == first.error
    chip.clear_error()
    third = launch(chip, {0: [instruction(Opcode.END, number=0)]})
    assert chip.error == third.error


@pytest.mark.parametrize("number", range(40))
def test_random_instructions_never_hang(chip, number):
    """Noise with small loop counts: it ends in a status, and the next job runs."""
    rng = np.random.default_rng(number)
    code = []
    for _ in range(60):
        opcode = int(rng.integers(1, 17))
        imm = int(rng.integers(0, 4)) if opcode == Opcode.LOOP.value else int(rng.integers(0, 2**32)) & int(rng.integers(0, 2**32))
        fields = dict(imm=imm, field=int(rng.integers(0, 36)), reg=int(rng.integers(0, 8) == 0 and opcode != Opcode.LOOP.value),
                      rs=int(rng.integers(0, 32)), rd=int(rng.integers(0, 32)), engine=Engine(int(rng.integers(0, 3))))
        code.append(instruction(Opcode(opcode), **fields))
    assert launch(chip, {0: code}).status in Status
