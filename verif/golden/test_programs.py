"""Golden chip: whole programs through jobs. Instructions, loops, events, engines side by side, several SIPs, the cluster, partitions."""

import dataclasses

import numpy as np
import pytest

from compiler.assembler import Program, Reg, micro_ops
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import DataOp, Engine, Instruction, Opcode, Space, Status, VectorCommand, VectorOp, VectorSource, word_index
from sim.golden.chip import GoldenChip
from sim.job import Job, JobResult
from verif.golden.kit import ARGUMENTS, IMAGE, TINY, launch, put, take

TWO = dataclasses.replace(TINY, name="two", sips=2)
OK = JobResult(Status.OK)
R = [Reg(number) for number in range(32)]
T, V, D = Engine.TENSOR, Engine.VECTOR, Engine.DATA
OUT = 0x8000
UNIT = {f"size{d}": 1 for d in range(1, 5)}


@pytest.fixture
def chip():
    return GoldenChip(TINY)


def copy(program, source, destination, size, *, src, dst, wait=(), signal=(), to=None):
    """A dense copy of bytes; addresses may be registers."""
    program.set(
        D, mode={"op": DataOp.COPY, "source": source, "destination": destination}, src_base=src, dst_base=dst, size0=size,
        src_stride0=1, dst_stride0=1, **UNIT,
    )
    program.run(D, wait, signal, to)


def store(program, registers, base=OUT):
    """Writes registers into L3 as the fill value of one-word commands; the address is known, so that it needs no register."""
    for index, register in enumerate(registers):
        program.set(
            D, mode={"op": DataOp.FILL, "element": 2, "destination": Space.L3}, dst_base=base + 4 * index, size0=1, **UNIT, fill=register,
        )
        program.run(D)


def test_scalar_instructions(chip):
    p = Program()
    p.load(R[2], 0x80000000)
    p.add(R[3], R[0], R[1])
    p.add(R[4], R[2], 0x80000001)
    p.sub(R[5], R[0], 8)
    p.sub(R[6], R[1], R[0])
    p.minimum(R[7], R[2], R[0])
    p.minimum(R[8], R[0], -1)
    p.maximum(R[9], R[2], R[0])
    p.maximum(R[10], R[0], 0x7FFFFFFF)
    p.shl(R[11], R[1], 31)
    p.shr(R[12], R[2], 31)
    store(p, R[:14])
    p.end()
    assert launch(chip, p, [7, 3]) == OK
    wanted = [7, 3, 0x80000000, 10, 1, 0xFFFFFFFF, 0xFFFFFFFC, 0x80000000, 0xFFFFFFFF, 7, 0x7FFFFFFF, 0x80000000, 1, 0]
    np.testing.assert_array_equal(take(chip.l3, OUT, (14,), Format.INT32).view(np.uint32), wanted)


def test_registers_and_command_words_start_as_zero(chip):
    """The second job sees nothing of the first one's registers, command words or events."""
    p = Program()
    p.load(R[5], 99)
    p.set(D, dst_base=OUT + 64, fill=5)
    p.signal(3)
    p.end()
    assert launch(chip, p) == OK
    p = Program()
    store(p, [R[5]])
    p.end()
    chip.l3[OUT : OUT + 4] = 0xFF
    assert launch(chip, p) == OK
    assert take(chip.l3, OUT, (1,), Format.INT32) == 0
    waits = Program()
    waits.wait(3)
    waits.end()
    assert launch(chip, waits).status is Status.WATCHDOG


@pytest.mark.parametrize("depth", range(1, 9))
def test_nested_loops(chip, depth):
    p = Program()

    def nest(level):
        if level == depth:
            p.add(R[1], R[1], 1)
            return
        with p.loop(R[0] if level % 2 else 2):
            nest(level + 1)

    nest(0)
    store(p, [R[1]])
    p.end()
    assert launch(chip, p, [2]) == OK
    assert take(chip.l3, OUT, (1,), Format.INT32) == 2**depth


def test_a_loop_of_no_iterations_is_skipped(chip):
    p = Program()
    with p.loop(R[0]):
        p.load(R[1], 1)
        with p.loop(3):
            p.load(R[2], 1)
    with p.loop(0):
        p.load(R[3], 1)
    p.load(R[4], 1)
    store(p, R[1:5])
    p.end()
    assert launch(chip, p, [0]) == OK
    np.testing.assert_array_equal(take(chip.l3, OUT, (4,), Format.INT32), [0, 0, 0, 1])


def test_setr_steps_an_address(chip):
    p = Program()
    p.set(D, mode={"op": DataOp.FILL, "element": 2, "destination": Space.L3}, size0=1, **UNIT)
    p.load(R[1], 100)
    with p.loop(R[2]):
        p.set_register(D, "dst_base", R[0], 8)
        p.set_register(D, "fill", R[1], -7)
        p.run(D)
    p.end()
    assert launch(chip, p, [OUT, 0, 5]) == OK
    np.testing.assert_array_equal(take(chip.l3, OUT, (5, 2), Format.INT32)[:, 0], [100, 93, 86, 79, 72])


def test_the_arguments_are_32_registers(chip):
    p = Program()
    store(p, R)
    p.end()
    numbers = np.random.default_rng(1).integers(0, 2**32, 32)
    assert launch(chip, p, numbers) == OK
    np.testing.assert_array_equal(take(chip.l3, OUT, (32,), Format.INT32).view(np.uint32), numbers)


def product_program(m, n, k, tiles):
    """Loads tiles of A and all of B from L3, multiplies, adds a bias and clamps in the vector engine, stores: engines overlap by events."""
    a, b, bias, z = 0, 0x1000, 0x2000, 0x3000
    p = Program()
    copy(p, Space.L3, Space.L1, k * n, src=R[1], dst=b, signal=(4,))
    copy(p, Space.L3, Space.L1, 4 * n, src=R[2], dst=bias, signal=(5,))
    p.wait(4, 5)
    p.signal(0, 2)  # the buffers of A and of Z are free
    p.set(
        T, mode={"a_format": Format.INT8, "d_format": Format.INT32, "to_vector": 1}, tag=11, kh=1, kw=1, channels=k, ow=m, oh=1, n=n,
        batch=1, a_base=a, a_c=8, a_ow=k, b_base=b, b_k=n,
    )
    p.set(
        V, mode={"x_format": Format.INT32, "z_format": Format.INT8, "from_tensor": 1, "params": 1, "ops": 2}, tag=12, n=n, ow=m, oh=1,
        kw=1, kh=1, z_base=z, z_ow=n, p_base=bias,
        **micro_ops((VectorOp.IADD, 0, VectorSource.V0, VectorSource.P0), (VectorOp.IMAX, 0, VectorSource.V0, VectorSource.ZERO)),
    )
    with p.loop(tiles):
        copy(p, Space.L3, Space.L1, m * k, src=R[0], dst=a, wait=(0,), signal=(1,))
        p.add(R[0], R[0], m * k)
        p.run(T, wait=(1,), signal=(0,))
        p.run(V, wait=(2,), signal=(3,))
        copy(p, Space.L1, Space.L3, m * n, src=z, dst=R[3], wait=(3,), signal=(2,))
        p.add(R[3], R[3], m * n)
    p.end()
    return p


def test_engines_work_as_a_pipeline(chip):
    m, n, k, tiles = 8, 10, 24, 5
    rng = np.random.default_rng(2)
    a, b, bias = rng.integers(-5, 6, (tiles * m, k)), rng.integers(-5, 6, (k, n)), rng.integers(-99, 100, n)
    put(chip.l3, 0x10000, a, Format.INT8)
    put(chip.l3, 0x20000, b, Format.INT8)
    put(chip.l3, 0x28000, bias, Format.INT32)
    program = product_program(m, n, k, tiles)
    for output in (0x30000, 0x38000):
        assert launch(chip, program, [0x10000, 0x20000, 0x28000, output]) == OK
        wanted = np.clip(a @ b + bias, 0, 127)
        np.testing.assert_array_equal(take(chip.l3, output, (tiles * m, n), Format.INT8), wanted)
    assert [(e.engine, e.tag, e.macs) for e in chip.trace if e.engine is not D] == [(T, 11, m * n * k), (V, 12, 0)] * tiles
    assert sum(e.engine is D for e in chip.trace) == 2 + 2 * tiles


def test_two_sips_and_the_cluster():
    """SIP 0 puts a tensor into L2 and signals SIP 1, which passes it on; the cluster moves it to L3 last."""
    chip = GoldenChip(TWO)
    chip.l3[0x20000:0x20100] = np.arange(256)
    first, second, cluster = Program(), Program(), Program()
    copy(first, Space.L3, Space.L1, 256, src=0x20000, dst=64)
    copy(first, Space.L1, Space.L2, 256, src=64, dst=0, signal=(7,), to=1)
    first.end()
    second.wait(7)
    copy(second, Space.L2, Space.L1, 256, src=0, dst=0)
    copy(second, Space.L1, Space.L2, 256, src=0, dst=0x400, signal=(1,), to=2)
    second.end()
    copy(cluster, Space.L2, Space.L3, 256, src=0x400, dst=0x30000, wait=(1,))
    cluster.end()
    assert launch(chip, {0: first, 1: second, 2: cluster}) == OK
    np.testing.assert_array_equal(chip.l3[0x30000:0x30100], np.arange(256))
    np.testing.assert_array_equal(chip.l1[1][:256], np.arange(256))
    assert [entry.sip for entry in chip.trace] == [0, 0, 1, 1, 2]


def test_a_signal_by_the_sequencer_reaches_another_sip():
    chip = GoldenChip(TWO)
    first, second = Program(), Program()
    first.wait(2)
    first.end()
    second.signal(2, to=0)
    second.end()
    assert launch(chip, {0: first, 1: second}) == OK
    assert launch(chip, {0: first}).status is Status.WATCHDOG


def test_an_event_counts_to_255(chip):
    p = Program()
    with p.loop(255):
        p.signal(9)
    with p.loop(255):
        p.wait(9)
    p.end()
    assert launch(chip, p) == OK
    assert launch(chip, p) == OK


def test_a_wait_takes_all_events_or_none(chip):
    """A wait for 1 and 2 must not keep event 1 while 2 is missing: the data engine takes 1 first and then signals both."""
    p = Program()
    p.signal(1)
    copy(p, Space.L3, Space.L1, 1, src=0, dst=0, wait=(1,), signal=(1, 2))
    p.wait(1, 2)
    p.end()
    assert launch(chip, p) == OK


def test_fence_waits_for_the_named_engines(chip):
    p = Program()
    copy(p, Space.L3, Space.L1, 1, src=0, dst=0, wait=(1,))
    p.fence(T, V)
    p.signal(1)
    p.fence(D)
    p.end()
    assert launch(chip, p) == OK
    p = Program()
    copy(p, Space.L3, Space.L1, 1, src=0, dst=0, wait=(1,))
    p.fence(D)
    p.signal(1)
    p.end()
    result = launch(chip, p)
    assert result.status is Status.WATCHDOG
    assert result.error.pc == IMAGE + 128 + 8 * (len(p.instructions) - 3)


def test_a_queue_takes_queue_depth_commands(chip):
    """RUN waits while the queue is full; the program goes on as the engine takes commands."""
    for count, status in ((TINY.queue_depth, Status.OK), (TINY.queue_depth + 1, Status.WATCHDOG)):
        p = Program()
        p.set(D, mode={"op": DataOp.FILL, "destination": Space.L1}, size0=1, **UNIT)
        for _ in range(count):
            p.run(D, wait=(0,))
        for _ in range(count):
            p.signal(0)
        p.end()
        assert launch(chip, p).status is status


def test_a_pair_whose_shapes_differ_ends_in_the_watchdog(chip):
    program = product_program(8, 10, 24, 1)
    assert launch(chip, program, [0, 0, 0, 0x30000]) == OK
    code = program.instructions
    is_width = {"opcode": Opcode.SET, "engine": V, "field": word_index(VectorCommand, "n")}
    (index,) = (i for i, bits in enumerate(code) if all(getattr(Instruction.from_bits(bits), k) == v for k, v in is_width.items()))
    result = launch(chip, {0: [*code[:index], code[index] - 1, *code[index + 1 :]]}, [0, 0, 0, 0x30000])
    assert result.status is Status.WATCHDOG
    assert launch(chip, program, [0, 0, 0, 0x30000]) == OK


def test_l1_and_l2_keep_their_contents(chip):
    p = Program()
    copy(p, Space.L3, Space.L1, 16, src=0x20000, dst=128)
    p.end()
    chip.l3[0x20000:0x20010] = 42
    assert launch(chip, p) == OK
    p = Program()
    copy(p, Space.L1, Space.L3, 16, src=128, dst=OUT)
    p.end()
    assert launch(chip, p) == OK
    assert (chip.l3[OUT : OUT + 16] == 42).all()


def test_partition(chip):
    chip.windows[2] = (0x20000, 0x30000)
    p = Program()
    copy(p, Space.L3, Space.L1, 16, src=0x2FFF0, dst=0)
    copy(p, Space.L3, Space.L1, 17, src=0x2FFF0, dst=0)
    p.end()
    result = launch(chip, p, partition=2)
    assert (result.status, result.error.address, result.error.engine) == (Status.ADDRESS, 0x30000, D)
    assert launch(chip, p, partition=1) == OK


def test_a_window_beyond_l3_has_no_model(chip):
    chip.windows[0] = (0, TINY.l3_bytes + 1)
    with pytest.raises(ValueError, match="reaches beyond"):
        launch(chip, product_program(8, 10, 24, 1))


def test_the_job_has_no_cycles(chip):
    p = Program()
    p.end()
    result = launch(chip, p)
    assert (result.cycles, result.total) == (None, None)
    assert chip.run(Job(IMAGE, ARGUMENTS + 1, 0)) == OK  # without arguments their address is not looked at


def test_a_large_memory_is_sparse():
    assert GoldenChip(ChipConfig.load("i20_slice")).l3.nbytes == 512 << 20
