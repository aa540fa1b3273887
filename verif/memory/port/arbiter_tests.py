"""The arbiter alone: a referee that knows its rules watches every clock."""

from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.memory.interface import request
from rtl.memory.port.layouts import read_offer, write_offer
from verif.common import clock
from verif.common.coverage import Plan
from verif.common.params import params, rng
from verif.memory.port.below import Fields

ATOM_BITS = 6
BLOCK = "memory_arbiter"


class Source:
    """One stream input. `write` and `urgent` are those of its offer, or None."""

    def __init__(self, dut, name: str, layout, direction: int | None, random):
        self._ports = [getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")]
        self._fields, self._direction, self._random = Fields(layout), direction, random
        self.name = name
        self.offer: dict[str, int] | None = None
        self._number = 0

    @property
    def write(self) -> int:
        return self.offer.get("write", self._direction)

    def drive(self, rate: float, urgent: float):
        if self.offer is None and self._random.random() < rate:
            self._number += 1
            drawn = {name: self._random.getrandbits(width) for name, (_, width) in self._fields.places.items()}
            self.offer = {**drawn, "urgent": int(self._random.random() < urgent)}
            if "tag.source" in drawn:
                self.offer["tag.source"] = 1
            self._ports[2].value = self._fields.pack(self.offer)
        self._ports[0].value = int(self.offer is not None)

    def ready(self) -> bool:
        return bool(int(self._ports[1].value))


class Referee:
    """The rules, from the arbiter's contract: who may be taken, given who waits."""

    def __init__(self, count: int):
        self.passed = [0] * count
        self._served: dict[str, list[set[int]]] = {name: [set() for _ in range(count)] for name in ("starved", "urgent", "other")}
        self.plan = Plan(BLOCK, {"cp_choice": ["starved", "urgent", "other"]}, {})

    def judge(self, sources: list[Source], taken: int, limit: int):
        waits = [n for n, source in enumerate(sources) if source.offer is not None]
        urgent = [n for n in waits if sources[n].offer["urgent"] and limit]
        starved = [n for n in waits if n not in urgent and limit and self.passed[n] >= limit]
        name, group = "other", waits
        if starved:
            name, group = "starved", starved
        elif urgent:
            name, group = "urgent", urgent
        assert taken in group, f"{sources[taken].name} is taken among {waits}: the {name} ones {group} are due"
        self.plan.sample(cp_choice=name)
        # In turn: nobody is taken twice while another of the class waits.
        for n, served in enumerate(self._served[name]):
            if n in group and n != taken:
                assert taken not in served, f"{sources[taken].name} is taken twice while {sources[n].name} waits"
                served.add(taken)
            else:
                served.clear()
        for n in range(len(self.passed)):
            if n not in waits or n == taken or n in urgent:
                self.passed[n] = 0
            elif taken in urgent:
                self.passed[n] += 1
        assert not limit or max(self.passed) <= self._most(limit), f"passed by {self.passed}, limit {limit}"

    def _most(self, limit: int) -> int:
        """The limit may have been larger a while ago."""
        self._limits = [*getattr(self, "_limits", [])[-400:], limit]
        return max(self._limits)


@cocotb.test()
async def rules(dut):
    """Every choice is checked: starved, urgent, others; holds; turns; nothing is lost, changed or kept back."""
    ports, random = params()["ports"], rng("arbiter")
    await clock.start(dut, 50_000)
    sources = []
    for number in range(ports):
        sources.append(Source(dut, f"reads__{number}", read_offer(ATOM_BITS), 0, random))
        sources.append(Source(dut, f"writes__{number}", write_offer(ATOM_BITS), 1, random))
    sources.append(Source(dut, "service", request(ATOM_BITS), None, random))
    referee, out = Referee(len(sources)), Fields(request(ATOM_BITS))
    expected: deque[dict[str, int]] = deque()
    limit = 0
    rates, urgent, stall = [1.0] * len(sources), 0.5, 0.0
    for cycle in range(params()["clocks"]):
        await FallingEdge(dut.clk)
        if cycle % 150 == 0:
            rates = [random.choice((0.02, 0.3, 1.0)) for _ in sources]
            urgent, stall = random.choice((0.1, 0.5, 0.95)), random.choice((0, 0.3))
            limit = random.choice((0, 1, 2, 5, 20))
        for source, rate in zip(sources, rates, strict=True):
            source.drive(rate, urgent)
        ready = int(random.random() >= stall)
        dut.requests__ready.value = ready
        dut.starve_limit.value = limit
        await ReadOnly()
        valid = int(dut.requests__valid.value)
        assert valid == len(expected), "a request is lost or made up"
        if valid:
            got = out.unpack(int(dut.requests__payload.value))
            differs = [name for name, value in expected[0].items() if got[name] != value]
            assert not differs, f"a request changed in {differs}"
            if ready:
                expected.popleft()
        waits = [n for n, source in enumerate(sources) if source.offer is not None]
        taken = [n for n in waits if sources[n].ready()]
        assert len(taken) == int(bool(waits) and not expected), f"{len(taken)} of {len(waits)} are taken, {len(expected)} at the output"
        if taken:
            referee.judge(sources, taken[0], limit)
            source = sources[taken[0]]
            expected.append({"write": source.write, **source.offer})
            source.offer = None
        else:
            # Requests that leave no trace: only those that wait keep their counts.
            assert all(referee.passed[n] == 0 or n in waits for n in range(len(sources)))
    referee.plan.export()
