"""One AXI channel, driven or taken with random stalls. The agents of this folder are made of these."""

import random
from collections import deque

from cocotb.utils import get_sim_time

from verif.common.clock import PERIOD_NS

__all__ = ["FIELDS", "Receiver", "Sender"]

#: Payload signals of each channel.
FIELDS = {
    "ar": ("id", "addr", "len", "size", "burst"), "r": ("id", "data", "resp", "last"),
    "aw": ("id", "addr", "len", "size", "burst"), "w": ("data", "strb", "last"), "b": ("id", "resp"),
}


class _Channel:
    def __init__(self, dut, prefix: str, channel: str, rng: random.Random, stall: float):
        self.name = f"{prefix}__{channel}"
        self.fields = {field: getattr(dut, f"{self.name}{field}") for field in FIELDS[channel]}
        self.valid, self.ready = getattr(dut, f"{self.name}valid"), getattr(dut, f"{self.name}ready")
        self.rng = random.Random(rng.random())
        self.stall = stall
        #: Clock in which the last item was taken.
        self.taken_at = 0

    def _note(self):
        self.taken_at = round(get_sim_time("ns") / PERIOD_NS)


class Sender(_Channel):
    """Offers the items of `queue` (mappings of fields) in order. `drive` at the falling edge, `settle` once all signals are stable."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.queue: deque = deque()
        self._offered = None

    def drive(self):
        if self._offered is None and self.queue and self.rng.random() >= self.stall:
            self._offered = self.queue.popleft()
            for field, signal in self.fields.items():
                signal.value = self._offered[field]
        self.valid.value = int(self._offered is not None)

    def settle(self) -> dict | None:
        """The item that is taken at the next edge."""
        if self._offered is None or not int(self.ready.value):
            return None
        self._note()
        taken, self._offered = self._offered, None
        return taken


class Receiver(_Channel):
    """Takes items, and checks that an offer stays until it is taken."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._ready = False
        self._waiting: dict | None = None

    def drive(self, room: bool = True):
        self._ready = room and self.rng.random() >= self.stall
        self.ready.value = int(self._ready)

    def settle(self) -> dict | None:
        """The item that is taken at the next edge."""
        if not int(self.valid.value):
            assert self._waiting is None, f"{self.name}: the offer of {self._waiting} was taken back"
            return None
        item = {field: int(signal.value) for field, signal in self.fields.items()}
        assert self._waiting in (None, item), f"{self.name}: {self._waiting} changed to {item} before it was taken"
        self._waiting = None if self._ready else item
        if self._ready:
            self._note()
        return item if self._ready else None
