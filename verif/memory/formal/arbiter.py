"""Nobody starves at the arbiter of the ports."""

from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.arbiter import LIMIT_BITS, Arbiter
from verif.formal.model import observe
from verif.formal.prove import Goal

__all__ = ["GOALS", "Waiting"]


class Waiting(wiring.Component):
    """`Arbiter` with any requests, and one requester, `watched`, whose request is not urgent and stays until it is taken.

    While it waits, at most `starve_limit` urgent requests pass it. Once that many have, each of the others is taken once at the most before
    it. And if it is a read, each of the others is taken once at the most for the reason that it was its turn. Counted in requests taken,
    since how long a request takes is up to what follows.

    Parameters
    ----------
    ports
        Of the arbiter. Each has a source of reads and one of writes, side by side; the last source is the service.
    fault
        The arbiter gets a limit that is one more.
    """

    constants = ("watched", "starve_limit", "service_writes")

    def __init__(self, ports: int = 2, fault: bool = False):
        self.ports, self.fault = ports, fault
        self.count = 2 * ports + 1
        super().__init__({
            "watched": In(range(self.count)), "starve_limit": In(LIMIT_BITS), "ready": In(1), "service_writes": In(1),
            "valid": In(self.count), "urgent": In(self.count), "taken": Out(self.count), "urgent_before": Out(LIMIT_BITS + 1),
            "before": Out(range(self.count + 1)), "turns_before": Out(range(self.count + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        count, watched = self.count, self.watched
        arbiter = Arbiter(8, self.ports)
        registers = observe(m, "arbiter", arbiter)
        sources = [source for pair in zip(arbiter.reads, arbiter.writes, strict=True) for source in pair] + [arbiter.service]
        m.d.comb += [
            arbiter.starve_limit.eq(self.starve_limit + self.fault),
            arbiter.requests.ready.eq(self.ready), arbiter.service.payload.write.eq(self.service_writes),
        ]
        for number, source in enumerate(sources):
            m.d.comb += [
                source.valid.eq(self.valid[number]), source.payload.urgent.eq(self.urgent[number]),
                self.taken[number].eq(source.valid & source.ready),
            ]

        waits = self.valid.bit_select(watched, 1)
        mine = self.taken.bit_select(watched, 1)
        passes = self.taken.any() & ~mine
        urgent_passes = passes & (self.taken & self.urgent).any() & (self.starve_limit != 0)
        starved = (self.urgent_before >= self.starve_limit) & (self.starve_limit != 0)
        is_read = ~Mux(watched == count - 1, self.service_writes, watched[0])
        others_starved = (Cat(
            self.valid[number] & (~self.urgent[number] | (self.starve_limit == 0)) & (registers[f"passed{number}"] >= self.starve_limit)
            for number in range(count)
        ) != 0) & (self.starve_limit != 0)
        turn_passes = passes & ~urgent_passes & ~others_starved
        done = mine | ~waits
        waited = Signal()
        m.d.sync += [
            waited.eq(waits & ~mine),
            self.urgent_before.eq(Mux(done, 0, self.urgent_before + urgent_passes)),
            self.before.eq(Mux(done, 0, self.before + (passes & starved))),
            self.turns_before.eq(Mux(done, 0, self.turns_before + turn_passes)),
        ]
        m.d.sync += [
            Assume(watched < count), Assume(~waits | ~self.urgent.bit_select(watched, 1)), Assume(~waited | waits),
            Assert((self.starve_limit == 0) | (self.urgent_before <= self.starve_limit), "no more urgent ones pass than the limit"),
            Assert(self.before < count, "once starved, each other one once"),
            Assert(~is_read | (self.turns_before < count), "a read's turn comes"),
            Assert((self.taken & (self.taken - 1)[:count]) == 0, "one at a time"),
            Cover(mine & (self.urgent_before == 2) & (self.starve_limit == 2) & (self.before == 1), "taken when starved, after another"),
            Cover(mine & (self.turns_before == 2), "taken in turn"),
        ]
        if self.fault:
            return m

        # A turn begins behind the last one that was taken: so many come before the watched one.
        def distance(name: str) -> tuple[Value, Value]:
            after = registers[f"{name}.after"]
            first = Array([*range(count), 0])[sum(~after[k] & 1 for k in range(count))]
            ahead = Mux(watched >= first, watched - first, watched + count - first)[:4]
            shape = Cat((after == ((1 << count) - (1 << k)) % (1 << count)) for k in range(count + 1)).any()
            return ahead, shape

        starved_ahead, starved_shape = distance("turn_starved")
        turn_ahead, turn_shape = distance("turn_other")
        m.d.sync += [
            Assert(starved_shape, "lemma: turn of the starved"), Assert(turn_shape, "lemma: turn of the others"),
            Assert(Array(registers[f"passed{k}"] for k in range(count))[watched] == self.urgent_before, "lemma: passed"),
            Assert((self.before == 0) | (self.before + starved_ahead < count), "lemma: starved"),
            Assert(~is_read | ~waited | (self.turns_before == 0) | (self.turns_before + turn_ahead < count), "lemma: turns"),
            Assert(waited | ((self.urgent_before == 0) & (self.before == 0) & (self.turns_before == 0)), "lemma: nothing counted"),
            Assert((self.before == 0) | starved, "lemma: counted when starved"),
        ]
        return m


GOALS = [
    Goal("arbiter", Waiting), Goal("arbiter_four_ports", lambda: Waiting(4), long=True),
    Goal("arbiter_fault", lambda: Waiting(fault=True), "bounded", 10, "broken", "no more urgent"),
]
