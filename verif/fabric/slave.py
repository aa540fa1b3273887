"""A memory behind a slave port of the fabric: as unruly as AXI allows, and strict about what the fabric promises."""

import random
from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.bus.axi import CHUNK_BYTES, Burst, Response
from verif.fabric.channel import Receiver, Sender

__all__ = ["Slave", "fails", "pattern"]


def pattern(slave: str, chunk: int) -> bytes:
    """What lies in a chunk that was never written."""
    return random.Random(f"{slave}/{chunk}").randbytes(CHUNK_BYTES)


def fails(chunk: int) -> bool:
    """Chunks in which the slave answers with SLVERR."""
    return chunk % 11 == 5


class Slave:
    """Answers bursts on the master port `prefix` of the design.

    Bursts of one ID are answered in order, others in any order, with mixed read beats. `latency` is the most cycles until an answer starts.
    Checks the promises of `rtl/bus/axi.py`: INCR, full width, aligned, inside one chunk, `last` on the last beat.
    """

    def __init__(self, dut, prefix: str, rng: random.Random, *, bus_bytes: int, chunks: int, stall: float = 0.3, latency: int = 30):
        self.dut = dut
        self.prefix = prefix
        self.bus_bytes = bus_bytes
        self.chunks = chunks
        self.latency = latency
        self.errors = True
        #: Answers in the order of the requests, burst by burst, as fast as it can.
        self.orderly = False
        self.rng = random.Random(rng.random())
        self.contents: dict[int, bytearray] = {}
        kinds = {"ar": Receiver, "r": Sender, "aw": Receiver, "w": Receiver, "b": Sender}
        self.channels = {name: kind(dut, prefix, name, rng, stall) for name, kind in kinds.items()}
        #: By ID: bursts that wait for their beats, and responses.
        self._reading: dict[int, deque] = {}
        self._responding: dict[int, deque] = {}
        self._writing: deque[dict] = deque()
        self._data: list[dict] = []
        self._cycle = 0
        #: Beats that crossed R and W.
        self.beats = 0
        cocotb.start_soon(self._run())

    def set_stall(self, stall: float):
        for channel in self.channels.values():
            channel.stall = stall

    def chunk(self, number: int) -> bytearray:
        return self.contents.setdefault(number, bytearray(pattern(self.prefix, number)))

    async def _run(self):
        while True:
            await FallingEdge(self.dut.clk)
            self._cycle += 1
            self._answer()
            for channel in self.channels.values():
                channel.drive()
            await ReadOnly()
            self.beats += self.channels["r"].settle() is not None
            self.channels["b"].settle()
            if (burst := self.channels["ar"].settle()) is not None:
                self._check(burst)
                self._reading.setdefault(burst["id"], deque()).append({**burst, "beat": 0, **self._time()})
            if (burst := self.channels["aw"].settle()) is not None:
                self._check(burst)
                self._writing.append(burst)
            if (beat := self.channels["w"].settle()) is not None:
                self.beats += 1
                self._data.append(beat)
            self._commit()

    def _check(self, burst: dict):
        address, end = burst["addr"], burst["addr"] + (burst["len"] + 1) * self.bus_bytes
        assert burst["burst"] == Burst.INCR.value and 1 << burst["size"] == self.bus_bytes, f"{self.prefix}: {burst} is no fabric burst"
        assert address % self.bus_bytes == 0, f"{self.prefix}: {address:#x} is not aligned"
        assert address // CHUNK_BYTES == (end - 1) // CHUNK_BYTES, f"{self.prefix}: {burst} leaves its chunk"
        assert address // CHUNK_BYTES < self.chunks, f"{self.prefix}: {address:#x} lies outside"

    def _commit(self):
        """Writes the oldest burst once all its data is there."""
        if not self._writing or len(self._data) <= self._writing[0]["len"]:
            return
        burst = self._writing.popleft()
        beats, self._data = self._data[: burst["len"] + 1], self._data[burst["len"] + 1 :]
        assert [beat["last"] for beat in beats] == [0] * burst["len"] + [1], f"{self.prefix}: last is at the wrong beat of {burst}"
        number, offset = divmod(burst["addr"], CHUNK_BYTES)
        failed = self.errors and fails(number)
        if not failed:
            chunk = self.chunk(number)
            for beat in beats:
                for lane in range(self.bus_bytes):
                    if beat["strb"] >> lane & 1:
                        chunk[offset + lane] = beat["data"] >> 8 * lane & 0xFF
                offset += self.bus_bytes
        resp = Response.SLVERR.value if failed else Response.OKAY.value
        self._responding.setdefault(burst["id"], deque()).append({"id": burst["id"], "resp": resp, **self._time()})

    def _time(self) -> dict:
        """When a burst was taken, and when its answer may start."""
        return {"taken": self._cycle, "due": self._cycle + self.rng.randint(1, self.latency)}

    def _pick(self, waiting: dict[int, deque]) -> deque | None:
        heads = [queue for queue in waiting.values() if queue]
        if self.orderly:
            return min(heads, key=lambda queue: queue[0]["taken"], default=None)
        ready = [queue for queue in heads if queue[0]["due"] <= self._cycle]
        return self.rng.choice(ready) if ready else None

    def _answer(self):
        if not self.channels["r"].queue and (queue := self._pick(self._reading)) is not None:
            burst = queue[0]
            number, offset = divmod(burst["addr"] + burst["beat"] * self.bus_bytes, CHUNK_BYTES)
            last = burst["beat"] == burst["len"]
            word = self.chunk(number)[offset : offset + self.bus_bytes]
            self.channels["r"].queue.append({
                "id": burst["id"], "last": int(last), "data": int.from_bytes(word, "little"),
                "resp": Response.SLVERR.value if self.errors and fails(number) else Response.OKAY.value,
            })
            burst["beat"] += 1
            if last:
                queue.popleft()
        if not self.channels["b"].queue and (queue := self._pick(self._responding)) is not None:
            self.channels["b"].queue.append(queue.popleft())
