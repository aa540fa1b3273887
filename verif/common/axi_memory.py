"""A memory behind an AXI4 master of the chip: two spaces, random delays, errors on demand, and the fabric's rules checked."""

import random
from collections import deque
from dataclasses import dataclass, field

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.bus.axi import CHUNK_BYTES, L2_SELECT_BIT, AXI4Read, Burst, Response

__all__ = ["AxiMemory"]


@dataclass
class _Burst:
    """An accepted address: fabric address, beats, when its answer may begin, and what came of it so far."""

    address: int
    beats: int
    identifier: int
    due: int
    beat: int = 0
    data: list = field(default_factory=list)


class AxiMemory:
    """Answers the AXI4 master `prefix` of the design under test, which is of `signature`, from `l3` and `l2`, numpy arrays of bytes.

    Each channel stalls with probability `stall`; the first beat of a read and the response of a write come `latency[0]` to
    `latency[1]` cycles after their address or last beat, in order. Bytes of a write become visible with its response and not before.

    Checked: bursts are INCR, of full-width aligned beats, inside one chunk and the memory; at most `outstanding` in each direction are
    in flight; an offer stays until it is taken; WLAST comes with the last beat; write beats have at least one strobe. The
    identifier comes back as it was sent.

    A reset of the design drops what is in flight. Channels in `stuck` ("ar", "aw", "w", "r", "b") are neither ready nor valid.

    After `fail(first, last)`, bursts that touch those fabric addresses are answered with SLVERR or DECERR; a failing write changes nothing.
    """

    def __init__(
        self, dut, prefix: str, signature, l3: np.ndarray, l2: np.ndarray | None, rng: random.Random, *,
        stall: float = 0.3, latency: tuple[int, int] = (1, 40), outstanding: int = 8,
    ):
        self._dut = dut
        self._prefix = prefix
        self._ports = {name: getattr(dut, f"{prefix}__{name}") for name in signature.members}
        #: What the inputs were last set to: a simulator's port is slow to write.
        self._driven: dict[str, int] = {}
        self._width = signature.data_bytes
        self._spaces = [l3, np.zeros(0, np.uint8) if l2 is None else l2]
        self._rng = random.Random(rng.random())
        self.stall = stall
        self.latency = latency
        self.outstanding = outstanding
        self.stuck: set[str] = set()
        self._failures: list[tuple[int, int]] = []
        #: Bursts and beats accepted, by direction.
        self.bursts = {"read": 0, "write": 0}
        self.beats = {"read": 0, "write": 0}
        self._cycle = 0
        self._offers: dict[str, int | None] = {}
        self._reads: deque[_Burst] = deque()
        self._writes: deque[_Burst] = deque()
        self._data: deque[tuple[int, int, int]] = deque()
        self._responses: deque[_Burst] = deque()
        self._offered = {"r": False, "b": False}
        cocotb.start_soon(self._serve(writes=not isinstance(signature, AXI4Read)))

    def fail(self, first: int, last: int):
        """Every burst that touches a fabric address from `first` to `last` gets an error."""
        self._failures.append((first, last))

    def heal(self):
        """No more errors."""
        self._failures.clear()

    @property
    def idle(self) -> bool:
        """Nothing is in flight."""
        return not (self._reads or self._writes or self._data or self._responses)

    def _value(self, name: str) -> int:
        return int(self._ports[name].value)

    def _drive(self, name: str, value: int):
        if self._driven.get(name) != value:
            self._driven[name] = value
            self._ports[name].value = value

    def _stalls(self, channel: str) -> bool:
        return channel in self.stuck or (self.stall > 0 and self._rng.random() < self.stall)

    def _forget(self):
        for queue in (self._reads, self._writes, self._data, self._responses):
            queue.clear()
        self._offers.clear()
        self._offered = dict.fromkeys(self._offered, False)

    async def _serve(self, writes: bool):
        while True:
            await FallingEdge(self._dut.clk)
            self._cycle += 1
            # What is driven now is taken at the next rising edge; `ready` and `valid` are drawn anew, but an offer stays.
            takes = {}
            for channel in ("ar", "aw", "w") if writes else ("ar",):
                takes[channel] = not self._stalls(channel)
                self._drive(f"{channel}ready", int(takes[channel]))
            self._drive_r()
            if writes:
                self._drive_b()
            await ReadOnly()
            if int(self._dut.rst.value):
                self._forget()
                continue
            self._take_address("ar", takes["ar"], self._reads, "read")
            if self._offered["r"] and self._value("rready"):
                self._offered["r"] = False
                burst = self._reads[0]
                burst.beat += 1
                if burst.beat == burst.beats:
                    self._reads.popleft()
            if writes:
                self._take_address("aw", takes["aw"], self._writes, "write")
                self._take_data(takes["w"])
                if self._offered["b"] and self._value("bready"):
                    self._offered["b"] = False
                    self._responses.popleft()

    def _response(self, burst: _Burst) -> Response:
        last = burst.address + burst.beats * self._width - 1
        hit = any(burst.address <= end and first <= last for first, end in self._failures)
        if not hit:
            return Response.OKAY
        return Response.DECERR if burst.address >> 8 & 1 else Response.SLVERR

    def _place(self, address: int) -> tuple[np.ndarray, int]:
        return self._spaces[address >> L2_SELECT_BIT & 1], address & (1 << L2_SELECT_BIT) - 1

    def _drive_r(self):
        if not self._offered["r"]:
            burst = self._reads[0] if self._reads else None
            self._offered["r"] = burst is not None and burst.due <= self._cycle and not self._stalls("r")
            if self._offered["r"]:
                space, at = self._place(burst.address + burst.beat * self._width)
                self._drive("rdata", int.from_bytes(space[at:at + self._width].tobytes(), "little"))
                self._drive("rresp", self._response(burst).value)
                self._drive("rlast", int(burst.beat == burst.beats - 1))
                self._drive("rid", burst.identifier)
            elif self._driven.get("rvalid"):
                # Undefined from here on: make it visible.
                self._drive("rdata", self._rng.getrandbits(8 * self._width))
        self._drive("rvalid", int(self._offered["r"]))

    def _drive_b(self):
        if not self._offered["b"]:
            burst = self._responses[0] if self._responses else None
            self._offered["b"] = burst is not None and burst.due <= self._cycle and not self._stalls("b")
            if self._offered["b"]:
                response = self._response(burst)
                if response is Response.OKAY:
                    self._store(burst)
                self._drive("bresp", response.value)
                self._drive("bid", burst.identifier)
        self._drive("bvalid", int(self._offered["b"]))

    def _store(self, burst: _Burst):
        for beat, (word, strobe) in enumerate(burst.data):
            space, at = self._place(burst.address + beat * self._width)
            for lane in range(self._width):
                if strobe >> lane & 1:
                    space[at + lane] = word >> 8 * lane & 0xFF

    def _steady(self, channel: str, taken: bool, bits: int | None):
        """An offer (None: there is none) is neither changed nor taken back."""
        before = self._offers.get(channel)
        assert before in (None, bits), f"{self._prefix}: the offer on {channel.upper()} changed before it was taken"
        self._offers[channel] = None if taken else bits

    def _take_address(self, channel: str, take: bool, queue: deque, direction: str):
        if not self._value(f"{channel}valid"):
            self._steady(channel, False, None)
            return
        names = ("addr", "len", "size", "burst", "id")
        address, length, size, kind, identifier = values = [self._value(channel + name) for name in names]
        self._steady(channel, take, hash(tuple(values)))
        if not take:
            return
        beats = length + 1
        what = f"{self._prefix}: {direction} burst of {beats} beats at {address:#x}"
        assert kind == Burst.INCR.value, f"{what} is not INCR"
        assert 1 << size == self._width, f"{what} has beats of {1 << size} byte, not {self._width}"
        assert address % self._width == 0, f"{what} is not aligned to the beat"
        assert address % CHUNK_BYTES + beats * self._width <= CHUNK_BYTES, f"{what} leaves its chunk of {CHUNK_BYTES} byte"
        space, at = self._place(address)
        assert at + beats * self._width <= len(space), f"{what} reaches beyond the memory"
        in_flight = len(queue) + (len(self._responses) if direction == "write" else 0)
        assert in_flight < self.outstanding, f"{what} is one more than the {self.outstanding} that may be in flight"
        queue.append(_Burst(address, beats, identifier, self._cycle + self._rng.randint(*self.latency)))
        self.bursts[direction] += 1
        if direction == "read":
            self.beats["read"] += beats

    def _take_data(self, take: bool):
        if self._value("wvalid"):
            word, strobe, last = (self._value(name) for name in ("wdata", "wstrb", "wlast"))
            self._steady("w", take, hash((word, strobe, last)))
            assert strobe, f"{self._prefix}: a write beat without a strobe"
            if take:
                self._data.append((word, strobe, last))
                self.beats["write"] += 1
        else:
            self._steady("w", False, None)
        # Data may run ahead of its address.
        while self._writes and self._data:
            burst = self._writes[0]
            word, strobe, last = self._data.popleft()
            burst.data.append((word, strobe))
            complete = len(burst.data) == burst.beats
            assert bool(last) == complete, f"{self._prefix}: WLAST is {last} with beat {len(burst.data)} of {burst.beats}"
            if complete:
                burst.due = self._cycle + self._rng.randint(*self.latency)
                self._responses.append(self._writes.popleft())
