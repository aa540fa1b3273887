"""An AXI4 master for one port: queues of bursts, random stalls on all five channels, and the rules of the protocol checked."""

from collections import deque

from verif.memory.port.transfer import Transfer

__all__ = ["PortMaster"]

_ADDRESS = ("id", "addr", "len", "size", "burst", "lock", "qos")


class PortMaster:
    """Steps with the testbench: :meth:`drive` at the falling edge, :meth:`sample` in the read-only phase of the same time step.

    `stall` is the probability that a channel pauses for a clock. With `holds`, a response channel is now and then not ready for up to
    300 clocks. Data may run ahead of their address.

    Checked: an offer stays as it is until it is taken; read data come in the order of each identifier, in bursts of the right length, and
    with `interleave` False one burst at a time; write responses come in the order of the bursts.
    """

    def __init__(self, dut, number: int, rng, *, stall: float, holds: bool = False, interleave: bool = True):
        self.number, self.stall, self.holds, self.interleave = number, stall, holds, interleave
        self._rng = rng
        names = [channel + part for channel in ("ar", "aw") for part in (*_ADDRESS, "valid", "ready")]
        names += ["wdata", "wstrb", "wlast", "wvalid", "wready", "bid", "bresp", "bvalid", "bready"]
        names += ["rid", "rdata", "rresp", "rlast", "rvalid", "rready"]
        self._ports = {name: getattr(dut, f"axi__{number}__{name}") for name in names}
        self._driven: dict[str, int] = {}
        self._addresses: dict[str, deque[Transfer]] = {"ar": deque(), "aw": deque()}
        self._words: deque[tuple[int, int, int]] = deque()
        self._offered = {"ar": False, "aw": False, "w": False}
        self._held = {"b": 0, "r": 0}
        self._steady: dict[str, tuple] = {}
        #: Reads by identifier and in the order of their requests, writes in that of theirs.
        self.reads: dict[int, deque[Transfer]] = {}
        self.open_reads: list[Transfer] = []
        self.writes: deque[Transfer] = deque()
        self._within: Transfer | None = None
        #: Holds a response channel for as long as it is set.
        self.stuck = {"b": False, "r": False}
        #: Called with each burst that has ended, and what happened to its order.
        self.finish = lambda transfer, order: None
        self._count = 0
        self.beats: list[int] = []
        self.written: list[int] = []

    @property
    def in_flight(self) -> int:
        return len(self.open_reads) + len(self.writes)

    def push(self, transfer: Transfer) -> Transfer:
        transfer.number = self._count
        self._count += 1
        self._addresses["aw" if transfer.write else "ar"].append(transfer)
        if transfer.write:
            self._words.extend(zip(transfer.words, transfer.strobes, transfer.marks, strict=True))
            self.writes.append(transfer)
        else:
            self.open_reads.append(transfer)
            self.reads.setdefault(transfer.id, deque()).append(transfer)
        return transfer

    def _set(self, name: str, value: int):
        if self._driven.get(name) != value:
            self._driven[name] = value
            self._ports[name].value = value

    def _get(self, name: str) -> int:
        return int(self._ports[name].value)

    def _pauses(self) -> bool:
        return self.stall > 0 and self._rng.random() < self.stall

    def drive(self, clock: int):
        for channel, queue in self._addresses.items():
            if not self._offered[channel] and queue and not self._pauses():
                transfer = queue[0]
                values = (
                    transfer.id, transfer.address, transfer.beats - 1, transfer.size, transfer.burst, transfer.lock, transfer.qos,
                )
                for part, value in zip(_ADDRESS, values, strict=True):
                    self._set(channel + part, value)
                self._offered[channel] = True
            self._set(f"{channel}valid", int(self._offered[channel]))
        if not self._offered["w"] and self._words and not self._pauses():
            for part, value in zip(("data", "strb", "last"), self._words[0], strict=True):
                self._set("w" + part, value)
            self._offered["w"] = True
        self._set("wvalid", int(self._offered["w"]))
        for channel in ("b", "r"):
            if self.holds and self._rng.random() < 0.003:
                self._held[channel] = clock + self._rng.randrange(300)
            self._set(f"{channel}ready", int(clock >= self._held[channel] and not self.stuck[channel] and not self._pauses()))

    def sample(self, clock: int):
        for channel, queue in self._addresses.items():
            if self._offered[channel] and self._get(f"{channel}ready"):
                queue.popleft().accepted = clock
                self._offered[channel] = False
        if self._offered["w"] and self._get("wready"):
            self._words.popleft()
            self._offered["w"] = False
            self.written.append(clock)
        for channel, parts, take in (("b", ("id", "resp"), self._answer), ("r", ("id", "data", "resp", "last"), self._beat)):
            if not self._get(f"{channel}valid"):
                assert channel not in self._steady, f"port {self.number}: {channel}valid fell before {channel}ready"
                continue
            values = tuple(self._get(channel + part) for part in parts)
            assert self._steady.pop(channel, values) == values, f"port {self.number}: the offer on channel {channel} changed"
            ready = bool(self._driven[f"{channel}ready"])
            if not ready:
                self._steady[channel] = values
            take(clock, ready, *values)

    def _answer(self, clock: int, ready: bool, identifier: int, response: int):
        assert self.writes, f"port {self.number}: a write response that nobody waits for"
        transfer = self.writes[0]
        assert identifier == transfer.id, f"port {self.number}: a write response for identifier {identifier}, not {transfer.id}"
        assert transfer.accepted is not None and transfer.accepted < clock, f"port {self.number}: a response before its address"
        if transfer.seen is None:
            transfer.seen = clock
        if ready:
            transfer.responses = [response]
            self.writes.popleft()
            self._end(clock, transfer, "in order")

    def _beat(self, clock: int, ready: bool, identifier: int, word: int, response: int, last: int):
        queue = self.reads.get(identifier)
        assert queue, f"port {self.number}: read data for identifier {identifier}, which nobody waits for"
        transfer = queue[0]
        assert transfer.accepted is not None and transfer.accepted < clock, f"port {self.number}: read data before their address"
        if not ready:
            return
        if transfer.seen is None:
            transfer.seen = clock
        self.beats.append(clock)
        order = "in order" if transfer is self.open_reads[0] else "overtakes"
        if self._within not in (None, transfer):
            assert self.interleave, f"port {self.number}: bursts are mixed"
            order = "alternates"
        transfer.words.append(word)
        transfer.responses.append(response)
        assert last == (len(transfer.words) == transfer.beats), f"port {self.number}: RLAST is {last} in beat {len(transfer.words)}"
        self._within = None if last else transfer
        if last:
            queue.popleft()
            self.open_reads.remove(transfer)
            self._end(clock, transfer, order)

    def _end(self, clock: int, transfer: Transfer, order: str):
        transfer.finished = clock
        self.finish(transfer, order)
        transfer.done.set()
