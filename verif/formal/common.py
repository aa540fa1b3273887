"""The small parts that everything uses: stages of streams, counting zeros, the number of a bit."""

from amaranth.hdl import Assert, Cover, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.common.bits import leading_zeros, number_of
from rtl.common.stream import StreamFifo, StreamRegister
from verif.formal.model import observe
from verif.formal.prove import Goal

__all__ = ["GOALS", "LeadingZeros", "NumberOf", "Stage"]


class Stage(wiring.Component):
    """A stage of a stream beside a queue that holds what went in and has not come out.

    What comes out is the oldest of them, whoever stalls: nothing is lost, repeated or overtaken. What is offered stays until it is taken.

    Parameters
    ----------
    stage
        Makes it, for items of 4 bits: nothing depends on what is in them.
    room
        Items that it can hold.
    lemmas
        From its registers, the count and the items of the queue: invariants. Without them, only a bounded proof is possible.
    fault
        "lose": of two items in a row that are equal, the queue holds one. "change": it holds an item inverted if three were there before.
    """

    valid: In(1)
    payload: In(4)
    accepted: Out(1)
    offered: Out(1)
    output: Out(4)
    ready: In(1)

    def __init__(self, stage, room: int, lemmas=None, fault: str = ""):
        super().__init__()
        self.stage, self.room, self.lemmas, self.fault = stage, room, lemmas, fault

    def elaborate(self, platform):
        m = Module()
        stage = self.stage()
        registers = observe(m, "stage", stage)
        items = [Signal(4, name=f"item{k}") for k in range(self.room + 1)]
        count = Signal(range(self.room + 2))
        enters, leaves = self.valid & self.accepted, self.offered & self.ready
        m.d.comb += [
            stage.input.valid.eq(self.valid), stage.input.payload.eq(self.payload), self.accepted.eq(stage.input.ready),
            self.offered.eq(stage.output.valid), self.output.eq(stage.output.payload), stage.output.ready.eq(self.ready),
        ]
        last, again = Signal(4), Signal()
        with m.If(enters):
            m.d.sync += [last.eq(self.payload), again.eq(1)]
        dropped = again & (last == self.payload) if self.fault == "lose" else 0
        queued = enters & ~dropped
        place = (count - leaves)[:len(count)]
        m.d.sync += count.eq(count + queued - leaves)
        for k, item in enumerate(items):
            older = items[k + 1] if k < self.room else item
            changed = Mux(count >= 3, ~self.payload, self.payload) if self.fault == "change" else self.payload
            m.d.sync += item.eq(Mux(queued & (place == k), changed, Mux(leaves, older, item)))

        stalled, before = Signal(), Signal(4)
        m.d.sync += [stalled.eq(self.offered & ~self.ready), before.eq(self.output)]
        m.d.sync += [
            Assert(~self.offered | (count != 0), "nothing comes out that did not go in, or twice"),
            Assert(~self.offered | (self.output == items[0]), "in order, unchanged"),
            Assert(count <= self.room, "no more inside than there is room"),
            Assert(~stalled | self.offered, "an offer is not taken back"),
            Assert(~stalled | (self.output == before), "an offer is not changed"),
            Cover((count == self.room) & leaves, "one leaves a full stage"),
            Cover(stalled & leaves, "taken after a stall"),
        ]
        # Nothing is lost: what is inside must come out, at the latest in so many clocks. Counted while something is inside unoffered.
        hidden = Signal(3)
        m.d.sync += [
            hidden.eq(Mux((count != 0) & ~self.offered & (hidden != 7), hidden + 1, 0)),
            Assert(hidden <= 2, "what is inside comes out"),
        ]
        if hasattr(stage, "level") and not self.fault:
            m.d.sync += Assert(stage.level == count, "level counts what is inside")
        if self.lemmas is not None:
            m.d.sync += [
                Assert(lemma, f"lemma {number}") for number, lemma in enumerate(self.lemmas(stage, registers, count, items, hidden))
            ]
        return m


def register_lemmas(stage: StreamRegister, registers: dict[str, Signal], count, items, hidden) -> list:
    held_valid = registers["held_valid"]
    return [
        count == stage.output.valid + held_valid, ~held_valid | stage.output.valid,
        ~held_valid | (registers["held"] == items[1]), hidden == 0,
    ]


class LeadingZeros(wiring.Component):
    """`leading_zeros` of every value of `width` bits but 0, against the place of the highest bit that is set."""

    def __init__(self, width: int, fault: bool = False):
        self.width, self.fault = width, fault
        super().__init__({"value": In(width), "zeros": Out(range(width))})

    def elaborate(self, platform):
        m = Module()
        expected = Signal(range(self.width))
        for place in range(self.width):
            # Later statements win: the highest bit that is set.
            with m.If(self.value[place]):
                m.d.comb += expected.eq(self.width - 1 - place)
        counted = leading_zeros(m, self.value & ((1 << self.width) - 2) if self.fault else self.value)
        m.d.comb += self.zeros.eq(counted)
        m.d.sync += [
            Assert((self.value == 0) | (counted == expected), "the zeros above the highest one"),
            Cover((self.value != 0) & (counted == self.width - 1), "only the lowest bit"),
        ]
        return m


class NumberOf(wiring.Component):
    """`number_of` of every one-hot value of `width` bits, and of 0, against the place of the bit; `fault`: the lowest bit is lost."""

    def __init__(self, width: int, fault: bool = False):
        self.width, self.fault = width, fault
        super().__init__({"place": In(range(width)), "some": In(1), "number": Out(range(width))})

    def elaborate(self, platform):
        m = Module()
        found = Signal(range(self.width))
        m.d.comb += [
            found.eq(number_of(Mux(self.some, 1 << self.place, 0)[:self.width]) & (~1 if self.fault else ~0)), self.number.eq(found),
        ]
        inside = self.place < self.width
        m.d.sync += [
            Assert(~inside | (found == Mux(self.some, self.place, 0)), "the place of the bit"),
            Cover(self.some & (found == self.width - 1), "the last place"),
        ]
        return m


_FIFOS = {"quick": (1, 3), "long": (2, 4, 5)}


def _fifo(depth: int, tier: str) -> Goal:
    # Every pointer wraps at least twice, with any stalls in between.
    return Goal(
        f"stream_fifo_{depth}", lambda: Stage(lambda: StreamFifo(4, depth), depth), "bounded", 2 * depth + 6, reach=2 * depth + 6,
        long=tier == "long",
    )


GOALS = [
    Goal("stream_register", lambda: Stage(lambda: StreamRegister(4), 2, register_lemmas)),
    *(_fifo(depth, tier) for tier, depths in _FIFOS.items() for depth in depths),
    Goal("stream_register_loses", lambda: Stage(lambda: StreamRegister(4), 2, fault="lose"), "bounded", 10, "broken"),
    Goal("stream_fifo_changes", lambda: Stage(lambda: StreamFifo(4, 4), 4, fault="change"), "bounded", 12, "broken"),
    *(Goal(f"leading_zeros_{width}", lambda width=width: LeadingZeros(width)) for width in (2, 5, 24, 33, 64, 65, 77, 200)),
    Goal("leading_zeros_fault", lambda: LeadingZeros(24, fault=True), "bounded", 2, "broken"),
    *(Goal(f"number_of_{width}", lambda width=width: NumberOf(width)) for width in (2, 5, 16, 32)),
    Goal("number_of_fault", lambda: NumberOf(5, fault=True), "bounded", 2, "broken"),
]
