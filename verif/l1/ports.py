"""Drives and watches all L1 ports at once, one pass per clock, and judges them by the port contract."""

import random
from collections import deque
from dataclasses import dataclass, field

from cocotb.triggers import FallingEdge, ReadOnly

from rtl.config import ChipConfig
from rtl.l1.port import L1Read, l1_ports
from verif.common.streams import pack
from verif.l1.coverage import PATIENCE, L1Coverage
from verif.l1.history import History

__all__ = ["Ports", "Request"]


@dataclass
class Request:
    """`size` bytes from `address` (read), or `data` with `strobe` (write)."""

    address: int
    size: int = 0
    data: bytes = b""
    strobe: int = 0


@dataclass
class _Port:
    name: str
    signature: object
    rng: random.Random
    stall: float = 0.3
    queue: deque = field(default_factory=deque)
    offered: Request | None = None
    since: int = 0
    flight: deque = field(default_factory=deque)
    taken: int = 0
    answered: int = 0
    worst: int = 0
    granted: int = -1

    @property
    def is_read(self) -> bool:
        return isinstance(self.signature, L1Read)


class Ports:
    """Driver, monitor and checker of the nine ports.

    `history` outlives the object, since a reset doesn't clear the memory. `bound`: cycles that a request may take from its offer to
    its answer; it stands behind at most two others of its port.
    """

    def __init__(self, dut, config: ChipConfig, history: History, rng: random.Random, coverage: L1Coverage):
        self.dut = dut
        self.ports = {name: _Port(name, signature, random.Random(rng.random())) for name, signature in l1_ports(config).items()}
        self.history = history
        self.coverage = coverage
        self.cycle = 0
        self.bound = 3 * (PATIENCE + len(self.ports) + 1) + 6

    def push(self, name: str, request: Request):
        self.ports[name].queue.append(request)

    async def drain(self):
        """Runs until every request is answered."""
        while any(port.queue or port.offered or port.flight for port in self.ports.values()):
            await self.step()

    async def step(self):
        """One clock."""
        await FallingEdge(self.dut.clk)
        for port in self.ports.values():
            self._offer(port)
        await ReadOnly()
        for port in self.ports.values():
            self._watch(port)
        self.cycle += 1

    def _signal(self, port: _Port, name: str):
        return getattr(self.dut, f"{port.name}__{name}")

    def _offer(self, port: _Port):
        if port.offered is None and port.queue and port.rng.random() >= port.stall:
            port.offered, port.since = port.queue.popleft(), self.cycle
            request, shape = port.offered, port.signature.request_shape
            if port.is_read:
                value = {"address": request.address, "size": request.size}
            else:
                value = {"address": request.address, "data": int.from_bytes(request.data, "little"), "strobe": request.strobe}
            self._signal(port, "request__payload").value = pack(shape, value)
        self._signal(port, "request__valid").value = int(port.offered is not None)

    def _watch(self, port: _Port):
        answer = int(self._signal(port, "response").value) if port.is_read else int(self._signal(port, "written").value)
        if answer & 1:
            self._answer(port, answer >> 1)
        if port.offered is not None and int(self._signal(port, "request__ready").value):
            request, port.offered = port.offered, None
            port.taken += 1
            writes = None if port.is_read else self.history.write(request.address, request.data, request.strobe, self.cycle)
            port.flight.append((request, port.since, self.cycle, writes))
        oldest = port.flight[0][1] if port.flight else port.since if port.offered else self.cycle
        assert self.cycle - oldest <= self.bound, f"{port.name}: a request waits for more than {self.bound} cycles"

    def _answer(self, port: _Port, data: int):
        assert port.flight, f"{port.name}: an answer without a request"
        request, since, taken, writes = port.flight.popleft()
        port.answered += 1
        port.worst = max(port.worst, self.cycle - since)
        # As the first of its port from `since` or the last answer on; granted two (write) or three cycles (read) before this one.
        granted = self.cycle - (3 if port.is_read else 1)
        waited = granted - max(since + 1, port.granted + 1)
        port.granted = granted
        self.coverage.sample(port.name, request.address, request.size, request.strobe, waited, port.stall)
        if port.is_read:
            # The grant comes a cycle after the request was taken at the earliest.
            assert self.cycle >= taken + 3, f"{port.name}: answered {self.cycle - taken} cycles after it was taken"
            found = data.to_bytes(port.signature.width, "little")[: request.size]
            self.history.check(request.address, found, taken)
        else:
            self.history.written(writes, self.cycle)
