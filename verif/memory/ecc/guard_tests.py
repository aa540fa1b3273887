"""Guard and decoder inside the simulator, between random requesters and a model of scheduler and device."""

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from rtl.memory.interface import Injection, Source, errors, request, returned, rewrite
from verif.common.clock import start
from verif.common.coverage import Plan
from verif.common.params import params, rng
from verif.common.streams import StreamSource, pack, unpack
from verif.memory.ecc.code import POISON, check_of
from verif.memory.ecc.memory_model import Memory, Reference
from verif.memory.ecc.system import ATOM_BITS

KINDS = ("read", "whole", "partial", "nothing")
ALL = (1 << 32) - 1
SOURCES = [Source.PORT0, Source.PORT3, Source.SERVICE]

PLAN = Plan("guard", {
    "cp_kind": KINDS, "cp_place": ["alone", "behind a read of the guard"], "cp_reader": ["requester", "guard"],
    "cp_found": ["clean", "single", "bad"], "cp_event": ["request", "read"],
}, {
    "cp_kind_place": (["cp_kind", "cp_place"], None), "cp_reader_found": (["cp_reader", "cp_found"], None),
})  # fmt: skip


class Bench:
    """Requesters, the model of what is below, and the monitors of what comes back."""

    def __init__(self, dut, **memory):
        self.dut, self.rng = dut, rng("guard")
        self.memory = Memory(dut, rng("memory"), **memory)
        self.memory.watch = self._found
        self.source = StreamSource(dut, "request", request(ATOM_BITS), rng("requests"))
        self.scrub = StreamSource(dut, "scrub", rewrite(ATOM_BITS), rng("scrub"))
        self.reference = Reference()
        self.tags = [(source, slot) for source in SOURCES for slot in (*range(60), 255)]
        self.expected: dict = {}
        self.single = self.double = 0
        self.requested = {"single": 0, "bad": 0}
        self.wrong: set[int] = set()
        self.sent = {kind: 0 for kind in KINDS}
        self.quiet = 0
        cocotb.start_soon(self._watch())

    def _sample(self, **values):
        PLAN.sample(**{"cp_kind": None, "cp_place": None, "cp_reader": None, "cp_found": None, "cp_event": None, **values})

    def _found(self, source, atom, kinds):
        self._sample(cp_event="read", cp_reader="guard" if source is Source.GUARD else "requester", cp_found=set(kinds))
        if set(kinds) != {"clean"}:
            self.wrong.add(atom)
        if source is not Source.GUARD:
            for kind in self.requested:
                self.requested[kind] += kinds.count(kind)

    async def _watch(self):
        dut = self.dut
        while True:
            await FallingEdge(dut.clk)
            await ReadOnly()
            # Structs are unpacked where there is something in them: it costs more than the clock.
            if (bits := int(dut.errors.value)) >> ATOM_BITS:
                counted = unpack(errors(ATOM_BITS), bits)
                assert counted.atom in self.wrong, "an error at an atom that had none"
                self.single += counted.single
                self.double += counted.double
            valid, requested = (bits := int(dut.returned.value)) & 1, int(dut.request__valid.value)
            busy = valid or int(dut.coded__valid.value) or requested or not int(dut.idle.value)
            self.quiet = 0 if busy else self.quiet + 1
            if valid:
                back = unpack(returned(), bits)
                if back.tag.source is not Source.GUARD:
                    tag = (back.tag.source, back.tag.slot)
                    atom, words = self.expected.pop(tag)
                    self.reference.check(atom, words, back.data, back.bad)
                    self.tags.append(tag)
            if requested and int(dut.request__ready.value):
                given = unpack(request(ATOM_BITS), int(dut.request__payload.value))
                kind = "read" if not given.write else {ALL: "whole", 0: "nothing"}.get(given.strobe, "partial")
                place = "behind a read of the guard" if given.atom in self.memory.guarded else "alone"
                self._sample(cp_event="request", cp_kind=kind, cp_place=place)

    async def read(self, atom: int):
        while not self.tags:
            await FallingEdge(self.dut.clk)
        tag = self.tags.pop(self.rng.randrange(len(self.tags)))
        self.expected[tag] = (atom, list(self.reference.words(atom)))
        self.sent["read"] += 1
        self.source.push({"write": 0, "urgent": self.rng.getrandbits(1), "atom": atom, "tag": {"slot": tag[1], "source": tag[0]},
                          "data": self.rng.getrandbits(256), "strobe": self.rng.getrandbits(32)})

    def write(self, atom: int, data: int, strobe: int = ALL):
        self.reference.write(atom, data, strobe)
        self.source.push({"write": 1, "urgent": self.rng.getrandbits(1), "atom": atom, "tag": {"slot": self.rng.randrange(256),
                          "source": Source.PORT1}, "data": data, "strobe": strobe})

    def strobe(self, kind: str) -> int:
        if kind != "partial":
            return ALL if kind == "whole" else 0
        # Bytes, whole words, and all bytes but one.
        words = sum(0xFF << 8 * word for word in range(4) if self.rng.getrandbits(1))
        lone = 1 << self.rng.randrange(32)
        return self.rng.choice([self.rng.randrange(1, ALL), words % ALL or 0xFF, ALL ^ lone, lone])

    async def traffic(self, count: int, atoms: list[int], weights=(4, 2, 4, 0.3)):
        for _ in range(count):
            kind, atom = self.rng.choices(KINDS, weights)[0], self.rng.choice(atoms)
            if kind == "read":
                await self.read(atom)
            else:
                self.write(atom, self.rng.getrandbits(256), self.strobe(kind))
            while self.source._queue.qsize() > 4:
                await FallingEdge(self.dut.clk)

    async def settle(self):
        """Nothing is under way anywhere, for long enough that nothing follows."""
        self.quiet = 0
        while self.quiet < 12 or self.expected or not self.source.done or not self.scrub.idle:
            await FallingEdge(self.dut.clk)

    def all_clean(self, atoms):
        for atom in atoms:
            for (data, check), value in zip(self.memory.words(atom), self.reference.words(atom), strict=True):
                assert value is not None and (data, check) == (value, check_of(value)), f"atom {atom} as stored"


async def _started(dut, cycles: int, **memory) -> Bench:
    await start(dut, cycles)
    dut.ecc.value = int(memory.get("ecc", True))
    return Bench(dut, **memory)


@cocotb.test()
async def storm(dut):
    """cp_storm: all kinds on a few atoms, single errors at any time, the scrubber in between; then everything is clean."""
    rounds, requests = params().get("rounds", 2), params().get("requests", 400)
    bench = await _started(dut, 20_000 + 80 * requests * rounds)
    memory, draw = bench.memory, rng("faults")
    for number in range(rounds):
        atoms = [draw.randrange(1 << ATOM_BITS) for _ in range((3, 6, 20)[number % 3])]
        memory.stall, bench.source.stall = draw.choice([(0, 0), (0.3, 0.3), (0.6, 0), (0, 0.4)])
        memory.latency = draw.choice([(1, 8), (1, 60), (30, 90)])
        memory.depth = draw.choice([3, 10, 40])
        traffic = cocotb.start_soon(bench.traffic(requests, atoms))
        while not traffic.done():
            await ClockCycles(dut.clk, draw.randrange(1, 40))
            atom = draw.choice(atoms)
            if draw.random() < 0.5:
                bench.scrub.push({"atom": atom})
            for word, kind in enumerate(memory.kinds(atom)):
                if kind == "clean" and draw.random() < 0.3:
                    memory.flip(atom, word)
        await traffic
        await bench.settle()
        for _ in range(2):
            for atom in atoms:
                await bench.read(atom)
                await bench.settle()
        bench.all_clean(atoms)
    assert bench.double == 0 and bench.requested["single"] <= bench.single
    PLAN.export()


@cocotb.test()
async def counters(dut):
    """cp_count, cp_mend, cp_scrub, cp_duplicate: each error is counted by the read that finds it, once, and mended."""
    bench = await _started(dut, 40_000)
    memory, draw = bench.memory, rng("faults")
    atoms = [draw.randrange(1 << ATOM_BITS) for _ in range(8)]
    for atom in atoms:
        bench.write(atom, draw.getrandbits(256))
    await bench.settle()
    for finder in ("read", "scrub", "partial", "whole") * 2:
        singles, before, done = 0, bench.single, len(memory.writes)
        for atom in draw.sample(atoms, 4):
            wrong = draw.sample(range(4), draw.randrange(1, 5))
            for word in wrong:
                memory.flip(atom, word)
            singles += len(wrong) if finder != "whole" else 0
            if finder == "read":
                await bench.read(atom)
            elif finder == "scrub":
                bench.scrub.push({"atom": atom})
            else:
                bench.write(atom, draw.getrandbits(256), bench.strobe(finder))
        await bench.settle()
        assert bench.single - before == singles and bench.double == 0
        assert len(memory.writes) - done == 4, "each atom is written back once"
        bench.all_clean(atoms)
        # The next look finds nothing: nothing is counted, nothing written.
        for atom in atoms:
            await bench.read(atom)
            bench.scrub.push({"atom": atom})
        await bench.settle()
        assert bench.single - before == singles and len(memory.writes) - done == 4
    # The same error found by many reads at once is mended once, or seldom twice, and counted by each read.
    memory.latency = (40, 60)
    before, done = bench.single, len(memory.writes)
    memory.flip(atoms[0], 2)
    for _ in range(12):
        await bench.read(atoms[0])
    await bench.settle()
    assert bench.single - before == 12 and 1 <= len(memory.writes) - done <= 2
    bench.all_clean(atoms)


@cocotb.test()
async def poison(dut):
    """cp_double, cp_poison, cp_heal: what can't be corrected is reported until the word is overwritten."""
    bench = await _started(dut, 60_000)
    memory, draw = bench.memory, rng("faults")
    for heals in ("word", "atom") * 2:
        atom, word = draw.randrange(1 << ATOM_BITS), draw.randrange(4)
        other = (word + 1) % 4
        bench.write(atom, draw.getrandbits(256))
        await bench.settle()
        before = bench.double
        memory.flip(atom, word, 2)
        bench.reference.words(atom)[word] = None
        # Reads and the scrubber report it and leave it; a single error beside it doesn't heal it.
        memory.flip(atom, other)
        await bench.read(atom)
        await bench.settle()
        assert bench.double - before == 1 and memory.kinds(atom)[word] == "bad" and memory.kinds(atom)[other] == "clean"
        bench.scrub.push({"atom": atom})
        await bench.settle()
        assert bench.double - before == 2
        # A part of the word and a part of another.
        bench.write(atom, draw.getrandbits(256), draw.randrange(1, 255) << 8 * word | 0x18 << 8 * other)
        await bench.settle()
        assert bench.double - before == 3
        data, check = memory.words(atom)[word]
        assert check == check_of(data) ^ POISON, "the word is poisoned"
        # Any further bit may flip, one at a time, data or check.
        for bits in draw.sample(range(72), 6):
            clean = memory.words(atom)[word]
            memory.words(atom)[word] = (clean[0] ^ (1 << bits if bits < 64 else 0), clean[1] ^ (1 << bits >> 64))
            await bench.read(atom)
            await bench.settle()
            memory.words(atom)[word] = clean
        assert bench.double - before == 9
        # Another word is written wholly: the poison stays.
        bench.write(atom, draw.getrandbits(256), 0xFF << 8 * other)
        await bench.read(atom)
        await bench.settle()
        bench.write(atom, draw.getrandbits(256), 0xFF << 8 * word if heals == "word" else ALL)
        await bench.read(atom)
        await bench.settle()
        bench.all_clean([atom])
    PLAN.export()


@cocotb.test()
async def injection(dut):
    """cp_inject: the bits given are inverted in that word of the next write of a requester and in no other."""
    bench = await _started(dut, 40_000)
    memory, draw = bench.memory, rng("faults")
    memory.spoiled = True
    for kind in ("whole", "partial") * 4:
        target, other = draw.sample(range(1 << ATOM_BITS), 2)
        bench.write(other, draw.getrandbits(256))
        await bench.settle()
        word, data, check = draw.randrange(4), draw.getrandbits(64), draw.getrandbits(8)
        dut.injection.value = pack(Injection, {"armed": 1, "word": word, "data": data, "check": check})
        # Neither a read nor the write-back of a corrected atom takes it.
        memory.flip(other, draw.randrange(4))
        await bench.read(other)
        await bench.settle()
        bench.all_clean([other])
        bench.write(target, draw.getrandbits(256), bench.strobe(kind))
        while True:
            await ReadOnly()
            done = int(dut.injected.value)
            await FallingEdge(dut.clk)
            if done:
                break
        dut.injection.value = pack(Injection, {"armed": 0, "word": word, "data": data, "check": check})
        bench.write(other, draw.getrandbits(256))
        await bench.settle()
        value = bench.reference.words(target)[word]
        assert memory.words(target)[word] == (value ^ data, check_of(value) ^ check)
        memory.words(target)[word] = (value, check_of(value))
        bench.all_clean([target, other])


@cocotb.test()
async def full_table(dut):
    """cp_full, cp_order: more partial writes than entries, each read at once."""
    bench = await _started(dut, 30_000, latency=(40, 120))
    for _ in range(2):
        bench.source.stall = bench.memory.stall = 0
        atoms = bench.rng.sample(range(1 << ATOM_BITS), 24)
        for atom in atoms:
            bench.write(atom, bench.rng.getrandbits(256), bench.strobe("partial"))
        most = 0
        while not bench.source.idle:
            await FallingEdge(dut.clk)
            most = max(most, len(bench.memory.guarded))
        assert most == params()["entries"], f"{most} entries were in use at the most"
        for atom in atoms:
            await bench.read(atom)
        await bench.settle()
        bench.all_clean(atoms)


@cocotb.test()
async def hold(dut):
    """cp_hold: with `hold` all comes to its end, and nothing is lost."""
    bench = await _started(dut, 60_000)
    atoms = list(range(5))
    traffic = cocotb.start_soon(bench.traffic(400, atoms))
    for _ in range(6):
        await ClockCycles(dut.clk, bench.rng.randrange(20, 200))
        await FallingEdge(dut.clk)
        dut.hold.value = 1
        clocks = 0
        while not int(dut.idle.value):
            await FallingEdge(dut.clk)
            clocks += 1
            assert clocks < 400, "the guard doesn't come to rest"
        sent = len(bench.memory.writes) + len(bench.memory.reads)
        for _ in range(60):
            await ReadOnly()
            assert int(dut.idle.value) and not int(dut.request__ready.value)
            await FallingEdge(dut.clk)
        assert len(bench.memory.writes) + len(bench.memory.reads) == sent
        dut.hold.value = 0
    await traffic
    await bench.settle()
    bench.all_clean(atoms)


@cocotb.test()
async def rate(dut):
    """cp_rate: what passes takes one clock, one a clock; with eight entries a partial write costs one place for its read and one for its
    write. With fewer ones it waits for them."""
    bench = await _started(dut, 8000, stall=0, latency=(5, 5), depth=1000)
    bench.source.stall = 0
    for weights, cost in (((1, 1, 0, 0), 1), *([((0, 0, 1, 0), 2)] if params()["entries"] >= 8 else [])):
        atoms = bench.rng.sample(range(1 << ATOM_BITS), 150)
        before = len(bench.memory.writes) + len(bench.memory.reads)
        for atom in atoms:
            if bench.rng.random() < weights[0] / sum(weights):
                await bench.read(atom)
            else:
                bench.write(atom, 1, 1 if weights[2] else ALL)
        await FallingEdge(dut.clk)
        await ReadOnly()
        while not int(dut.request__valid.value):
            await FallingEdge(dut.clk)
            await ReadOnly()
        assert not int(dut.coded__valid.value)
        await FallingEdge(dut.clk)
        await ReadOnly()
        assert int(dut.coded__valid.value)
        await ClockCycles(dut.clk, cost * len(atoms) + (3 if cost == 1 else 12))
        assert len(bench.memory.writes) + len(bench.memory.reads) - before == cost * len(atoms)
        await bench.settle()


@cocotb.test()
async def without_code(dut):
    """cp_off: strobes pass, nothing is read first, whole words have their check bits."""
    bench = await _started(dut, 30_000, ecc=False)
    atoms = list(range(40, 46))
    for _ in range(2):
        await bench.traffic(300, atoms)
        await bench.settle()
        for atom in atoms:
            assert [data for data, _ in bench.memory.words(atom)] == bench.reference.words(atom)
    assert not any(source is Source.GUARD for source, *_ in bench.memory.reads) and bench.single == bench.double == 0
