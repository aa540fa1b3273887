"""One owner of the data bus in every clock: what the distances of column commands are for."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.channel import ChannelTimers
from rtl.memory.timing import BURST_CLOCKS, TimingValues
from verif.formal.model import observe
from verif.formal.prove import Goal
from verif.memory.formal.rules import Since, Sums, valid
from verif.memory.formal.timers import ColumnWish

__all__ = ["GOALS", "DataBus"]

#: Clocks that the future of the bus is kept for: RL and WL are 60 at the most.
AHEAD = 60 + BURST_CLOCKS


class DataBus(wiring.Component):
    """`ChannelTimers` and a sender of column commands that does what they allow; and the bus, with an owner for each clock to come.

    A read sent in a clock has the bus RL and RL + 1 clocks later, a write WL and WL + 1. No command may take a clock that is taken,
    and write data come after all read data of earlier commands, with tRTW_GAP idle clocks in between.

    Parameters
    ----------
    weaken
        A field of TimingValues that the timers get one clock too short.
    """

    constants = ("timing", "sums")
    timing: In(TimingValues)
    sums: In(Sums)
    wish: In(ColumnWish)
    group: In(2)
    RD: Out(1)
    WR: Out(1)
    reading: Out(1)
    writing: Out(1)

    def __init__(self, weaken: str = ""):
        super().__init__()
        self.weaken = weaken

    def elaborate(self, platform):
        m = Module()
        channel = ChannelTimers()
        registers = observe(m, "channel", channel)
        t, sums = self.timing, self.sums
        given = Signal(TimingValues)
        m.d.comb += given.eq(t)
        if self.weaken:
            m.d.comb += given[self.weaken].eq(t[self.weaken] - 1)
        read = (self.wish == ColumnWish.RD) & channel.can_read.bit_select(self.group, 1)
        write = (self.wish == ColumnWish.WR) & channel.can_write.bit_select(self.group, 1)
        m.d.comb += [
            channel.timing.eq(given), channel.read.eq(read), channel.write.eq(write), channel.column_group.eq(self.group),
            self.RD.eq(read), self.WR.eq(write),
        ]

        # Bit k of each: the bus carries such data k clocks from now.
        reads, writes = Signal(AHEAD), Signal(AHEAD)
        claim = Signal(AHEAD)
        burst = (1 << BURST_CLOCKS) - 1
        m.d.comb += [
            claim.eq(burst << Mux(read, t.RL, t.WL)), self.reading.eq(reads[0]), self.writing.eq(writes[0]),
        ]
        m.d.sync += [reads.eq((reads | Mux(read, claim, 0)) >> 1), writes.eq((writes | Mux(write, claim, 0)) >> 1)]
        wrote = Signal()
        m.d.sync += wrote.eq(wrote | write)
        # Idle clocks of the bus since it last carried read data.
        idle = Since("read_data")
        idle.count(m, reads[0])

        def before(bits: Value, end: Value) -> Value:
            """Nothing lies at or behind `end`."""
            return Cat(~bits[k] | (k < end) for k in range(AHEAD)).all()

        m.d.sync += [
            Assume(Cat(valid(t, sums)).all()),
            Assert(~(read | write) | ((reads | writes) & claim == 0), "no clock is taken twice"),
            Assert(~(read & write), "one command"),
            Assert(~(reads[0] & writes[0]), "one owner"),
            Assert(~write | before(reads, Mux(t.WL > sums.tRTW_GAP, t.WL - sums.tRTW_GAP, 0)), "the gap to read data that are to come"),
            Assert(~write | (idle.value + t.WL > sums.tRTW_GAP), "the gap to read data that have been"),
            Cover(read & wrote, "a read is sent after a write"),
            Cover(write & (reads != 0), "a write while read data are under way"),
            Cover(read & (reads & (claim >> BURST_CLOCKS) != 0), "reads without a gap"),
        ]
        if not self.weaken:
            m.d.sync += self._lemmas(m, registers, read, write, reads, writes, idle, before)
        return m

    def _lemmas(self, m: Module, registers: dict[str, Signal], read, write, reads, writes, idle: Since, before) -> list:
        """Where the data under way end, and what the timers have to do with it."""
        t, gap = self.timing, self.sums.tRTW_GAP
        left = {name: registers[f"{name}.left"] for name in ("tCCD_S", "tWTR_S", "tRTW")}
        # All data under way lie before these, which come nearer by one in each clock.
        read_end, write_end = Signal(7), Signal(7)
        for end, sent, latency in ((read_end, read, t.RL), (write_end, write, t.WL)):
            m.d.sync += end.eq(Mux(sent, latency + BURST_CLOCKS - 1, Mux(end == 0, 0, end - 1)))
        return [
            Assert(before(reads, read_end), "lemma: reads under way"), Assert(before(writes, write_end), "lemma: writes under way"),
            Assert(read_end < t.RL + BURST_CLOCKS, "lemma: reads end"), Assert(write_end < t.WL + BURST_CLOCKS, "lemma: writes end"),
            Assert((reads & writes) == 0, "lemma: owners to come"),
            Assert((left["tCCD_S"] > 1) | ((read_end <= t.RL) & (write_end <= t.WL)), "lemma: tCCD_S"),
            Assert((write_end == 0) | (left["tWTR_S"] >= write_end + 2), "lemma: tWTR_S"),
            Assert((read_end == 0) | Mux(
                left["tRTW"] > 1, read_end + gap + 1 == left["tRTW"] + t.WL, read_end + gap <= t.WL), "lemma: tRTW before the end"),
            Assert((read_end != 0) | (idle.value == idle.end) | (idle.value + t.WL + left["tRTW"] >= gap + 2), "lemma: tRTW after it"),
        ]


GOALS = [
    Goal("data_bus", DataBus, depth=1, long=True),
    *(
        Goal(f"data_bus_{field}", lambda field=field: DataBus(field), "bounded", 12, "broken")
        for field in ("tCCD_S", "read_to_write")
    ),
]
