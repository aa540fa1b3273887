"""Every kind of bad input to the chip, each followed by a good job on the same chip, inside the simulator."""

import dataclasses
import random
import struct
from collections.abc import Iterable

import cocotb
from cocotbext.axi import AxiResp

from compiler.assembler import Program, assemble
from rtl.formats import Format
from rtl.image import HEADER_BYTES, MAGIC, Image
from rtl.isa import ISA_VERSION, DataOp, Engine, Instruction, Opcode, Space, Status
from rtl.isa import HostRegister as R
from sim.job import ErrorInfo, Job
from verif.chip.bench import COVERAGE, NO_ERROR, NO_SIP, Chip
from verif.chip.programs import Work, copy
from verif.common.params import params, rng

T, V, D = Engine.TENSOR, Engine.VECTOR, Engine.DATA
IMAGE, GOOD, ARGUMENTS = 0x1000, 0x8000, 0x800
WATCHDOG = 400
UNIT = {f"size{d}": 1 for d in range(5)}


def bits(opcode: Opcode, number: int | None = None, **fields) -> int:
    """One instruction; `number` is an opcode that the enum lacks."""
    word = Instruction.const({"opcode": opcode, **fields}).as_bits()
    return word if number is None else word & ~(63 << 58) | number << 58


END = bits(Opcode.END)


def chosen(cases: Iterable[tuple], key: int = 1) -> list[tuple]:
    """All cases in the long tier; else the first one with each beginning of `key` members."""
    cases = list(cases)
    if params().get("long"):
        return cases
    return list({case[:key]: case for case in reversed(cases)}.values())[::-1]


class Errors:
    """A chip with a good job at hand: a load, a product, a sum and a store."""

    def __init__(self, chip: Chip, name: str):
        self.chip = chip
        self.rng: random.Random = rng(name)
        program = Program()
        copy(program, Space.L3, Space.L1, 256, src=0x40000, dst=0, signal=(0,))
        program.set(
            T, mode={"a_format": Format.INT8, "d_format": Format.INT32}, kh=1, kw=1, channels=8, ow=4, oh=1, n=4, batch=1,
            a_base=0, a_c=8, a_ow=8, b_base=64, b_k=4, d_base=512, d_ow=16,
        )  # fmt: skip
        program.run(T, wait=(0,), signal=(1,))
        program.set(
            V, mode={"x_format": Format.INT32, "z_format": Format.INT8}, n=4, ow=4, oh=1, kw=1, kh=1, x_base=512, x_ow=16,
            z_base=256, z_ow=4,
        )  # fmt: skip
        program.run(V, wait=(1,), signal=(2,))
        copy(program, Space.L1, Space.L3, 600, src=0, dst=0x50001, wait=(2,))
        program.end()
        chip.load(GOOD, assemble(chip.config, {0: program}).to_bytes())

    async def good(self):
        chip = self.chip
        chip.load(0x40000, self.rng.randbytes(256))
        assert await chip.run(Job(GOOD, ARGUMENTS, 0)) == [Status.OK]
        await chip.counters(1, self.rng)

    async def start(self):
        """L1 is defined from here on."""
        chip = self.chip
        chip.load(0x60000, self.rng.randbytes(1024))
        program = Program()
        copy(program, Space.L3, Space.L1, 1024, src=0x60000, dst=0)
        program.end()
        chip.load(IMAGE, assemble(chip.config, {0: program}).to_bytes())
        assert await chip.run(Job(IMAGE, ARGUMENTS, 0)) == [Status.OK]
        await self.good()
        return self

    async def bad(self, status: Status, what: str, **job):
        """A job that must end with `status`, on the golden chip too, with equal records; then a good one."""
        request = Job(**{"image": IMAGE, "args": ARGUMENTS, "arg_count": 0, **job})
        self.chip.dut._log.info("%s", what)
        assert await self.chip.run(request) == [status], what
        await self.chip.counters(1, self.rng)
        await self.good()

    def instructions(self, *code: int, unit: int = 0):
        config = self.chip.config
        programs = tuple(tuple(code) if number == unit else () for number in range(config.sips + 1))
        self.chip.load(IMAGE, Image(config.fingerprint, programs).to_bytes().ljust(2048, b"\0"))

    def program(self, program: Program, unit: int = 0):
        self.instructions(*program.instructions, unit=unit)


@cocotb.test()
async def host_errors(dut):
    """cp_doorbell_empty, cp_queue_full, cp_bad_register, cp_bad_address: what the host does wrong itself."""
    chip = await Chip(dut).start(60_000)
    errors = await Errors(chip, "host errors").start()
    job = Job(GOOD, ARGUMENTS, 0)
    await chip.write(R.DOORBELL, 1)
    assert await chip.record() == ErrorInfo(Status.DOORBELL_EMPTY, NO_SIP, Engine.SEQUENCER, 0, 0, 0)
    await errors.good()
    for _ in range(chip.config.job_queue_depth):
        await chip.push(job)
    await chip.push(dataclasses.replace(job, image=64))
    assert await chip.record() == ErrorInfo(Status.QUEUE_FULL, NO_SIP, Engine.SEQUENCER, 0, 0, 0)
    await chip.write(R.DOORBELL, chip.config.job_queue_depth)
    await chip.settle(chip.config.job_queue_depth)
    assert await chip.record() == NO_ERROR
    await errors.good()
    answer = await chip.registers.read(0x80, 4)
    assert answer.resp == AxiResp.SLVERR
    assert await chip.record() == ErrorInfo(Status.BAD_REGISTER, NO_SIP, Engine.SEQUENCER, 0x80, 0, 0)
    for address in (chip.config.l3_bytes, (1 << 32) + chip.config.l2_bytes):
        answer = await chip.port.read(address, 32)
        assert answer.resp == AxiResp.DECERR
        answer = await chip.port.write(address, bytes(32))
        assert answer.resp == AxiResp.DECERR
    await errors.good()


@cocotb.test()
async def bad_jobs(dut):
    """cp_bad_job, cp_bad_image: jobs and images that can't start."""
    chip = await Chip(dut).start(100_000)
    errors = await Errors(chip, "bad jobs").start()
    config, end = chip.config, chip.config.l3_bytes
    for status, what, request in chosen([
        (Status.BAD_JOB, "no SIP", {"mask": 0}),
        (Status.BAD_JOB, "a SIP that doesn't exist", {"mask": 1 << config.sips + 1}),
        (Status.BAD_JOB, "33 arguments", {"arg_count": 33}),
        (Status.BAD_JOB, "no such partition", {"partition": config.partitions}),
        (Status.BAD_JOB, "image not at a multiple of 64", {"image": IMAGE + 8}),
        (Status.FETCH_BUS, "image beyond L3", {"image": end}),
        (Status.FETCH_BUS, "image at the end of 32 bit", {"image": 2**32 - 64}),
    ]):
        await errors.bad(status, what, **request)

    def header(magic=MAGIC, version=ISA_VERSION, entries=2, fingerprint=config.fingerprint, offset=128, length=1):
        raw = struct.pack("<IHHQ", magic, version, entries, fingerprint).ljust(HEADER_BYTES, b"\0")
        raw += struct.pack("<IIII", offset, length, 0, 0)
        chip.load(IMAGE, raw.ljust(128, b"\0") + struct.pack("<Q", END))

    for status, fields in chosen([
        (Status.BAD_MAGIC, {"magic": MAGIC ^ 1, "version": 9}), (Status.BAD_VERSION, {"version": ISA_VERSION + 1, "fingerprint": 0}),
        (Status.BAD_FINGERPRINT, {"fingerprint": config.fingerprint ^ 1 << 63}), (Status.BAD_ENTRY, {"entries": 0}),
        (Status.BAD_ENTRY, {"offset": 132}), (Status.BAD_ENTRY, {"length": 0}),
    ]):  # fmt: skip
        header(**fields)
        await errors.bad(status, f"image with {fields}")
    header()
    await errors.bad(Status.OK, "the image is good without them")
    await errors.bad(Status.BAD_ENTRY, "the cluster has no program", mask=1 << config.sips | 1)
    await errors.bad(Status.FETCH_BUS, "arguments beyond L3", args=end - 64, arg_count=17)


@cocotb.test()
async def bad_programs(dut):
    """cp_bad_instruction, cp_bad_command, cp_address: instructions and commands that break a rule."""
    chip = await Chip(dut).start(200_000)
    errors = await Errors(chip, "bad programs").start()
    config = chip.config
    for status, code in chosen([
        (Status.UNDEFINED_OPCODE, bits(Opcode.END, number=0)),
        (Status.UNDEFINED_OPCODE, bits(Opcode.END, number=17)),
        (Status.UNDEFINED_ENGINE, bits(Opcode.RUN, engine=Engine.SEQUENCER)),
        (Status.UNDEFINED_FIELD, bits(Opcode.SET, engine=T, field=27)),
        (Status.UNDEFINED_FIELD, bits(Opcode.SIGNAL, reg=1, field=config.sips + 1, imm=1 << 16)),
        (Status.LOOP_DEPTH, bits(Opcode.ENDLOOP)),
    ]):
        errors.instructions(bits(Opcode.LOAD, imm=1), code, END)
        await errors.bad(status, f"instruction {code:#018x}")
    errors.instructions(bits(Opcode.RUN, engine=V), END, unit=config.sips)
    await errors.bad(Status.UNDEFINED_ENGINE, "the cluster has no vector engine", mask=1 << config.sips)
    tensor = dict.fromkeys(("kh", "kw", "channels", "ow", "oh", "n", "batch"), 1)
    vector = dict.fromkeys(("n", "ow", "oh", "kw", "kh"), 1)
    l1, l2, l3 = ({**UNIT, "mode": {"op": DataOp.FILL, "destination": space}} for space in Space)
    for status, engine, words in chosen([
        (Status.UNDEFINED_OPCODE, D, {**UNIT, "mode": {"op": 9}}),
        (Status.UNSUPPORTED, D, {**UNIT, "mode": {"op": DataOp.COPY, "element": 3}}),
        (Status.SIZE, D, {**l1, "size2": 0}),
        (Status.ALIGNMENT, D, {**l1, "mode": {"op": DataOp.FILL, "element": 2}, "dst_base": 2}),
        (Status.ADDRESS, D, {**l1, "dst_base": config.l1_bytes}),
        (Status.ADDRESS, D, {**l2, "dst_base": config.l2_bytes}),
        (Status.ADDRESS, D, {**l3, "dst_base": config.l3_bytes}),
        (Status.ADDRESS, D, {**l3, "size3": 2, "dst_stride3": -1}),
        (Status.UNSUPPORTED, T, {"mode": {"a_format": Format.INT32}}),
        (Status.SIZE, T, {}),
        (Status.ADDRESS, T, {**tensor, "b_base": config.l1_bytes - 4, "n": 2}),
        (Status.UNDEFINED_OPCODE, V, {"mode": {"ops": 1}, "ops01": 33}),
        (Status.UNDEFINED_FIELD, V, {"mode": {"ops": 1}, "ops01": 1 | 11 << 8}),
        (Status.ALIGNMENT, V, {**vector, "x_ow": 1}),
        (Status.ADDRESS, V, {**vector, "x_base": config.l1_bytes}),
    ], 2):
        program = Program()
        program.set(engine, **words)
        program.run(engine)
        program.run(engine, wait=(3,))
        program.end()
        errors.program(program)
        await errors.bad(status, f"{engine.name} {status.name}")


@cocotb.test()
async def deadlocks(dut):
    """cp_watchdog: waits that nobody ends, of the sequencer, of commands, of a pair that doesn't match."""
    chip = await Chip(dut).start(100_000)
    errors = await Errors(chip, "deadlocks").start()
    await chip.write(R.WATCHDOG, WATCHDOG)
    waits = Program()
    waits.wait(0, 15)
    waits.end()
    errors.program(waits)
    await errors.bad(Status.WATCHDOG, "WAIT")
    errors.program(waits, unit=chip.config.sips)
    await errors.bad(Status.WATCHDOG, "WAIT of the cluster", mask=1 << chip.config.sips)
    for (engine,) in chosen([(D,), (T,), (V,)], 0):
        program = Program()
        program.run(engine, wait=(2,))
        program.end()
        errors.program(program)
        await errors.bad(Status.WATCHDOG, f"{engine.name} waits for an event")
    for half in (T, V):
        program = Program()
        if half is T:
            program.set(
                T, mode={"a_format": Format.INT8, "d_format": Format.INT32, "to_vector": 1}, kh=1, kw=1, channels=8, ow=40,
                oh=2, n=9, batch=1, a_c=8,
            )  # fmt: skip
        else:
            program.set(V, mode={"x_format": Format.INT32, "z_format": Format.INT32, "from_tensor": 1}, kh=1, kw=1, n=4, ow=2, oh=1)
        program.run(half)
        program.end()
        errors.program(program)
        await errors.bad(Status.WATCHDOG, f"{half.name} without its other half")


@cocotb.test()
async def bus_errors(dut):
    """cp_bus: the memory answers with errors; what the golden chip has no word for."""
    chip = await Chip(dut).start(60_000)
    errors = await Errors(chip, "bus errors").start()
    for direction in ("read", "write"):
        program = Program()
        if direction == "read":
            copy(program, Space.L3, Space.L1, 700, src=0x70010, dst=0)
        else:
            program.set(D, mode={"op": DataOp.FILL, "destination": Space.L3}, dst_base=0x70010, dst_stride0=1, **{**UNIT, "size0": 700})
            program.run(D)
        program.end()
        errors.program(program)
        for memory in chip.memory:
            memory.fail(0x70200 // chip.config.channels, 0x702FF // chip.config.channels)
        await chip.push(Job(IMAGE, ARGUMENTS, 0))
        await chip.write(R.DOORBELL, 1)
        await chip.settle(1)
        found = await chip.record()
        COVERAGE.job(found.status, 1, found.engine)
        index = len(program.instructions) - 2
        assert (found.status, found.sip, found.engine) == (Status.BUS, 0, D), found
        assert (found.pc, found.command) == (IMAGE + 128 + 8 * index, program.instructions[index]), found
        # The address is that of the burst, in L3.
        assert 0x70200 <= found.address < 0x70300, found
        for memory in chip.memory:
            memory.heal()
        # The command ran to its end: L3 and L1 hold what it moved, which the golden chip can't know.
        chip.golden.l3[:] = chip.l3()
        await errors.start()


@cocotb.test()
async def partitions(dut):
    """cp_partition: the windows of two partitions limit what their jobs may touch, in either order, with one doorbell for both."""
    chip = await Chip(dut).start(60_000)
    errors = await Errors(chip, "partitions").start()
    await chip.window(1, 0x20000, 0x28000)
    await chip.window(2, 0x28000, 0x28001)
    chip.load(0x20000, errors.rng.randbytes(0x9000))
    for status, partition, first, size in chosen([
        (Status.OK, 1, 0x20000, 64), (Status.ADDRESS, 1, 0x1FFFF, 64), (Status.OK, 1, 0x27FC0, 64), (Status.ADDRESS, 1, 0x27FC1, 64),
        (Status.OK, 2, 0x28000, 1), (Status.ADDRESS, 2, 0x28000, 2), (Status.ADDRESS, 2, 0x27FFF, 1), (Status.OK, 3, 0x1FFFF, 64),
    ], 2):  # fmt: skip
        program = Program()
        copy(program, Space.L3, Space.L1, size, src=first, dst=0)
        program.end()
        errors.program(program)
        await errors.bad(status, f"{size} bytes at {first:#x} in partition {partition}", partition=partition)
    store = Program()
    store.set(D, mode={"op": DataOp.FILL, "destination": Space.L3}, fill=0x5A, dst_base=0x20000, dst_stride0=1, **{**UNIT, "size0": 300})
    store.run(D)
    store.end()
    errors.program(store)
    for order in ((1, 2), (2, 1)):
        chip.load(0x20000, bytes(300))
        jobs = [Job(IMAGE, ARGUMENTS, 0, partition=partition) for partition in order]
        expected = [Status.OK if partition == 1 else Status.ADDRESS for partition in order]
        assert await chip.run(*jobs) == expected
        await errors.good()


@cocotb.test()
async def other_parts(dut):
    """cp_abort: one unit's error ends the others, which wait, work or are done; the record is that of the first."""
    chip = await Chip(dut).start(60_000)
    config = chip.config
    errors = await Errors(chip, "other parts").start()
    waits, works, computes, ends, fails = (Program() for _ in range(5))
    waits.wait(3)
    waits.end()
    with works.loop(1000):
        copy(works, Space.L3, Space.L2, 256, src=0x60000, dst=0)
    works.end()
    computes.set(
        T, mode={"a_format": Format.INT8, "d_format": Format.INT32}, kh=1, kw=1, channels=24, ow=50, oh=1, n=6, batch=1,
        a_c=8, a_ow=8, b_k=8, d_base=0x1000, d_ow=24,
    )  # fmt: skip
    computes.set(
        V, mode={"x_format": Format.INT32, "z_format": Format.INT32}, n=6, ow=50, oh=1, kw=1, kh=1, x_ow=24, z_base=0x3000, z_ow=24,
    )  # fmt: skip
    with computes.loop(1000):
        computes.run(T)
        computes.run(V)
        copy(computes, Space.L1, Space.L2, 256, src=0, dst=0x800)
    computes.end()
    ends.end()
    with fails.loop(300):
        fails.fence()
    fails.run(D)
    fails.end()
    for failing, other in chosen([
        (config.sips, computes), (0, works), (0, waits), (0, ends), (config.sips, works), (config.sips, waits),
    ]):  # fmt: skip
        programs = {unit: Work(fails if unit == failing else other) for unit in range(config.sips + 1)}
        code = assemble(config, {unit: work.program for unit, work in programs.items()}).to_bytes()
        chip.load(IMAGE, code)
        await chip.push(Job(IMAGE, ARGUMENTS, 0, (1 << config.sips + 1) - 1))
        await chip.write(R.DOORBELL, 1)
        await chip.settle(1)
        found = await chip.record()
        assert (found.status, found.sip, found.engine, found.command) == (
            Status.UNDEFINED_OPCODE, failing, D, fails.instructions[-2],
        ), found  # fmt: skip
        await chip.counters(4, errors.rng)
        await errors.good()
