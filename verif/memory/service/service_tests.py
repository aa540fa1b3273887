"""The service inside the simulator, over the register bus as the host would."""

from itertools import pairwise

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from rtl.isa import MEMORY_BYTES, MemoryControl, MemoryService, MemoryStatus
from rtl.isa import MemoryRegister as R
from rtl.memory.interface import BusCause, Source, returned
from rtl.memory.service.registers import OWED_BITS, RESET_VALUES
from rtl.memory.service.start_up import MODE_CLOCKS, SETTLE_CLOCKS
from rtl.memory.timing import TimingSet, TimingValues
from verif.common.clock import start
from verif.common.params import params, rng
from verif.common.streams import StreamSource, unpack
from verif.memory.ecc.code import check_of
from verif.memory.ecc.memory_model import Reference
from verif.memory.service.bench import COVERAGE, Device, Host
from verif.memory.service.march_model import expect
from verif.memory.service.sets import HAND, read_hand
from verif.memory.service.system import ATOM_BITS, MASKS, request

NAMES = TimingSet.parameters()
RUN, ECC, REFRESH_ALL, SCRUB = (1 << bit for bit in MemoryControl)
ALL = (1 << 32) - 1


class Bench:
    def __init__(self, dut, **device):
        self.dut, self.rng = dut, rng("service")
        self.host = Host(dut, rng("host"))
        self.device = Device(dut, rng("device"), **device)
        self.source = StreamSource(dut, "request", request(ATOM_BITS), rng("requests"))
        self.reference = Reference()
        self.expected: dict = {}
        cocotb.start_soon(self._watch())

    async def _watch(self):
        dut = self.dut
        while True:
            await FallingEdge(dut.clk)
            await ReadOnly()
            if not int(dut.enable.value) or not (bits := int(dut.returned.value)) & 1:
                continue
            back = unpack(returned(), bits)
            if back.tag.source is Source.PORT0:
                self.reference.check(*self.expected.pop(back.tag.slot), back.data, back.bad)

    def write(self, atom: int, data: int, strobe: int = ALL):
        self.reference.write(atom, data, strobe)
        tag = {"slot": 0, "source": Source.PORT0}
        self.source.push({"write": 1, "urgent": 0, "atom": atom, "tag": tag, "data": data, "strobe": strobe})

    def read(self, atom: int):
        slot = next(number for number in range(256) if number not in self.expected)
        self.expected[slot] = (atom, list(self.reference.words(atom)))
        self.source.push({"write": 0, "urgent": 1, "atom": atom, "tag": {"slot": slot, "source": Source.PORT0}, "data": 0, "strobe": 0})

    async def settle(self, clocks: int = 12):
        """Nothing is under way for some clocks."""
        quiet = 0
        while quiet < clocks:
            await FallingEdge(self.dut.clk)
            busy = self.expected or not self.source.done or self.device.pending or not int(self.dut.idle.value)
            quiet = 0 if busy else quiet + 1

    async def stop(self):
        host = self.host
        await host.write(R.CONTROL, await host.read(R.CONTROL) & ~RUN)
        await host.wait(MemoryStatus.STOPPED)

    async def run(self):
        host = self.host
        await host.write(R.CONTROL, await host.read(R.CONTROL) | RUN)
        await host.wait(MemoryStatus.READY)

    async def load(self, timing: TimingSet):
        for number, name in enumerate(NAMES):
            await self.host.write(R.TIMING + 4 * number, getattr(timing, name))

    async def serve(self, code: MemoryService, first: int, last: int):
        host = self.host
        await host.write(R.RANGE_FIRST, first)
        await host.write(R.RANGE_LAST, last)
        await host.write(R.SERVICE, code)
        host.serving = True
        # It can be neither started again nor moved. (A fill of one atom may be over before the host tries.)
        if last - first >= 16:
            await host.write(R.SERVICE, code, good=False)
            await host.write(R.RANGE_LAST, first, good=False)
            await host.write(R.RANGE_FIRST, first, good=False)
        await host.wait(MemoryStatus.SERVICE, 0)
        host.serving = False
        COVERAGE.service(code, last - first + 1, await host.read(R.TEST_ERRORS) if code == MemoryService.TEST else 0)
        COVERAGE.export()

    def values(self) -> dict[str, int]:
        given = unpack(TimingValues, int(self.dut.timing.value))
        return {name: getattr(given, name) for name, _ in TimingValues.as_shape()}


async def _started(dut, cycles: int, *, run: bool = True, **device) -> Bench:
    await start(dut, cycles)
    # Without the code requests in part pass as they are.
    bench = Bench(dut, **{"ecc": params().get("ecc", True), **device})
    if run:
        await bench.host.wait(MemoryStatus.READY)
    return bench


async def _modes(bench: Bench, timing: TimingSet, since: int):
    """The start-up that began at clock `since` at the earliest: mode registers, their distances, then the scheduler."""
    await ClockCycles(bench.dut.clk, 8)  # the device may step in one clock of three: until it has seen what a register said
    (first, *zero), (second, *one) = bench.device.modes[-2:]
    assert (zero, one) == ([0, timing.RL], [1, timing.WL])
    assert first - since >= SETTLE_CLOCKS and second - first == MODE_CLOCKS and bench.device.starts[-1] - second == MODE_CLOCKS


@cocotb.test()
async def start_up(dut):
    """cp_start, cp_restart, cp_sums: after reset, and with every timing set; sums as in hand-computed tables."""
    bench = await _started(dut, 60_000, run=False)
    built = TimingSet.load(params()["timing"])
    since = 0
    if not params().get("autostart", True):
        await ClockCycles(dut.clk, 200)
        assert await bench.host.read(R.STATUS) == 1 << MemoryStatus.STOPPED and not bench.device.modes
        since = bench.device.clock
        await bench.host.write(R.CONTROL, await bench.host.read(R.CONTROL) | RUN)
    await bench.host.wait(MemoryStatus.READY)
    await _modes(bench, built, since)
    assert bench.values() == built.values()
    sets = [TimingSet.load(name) for name in TimingSet.names()]
    for timing in [*sets, *(read_hand(name) for name in HAND)]:
        await bench.stop()
        await bench.load(timing)
        for number, name in enumerate(NAMES):
            assert await bench.host.read(R.TIMING + 4 * number) == getattr(timing, name), name
        since = bench.device.clock
        await bench.run()
        await _modes(bench, timing, since)
        found = bench.values()
        assert found == timing.values()
        if timing.name in HAND:
            assert found == {name: HAND[timing.name][1][name] for name in found}, "the table worked out by hand"
        bench.write(5, since, 0x0F)
        bench.read(5)
        await bench.settle()
    assert len(bench.device.modes) == 2 * len(bench.device.starts) == 2 + 2 * (len(sets) + len(HAND))


@cocotb.test()
async def extremes(dut):
    """cp_clamp: sums that their timers can't hold, and RD to WR below 1."""
    bench = await _started(dut, 20_000)
    await bench.stop()
    index = {name: R.TIMING + 4 * number for number, name in enumerate(NAMES)}
    for name, value in (("WL", 60), ("tWR", 1023), ("tWTR_S", 961), ("tWTR_L", 962), ("RL", 1), ("tRTW_GAP", 1)):
        await bench.host.write(index[name], value)
    await ClockCycles(dut.clk, 2)
    found = bench.values()
    assert [found[name] for name in ("write_to_precharge", "write_to_read_S", "write_to_read_L", "read_to_write")] == [1023, 1023, 1023, 1]
    await bench.host.write(index["tRTW_GAP"], 59)
    await ClockCycles(dut.clk, 2)
    assert bench.values()["read_to_write"] == 2


@cocotb.test()
async def register_map(dut):
    """cp_map, cp_strobes, cp_bounds, cp_locked: each address, each byte, the least and the most of each value, running and stopped."""
    bench = await _started(dut, 200_000)
    host, draw = bench.host, bench.rng
    atoms = (1 << ATOM_BITS) - 1
    control = RUN | (ECC if params().get("ecc", True) else 0)
    timing = TimingSet.load(params()["timing"])
    plain = {
        R.CONTROL: (control, 0, 15), R.CLOSE_AFTER: (RESET_VALUES[R.CLOSE_AFTER], 0, 0xFFFF),
        R.AGE_LIMIT: (RESET_VALUES[R.AGE_LIMIT], 0, 0xFFFF),
        R.STARVE_LIMIT: (RESET_VALUES[R.STARVE_LIMIT], 0, 0xFF), R.SCRUB_INTERVAL: (RESET_VALUES[R.SCRUB_INTERVAL], 0, ALL),
        R.RANGE_FIRST: (0, 0, atoms), R.RANGE_LAST: (atoms, 0, atoms), R.INJECT_LO: (0, 0, ALL), R.INJECT_HI: (0, 0, ALL),
        R.INJECT_CHECK: (0, 0, 0xFF),
    }
    locked = {R.HASH0 + 4 * number: (MASKS[number], 0, 0x7FFF) for number in range(4)}
    for number, name in enumerate(NAMES):
        bits = dict(TimingValues.as_shape())[name].width if name in dict(TimingValues.as_shape()) else 10
        locked[R.TIMING + 4 * number] = (getattr(timing, name), 1, 60 if name in ("RL", "WL") else (1 << bits) - 1)
    counting = [R.BUS + 4 * cause.value for cause in BusCause]
    constant = [R.STATUS, R.TEST_ERRORS, R.TEST_FIRST, R.SINGLE_ERRORS, R.SINGLE_FIRST, R.DOUBLE_ERRORS, R.DOUBLE_FIRST, R.REFUSED, R.OWED]
    write_only = [R.SERVICE, R.INJECT]
    known = {int(address) for address in (*plain, *locked, *counting, *constant, *write_only)}
    assert {int(register) for register in R} <= known
    for address in range(0, MEMORY_BYTES, 4):
        await host.read(address, good=address in known)
        if address not in known:
            await host.write(address, ALL, good=False)
    await host.write(R.STATUS, ALL)
    assert await host.read(R.STATUS) == 1 << MemoryStatus.READY
    for address in constant[1:]:
        await host.write(address, ALL)
        assert await host.read(address) == 0
    for address in (*counting, *write_only):
        await host.write(address, ALL, strobe=0)
    for address in write_only:
        assert await host.read(address) == 0
    # Values: running, the locked ones refuse; stopped, they take what is within their bounds.
    for address, (reset, least, _) in locked.items():
        await host.write(address, least, good=False)
        assert await host.read(address) == reset
    for fixed in (ECC, REFRESH_ALL):
        await host.write(R.CONTROL, control ^ fixed, good=False)
        await host.write(R.CONTROL, control ^ fixed, strobe=0xE)
    assert await host.read(R.CONTROL) == control
    await bench.stop()
    plain[R.CONTROL] = (control & ~RUN, 0, 14)  # RUN would start it
    for address, (reset, least, most) in {**plain, **locked}.items():
        value = await host.read(address)
        assert value == reset, f"{address:#x} after reset"
        for bad in {least - 1, most + 1} if address is not R.CONTROL else {16}:
            if 0 <= bad <= ALL:
                await host.write(address, bad, good=False)
                assert await host.read(address) == value
        for good in (least, most, draw.randint(least, most) & ~int(address is R.CONTROL)):
            await host.write(address, good)
            value = good
            assert await host.read(address) == value
        for _ in range(4):
            strobe, data = draw.randrange(16), draw.getrandbits(32) & draw.choice([ALL, most])
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            merged = value & ~mask | data & mask
            if address is R.CONTROL and merged & RUN:
                continue
            good = not strobe or least <= merged <= most
            await host.write(address, data, strobe=strobe, good=good)
            value = merged if good else value
            assert await host.read(address) == value
        await host.write(address, reset)
    await host.write(R.RANGE_FIRST, 9)
    await host.write(R.RANGE_LAST, 8)
    for code in (MemoryService.FILL, 0, 3, 1 << 8 | MemoryService.FILL):
        await host.write(R.SERVICE, code, good=False)
    await host.write(R.INJECT, 4, good=False)
    assert await host.read(R.STATUS) == 1 << MemoryStatus.STOPPED


@cocotb.test()
async def counters(dut):
    """cp_causes, cp_refused, cp_owed: clocks by cause add up to the memory's clocks; accesses that ports refused; signed refreshes."""
    bench = await _started(dut, 30_000)
    host, draw = bench.host, rng("causes")
    counts, seen = {cause: 0 for cause in BusCause}, {"refused": 0}

    async def drive():
        while True:
            await FallingEdge(dut.clk)
            cause, refused = draw.choice(list(BusCause)), draw.choice([0, 0, 0, 1, 2, 8])
            dut.cause.value, dut.refused.value = cause.value, refused
            await ReadOnly()
            seen["refused"] += refused
            counts[cause] += int(dut.enable.value)

    for _ in range(2):
        await FallingEdge(dut.clk)
        dut.cause.value, dut.refused.value = BusCause.EMPTY.value, 0
        await host.write(R.REFUSED, 0)
        await host.write(R.BUS + 4 * draw.randrange(len(BusCause)), draw.getrandbits(32))
        # EMPTY counts from the clock behind the write to the one in which the driver begins, and again while it is read.
        base = await host.read(R.BUS + 4 * BusCause.READ.value)
        assert base == 0
        counts.update(dict.fromkeys(BusCause, 0))
        seen["refused"] = 0
        driver = cocotb.start_soon(drive())
        await ClockCycles(dut.clk, draw.randrange(300, 600))
        driver.cancel()
        await FallingEdge(dut.clk)
        dut.cause.value, dut.refused.value = BusCause.EMPTY.value, 0
        # The last values may have stood for one clock more than the driver saw.
        slack = {cause: await host.read(R.BUS + 4 * cause.value) - counts[cause] for cause in BusCause if cause is not BusCause.EMPTY}
        assert set(slack.values()) <= {0, 1} and sum(slack.values()) <= 1, slack
        assert 0 <= await host.read(R.REFUSED) - seen["refused"] <= 8
    for owed in (0, 5, -1, 255, -256):
        await FallingEdge(dut.clk)
        dut.owed.value = owed
        assert await host.read(R.OWED) == owed & ALL
    assert OWED_BITS == 9


@cocotb.test()
async def fill(dut):
    """cp_fill: zeros with valid check bits in the range, and nothing elsewhere."""
    bench = await _started(dut, 60_000)
    for size in (1, 40):
        first = bench.rng.randrange(1, (1 << ATOM_BITS) - size - 1)
        for atom in (first - 1, first, first + size - 1, first + size):
            bench.device.stored[atom] = [(bench.rng.getrandbits(64), 0)] * 4
        outside = {atom: bench.device.stored[atom] for atom in (first - 1, first + size)}
        bench.device.writes.clear()
        await bench.serve(MemoryService.FILL, first, first + size - 1)
        await bench.settle()
        assert [atom for atom, _ in bench.device.writes] == list(range(first, first + size))
        assert all(bench.device.words(atom) == [(0, 0)] * 4 for atom in range(first, first + size))
        assert all(bench.device.stored[atom] == words for atom, words in outside.items())
    assert not bench.device.reads and await bench.host.count() == (0, 0, 0, 0)


@cocotb.test()
async def self_test(dut):
    """cp_march, cp_stuck: a good range passes and holds zeros; stuck bits of data or check bits are found where they are."""
    bench = await _started(dut, 400_000)
    bench.device.stall, bench.device.latency = 0.1, (1, 20)
    host, draw = bench.host, rng("stuck")
    for faults in (0, 1, 1, 1, 3, 0):
        size = draw.randrange(5, 9) if faults or not bench.device.stuck else 1
        first = draw.randrange(0, (1 << ATOM_BITS) - size)
        await host.write(R.SINGLE_ERRORS, 0)
        await host.write(R.DOUBLE_ERRORS, 0)
        bench.device.stuck.clear()
        for _ in range(faults):
            atom, word, bit = draw.randrange(first, first + size), draw.randrange(4), draw.randrange(72)
            # Two bits of a word at times; and always a check bit in one of the rounds.
            bits = {draw.randrange(64, 72) if faults == 3 else bit} | ({draw.randrange(72)} if draw.random() < 0.3 else set())
            mask, ones = sum(1 << bit for bit in bits), draw.getrandbits(72)
            bench.device.stuck[atom, word] = (
                (mask & (1 << 64) - 1, mask >> 64), (ones & mask & (1 << 64) - 1, (ones & mask) >> 64),
            )
            for each in range(first, first + size):
                bench.device.stored[each] = [bench.device.cell(each, number, (0, 0)) for number in range(4)]
        count, places = expect(bench.device.stuck, range(first, first + size))
        await bench.serve(MemoryService.TEST, first, first + size - 1)
        await bench.settle()
        assert await host.read(R.TEST_ERRORS) == count and (count or faults < 3)
        found = await host.read(R.TEST_FIRST)
        assert found in places if count else found == 0
        assert bool((await host.count())[0] or (await host.count())[2]) == bool(count)
        if not faults:
            assert all(bench.device.words(atom) == [(0, 0)] * 4 for atom in range(first, first + size))


@cocotb.test()
async def scrub(dut):
    """cp_scrub, cp_interval: a seeded set of flipped bits is repaired in one walk, and counted exactly; the walk begins anew at the end."""
    bench = await _started(dut, 60_000)
    host, draw, device = bench.host, rng("flips"), bench.device
    device.latency, device.stall = (1, 20), 0
    first, size, interval = draw.randrange(1 << 12), 16, 40
    for atom in range(first, first + size):
        bench.write(atom, draw.getrandbits(256))
    await bench.settle()
    flips = draw.sample([(atom, word) for atom in range(first, first + size) for word in range(4)], 20)
    for atom, word in flips:
        device.flip(atom, word)
    for register, value in ((R.RANGE_FIRST, first), (R.RANGE_LAST, first + size - 1), (R.SCRUB_INTERVAL, interval)):
        await host.write(register, value)
    reads = []
    device.watch = lambda source, atom, kinds: reads.append((device.clock, atom))
    for _ in range(2):
        reads.clear()
        await host.write(R.CONTROL, await host.read(R.CONTROL) | SCRUB)
        while len(reads) < size + 3:
            await FallingEdge(dut.clk)
        await host.write(R.CONTROL, await host.read(R.CONTROL) & ~SCRUB)
        await bench.settle(2 * interval)
        assert [atom for _, atom in reads[:size + 3]] == [first + number % size for number in range(size + 3)]
        gaps = [later - sooner for (sooner, _), (later, _) in pairwise(reads)]
        # The offer is taken one clock after it is made at the earliest, and waits for writes of the guard.
        assert all(interval < gap <= interval + 12 for gap in gaps), gaps
        assert await host.count() == (len(flips), min(flips)[0], 0, 0), "errors are counted once"
        for atom in range(first, first + size):
            assert device.words(atom) == [(data, check_of(data)) for data in bench.reference.words(atom)]
    await host.write(R.SINGLE_ERRORS, 0)
    assert await host.count() == (0, 0, 0, 0)


@cocotb.test()
async def injection(dut):
    """cp_injected: one bit is corrected, counted and mended; two are reported as poison until the word is written."""
    bench = await _started(dut, 60_000)
    host, draw = bench.host, rng("inject")
    bench.device.spoiled = True
    for bits in (1, 2, 1, 2):
        atom, word = draw.randrange(1, 1 << ATOM_BITS), draw.randrange(4)
        mask = sum(1 << bit for bit in draw.sample(range(72), bits))
        for register, value in ((R.INJECT_LO, mask), (R.INJECT_HI, mask >> 32), (R.INJECT_CHECK, mask >> 64), (R.INJECT, word)):
            await host.write(register, value & ALL)
        bench.write(atom, draw.getrandbits(256))
        bench.write(atom ^ 1, draw.getrandbits(256))
        await bench.settle()
        if bits == 2:
            bench.reference.words(atom)[word] = None
        for _ in range(2):
            bench.read(atom)
            bench.read(atom ^ 1)
            await bench.settle()
        status = await host.read(R.STATUS)
        assert status >> MemoryStatus.POISONED & 1 == bits - 1
        assert await host.count() == ((1, atom, 0, 0) if bits == 1 else (0, 0, 2, atom))
        await host.write(R.SINGLE_ERRORS, 1)
        await host.write(R.DOUBLE_ERRORS, 1)
        assert await host.read(R.STATUS) == 1 << MemoryStatus.READY
        bench.write(atom, draw.getrandbits(256), 0xFF << 8 * word)
        bench.read(atom)
        await bench.settle()
        # The partial write reads the atom, and so it meets the error of two bits once more.
        assert await host.count() == ((0, 0, 0, 0) if bits == 1 else (0, 0, 1, atom))
        await host.write(R.DOUBLE_ERRORS, 0)


@cocotb.test()
async def stop(dut):
    """cp_stop, cp_change: stopped while writes in part, reads and a self-test are pending; other timing, code off and on."""
    bench = await _started(dut, 200_000)
    host, draw, device = bench.host, rng("stop"), bench.device
    kinds = [ALL, 0x1, 0xFFFF, 0xFF00FF00]
    atoms = [draw.randrange(64, 1 << ATOM_BITS) for _ in range(5)]
    sets = [TimingSet.load(name) for name in TimingSet.names()]
    await host.write(R.RANGE_FIRST, 8)
    await host.write(R.RANGE_LAST, 15)
    await host.write(R.SERVICE, MemoryService.TEST)
    ecc = True
    for timing in [*sets, sets[0]]:
        for _ in range(60):
            atom = draw.choice(atoms)
            if draw.random() < 0.4:
                bench.read(atom)
            else:
                bench.write(atom, draw.getrandbits(256), draw.choice(kinds) if ecc else ALL)
        await ClockCycles(dut.clk, draw.randrange(20, 120))
        await bench.stop()
        assert int(dut.idle.value) and not device.pending and not int(dut.run.value) and not int(dut.ready.value)
        done = len(device.reads) + len(device.writes)
        await bench.load(timing)
        ecc = not ecc
        # What still waits at the input are requests in part: they pass with their strobes while the code is off.
        device.ecc = ecc
        await host.write(R.CONTROL, await host.read(R.CONTROL) ^ ECC)
        assert len(device.reads) + len(device.writes) == done, "an access while stopped"
        since = device.clock
        await bench.run()
        await _modes(bench, timing, since)
        await host.write(R.TIMING, 5, good=False)
        await bench.settle()
        if not ecc:
            # Words that were written in part have no valid check bits now: written wholly before the code is on again.
            for atom in atoms:
                bench.write(atom, draw.getrandbits(256))
            await bench.settle()
    await host.wait(MemoryStatus.SERVICE, 0)
    assert await host.read(R.TEST_ERRORS) == 0
    for atom in atoms:
        bench.read(atom)
    await bench.settle()
    assert (await host.count())[2] == 0
