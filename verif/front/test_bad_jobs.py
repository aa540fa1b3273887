"""Bad programs through the host's registers: golden model and RTL refuse them with the same record, and the next job runs."""

import numpy as np
import pytest

from compiler.assembler import Program, assemble
from rtl.config import PRESETS
from rtl.formats import Format
from rtl.image import Image
from rtl.isa import DataOp, Engine, Instruction, Opcode, Space, Status, TensorMode
from sim.backends import backend
from sim.job import Job
from sim.workload import Segment, Workload

TINY = PRESETS["tiny"]
PLACE, RESULT = 0x4000, 0x1000
SIZES = {f"size{d}": 1 for d in range(5)}


def fill(address: int, value: int) -> Program:
    """One byte of L3."""
    program = Program()
    program.set(Engine.DATA, mode={"op": DataOp.FILL, "destination": Space.L3}, dst_base=address, fill=value, **SIZES)
    program.run(Engine.DATA)
    program.end()
    return program


def copy_from(space: Space, address: int) -> Program:
    """Sixteen bytes into L1."""
    program = Program()
    sizes = SIZES | {"size4": 16, "src_stride4": 1, "dst_stride4": 1}
    program.set(Engine.DATA, mode={"op": DataOp.COPY, "source": space, "destination": Space.L1}, src_base=address, **sizes)
    program.run(Engine.DATA)
    program.end()
    return program


def product_at(address: int) -> Program:
    """A product whose result would lie at `address` of L1."""
    program = Program()
    mode = TensorMode.const({"a_format": Format.INT8, "d_format": Format.INT32})
    program.set(
        Engine.TENSOR, mode=mode, kh=1, kw=1, channels=8, ow=1, oh=1, n=4, batch=1, a_c=8, b_k=4, d_base=address, d_ow=16,
    )
    program.run(Engine.TENSOR)
    program.end()
    return program


def image_of(program: Program) -> bytes:
    return assemble(TINY, {0: program}).to_bytes()


def raw_image(*instructions: int, fingerprint: int = TINY.fingerprint, **fields) -> bytes:
    return Image(fingerprint, (instructions,), **fields).to_bytes()


END = Instruction.const({"opcode": Opcode.END}).as_bits()

#: Image, and the status that refuses it.
CASES = {
    "another configuration": (raw_image(END, fingerprint=PRESETS["small"].fingerprint), Status.BAD_FINGERPRINT),
    "another version": (raw_image(END, version=77), Status.BAD_VERSION),
    "no image": (bytes(256), Status.BAD_MAGIC),
    "undefined opcode": (raw_image(END & ~(63 << 58) | 63 << 58, END), Status.UNDEFINED_OPCODE),
    "opcode zero": (raw_image(0), Status.UNDEFINED_OPCODE),
    "load outside L3": (image_of(copy_from(Space.L3, TINY.l3_bytes - 8)), Status.ADDRESS),
    "store outside L3": (image_of(fill(TINY.l3_bytes + 5, 1)), Status.ADDRESS),
    "load outside L2": (image_of(copy_from(Space.L2, TINY.l2_bytes)), Status.ADDRESS),
    "result outside L1": (image_of(product_at(TINY.l1_bytes - 4)), Status.ADDRESS),
}


@pytest.mark.parametrize("name", ["golden", "verilator"])
def test_registers_and_records(name, tmp_path):
    """Each bad job, then a good one that leaves its mark; on one chip, without a reset between."""
    segments, jobs, reads = [], [], []
    for number, (image, _) in enumerate(CASES.values()):
        bad, good = PLACE + 0x1000 * number, PLACE + 0x1000 * number + 0x800
        segments += [Segment(bad, image), Segment(good, image_of(fill(RESULT + number, 100 + number)))]
        jobs += [Job(bad, 0, 0), Job(good, 0, 0)]
        reads.append((RESULT + number, 1))
    workload = Workload(TINY, tuple(segments), tuple(jobs), tuple(reads), "ideal", job_limit=100_000)
    outcome = backend(name)(workload, folder=tmp_path)
    reference = outcome if name == "golden" else backend("golden")(workload, folder=tmp_path)
    for (case, (_, status)), bad, good, expected in zip(
        CASES.items(), outcome.jobs[::2], outcome.jobs[1::2], reference.jobs[::2], strict=True
    ):
        assert bad.status is status, case
        assert bad.error == expected.error and bad.error.status is status, case
        assert good.status is Status.OK and good.error is None, f"the job after: {case}"
    assert np.frombuffer(b"".join(outcome.reads), np.uint8).tolist() == [100 + number for number in range(len(CASES))]


def test_segments_outside_memory_are_refused():
    with pytest.raises(ValueError, match="16 byte at 0x1fffff8 reach beyond the 33554432 byte of L3"):
        Workload(TINY, (Segment(TINY.l3_bytes - 8, bytes(16)),), (), ())
