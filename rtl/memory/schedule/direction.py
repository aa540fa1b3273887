"""Which direction the data bus has."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.timing import TIMER_BITS

__all__ = ["Direction"]


class Direction(wiring.Component):
    """Reads or writes: a direction is kept until it is dry.

    Dry means that no access of this direction to an open row can go out before the other direction could anyway: turning the bus takes
    a time that counts from the last column command, so waiting that long costs nothing and turning sooner would.

    Members
    -------
    read_to_write, write_to_read
        RD to WR, and WR to RD of another bank group.
    column
        The decision for a column command, of the present direction.
    hits
        Banks with an access of the present direction to their open row.
    opening
        Banks whose row is about to open for the present direction.
    left
        For each bank, clocks until its row may be accessed in the present direction.
    reads, writes
        An access of this direction waits.
    enough_writes, blocked
        Reasons to write: half of the pool is used; the port is stopped until a write has gone.
    read_expired, write_expired
        A request has waited for longer than the age limit.
    writing
        The present direction; it changes one clock after the reason.
    idle
        Clocks since the last column command or change, up to `PATIENCE`.
    """

    #: Column commands that a direction gets before it may be left, where it has as many.
    LEAST = 8
    #: Column commands after which it is left, and after which it is left for an expired request.
    MOST, MOST_EXPIRED = 256, 64
    #: Clocks without a column command after which it is left: some tRP + tRCD.
    PATIENCE = 40

    def __init__(self):
        super().__init__({
            "read_to_write": In(TIMER_BITS), "write_to_read": In(TIMER_BITS), "column": In(1), "hits": In(BANKS), "opening": In(BANKS),
            **{f"left{index}": In(TIMER_BITS) for index in range(BANKS)},
            "reads": In(1), "writes": In(1), "enough_writes": In(1), "blocked": In(1), "read_expired": In(1), "write_expired": In(1),
            "writing": Out(1), "idle": Out(range(self.PATIENCE + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        writing = self.writing
        turn = Signal()

        count = Signal(range(self.MOST + 1))
        with m.If(turn):
            m.d.sync += count.eq(0)
        with m.Elif(self.column & (count != self.MOST)):
            m.d.sync += count.eq(count + 1)

        # Clocks until the other direction could start, less a margin for the change itself; 0 once it could.
        reach = Signal(TIMER_BITS)
        patient = self.idle != self.PATIENCE
        with m.If(turn | self.column):
            m.d.sync += [reach.eq(Mux(writing ^ turn, self.write_to_read - 2, self.read_to_write - 1)), self.idle.eq(0)]
        with m.Else():
            m.d.sync += [reach.eq(reach - reach.any()), self.idle.eq(self.idle + patient)]
        in_reach = Signal(BANKS)
        m.d.comb += in_reach.eq(
            (self.hits & Cat(getattr(self, f"left{index}") <= reach for index in range(BANKS))) | self.opening
        )
        # A clock late, which costs nothing as long as the bus could not turn yet.
        dry = Signal()
        m.d.sync += dry.eq(~in_reach.any() & ~self.column & ~turn)

        here, there = Mux(writing, self.writes, self.reads), Mux(writing, self.reads, self.writes)
        wanted = Mux(writing, 1, self.enough_writes | self.blocked | ~patient | self.write_expired)
        done = (
            ~here | (dry & (count >= self.LEAST)) | ~patient | (count == self.MOST)
            | (Mux(writing, self.read_expired, self.write_expired) & (count >= self.MOST_EXPIRED))
        )
        m.d.comb += turn.eq(there & wanted & done & ~self.column)
        m.d.sync += writing.eq(writing ^ turn)
        return m
