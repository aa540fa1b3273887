"""Tests of the sequencer that run inside the simulator: random programs, every bad instruction, events, watchdog, abort."""

from collections import Counter

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.config import ISA_VERSION
from rtl.image import Image
from rtl.isa import COMMANDS, Cause, Engine, Opcode, Status, words_of
from rtl.sequencer.interface import SIGNALS, LaunchRequest, RemoteSignal
from rtl.sequencer.sequencer import RESET_CYCLES
from verif.common.clock import start
from verif.common.params import config, params, rng
from verif.common.streams import StreamSink, StreamSource, pack
from verif.sequencer.coverage import SequencerCoverage
from verif.sequencer.models import EngineModel, FetchMemory, Monitor
from verif.sequencer.program import assemble, execute, local_signals, random_program

IMAGE, ARGUMENTS, MEMORY = 0x1000, 0x8000, 0x10000
END = assemble(Opcode.END)
#: One for all tests of a simulation.
COVERAGE = SequencerCoverage()


class Bench:
    """The sequencer with its surroundings, and one job at a time."""

    def __init__(self, dut):
        self.dut = dut
        self.config = config()
        self.cluster = params().get("cluster", False)
        self.arguments = 0
        self.index = self.config.sips if self.cluster else self.config.sips - 1
        self.engines = (Engine.DATA,) if self.cluster else tuple(COMMANDS)
        self.rng = rng("bench")

    async def start(self, cycles: int = 400_000) -> "Bench":
        await start(self.dut, cycles)
        self.contents = bytearray(self.rng.randbytes(MEMORY))
        self.memory = FetchMemory(self.dut, self.config, self.contents, rng("memory"))
        self.monitor = Monitor(self.dut)
        self.models = {engine: EngineModel(self.dut, engine, rng(engine.name), self.monitor) for engine in self.engines}
        self.launches = StreamSource(self.dut, "launch", LaunchRequest, rng("launch"))
        self.remote = StreamSink(self.dut, "signal_out", RemoteSignal, rng("remote"))
        self.dut.index.value = self.index
        self.dut.watchdog.value = 1000
        self.dut.data_idle.value = 1
        return self

    def store(self, program: list[int], image: int = IMAGE, **changes) -> int:
        """Writes an image; returns the address of the program's first instruction."""
        filler = (END,) * self.rng.randrange(4)
        programs = tuple(tuple(program) if number == self.index else filler for number in range(self.config.sips + 1))
        raw = bytearray(Image(**{"fingerprint": self.config.fingerprint, "programs": programs, **changes}).to_bytes())
        self.contents[image:image + len(raw)] = raw
        entry = image + 64 + 8 * self.index
        return image + int.from_bytes(self.contents[entry:entry + 4], "little")

    async def launch(self, arguments: tuple[int, ...] = (), image: int = IMAGE, place: int = ARGUMENTS):
        raw = b"".join(value.to_bytes(4, "little") for value in arguments)
        self.contents[place:place + len(raw)] = raw
        self.clear()
        self.arguments = len(arguments)
        await self.launches.send({"image": image, "args": place, "arg_count": len(arguments)})

    def clear(self):
        self.monitor.launch()
        for model in self.models.values():
            model.clear()

    async def end(self, checked: bool = True):
        """The record of the job; a dead memory leaves bursts in flight, which isn't `checked` then."""
        while not self.monitor.ended:
            await FallingEdge(self.dut.clk)
        assert not (checked and self.memory.bursts), "bursts are in flight after the end"
        record = self.monitor.ended.popleft()
        COVERAGE.end(Status(record.status), Engine(record.engine), self.arguments)
        COVERAGE.export()
        return record

    async def good(self, program: list[int], arguments: tuple[int, ...] = (), arriving: Counter | None = None):
        """Runs a program that must end well, and checks all that it did."""
        outcome = execute(program, list(arguments))
        for step in outcome.steps:
            COVERAGE.instruction(step)
        self.store(program)
        self.monitor.expect(outcome.issues, local_signals(outcome) + (arriving or Counter()))
        await self.launch(arguments)
        record = await self.end()
        assert Status(record.status) == Status.OK, f"{Status(record.status).name} at {record.pc:#x}, {record.command:#018x}"
        for engine, model in self.models.items():
            assert len(model.taken) == len(outcome.issues[engine]), f"{engine.name}: {len(model.taken)} commands"
            assert not model.held, f"{engine.name}: the job ended before its command"
        await self.settle()
        sent: Counter = Counter()
        while not self.remote.items.empty():
            signal = await self.remote.recv()
            sent[signal.target, signal.events] += 1
        expected = self.monitor.remote + Counter(item for item in outcome.signals if item[0] is not None)
        assert sent == expected, f"remote signals {sent}, not {expected}"
        assert self.monitor.resets == self.monitor.flushes == 0
        return outcome

    async def bad(self, status: Status, *, pc: int = 0, command: int = 0, address: int = 0, engine: Engine = Engine.SEQUENCER):
        """The job at work must end with this record, and with the engines cleared."""
        record = await self.end()
        found = (Status(record.status), Engine(record.engine), record.address, record.pc, record.command)
        expected = (status, engine, address, pc, command)
        assert found == expected, f"{[hex(v) if isinstance(v, int) else v for v in found]} is not {expected}"
        assert self.monitor.flushes > 0
        assert self.monitor.resets == (0 if self.cluster else RESET_CYCLES)
        await self.settle()

    async def settle(self):
        for _ in range(4):
            await FallingEdge(self.dut.clk)

    async def pulse(self, events: int):
        await FallingEdge(self.dut.clk)
        self.dut.signal_in.value = pack(SIGNALS, {"valid": 1, "events": events})
        await FallingEdge(self.dut.clk)
        self.dut.signal_in.value = 0

    def random(self, size: int) -> list[int]:
        return random_program(self.rng, self.engines, self.config.sips, size)

    def every(self) -> tuple[list[int], tuple[int, ...]]:
        """A program with each operation on numbers and on registers, and loops by registers, all of which its commands show; its
        arguments."""
        operations = [
            assemble(opcode, rd=8 + 2 * number + reg, rs=1, reg=reg, field=2, imm=3)
            for number, opcode in enumerate((Opcode.ADD, Opcode.SUB, Opcode.MIN, Opcode.MAX)) for reg in (0, 1)
        ]
        show = [assemble(Opcode.SETR, engine=Engine.DATA, field=number, rs=8 + number) for number in range(8)]
        run = assemble(Opcode.RUN, engine=Engine.DATA)
        # What steps in a body tells how often it ran.
        step = assemble(Opcode.SETR, engine=Engine.DATA, field=8, rs=20, imm=1)
        loops = [
            part for register in range(4)
            for part in (assemble(Opcode.LOOP, reg=1, rs=register, field=2, imm=77), step, assemble(Opcode.ENDLOOP), run)
        ]
        return [*operations, *show, *loops, END], (0, 1, 2, 9)

    def mini(self) -> list[int]:
        """A short good program that a bad one is followed by: register files and registers must have been cleared."""
        return [
            assemble(Opcode.SETR, engine=Engine.DATA, field=3, rs=7, imm=1), assemble(Opcode.SET, engine=Engine.DATA, field=34, imm=5),
            assemble(Opcode.RUN, engine=Engine.DATA, signal=1), assemble(Opcode.WAIT, wait=1), END,
        ]


@cocotb.test()
async def random_programs(dut):
    """cp_random, cp_arguments: whatever a program does, each engine gets its commands, in order and not before their events."""
    bench = await Bench(dut).start()
    await bench.good(*bench.every())
    for number in range(params().get("programs", 16)):
        bench.memory.latency = bench.rng.choice([0, 20, 90])
        bench.memory.stall = bench.rng.choice([0.0, 0.3, 0.7])
        for model in bench.models.values():
            model.time = bench.rng.choice([1, 12, 60])
        arguments = tuple(bench.rng.choice([bench.rng.getrandbits(32), bench.rng.randrange(4)]) for _ in range((0, 1, 32, 7)[number % 4]))
        await bench.good(bench.random(bench.rng.choice([8, 40, 120])), arguments)


@cocotb.test()
async def throughput(dut):
    """cp_rate, cp_loop_fits, cp_loop_refetch: one instruction a cycle; a loop that fits the ring is fetched once."""
    bench = await Bench(dut).start()
    bench.memory.latency, bench.memory.stall = 0, 0.0
    ring, wide = bench.config.instruction_buffer, bench.config.bus_bytes // 8
    field = assemble(Opcode.SET, engine=Engine.DATA, field=1, imm=7)
    run = assemble(Opcode.RUN, engine=Engine.DATA)
    for length, times, fits in ((ring - wide, 6, True), (8, 40, True), (2 * ring, 3, False)):
        body = [field] * (length - 1) + [assemble(Opcode.ENDLOOP)]
        # An inner loop that is skipped makes a jump inside the ring.
        body[2:4] = [assemble(Opcode.LOOP, imm=0, field=1), assemble(Opcode.ENDLOOP)]
        # One that runs must not take the outer one's place, with more to fetch behind it.
        body[-4:-1] = [assemble(Opcode.LOOP, imm=2, field=2), field, assemble(Opcode.ENDLOOP)]
        program = [assemble(Opcode.LOAD, rd=1, imm=1), assemble(Opcode.LOOP, imm=times, field=length), *body, *[field] * ring, run, END]
        before = bench.memory.beats
        outcome = await bench.good(program)
        beats = bench.memory.beats - before
        cycles = bench.monitor.causes[Cause.BUSY.value] + bench.monitor.causes[Cause.MEMORY.value]
        # Header and entry come first; unaligned ends cost a beat each.
        once = -(-(len(program) + 9 + bench.index) // wide) + 4
        assert (beats <= once) == fits, f"{beats} beats for a loop of {length}"
        slack = 8 * times + 80 if fits else len(program) * times
        assert outcome.executed <= cycles <= outcome.executed + slack, f"{cycles} cycles for {outcome.executed} instructions"


@cocotb.test()
async def bad_instructions(dut):
    """cp_status: every instruction that can't be executed has its status and record, and the next job runs."""
    bench = await Bench(dut).start()
    data, words = {"engine": Engine.DATA}, len(words_of(COMMANDS[Engine.DATA]))
    sips = bench.config.sips
    loop, endloop = assemble(Opcode.LOOP, imm=2), assemble(Opcode.ENDLOOP)
    cases = [
        (assemble(0), Status.UNDEFINED_OPCODE), (0, Status.UNDEFINED_OPCODE), (assemble(17), Status.UNDEFINED_OPCODE),
        (assemble(63), Status.UNDEFINED_OPCODE),
        *((assemble(opcode, engine=Engine.SEQUENCER), Status.UNDEFINED_ENGINE) for opcode in (Opcode.SET, Opcode.SETR, Opcode.RUN)),
        *((assemble(opcode, field=words, **data), Status.UNDEFINED_FIELD) for opcode in (Opcode.SET, Opcode.SETR)),
        (assemble(Opcode.SET, field=4095, **data), Status.UNDEFINED_FIELD),
        *((assemble(opcode, reg=1, field=32), Status.UNDEFINED_FIELD) for opcode in (Opcode.ADD, Opcode.SUB, Opcode.MIN, Opcode.MAX)),
        (assemble(Opcode.RUN, reg=1, field=sips + 1, **data), Status.UNDEFINED_FIELD),
        (assemble(Opcode.SIGNAL, reg=1, field=sips + 1), Status.UNDEFINED_FIELD),
        (endloop, Status.LOOP_DEPTH),
    ]
    if bench.cluster:
        cases += [(assemble(opcode, engine=engine), Status.UNDEFINED_ENGINE)
                  for opcode in (Opcode.SET, Opcode.SETR, Opcode.RUN) for engine in (Engine.TENSOR, Engine.VECTOR)]
    else:
        cases += [(assemble(Opcode.SET, engine=engine, field=len(words_of(COMMANDS[engine]))), Status.UNDEFINED_FIELD)
                  for engine in (Engine.TENSOR, Engine.VECTOR)]
    for instruction, status in cases:
        prefix = [assemble(Opcode.LOAD, rd=7, imm=9), assemble(Opcode.SET, field=5, imm=77, **data)] * bench.rng.randrange(3)
        prefix += [assemble(Opcode.RUN, **data)] * bench.rng.randrange(3)
        program = [*prefix, instruction, END]
        base = bench.store(program)
        bench.monitor.expect(execute([*prefix, END], []).issues, Counter())
        await bench.launch()
        await bench.bad(status, pc=base + 8 * len(prefix), command=instruction)
        await bench.good(bench.mini())
    # The ninth nesting.
    base = bench.store([*[loop] * 9, *[endloop] * 9, END])
    await bench.launch()
    await bench.bad(Status.LOOP_DEPTH, pc=base + 64, command=loop)
    await bench.good([*[loop] * 8, assemble(Opcode.LOOP, imm=0, field=1), endloop, *[endloop] * 8, *bench.mini()])
    # Out of the program: running off its end, and a loop that is skipped to there.
    nop = assemble(Opcode.LOAD)
    for program, index in (([nop], 1), ([nop] * 5, 5), ([assemble(Opcode.LOOP, imm=0, field=3), nop, nop, nop], 4),
                           ([assemble(Opcode.LOOP, imm=0, field=4095), END], 4096)):
        base = bench.store(program)
        await bench.launch()
        await bench.bad(Status.BAD_ENTRY, pc=base + 8 * index, address=base + 8 * index)
        await bench.good(bench.mini())


@cocotb.test()
async def bad_images(dut):
    """cp_image, cp_fetch_bus: header, entry and addresses of an image."""
    bench = await Bench(dut).start()
    good = bench.mini()
    entry = IMAGE + 64 + 8 * bench.index

    def poke(address: int, value: int):
        bench.contents[address:address + 4] = value.to_bytes(4, "little")

    cases = [
        (lambda: poke(IMAGE, 0x5543474C), Status.BAD_MAGIC),
        (lambda: poke(IMAGE + 4, ISA_VERSION + 1 | (bench.config.sips + 1) << 16), Status.BAD_VERSION),
        (lambda: bench.store(good, fingerprint=bench.config.fingerprint ^ 1), Status.BAD_FINGERPRINT),
        (lambda: bench.store(good, fingerprint=bench.config.fingerprint ^ 1 << 63), Status.BAD_FINGERPRINT),
        (lambda: poke(IMAGE + 4, ISA_VERSION | bench.index << 16), Status.BAD_ENTRY),
        (lambda: poke(entry, 132), Status.BAD_ENTRY),
        (lambda: poke(entry + 4, 0), Status.BAD_ENTRY),
    ]
    for change, status in cases:
        bench.store(good)
        change()
        await bench.launch()
        await bench.bad(status)
        await bench.good(good)
    # Addresses without memory: the image, the arguments, the program, and a program that ends with the memory.
    await bench.launch(image=MEMORY)
    await bench.bad(Status.FETCH_BUS, address=MEMORY)
    bench.store(good)
    bench.clear()
    await bench.launches.send({"image": IMAGE, "args": 0xFFFF0000, "arg_count": 3})
    await bench.bad(Status.FETCH_BUS, address=0xFFFF0000)
    poke(entry, 0xFFFF0000)
    await bench.launch()
    await bench.bad(Status.FETCH_BUS, pc=0xFFFF0000 + IMAGE, address=0xFFFF0000 + IMAGE)
    bench.contents[MEMORY - 64:] = assemble(Opcode.LOAD).to_bytes(8, "little") * 8
    bench.store(good)
    poke(entry, MEMORY - 24 - IMAGE)
    poke(entry + 4, 100)
    await bench.launch((1, 2, 3))
    await bench.bad(Status.FETCH_BUS, pc=MEMORY, address=MEMORY)
    # An offset that wraps around 2^32 is as good as any.
    raw = b"".join(instruction.to_bytes(8, "little") for instruction in good)
    bench.contents[64:64 + len(raw)] = raw
    bench.store(good)
    poke(entry, (64 - IMAGE) & 0xFFFFFFFF)
    bench.monitor.expect(execute(good, []).issues, Counter())
    await bench.launch()
    assert Status((await bench.end()).status) == Status.OK


@cocotb.test()
async def events(dut):
    """cp_events, cp_overflow, cp_watchdog: counting, remote arrivals, overflow, and waits that never end."""
    bench = await Bench(dut).start()
    data = {"engine": Engine.DATA}
    # Events from others are counted from the launch on, and none survives a job.
    program = [assemble(Opcode.WAIT, wait=0x8001), assemble(Opcode.RUN, wait=2, **data), assemble(Opcode.WAIT, wait=1), END]
    job = cocotb.start_soon(bench.good(program, arriving=Counter({1: 1})))
    for events in (0x8000, 0x0001, 0x0001, 0x0002):
        for _ in range(bench.rng.randrange(60, 120)):
            await FallingEdge(dut.clk)
        assert not bench.monitor.ended
        await bench.pulse(events)
    await job
    await bench.pulse(0xFFFF)
    base = bench.store([assemble(Opcode.SIGNAL, signal=0x10), assemble(Opcode.WAIT, wait=0x12), END])
    await bench.launch()
    await bench.bad(Status.WATCHDOG, pc=base + 8, command=assemble(Opcode.WAIT, wait=0x12))
    # 255 is the most, from any source.
    most = [assemble(Opcode.LOOP, imm=255, field=2), assemble(Opcode.SIGNAL, signal=4), assemble(Opcode.ENDLOOP)]
    take = [assemble(Opcode.LOOP, imm=255, field=2), assemble(Opcode.WAIT, wait=4), assemble(Opcode.ENDLOOP), END]
    await bench.good([*most, *take])
    base = bench.store([*most, most[1], *take])
    await bench.launch()
    await bench.bad(Status.EVENT_OVERFLOW, pc=base + 24, command=most[1])
    run = assemble(Opcode.RUN, signal=4, **data)
    program = [*most, run, assemble(Opcode.FENCE, imm=0), *[assemble(Opcode.LOAD)] * 99, END]
    base = bench.store(program)
    bench.monitor.expect(execute(program, []).issues, Counter())
    await bench.launch()
    await bench.bad(Status.EVENT_OVERFLOW, pc=base + 24, command=run, engine=Engine.DATA)
    bench.store([*most, assemble(Opcode.WAIT, wait=1), END])
    await bench.launch()
    for _ in range(1100):
        await FallingEdge(dut.clk)
    await bench.pulse(4)
    await bench.bad(Status.EVENT_OVERFLOW)
    await bench.good(bench.mini())


@cocotb.test()
async def stuck(dut):
    """cp_watchdog, cp_busy, cp_abort: an engine or a memory that never answers, work that takes long, another SIP's failure."""
    bench = await Bench(dut).start()
    run = assemble(Opcode.RUN, engine=Engine.DATA)
    program = [run, run, run, assemble(Opcode.FENCE, imm=4), END]
    issues = execute(program, []).issues
    for abort in (False, True):
        base = bench.store(program)
        bench.monitor.expect(issues, Counter())
        await bench.launch()
        bench.models[Engine.DATA].stuck = True
        dut.busy.value = 1 << Engine.DATA.value
        for _ in range(2500):
            await FallingEdge(dut.clk)
        assert not bench.monitor.ended, "an engine at work is progress"
        await ReadOnly()
        assert (int(dut.waiting.value), int(dut.activity.value) & 7) == (0, Cause.EVENT.value)
        await FallingEdge(dut.clk)
        dut.busy.value = 0
        dut.cancel.value = int(abort)
        while not bench.monitor.flushes:
            await FallingEdge(dut.clk)
        # The data engine is waited for.
        for _ in range(100):
            await FallingEdge(dut.clk)
        assert not bench.monitor.ended
        bench.models[Engine.DATA].stuck = False
        await bench.bad(Status.ABORTED if abort else Status.WATCHDOG, pc=base + 24, command=program[3])
        dut.cancel.value = 0
        await bench.good(bench.mini())
    # A data engine that stays busy for ever, and a dead memory, end by the watchdog too.
    base = bench.store(program)
    bench.monitor.expect(issues, Counter())
    await bench.launch()
    bench.models[Engine.DATA].stuck = True
    await bench.bad(Status.WATCHDOG, pc=base + 24, command=program[3])
    bench.memory.dead = True
    await bench.launch()
    record = await bench.end(checked=False)
    await bench.settle()
    assert Status(record.status) == Status.WATCHDOG
    bench.memory.dead = False
    await bench.good(bench.mini())
    # A command whose event never comes shows as waiting.
    program = [assemble(Opcode.RUN, engine=Engine.DATA, wait=1), END]
    base = bench.store(program)
    await bench.launch()
    for _ in range(600):
        await FallingEdge(dut.clk)
    await ReadOnly()
    assert int(dut.waiting.value) == 1 << Engine.DATA.value
    await bench.bad(Status.WATCHDOG, pc=base + 8, command=END)
    await bench.good(bench.mini())


@cocotb.test()
async def failing_engines(dut):
    """cp_engine_error: the record of a command that fails is the RUN's, whatever happens besides."""
    bench = await Bench(dut).start()
    tried = 0
    while tried < 6:
        program = bench.random(40)
        outcome = execute(program, [])
        engine = bench.rng.choice(bench.engines)
        if not outcome.issues[engine]:
            continue
        number = bench.rng.randrange(len(outcome.issues[engine]))
        issue = outcome.issues[engine][number]
        status, address = bench.rng.choice([Status.ADDRESS, Status.SIZE, Status.BUS, Status.UNSUPPORTED]), bench.rng.getrandbits(32)
        base = bench.store(program)
        bench.monitor.expect(outcome.issues, local_signals(outcome))
        await bench.launch()
        bench.models[engine].failure = (number, status, address)
        await bench.bad(status, engine=engine, address=address, pc=base + 8 * issue.index, command=program[issue.index])
        while not bench.remote.items.empty():
            await bench.remote.recv()
        await bench.good(bench.random(20))
        tried += 1
