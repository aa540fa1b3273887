"""What stands below the arbiter: guard, scheduler and decoder as a model that holds the memory."""

import random

from amaranth.hdl import Shape
from amaranth.lib import data

from rtl.memory.address import ATOM_BYTES
from rtl.memory.interface import Source, request, returned

__all__ = ["Below"]


class Fields:
    """The fields of a struct, packed and unpacked without Amaranth's slower constants; nested ones by names with dots."""

    def __init__(self, layout):
        self.places: dict[str, tuple[int, int]] = {}
        for name, field in data.Layout.cast(layout):
            try:
                inner = Fields(data.Layout.cast(field.shape)).places
            except TypeError:
                inner = {"": (0, Shape.cast(field.shape).width)}
            for rest, (offset, width) in inner.items():
                self.places[f"{name}.{rest}".rstrip(".")] = (field.offset + offset, width)

    def pack(self, values: dict[str, int]) -> int:
        bits = 0
        for name, value in values.items():
            offset, width = self.places[name]
            assert 0 <= value < 1 << width, f"{name}: {value}"
            bits |= value << offset
        return bits

    def unpack(self, bits: int) -> dict[str, int]:
        return {name: bits >> offset & (1 << width) - 1 for name, (offset, width) in self.places.items()}


class Below:
    """Takes requests and orders them as they come; returns reads in random order, `delay[0]` to `delay[1]` clocks later.

    Every atom that nobody wrote has contents of its own. `bad` maps atoms to words that can't be corrected. The service's requests are
    drawn here too: atoms of `service_atoms`, which nobody else uses, so that what they read is known.

    Checked: an offer stays; a tag is used once at a time and is one of the slots; a write has a strobe; the atom lies in the channel.
    """

    def __init__(
        self, dut, atom_bits: int, ports: int, slots: int, rng, *, stall: float, delay: tuple[int, int] = (5, 60),
        clock: tuple[int, int] = (1, 1), shuffled: bool = True, service: float = 0.0, service_atoms: range = range(0),
    ):
        self._rng = rng
        self.ports, self.slots, self.stall, self.delay, self.shuffled = ports, slots, stall, delay, shuffled
        self._ratio, self._phase = clock, 0
        self._request, self._returned = Fields(request(atom_bits)), Fields(returned())
        names = (
            "enable", "returned", "requests__valid", "requests__ready", "requests__payload", "starve_limit",
            "service__valid", "service__ready", "service__payload", "refused",
        )
        self._ports = {name: getattr(dut, name) for name in names}
        self._driven: dict[str, int] = {}
        self.memory: dict[int, bytearray] = {}
        self.bad: dict[int, int] = {}
        #: Reads under way: due clock, source, slot, data, bad.
        self._under_way: list[tuple[int, int, int, int, int]] = []
        self._tags: set[tuple[int, int]] = set()
        self._steady: int | None = None
        self._service_rate, self._service_atoms = service, service_atoms
        self._service: dict[str, int] | None = None
        self._service_slot = 0
        self._service_sent: list[dict[str, int]] = []
        self._service_expected: dict[int, int] = {}
        self.serviced = 0
        #: No read comes back while it is set.
        self.silent = False
        self.log: list[tuple[int, dict[str, int]]] = []
        self.offered: list[int] = []
        self.returns: list[int] = []
        self.refused = 0
        self._set("starve_limit", 8)

    def limit(self, value: int):
        """`starve_limit` from the next falling edge on."""
        self._driven.pop("starve_limit", None)
        self._set("starve_limit", value)

    def _set(self, name: str, value: int):
        if self._driven.get(name) != value:
            self._driven[name] = value
            self._ports[name].value = value

    def _get(self, name: str) -> int:
        return int(self._ports[name].value)

    def atom(self, number: int) -> bytearray:
        if number not in self.memory:
            self.memory[number] = bytearray(random.Random(number).randbytes(ATOM_BYTES))
        return self.memory[number]

    @property
    def idle(self) -> bool:
        return not self._under_way and self._service is None

    def drive(self, clock: int):
        p, q = self._ratio
        self._phase += p
        enable = self._phase >= q
        self._phase -= q if enable else 0
        self._set("enable", int(enable))
        if not enable:
            # What is driven between the enabled clocks counts for nothing.
            self._set("requests__ready", self._rng.getrandbits(1))
            return
        self._set("requests__ready", int(self._rng.random() >= self.stall))
        due = [] if self.silent else [entry for entry in self._under_way if entry[0] <= clock]
        if due and self._rng.random() >= self.stall:
            entry = self._rng.choice(due) if self.shuffled else due[0]
            self._under_way.remove(entry)
            _, source, slot, content, bad = entry
            self._tags.discard((source, slot))
            self._set("returned", self._returned.pack({
                "valid": 1, "tag.source": source, "tag.slot": slot, "data": content, "bad": bad,
            }))
            self.returns.append(clock)
            if source == Source.SERVICE.value:
                assert self._service_expected.pop(slot) == content, "the service read something else"
        else:
            self._set("returned", self._returned.pack({"valid": 0, "tag.source": self._rng.randrange(4)}))
        self._offer_service()

    def _offer_service(self):
        if self._service is None and self._service_atoms and self._rng.random() < self._service_rate:
            self._service_slot = (self._service_slot + 1) % 256
            write = self._rng.getrandbits(1)
            values = {"write": write, "urgent": 0, "atom": self._rng.choice(self._service_atoms)}
            if write:
                values |= {"data": self._rng.getrandbits(256), "strobe": self._rng.getrandbits(32) | 1}
            else:
                values |= {"tag.source": Source.SERVICE.value, "tag.slot": self._service_slot}
            self._service = values
            self._set("service__payload", self._request.pack(values))
        self._set("service__valid", int(self._service is not None))

    def sample(self, clock: int):
        self.refused += self._get("refused")
        valid = self._get("requests__valid")
        if valid:
            bits = self._get("requests__payload")
            assert self._steady in (None, bits), "a request changed while it waited"
            if self._steady is None:
                self.offered.append(clock)
            self._steady = bits
        else:
            assert self._steady is None, "a request was taken back"
        if not self._driven["enable"]:
            return
        # The service's request enters the arbiter's register before it comes out of it.
        if valid and self._driven["requests__ready"]:
            self._take(clock, self._request.unpack(self._steady))
            self._steady = None
        if self._service is not None and self._get("service__ready"):
            self._service_sent.append(self._service)
            self._service = None
            self.serviced += 1

    def _take(self, clock: int, values: dict[str, int]):
        self.log.append((clock, values))
        content = self.atom(values["atom"])
        if values["atom"] in self._service_atoms:
            sent = self._service_sent.pop(0)
            assert all(values[name] == value for name, value in sent.items()), "a request of the service changed"
        if values["write"]:
            assert values["strobe"], "a write without a strobe"
            word = values["data"].to_bytes(ATOM_BYTES, "little")
            for byte in range(ATOM_BYTES):
                if values["strobe"] >> byte & 1:
                    content[byte] = word[byte]
            return
        source, slot = values["tag.source"], values["tag.slot"]
        assert source == Source.SERVICE.value or (source < self.ports and slot < self.slots), f"tag {source}, {slot}"
        assert (source, slot) not in self._tags, f"slot {slot} of source {source} is used twice"
        self._tags.add((source, slot))
        word = int.from_bytes(content, "little")
        if source == Source.SERVICE.value:
            self._service_expected[slot] = word
        self._under_way.append((clock + self._rng.randint(*self.delay), source, slot, word, self.bad.get(values["atom"], 0)))
