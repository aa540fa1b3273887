"""Tests of the whole chip but its memory controllers, run inside the simulator through the ports that users have."""

import random
from collections.abc import Mapping

import cocotb

from compiler.assembler import Program, assemble
from rtl.config import ISA_VERSION
from rtl.isa import Cause, Engine, Space, Status
from rtl.isa import HostRegister as R
from sim.job import Job
from verif.chip.bench import Chip
from verif.chip.programs import Work, cluster_work, copy, part, pipeline, random_work
from verif.common.params import params, rng

IMAGE, ARGUMENTS = 0x1000, 0x800
D = Engine.DATA


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
        for l2 in (False, True):
            for size in (1, config.bus_bytes - 3):
                await chip.send(0x4000 + draw.randrange(3), draw.randbytes(size), l2=l2)
                await chip.fetch(0x4000 + draw.randrange(3), size, l2=l2)
        assert await chip.run(Job(IMAGE, ARGUMENTS, 0)) == [Status.OK]
        counts = await chip.counters()
        assert counts[0, D][Cause.BUSY] + counts[0, D][Cause.MEMORY] > 0 and counts[0, Engine.SEQUENCER][Cause.BUSY] > 0
        assert not counts[config.sips, D][Cause.BUSY]
        move = Program()
        copy(move, Space.L3, Space.L2, 300, src=0x10003, dst=0x3801)
        move.end()
        assert await chip.run(prepare(chip, {config.sips: Work(move)}, 0x30000)) == [Status.OK]
        await chip.fetch(0x3801, 300, l2=True)
        await chip.fetch(0x20000, 320)
        await chip.fetch(0x2FF0, 256, l2=True)
        await chip.fetch(config.l3_bytes - 40, 40)
        await chip.fetch(config.l2_bytes - 40, 40, l2=True)


def prepare(chip: Chip, works: Mapping[int, Work], image: int = IMAGE, *, partition: int = 0) -> Job:
    """Loads the programs of one job, their data and the arguments of the one that has any; the image and the arguments get 64 KiB."""
    code = assemble(chip.config, {unit: work.program for unit, work in works.items()}).to_bytes()
    assert len(code) < 0xF000
    chip.load(image, code)
    arguments = next((work.arguments for work in works.values() if work.arguments), [])
    chip.load(image + 0xF000, b"".join(value.to_bytes(4, "little") for value in arguments))
    for work in works.values():
        for address, raw in work.loads:
            chip.load(address, raw)
    return Job(image, image + 0xF000, len(arguments), sum(1 << unit for unit in works), partition)


@cocotb.test()
async def all_engines(dut):
    """cp_engines, cp_events, cp_arguments: a pipeline of three engines, twice with one doorbell, with other arguments."""
    chip = await Chip(dut).start(60_000)
    draw = rng("pipeline")
    first, second = pipeline(draw, tiles=4), pipeline(draw, m=7, n=5, k=33, tiles=3)
    second.arguments[3] += 0x1000
    # Both read the same tiles; the second image's loads are the ones that count.
    jobs = [prepare(chip, {0: first}, 0x10000), prepare(chip, {0: second}, 0x20000)]
    assert await chip.run(*jobs) == [Status.OK] * 2
    counts = await chip.counters()
    for engine in (Engine.TENSOR, Engine.VECTOR):
        assert counts[0, engine][Cause.BUSY] and counts[0, engine][Cause.EVENT]


async def traffic(chip: Chip, draw: random.Random, count: int):
    """Host reads and writes of pages that no job touches."""
    for _ in range(count):
        l2 = draw.random() < 0.5
        base, size = (0x8000 if l2 else 0x38000), draw.randint(1, 300)
        address = base + draw.randrange(0x1000 - size)
        await chip.send(address, draw.randbytes(size), l2=l2)
        await chip.fetch(address, size, l2=l2)


async def random_jobs(chip: Chip, name: str, units: list[int], rounds: int):
    """Pairs of random jobs on some units, with one doorbell for both and host traffic beside; L2 is read back by the host."""
    draw = rng(name)
    config = chip.config
    for unit in units:
        await chip.send(part(Space.L2, unit)[0], draw.randbytes(part(Space.L2, unit)[1]), l2=True)
    for _ in range(rounds):
        jobs = []
        for number in range(2):
            works = {
                unit: random_work(draw, config, unit) if unit < config.sips else cluster_work(draw, config)
                for unit in units
            }  # fmt: skip
            works[units[0]].arguments = [draw.choice([1, 2]) for _ in range(config.sips)]
            if number:
                # The first job's data stay as they are.
                for work in works.values():
                    work.loads = []
            jobs.append(prepare(chip, works, 0x10000 * (number + 1)))
        beside = cocotb.start_soon(traffic(chip, draw, 20))
        assert await chip.run(*jobs, beside=beside) == [Status.OK] * 2
        await chip.counters()
        for unit in units:
            await chip.fetch(*part(Space.L2, unit), l2=True)


@cocotb.test(skip=not params().get("long"))
async def random_programs(dut):
    """cp_random, cp_queue: random commands on all engines of SIP 0 at once, the cluster idle. Long tier."""
    chip = await Chip(dut).start(20_000 * (1 + params().get("rounds", 1)))
    await random_jobs(chip, "random", [0], params().get("rounds", 1))


@cocotb.test()
async def random_cluster(dut):
    """cp_random, cp_queue, cp_cluster: every SIP and the cluster's own unit at random work at once."""
    chip = await Chip(dut).start(20_000 * (1 + params().get("rounds", 1)))
    await random_jobs(chip, "cluster", list(range(chip.config.sips + 1)), params().get("rounds", 1))


@cocotb.test()
async def relay(dut):
    """cp_remote_events: SIP 0, then each other SIP, then the cluster pass a tensor on through L2 and tell the next one by an event."""
    chip = await Chip(dut).start(60_000)
    config, draw = chip.config, rng("relay")
    size = 500
    for turn in range(2):
        works = {}
        for unit in range(config.sips + 1):
            p = Program()
            if unit == 0:
                copy(p, Space.L3, Space.L1, size, src=0x40000, dst=0x100)
                p.fence(D)
            else:
                p.wait(7)
                if unit < config.sips:
                    copy(p, Space.L2, Space.L1, size, src=0x1000 * unit, dst=0x100)
            if unit < config.sips:
                # By the command itself or by the sequencer.
                copy(p, Space.L1, Space.L2, size, src=0x100, dst=0x1000 * (unit + 1), signal=() if turn else (7,), to=unit + 1)
                if turn:
                    p.fence()
                    p.signal(7, to=unit + 1)
                p.wait(9)
            else:
                copy(p, Space.L2, Space.L3, size, src=0x1000 * unit, dst=0x50003, signal=(1,))
                p.wait(1)
                for sip in range(config.sips):
                    p.signal(9, to=sip)
            p.end()
            works[unit] = Work(p)
        works[0].loads = [(0x40000, draw.randbytes(size))]
        assert await chip.run(prepare(chip, works)) == [Status.OK]
        await chip.counters()
        await chip.fetch(0x50000, size + 16)


@cocotb.test(expect_error=AssertionError)
async def wrong_byte_is_found(dut):
    """A deliberate fault: one bit of what the chip reads differs from what the golden chip reads, and the comparison must see it."""
    chip = await Chip(dut).start(60_000)
    program = Program()
    copy(program, Space.L3, Space.L1, 300, src=0x40000, dst=0)
    copy(program, Space.L1, Space.L3, 300, src=0, dst=0x50000)
    program.end()
    job = prepare(chip, {0: Work(program, loads=[(0x40000, rng("fault").randbytes(300))])})
    assert await chip.run(job) == [Status.OK]
    chip.golden.l3[0x40000 + 123] ^= 0x10
    await chip.push(job)
    await chip.write(R.DOORBELL, 1)
    chip.golden.run(job)
    await chip.settle(1)
    chip.golden.l3[0x40000 + 123] ^= 0x10
    chip.check_l3()
