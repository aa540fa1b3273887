"""Tests of the host block that run inside the simulator, over AXI4-Lite as a user's driver would."""

import logging
from collections import Counter

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from rtl.config import ISA_VERSION
from rtl.host.registers import WATCHDOG_CYCLES
from rtl.isa import (
    Cause,
    Engine,
    Interrupt,
    MemoryRegister,
    Status,
    Window,
    counter_address,
    memory_address,
    window_access_address,
    window_address,
)
from rtl.isa import HostRegister as R
from verif.common.clock import start
from verif.common.params import config, params, rng
from verif.host.cluster import ClusterModel, Part
from verif.host.coverage import HostCoverage

#: One for all tests of a simulation.
COVERAGE = HostCoverage(config().sips + 1)

NO_SIP = 0xFF


class Bench:
    def __init__(self, dut):
        self.dut, self.config, self.rng = dut, config(), rng("host")
        self.count = self.config.sips + 1

    async def start(self, cycles: int = 200_000) -> "Bench":
        dut = self.dut
        await start(dut, cycles)
        logging.getLogger(f"cocotb.{dut._name}.axi").setLevel(logging.WARNING)
        self.axi = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "axi", bus_separator="__"), dut.clk, dut.rst)
        stalls = rng("stalls")

        def pauses():
            while True:
                yield stalls.random() < 0.4

        for channel in (self.axi.write_if.aw_channel, self.axi.write_if.w_channel, self.axi.write_if.b_channel,
                        self.axi.read_if.ar_channel, self.axi.read_if.r_channel):
            channel.set_pause_generator(pauses())
        self.cluster = ClusterModel(dut, self.config, rng("cluster"), self._ended)
        return self

    def _ended(self, job):
        COVERAGE.job(job)
        COVERAGE.export()

    async def write(self, address: int, value: int, good: bool = True):
        await self.write_bytes(address, value.to_bytes(4, "little"), good)

    async def write_bytes(self, address: int, value: bytes, good: bool = True):
        running = self.cluster.active
        response = await self.axi.write(int(address), value)
        COVERAGE.access(address, "write", len(value), good, running)
        assert response.resp == (AxiResp.OKAY if good else AxiResp.SLVERR), f"write {address:#x}: {response.resp}"

    async def read(self, address: int, good: bool = True) -> int:
        running = self.cluster.active
        response = await self.axi.read(int(address), 4)
        COVERAGE.access(address, "read", 4, good, running)
        assert response.resp == (AxiResp.OKAY if good else AxiResp.SLVERR), f"read {address:#x}: {response.resp}"
        return int.from_bytes(response.data, "little")

    async def push(
        self, mask: int, *, image: int = 0x1000, args: int = 0x2000, arg_count: int = 0, partition: int = 0, taken: bool = True,
    ):
        """Pushes a job; it is `taken` if there is room, as the caller knows."""
        queue = await self.read(R.QUEUE)
        COVERAGE.queue("push", (queue & 0xFF) + (queue >> 8 & 0xFF), self.config.job_queue_depth, taken)
        for register, value in ((R.JOB_IMAGE, image), (R.JOB_ARGS, args), (R.JOB_ARG_COUNT, arg_count), (R.JOB_MASK, mask),
                                (R.JOB_PARTITION, partition), (R.JOB_PUSH, self.rng.getrandbits(32))):
            await self.write(register, value)

    async def ring(self, count: int, taken: bool = True):
        """Releases `count` jobs; refused if there are fewer."""
        COVERAGE.queue("doorbell", await self.read(R.QUEUE) & 0xFF, self.config.job_queue_depth, taken)
        await self.write(R.DOORBELL, count)
        if not taken:
            assert await self.record() == host_error(Status.DOORBELL_EMPTY)

    async def settle(self, done: int):
        """Waits until `done` jobs have ended since reset."""
        while await self.read(R.JOBS_DONE) != done:
            pass

    async def record(self) -> tuple:
        """The error record; it is cleared and the interrupt with it."""
        cause = await self.read(R.ERROR_CAUSE)
        low, high = await self.read(R.ERROR_COMMAND_LO), await self.read(R.ERROR_COMMAND_HI)
        found = (Status(cause & 0xFF), cause >> 8 & 0xFF, Engine(cause >> 16 & 3), await self.read(R.ERROR_ADDRESS),
                 await self.read(R.ERROR_PC), low | high << 32)
        assert await self.read(R.INTERRUPT) >> Interrupt.ERROR & 1 == (found[0] != Status.OK)
        await self.write(R.ERROR_CAUSE, 0)
        assert await self.read(R.ERROR_CAUSE) == 0
        await self.write(R.INTERRUPT, 1 << Interrupt.ERROR)
        return found

    async def check_counters(self, engines: int = 3):
        """Counters of some engines in the last job: each as seen, and together JOB_TOTAL."""
        job = self.cluster.jobs[-1]
        total = await self.read(R.JOB_TOTAL)
        assert total == job.total, f"JOB_TOTAL {total}, not {job.total}"
        assert (found := await self.read(R.JOB_CYCLES)) == job.cycles, f"JOB_CYCLES {found}, not {job.cycles}"
        for sequencer, engine in self.rng.sample([(number, engine) for number in range(self.count) for engine in Engine], engines):
            counts = {cause: await self.read(counter_address(sequencer, engine, cause)) for cause in Cause}
            expected = {cause: job.causes[sequencer, engine, cause] for cause in Cause}
            assert counts == expected, f"sequencer {sequencer}, {engine.name}: {counts}, not {expected}"
            assert sum(counts.values()) == total


def host_error(status: Status, address: int = 0) -> tuple:
    return (status, NO_SIP, Engine.SEQUENCER, address, 0, 0)


@cocotb.test()
async def registers(dut):
    """cp_identity, cp_strobes, cp_windows, cp_bad_register: the register map."""
    bench = await Bench(dut).start()
    chip = bench.config
    constants = {
        R.ID: int.from_bytes(b"MGCU", "little"), R.VERSION: ISA_VERSION, R.SIPS: chip.sips, R.MEMORY_BYTES: chip.l3_bytes // 1024,
        R.FINGERPRINT_LO: chip.fingerprint & 0xFFFFFFFF, R.FINGERPRINT_HI: chip.fingerprint >> 32,
        R.BUILD_LO: chip.build_hash & 0xFFFFFFFF, R.BUILD_HI: chip.build_hash >> 32,
    }
    writable = {R.JOB_IMAGE: 0, R.JOB_ARGS: 0, R.JOB_ARG_COUNT: 0, R.JOB_MASK: 0, R.JOB_PARTITION: 0, R.WATCHDOG: WATCHDOG_CYCLES}
    for partition in range(chip.partitions):
        writable |= {window_address(partition): 0, window_address(partition) + 4: min(chip.l3_bytes, 0xFFFFFFFF)}
    accesses = {window_access_address(partition) for partition in range(chip.partitions)}
    writable |= dict.fromkeys(accesses, 3)
    for _ in range(2):
        for address, value in constants.items():
            assert await bench.read(address) == value
            await bench.write(address, bench.rng.getrandbits(32))
    for address, value in writable.items():
        assert await bench.read(address) == value, f"{address:#x} after reset"
    for _ in range(60):
        address, size = bench.rng.choice(list(writable)), bench.rng.choice([1, 2, 3, 4])
        place = bench.rng.randrange(5 - size)
        raw = bytearray(writable[address].to_bytes(4, "little"))
        raw[place:place + size] = bench.rng.randbytes(size)
        await bench.write_bytes(address + place, bytes(raw[place:place + size]))
        writable[address] = int.from_bytes(raw, "little") & (3 if address in accesses else 0xFFFFFFFF)
        assert await bench.read(address) == writable[address]
    assert int(dut.watchdog.value) == writable[R.WATCHDOG]
    for value, limit in ((0xFFFFFFFF, 1 << 32), (0xFFFFFFFE, 0xFFFFFFFE), (0, 0)):
        await bench.write(window_address(1) + 4, value)
        size = Window.as_shape().size
        window = Window.from_bits(int(dut.windows.value) >> size & (1 << size) - 1)
        assert (window.base, window.limit) == (writable[window_address(1)], limit)
        access = writable[window_access_address(1)]
        assert (window.read, window.write) == (access & 1, access >> 1)
    for write_only in (R.DOORBELL, R.JOB_PUSH):
        assert await bench.read(write_only) == 0
    assert await bench.read(R.INTERRUPT_ENABLE) == 0
    # Nothing comes of writing what can only be read.
    read_only = [R.QUEUE, R.STATUS, R.JOBS_DONE, R.JOB_STATUS, R.JOB_CYCLES, R.JOB_TOTAL, R.ERROR_ADDRESS, R.ERROR_PC, R.ERROR_COMMAND_LO,
                 R.ERROR_COMMAND_HI, counter_address(0, Engine.TENSOR, Cause.BUSY)]
    for address in read_only:
        await bench.write(address, 0xFFFFFFFF)
        assert await bench.read(address) == 0
    for address in (R.CYCLE_LO, R.CYCLE_HI):
        await bench.write(address, 0xFFFFFFFF)
        assert await bench.read(address) < 0x100000
    dut.memory_ready.value = 1
    low = await bench.read(R.CYCLE_LO)
    assert await bench.read(R.CYCLE_HI) == 0 and await bench.read(R.CYCLE_LO) > low
    assert await bench.read(R.STATUS) == 2
    assert await bench.read(R.INTERRUPT) == await bench.read(R.ERROR_CAUSE) == 0
    counters_end = counter_address(chip.sips, Engine.SEQUENCER, Cause.SKIPPED)
    bad = [0x80, 0x0FC, window_address(chip.partitions), 0x0FFC, 0x101C, counters_end + 4, counters_end + 8, 0x2000, 0xFFFC]
    assert await bench.read(counters_end) == 0
    for address in bad:
        for access in (bench.read(address, good=False), bench.write(address, 1, good=False)):
            await access
            assert await bench.record() == host_error(Status.BAD_REGISTER, address)
    # A bit per SIP, set by any pulse until the next write.
    full = (1 << chip.sips) - 1
    for pulses in ([1 << sip for sip in range(chip.sips)], [full, 0, full]):
        for pulse in pulses:
            await FallingEdge(dut.clk)
            dut.overflow.value = pulse
        await FallingEdge(dut.clk)
        dut.overflow.value = 0
        for _ in range(2):
            assert await bench.read(R.OVERFLOW) == full
        await bench.write(R.OVERFLOW, bench.rng.getrandbits(32))
        assert await bench.read(R.OVERFLOW) == 0
    # The first error is the one that is kept.
    await bench.read(0x200, good=False)
    await bench.read(0x300, good=False)
    assert await bench.record() == host_error(Status.BAD_REGISTER, 0x200)


async def _memory_registers(dut, channels: int, words: dict, writes: list):
    """Register files of the memory controllers: reads answer one cycle later; odd words refuse both directions."""
    ports = [{name: getattr(dut, f"memory__{channel}__{name}") for name in (
        "write__valid", "write__address", "write__data", "write__strobe", "write__error",
        "read__valid", "read__address", "read__data", "read__error",
    )} for channel in range(channels)]
    answers = [(0, 0)] * channels
    while True:
        await FallingEdge(dut.clk)
        for channel, port in enumerate(ports):
            port["read__data"].value, port["read__error"].value = answers[channel]
            # The address comes from a register, so that the answer of the same cycle is known here.
            port["write__error"].value = int(port["write__address"].value) & 1
        await ReadOnly()
        for channel, port in enumerate(ports):
            address = int(port["read__address"].value)
            asked = int(port["read__valid"].value)
            answers[channel] = (words.get((channel, address), 0), address & 1) if asked else (0xDEAD0000 | channel, 1)
            if int(port["write__valid"].value):
                writes.append((channel, *(int(port[f"write__{name}"].value) for name in ("address", "data", "strobe"))))


@cocotb.test()
async def memory_registers(dut):
    """cp_memory: every channel's registers by read and write, their errors, and channels that aren't there."""
    bench = await Bench(dut).start()
    rng, channels = bench.rng, bench.config.channels
    words: dict = {}
    writes: list = []
    cocotb.start_soon(_memory_registers(dut, channels, words, writes))
    for _ in range(2):
        for channel in range(channels):
            for word in (0, 255, 2 * rng.randrange(128), 2 * rng.randrange(128) + 1):
                address, value = memory_address(channel, MemoryRegister.CONTROL, word), rng.getrandbits(32)
                words[channel, word] = value
                good = not word & 1
                assert await bench.read(address, good) == (value if good else 0)
                writes.clear()
                await bench.write(address, value ^ 1, good)
                assert writes == [(channel, word, value ^ 1, 15)]
                if not good:
                    assert await bench.record() == host_error(Status.BAD_REGISTER, address)
                await bench.write_bytes(address + 2, b"\x77", good)
                assert writes[-1] == (channel, word, 0x77 << 16, 4) or not good
                if not good:
                    await bench.record()
    writes.clear()
    for address in ([memory_address(channels, MemoryRegister.CONTROL)] if channels < 32 else []) + [0xFFFC]:
        await bench.read(address, good=False)
        assert await bench.record() == host_error(Status.BAD_REGISTER, address)
        await bench.write(address, 5, good=False)
        assert await bench.record() == host_error(Status.BAD_REGISTER, address)
    # The host's own registers are none of the channels' business.
    await bench.write(R.JOB_ARGS, 0x1234)
    assert await bench.read(R.JOB_ARGS) == 0x1234 and not writes


@cocotb.test()
async def queue(dut):
    """cp_doorbell, cp_interrupt: pushing, releasing, overflow, and interrupts that are enabled or not."""
    bench = await Bench(dut).start()
    depth = bench.config.job_queue_depth
    for round in range(2):
        await bench.ring(0)
        await bench.ring(1, taken=False)
        for number in range(depth):
            assert await bench.read(R.QUEUE) == number
            await bench.push(1, image=0x1000 * (number + 1))
            await bench.ring(number + 2, taken=False)
        await bench.push(1, image=0x40, taken=False)
        assert await bench.record() == host_error(Status.QUEUE_FULL)
        await bench.ring(depth + 1, taken=False)
        assert await bench.read(R.QUEUE) == depth and await bench.read(R.STATUS) & 1 == 0
        await bench.write(R.INTERRUPT_ENABLE, round << Interrupt.JOB_DONE)
        for _ in range(depth):
            bench.cluster.plan[0].append(Part(600))
        await bench.ring(0)
        await bench.ring(depth)
        while not await bench.read(R.STATUS):
            pass
        assert await bench.read(R.QUEUE) == (depth - 1) << 8
        # Room for one more while the first job runs; it waits for its own doorbell.
        await bench.push(1, image=0x77000)
        assert await bench.read(R.QUEUE) == (depth - 1) << 8 | 1
        await bench.push(1, image=0x88000, taken=False)
        assert (await bench.record())[0] == Status.QUEUE_FULL
        await bench.settle(depth + round * (depth + 1))
        assert int(dut.interrupt.value) == round
        assert await bench.read(R.INTERRUPT) == 1 << Interrupt.JOB_DONE
        await bench.write(R.INTERRUPT, 1 << Interrupt.ERROR)
        assert await bench.read(R.INTERRUPT) == 1 << Interrupt.JOB_DONE
        await bench.write(R.INTERRUPT, 1 << Interrupt.JOB_DONE)
        assert await bench.read(R.INTERRUPT) == 0
        await ClockCycles(dut.clk, 2)
        assert int(dut.interrupt.value) == 0 and await bench.read(R.QUEUE) == 1
        await bench.ring(1)
        await bench.settle((round + 1) * (depth + 1))
        await bench.write(R.INTERRUPT, 1 << Interrupt.JOB_DONE)
        images = [job.launches[0][0] for job in bench.cluster.jobs[-depth - 1:]]
        assert images == [0x1000 * (number + 1) for number in range(depth)] + [0x77000]


@cocotb.test()
async def jobs(dut):
    """cp_jobs, cp_parts, cp_failures, cp_counters: random jobs, good and bad, in twos."""
    bench = await Bench(dut).start()
    rng, count, done = bench.rng, bench.count, 0
    for _ in range(params().get("jobs", 10)):
        expected = []
        for _ in range(2):
            mask = rng.randrange(1, 1 << count)
            members = [number for number in range(count) if mask >> number & 1]
            failing = [number for number in members if rng.random() < 0.25]
            moment = rng.randrange(20, 60)
            for number in members:
                part = Part(moment + rng.choice([-10, 0, 0, 30]))
                if number in failing:
                    part.record = {
                        "status": rng.choice([Status.ADDRESS, Status.WATCHDOG, Status.BUS]), "engine": rng.choice(list(Engine)),
                        "address": rng.getrandbits(32), "pc": rng.getrandbits(32), "command": rng.getrandbits(64),
                    }
                elif failing and rng.random() < 0.5:
                    part.cycles = None
                bench.cluster.plan[number].append(part)
            request = {"image": rng.randrange(1 << 26) << 6, "args": rng.randrange(1 << 26) << 6, "arg_count": rng.randrange(33)}
            partition = rng.randrange(bench.config.partitions)
            await bench.push(mask, **request, partition=partition)
            expected.append(({number: tuple(request.values()) for number in members}, partition, bool(failing)))
        await bench.ring(2)
        done += 2
        await bench.settle(done)
        seen = bench.cluster.jobs[-2:]
        for job, (launches, partition, failing) in zip(seen, expected, strict=True):
            assert (job.launches, job.partition, job.failure is not None) == (launches, partition, failing)
            assert not job.cancelled or failing
        # The record is that of the first job that failed; the status is the last job's.
        number, first = next((job.failure for job in seen if job.failure), (0, {"status": Status.OK, "engine": Engine.TENSOR}))
        rest = tuple(first.get(name, 0) for name in ("address", "pc", "command"))
        assert await bench.record() == (first["status"], number, first["engine"], *rest)
        assert Status(await bench.read(R.JOB_STATUS)) == (seen[-1].failure[1]["status"] if seen[-1].failure else Status.OK)
        await bench.check_counters()
    await bench.check_counters(4 * count)


@cocotb.test()
async def failures(dut):
    """cp_first_failure: the lowest of several failures in one cycle, then the others are cancelled, and their ends don't count."""
    bench = await Bench(dut).start()
    everyone, done = set(range(bench.count)), 0
    # Who takes part, who fails, and who has ended before.
    cases = [(everyone, {winner, winner + 1} & everyone, set()) for winner in everyone]
    cases += [({0, bench.count - 1}, {0, bench.count - 1}, set()), ({1}, {1}, set())]
    cases += [(everyone, {number}, before) for number in (0, 1) for before in (set(), everyone - {number}, {bench.count - 1} - {number})]
    if bench.count > 2:
        cases += [(everyone - {0}, {1, 2}, set()), (everyone - {0}, {1}, set()), (everyone - {0}, {2}, set())]
    for case, (members, failing, before) in enumerate(cases):
        if case % 2 == 0:
            await bench.push((1 << bench.count) - 1)
            await bench.ring(1)
            done += 1
            await bench.settle(done)
        jobs = len(bench.cluster.jobs)
        for number in members:
            bench.cluster.plan[number].append(Part(1 if number in before else None))
        await bench.push(sum(1 << number for number in members))
        await bench.ring(1)
        while len(bench.cluster.jobs) == jobs or len(bench.cluster.jobs[-1].launches) < len(members):
            await RisingEdge(dut.clk)
        await ClockCycles(dut.clk, 10)
        winner = min(failing)
        record = {"status": Status.SIZE, "engine": Engine.DATA, "address": winner, "pc": 8 * winner, "command": 1 << 63 | winner}
        bench.cluster.fail({number: {**record, "pc": 8 * number} for number in failing})
        done += 1
        await bench.settle(done)
        assert await bench.record() == (Status.SIZE, winner, Engine.DATA, winner, 8 * winner, 1 << 63 | winner)
        assert Status(await bench.read(R.JOB_STATUS)) == Status.SIZE
        assert bench.cluster.jobs[-1].cancelled == members - failing - before
        await bench.check_counters()


@cocotb.test()
async def bad_jobs(dut):
    """cp_bad_job: a job that can't be launched ends at once, and the next one runs."""
    bench = await Bench(dut).start()
    count, partitions, done = bench.count, bench.config.partitions, 0
    cases = [
        ({"mask": 0}, 0), ({"mask": 1 << count}, count), ({"mask": 1 << 31 | 2}, 1), ({"mask": 1, "arg_count": 33}, 0),
        ({"mask": 2, "arg_count": 1 << 31}, 1), ({"mask": 1, "partition": partitions}, 0), ({"mask": 1, "partition": 1 << 16}, 0),
        ({"mask": 1, "image": 0x1020}, 0), ({"mask": 1, "image": 0x1001}, 0), ({"mask": 1, "args": 0x2004, "arg_count": 1}, 0),
    ]
    for case, sip in cases:
        await bench.push(**case)
        await bench.push(1, args=0x2004)
        await bench.ring(1)
        done += 1
        await bench.settle(done)
        COVERAGE.refused()
        assert Status(await bench.read(R.JOB_STATUS)) == Status.BAD_JOB
        assert await bench.read(R.JOB_TOTAL) == await bench.read(R.JOB_CYCLES) == 0
        assert await bench.read(counter_address(0, Engine.DATA, Cause.IDLE)) == 0
        await bench.ring(1)
        done += 1
        await bench.settle(done)
        assert await bench.record() == (Status.BAD_JOB, sip, Engine.SEQUENCER, 0, 0, 0)
        assert Status(await bench.read(R.JOB_STATUS)) == Status.OK
        await bench.check_counters()
    assert sum(Counter(len(job.launches) for job in bench.cluster.jobs).values()) == len(cases)
