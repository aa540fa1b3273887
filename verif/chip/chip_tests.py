"""Tests of the whole chip but its memory controllers, run inside the simulator through the ports that users have."""

import cocotb

from compiler.assembler import Program, assemble
from rtl.config import ISA_VERSION
from rtl.isa import Cause, DataOp, Engine, Space, Status
from rtl.isa import HostRegister as R
from sim.job import Job
from verif.chip.bench import Chip
from verif.common.params import rng

IMAGE, ARGUMENTS = 0x1000, 0x800
D = Engine.DATA
UNIT = {f"size{d}": 1 for d in range(1, 5)}


def copy(program: Program, source: Space, destination: Space, size: int, *, src, dst, wait=(), signal=(), to=None):
    """A dense copy of bytes; addresses may be registers."""
    program.set(
        D, mode={"op": DataOp.COPY, "source": source, "destination": destination}, src_base=src, dst_base=dst, size0=size,
        src_stride0=1, dst_stride0=1, **UNIT,
    )  # fmt: skip
    program.run(D, wait, signal, to)


@cocotb.test()
async def host(dut):
    """cp_identity, cp_host_memory, cp_job, cp_counters: everything through the host's two ports, the back door is shut."""
    chip = await Chip(dut).start(40_000)
    config, draw = chip.config, rng("host")
    for register, value in {
        R.ID: int.from_bytes(b"MGCU", "little"), R.VERSION: ISA_VERSION, R.SIPS: config.sips, R.MEMORY_BYTES: config.l3_bytes // 1024,
        R.FINGERPRINT_LO: config.fingerprint & 0xFFFFFFFF, R.FINGERPRINT_HI: config.fingerprint >> 32,
        R.BUILD_LO: config.build_hash & 0xFFFFFFFF, R.BUILD_HI: config.build_hash >> 32, R.STATUS: 2,
    }.items():  # fmt: skip
        assert await chip.read(register) == value, f"{register.name} is not {value:#x}"
    program = Program()
    copy(program, Space.L3, Space.L1, 300, src=0x10003, dst=0x101)
    copy(program, Space.L1, Space.L3, 300, src=0x101, dst=0x20007)
    copy(program, Space.L2, Space.L1, 200, src=0x205, dst=0x1001)
    copy(program, Space.L1, Space.L2, 200, src=0x1001, dst=0x3002)
    program.end()
    await chip.send(IMAGE, assemble(config, {0: program}).to_bytes())
    for _ in range(2):
        await chip.send(0x10003, draw.randbytes(300))
        await chip.send(0x205, draw.randbytes(200), l2=True)
        # The bytes around what is written, and the last ones of both spaces.
        await chip.send(0x20000, draw.randbytes(320))
        await chip.send(0x2FF0, draw.randbytes(256), l2=True)
        await chip.send(config.l3_bytes - 40, draw.randbytes(40))
        await chip.send(config.l2_bytes - 40, draw.randbytes(40), l2=True)
        assert await chip.run(Job(IMAGE, ARGUMENTS, 0)) == [Status.OK]
        counts = await chip.counters()
        assert counts[0, D][Cause.BUSY] + counts[0, D][Cause.MEMORY] > 0 and counts[0, Engine.SEQUENCER][Cause.BUSY] > 0
        assert not counts[config.sips, D][Cause.BUSY]
        await chip.fetch(0x20000, 320)
        await chip.fetch(0x2FF0, 256, l2=True)
        await chip.fetch(config.l3_bytes - 40, 40)
        await chip.fetch(config.l2_bytes - 40, 40, l2=True)
