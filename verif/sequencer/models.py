"""What surrounds a sequencer in its testbench: read-only AXI memory, engines, the record of a job."""

import random
from collections import Counter, deque

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.bus.axi import CHUNK_BYTES, Burst, Response
from rtl.config import ChipConfig
from rtl.isa import COMMANDS, Engine, Status
from rtl.sequencer.interface import DONE, ENDED
from rtl.sequencer.lane import IN_FLIGHT
from verif.common.streams import pack, unpack
from verif.sequencer.program import Issue

__all__ = ["EngineModel", "FetchMemory", "Monitor"]


class FetchMemory:
    """Answers the read master `fetch` from `contents` with random latency and stalls, and asserts the rules of the fabric.

    Bursts that touch a byte from `len(contents)` on get DECERR.
    """

    def __init__(self, dut, config: ChipConfig, contents: bytearray, rng: random.Random):
        self.dut, self.config, self.contents, self.rng = dut, config, contents, rng
        self.latency, self.stall = 20, 0.3
        self.bursts: deque = deque()
        self.beats = 0
        #: Answers nothing while set.
        self.dead = False
        cocotb.start_soon(self._run())

    def _accept(self, now: int):
        dut, width = self.dut, self.config.bus_bytes
        address, beats = int(dut.fetch__araddr.value), int(dut.fetch__arlen.value) + 1
        assert int(dut.fetch__arburst.value) == Burst.INCR.value and 1 << int(dut.fetch__arsize.value) == width
        assert address % width == 0 and address >> 32 == 0, f"address {address:#x}"
        assert address // CHUNK_BYTES == (address + beats * width - 1) // CHUNK_BYTES, f"{beats} beats at {address:#x} cross a chunk"
        assert len(self.bursts) < self.config.outstanding, "too many bursts in flight"
        due = now + self.rng.randrange(self.latency + 1)
        failed = address + beats * width > len(self.contents)
        for beat in range(beats):
            place = address + beat * width
            word = int.from_bytes(self.contents[place:place + width], "little")
            last = beat == beats - 1
            item = (due, 0 if failed else word, Response.DECERR.value if failed else Response.OKAY.value, last)
            if beat == 0:
                self.bursts.append(deque())
            self.bursts[-1].append(item)

    async def _run(self):
        dut, rng, now, offered = self.dut, self.rng, 0, None
        while True:
            await FallingEdge(dut.clk)
            now += 1
            ready = rng.random() >= self.stall
            dut.fetch__arready.value = int(ready)
            valid = bool(self.bursts) and self.bursts[0][0][0] <= now and not self.dead and rng.random() >= self.stall
            dut.fetch__rvalid.value = int(valid)
            if valid:
                _, dut.fetch__rdata.value, dut.fetch__rresp.value, last = self.bursts[0][0]
                dut.fetch__rlast.value = int(last)
            await ReadOnly()
            if valid and int(dut.fetch__rready.value):
                self.beats += 1
                self.bursts[0].popleft()
                if not self.bursts[0]:
                    self.bursts.popleft()
            if int(dut.fetch__arvalid.value):
                request = (int(dut.fetch__araddr.value), int(dut.fetch__arlen.value))
                assert offered in (None, request), "the read address changed before it was taken"
                offered = None if ready else request
                if ready:
                    self._accept(now)
            else:
                assert offered is None, "the read address was taken back"


class EngineModel:
    """An engine that takes as many commands as its lane has in flight, ends them in order after random times, and now and then badly."""

    def __init__(self, dut, engine: Engine, rng: random.Random, monitor: "Monitor"):
        self.dut, self.engine, self.rng, self.monitor = dut, engine, rng, monitor
        self.name = engine.name.lower()
        self.time = 12
        #: The command number (from the last `clear`) that fails, and how.
        self.failure: tuple[int, Status, int] | None = None
        #: Never ends a command while set.
        self.stuck = False
        self.held: deque = deque()
        self.taken: list[tuple[int, ...]] = []
        cocotb.start_soon(self._run())

    def clear(self):
        self.held.clear()
        self.taken.clear()
        self.failure, self.stuck = None, False

    async def _run(self):
        dut, rng, now = self.dut, self.rng, 0
        valid, ready, payload, done = (getattr(dut, f"{self.name}{part}") for part in ("__valid", "__ready", "__payload", "_done"))
        flushed = dut.data_flush if self.engine == Engine.DATA else dut.engine_reset
        count = len(COMMANDS[self.engine].const(None).as_value()) // 32
        while True:
            await FallingEdge(dut.clk)
            now += 1
            can = rng.random() < 0.7
            ready.value = int(can)
            completion = None
            if self.held and self.held[0] <= now and not self.stuck:
                self.held.popleft()
                number = len(self.taken) - len(self.held) - 1
                status, address = Status.OK, rng.getrandbits(32)
                if self.failure is not None and self.failure[0] == number:
                    status, address = self.failure[1:]
                completion = {"status": status, "address": address}
                self.monitor.completed(self.engine, number, status)
            done.value = 0 if completion is None else pack(DONE, {"valid": 1, "completion": completion})
            if self.engine == Engine.DATA:
                dut.data_idle.value = int(not self.held)
            await ReadOnly()
            if int(valid.value) and can:
                bits = int(payload.value)
                words = tuple(bits >> 32 * word & 0xFFFFFFFF for word in range(count))
                self.monitor.accepted(self.engine, len(self.taken), words)
                self.taken.append(words)
                most = IN_FLIGHT[COMMANDS[self.engine]]
                assert len(self.held) < most, f"{self.name}: a command while {most} are unfinished"
                self.held.append(max(now, self.held[-1] if self.held else 0) + 1 + rng.randrange(self.time))
            if int(flushed.value):
                # A data engine still ends what it runs, and reports it.
                while len(self.held) > (1 if self.engine == Engine.DATA else 0):
                    self.held.pop()


class Monitor:
    """Knows what every engine must see, and counts the events that a command may take."""

    def __init__(self, dut):
        self.dut = dut
        self.issues: dict[Engine, list[Issue]] = {}
        self.events: Counter = Counter()
        self.remote: Counter = Counter()
        self.ended: deque = deque()
        self.resets = self.flushes = 0
        self.causes: Counter = Counter()
        cocotb.start_soon(self._run())

    def expect(self, issues: dict[Engine, list[Issue]], events: Counter):
        """A new job: its issues, and the events that arrive other than from commands."""
        self.issues, self.events, self.remote = issues, Counter(events), Counter()

    def launch(self):
        self.resets = self.flushes = 0
        self.causes = Counter()

    def accepted(self, engine: Engine, number: int, words: tuple[int, ...]):
        assert number < len(self.issues[engine]), f"{engine.name}: a command that the program doesn't have"
        issue = self.issues[engine][number]
        assert words == issue.words, f"{engine.name} command {number}: words {words}, not {issue.words}"
        for event in range(16):
            if issue.wait >> event & 1:
                assert self.events[event] > 0, f"{engine.name} command {number} didn't wait for event {event}"
                self.events[event] -= 1

    def completed(self, engine: Engine, number: int, status: Status):
        issue = self.issues[engine][number]
        if status == Status.OK and issue.target is None:
            self.events.update(event for event in range(16) if issue.signal >> event & 1)
        elif status == Status.OK:
            self.remote[issue.target, issue.signal] += 1

    async def _run(self):
        dut = self.dut
        while True:
            await FallingEdge(dut.clk)
            await ReadOnly()
            if int(dut.rst.value):
                continue
            ended = int(dut.ended.value)
            if ended & 1:
                self.ended.append(unpack(ENDED, ended).record)
            self.resets += int(dut.engine_reset.value)
            self.flushes += int(dut.data_flush.value)
            self.causes[int(dut.activity.value) & 7] += 1
