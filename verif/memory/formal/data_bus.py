"""One owner of the data bus in every clock: what the distances of column commands are for."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.channel import ChannelTimers
from rtl.memory.timing import BURST_CLOCKS, TimingValues
from verif.formal.model import observe
from verif.formal.prove import Goal
from verif.memory.formal.rules import Since, Sums, valid
from verif.memory.formal.timers import ColumnWish, counts

__all__ = ["GOALS", "DataBus"]

#: Clocks that the future of the bus is kept for: RL and WL are 60 at the most.
AHEAD = 60 + BURST_CLOCKS


class DataBus(wiring.Component):
    """`ChannelTimers` and a sender of column commands that does what they allow; and the bus, with an owner for each clock to come.

    A read sent in a clock has the bus RL and RL + 1 clocks later, a write WL and WL + 1. No command may take a clock that is taken, all
    data come in the order of their commands, and between read data and write data that follow them lie tRTW_GAP idle clocks.

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
        last_read, last_write, last = Since("read"), Since("write"), Since("column")
        last_read.count(m, read)
        last_write.count(m, write)
        last.count(m, read | write)
        # Idle clocks of the bus since it last carried read data.
        idle = Since("read_data")
        idle.count(m, reads[0])

        def before(bits: Value, end: Value) -> Value:
            """Nothing lies at or behind `end`."""
            return (bits >> end[:6]) == 0

        end = t.WL + BURST_CLOCKS
        m.d.sync += [
            Assume(Cat(valid(t, sums)).all()),
            Assert(~(read | write) | ((reads | writes) & claim == 0), "no clock is taken twice"),
            Assert(~(read & write), "one command"),
            Assert(~(reads[0] & writes[0]), "one owner"),
            Assert(~read | (before(reads, t.RL) & before(writes, t.RL)), "a read's data come last"),
            Assert(~write | (before(writes, t.WL) & before(reads, t.WL)), "a write's data come last"),
            Assert(~write | before(reads, Mux(t.WL > sums.tRTW_GAP, t.WL - sums.tRTW_GAP, 0)), "the gap to read data that are to come"),
            Assert(~write | (idle.value + t.WL > sums.tRTW_GAP), "the gap to read data that have been"),
            Cover(read & (writes != 0) & (last_write.value < 30), "a read while write data are under way"),
            Cover(write & (reads != 0), "a write while read data are under way"),
            Cover(read & (reads & (claim >> BURST_CLOCKS) != 0), "reads without a gap"),
        ]
        if not self.weaken:
            m.d.sync += [
                # Where the last data of each kind lie, seen from now.
                Assert(before(reads, Mux(last_read.value < t.RL + 2, t.RL + 2 - last_read.value, 0)), "lemma: reads under way"),
                Assert(before(writes, Mux(last_write.value < end, end - last_write.value, 0)), "lemma: writes under way"),
                Assert(last.value <= last_read.value, "lemma: reads are columns"), Assert(last.value <= last_write.value, "lemma: writes are"),
                Assert(~(reads & writes).any(), "lemma: owners to come"),
                # Read data that have been: those of a command RL + 2 clocks ago or more.
                Assert((last_read.value < t.RL + 2) | (idle.value + t.RL + 1 >= last_read.value) | (idle.value == idle.end), "lemma: idle"),
            ]
            for name, since, clocks in (
                ("tCCD_S", last, t.tCCD_S), ("tWTR_S", last_write, t.write_to_read_S), ("tRTW", last_read, t.read_to_write),
            ):
                m.d.sync += Assert(counts(registers[f"{name}.left"], since.value, clocks), f"lemma: {name}")
        return m


GOALS = [
    Goal("data_bus", DataBus, depth=1),
    *(
        Goal(f"data_bus_{field}", lambda field=field: DataBus(field), "bounded", 12, "broken")
        for field in ("tCCD_S", "read_to_write")
    ),
]
