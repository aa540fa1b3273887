"""An AXI4 master for slaves that obey the fabric's rule: queues of bursts, random stalls on all five channels, all checks of the protocol
that a memory must meet (order and identifiers of responses, last beats, stable payloads)."""

from collections import deque
from dataclasses import dataclass, field

import cocotb
from cocotb.triggers import Event, FallingEdge, ReadOnly

__all__ = ["AxiMaster", "Transfer"]


@dataclass
class Transfer:
    """One burst. `data` holds the bytes to write or, once `done`, those that were read; `strobes` one bit for each byte to write."""

    write: bool
    address: int
    beats: int
    id: int = 0
    data: bytearray = field(default_factory=bytearray)
    strobes: list[int] = field(default_factory=list)
    size: int | None = None
    burst: int = 1
    response: int | None = None
    issued: int = 0
    finished: int = 0
    done: Event = field(default_factory=Event)


class AxiMaster:
    """Drives at the falling edge and samples in the read-only phase of the same time step.

    `stall` is the probability that a channel pauses for a clock; with `long_stalls`, a response channel is now and then not ready for up
    to 200 clocks, so that what lies behind it fills up. Responses are expected in the order of each direction's requests.
    """

    def __init__(self, dut, bus_bytes: int, rng, stall: float = 0.3, long_stalls: bool = False):
        self._dut = dut
        self.bus_bytes = bus_bytes
        self.stall = stall
        self._rng = rng
        self._long_stalls = long_stalls
        self._stalled_until = {"b": 0, "r": 0}
        #: Takes no read data while set.
        self.stuck = False
        self._address: dict[str, deque] = {"aw": deque(), "ar": deque()}
        self._beats: deque = deque()
        self._responses: deque[Transfer] = deque()
        self._returns: deque[Transfer] = deque()
        self._signals = {name: getattr(dut, f"axi__{name}") for name in (
            *(prefix + part for prefix in ("aw", "ar") for part in ("id", "addr", "len", "size", "burst", "valid", "ready")),
            "wdata", "wstrb", "wlast", "wvalid", "wready", "bid", "bresp", "bvalid", "bready",
            "rid", "rdata", "rresp", "rlast", "rvalid", "rready",
        )}
        self.clock = 0
        self.bytes_read = self.bytes_written = 0
        self._held: dict[str, tuple] = {}
        cocotb.start_soon(self._run())

    @property
    def in_flight(self) -> int:
        return len(self._responses) + len(self._returns)

    def push(self, transfer: Transfer) -> Transfer:
        """Queues a burst and returns at once."""
        transfer.issued = self.clock
        if transfer.write:
            self._address["aw"].append(transfer)
            for beat in range(transfer.beats):
                low = beat * self.bus_bytes
                word = int.from_bytes(transfer.data[low:low + self.bus_bytes], "little")
                self._beats.append((word, transfer.strobes[beat], beat == transfer.beats - 1))
            self._responses.append(transfer)
        else:
            transfer.data = bytearray()
            self._address["ar"].append(transfer)
            self._returns.append(transfer)
        return transfer

    def _set(self, name: str, value: int):
        self._signals[name].value = value

    def _get(self, name: str) -> int:
        return int(self._signals[name].value)

    def _pause(self) -> bool:
        return self.stall > 0 and self._rng.random() < self.stall

    def _drive(self, offered: dict):
        """Offers on each request channel what is next; an offer stays until it is taken."""
        for prefix, queue in self._address.items():
            if prefix not in offered and queue and not self._pause():
                transfer = queue[0]
                offered[prefix] = transfer
                size = (self.bus_bytes - 1).bit_length() if transfer.size is None else transfer.size
                values = (transfer.id, transfer.address, transfer.beats - 1, size, transfer.burst)
                for part, value in zip(("id", "addr", "len", "size", "burst"), values, strict=True):
                    self._set(prefix + part, value)
                self._set(prefix + "valid", 1)
            elif prefix not in offered:
                self._set(prefix + "valid", 0)
        if "w" not in offered and self._beats and not self._pause():
            offered["w"] = self._beats[0]
            for part, value in zip(("data", "strb", "last"), self._beats[0], strict=True):
                self._set("w" + part, int(value))
            self._set("wvalid", 1)
        elif "w" not in offered:
            self._set("wvalid", 0)
        for channel in ("b", "r"):
            if self._long_stalls and self._rng.random() < 0.002:
                self._stalled_until[channel] = self.clock + self._rng.randrange(200)
            ready = self.clock >= self._stalled_until[channel] and not self._pause() and not (self.stuck and channel == "r")
            self._set(channel + "ready", int(ready))

    def _sample(self, offered: dict):
        for channel, queue in (("aw", self._address["aw"]), ("ar", self._address["ar"]), ("w", self._beats)):
            if channel in offered and self._get(channel + "ready"):
                queue.popleft()
                del offered[channel]
        for channel, parts, take in (("b", ("id", "resp"), self._response), ("r", ("id", "data", "resp", "last"), self._beat)):
            if not self._get(channel + "valid"):
                assert channel not in self._held, f"{channel}valid fell before {channel}ready"
                continue
            payload = tuple(self._get(channel + part) for part in parts)
            assert self._held.pop(channel, payload) == payload, f"the payload of channel {channel} changed while it waited"
            if self._get(channel + "ready"):
                take(*payload)
            else:
                self._held[channel] = payload

    def _response(self, identifier: int, response: int):
        assert self._responses, "a write response that nobody waits for"
        transfer = self._responses.popleft()
        assert identifier == transfer.id, f"write response for id {identifier}, not {transfer.id}"
        self.bytes_written += transfer.beats * self.bus_bytes
        self._finish(transfer, response)

    def _beat(self, identifier: int, word: int, response: int, last: int):
        assert self._returns, "read data that nobody waits for"
        transfer = self._returns[0]
        assert identifier == transfer.id, f"read data for id {identifier}, not {transfer.id}"
        transfer.data += word.to_bytes(self.bus_bytes, "little")
        assert last == (len(transfer.data) == transfer.beats * self.bus_bytes), f"rlast is {last} in byte {len(transfer.data)}"
        assert transfer.response in (None, response), "the response changed within a burst"
        transfer.response = response
        self.bytes_read += self.bus_bytes
        if last:
            self._returns.popleft()
            self._finish(transfer, response)

    def _finish(self, transfer: Transfer, response: int):
        transfer.response = response
        transfer.finished = self.clock
        transfer.done.set()

    async def _run(self):
        offered: dict = {}
        while True:
            await FallingEdge(self._dut.clk)
            self._drive(offered)
            await ReadOnly()
            self._sample(offered)
            self.clock += 1
