"""A master that posts bursts and takes their answers, which must come in the order of the requests."""

import random
from collections import deque
from dataclasses import dataclass, field

import cocotb
from cocotb.triggers import Event, FallingEdge, ReadOnly

from rtl.bus.axi import Burst
from verif.fabric.channel import Receiver, Sender

__all__ = ["Burst", "Master", "Transfer"]


@dataclass
class Transfer:
    """A burst and, once `done` is set, its answer: `data` and `resp` per beat of a read, `resp` of a write."""

    id: int
    address: int
    beats: int
    size: int
    burst: Burst = Burst.INCR
    data: list[int] = field(default_factory=list)
    strobe: list[int] = field(default_factory=list)
    resp: list[int] = field(default_factory=list)
    done: Event = field(default_factory=Event)

    def address_fields(self) -> dict:
        return {"id": self.id, "addr": self.address, "len": self.beats - 1, "size": self.size, "burst": self.burst.value}


class Master:
    """Drives the slave port `prefix` of the design. `stall` applies to each channel."""

    def __init__(self, dut, prefix: str, rng: random.Random, *, bus_bytes: int, stall: float = 0.3, writes: bool = True):
        self.dut = dut
        self.prefix = prefix
        self.size = (bus_bytes - 1).bit_length()
        self.id_bits = len(getattr(dut, f"{prefix}__arid"))
        self.rng = random.Random(rng.random())
        kinds = {"ar": Sender, "r": Receiver, **({"aw": Sender, "w": Sender, "b": Receiver} if writes else {})}
        self.channels = {name: kind(dut, prefix, name, rng, stall) for name, kind in kinds.items()}
        self.writes = writes
        self._reading: deque[Transfer] = deque()
        self._writing: deque[Transfer] = deque()
        #: Beats taken from R and sent on W.
        self.beats = 0
        cocotb.start_soon(self._run())

    def set_stall(self, stall: float):
        for channel in self.channels.values():
            channel.stall = stall

    def read(self, address: int, beats: int, *, size: int | None = None, burst: Burst = Burst.INCR) -> Transfer:
        """Posts a read, full-width INCR unless said otherwise."""
        transfer = Transfer(self.rng.getrandbits(self.id_bits), address, beats, self.size if size is None else size, burst)
        self._reading.append(transfer)
        self.channels["ar"].queue.append(transfer.address_fields())
        return transfer

    def write(
        self, address: int, data: list[int], strobe: list[int], *, size: int | None = None, burst: Burst = Burst.INCR,
    ) -> Transfer:
        """Posts a write; `data` and `strobe` are bus words, one a beat."""
        full = self.size if size is None else size
        transfer = Transfer(self.rng.getrandbits(self.id_bits), address, len(data), full, burst, data, strobe)
        self._writing.append(transfer)
        self.channels["aw"].queue.append(transfer.address_fields())
        for number, (word, lanes) in enumerate(zip(data, strobe, strict=True)):
            self.channels["w"].queue.append({"data": word, "strb": lanes, "last": int(number == len(data) - 1)})
        return transfer

    async def _run(self):
        while True:
            await FallingEdge(self.dut.clk)
            for channel in self.channels.values():
                channel.drive()
            await ReadOnly()
            self.channels["ar"].settle()
            self._take_read(self.channels["r"].settle())
            if self.writes:
                self.channels["aw"].settle()
                self.beats += self.channels["w"].settle() is not None
                self._take_response(self.channels["b"].settle())

    def _take_read(self, beat: dict | None):
        if beat is None:
            return
        assert self._reading, f"{self.prefix}: read data without a request"
        transfer = self._reading[0]
        self.beats += 1
        transfer.data.append(beat["data"])
        transfer.resp.append(beat["resp"])
        last = len(transfer.data) == transfer.beats
        assert beat["id"] == transfer.id, f"{self.prefix}: data of ID {beat['id']} where {transfer.id} was next"
        assert beat["last"] == int(last), f"{self.prefix}: beat {len(transfer.data)} of {transfer.beats} has last = {beat['last']}"
        if last:
            self._reading.popleft().done.set()

    def _take_response(self, answer: dict | None):
        if answer is None:
            return
        assert self._writing, f"{self.prefix}: a response without a request"
        transfer = self._writing.popleft()
        assert answer["id"] == transfer.id, f"{self.prefix}: the response of ID {answer['id']} where {transfer.id} was next"
        transfer.resp.append(answer["resp"])
        transfer.done.set()
