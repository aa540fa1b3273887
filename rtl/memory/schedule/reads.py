"""The reads that wait for one bank, and its row."""

from amaranth import Cat, EnableInserter, Module, Mux, Signal
from amaranth.hdl import Assert
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.memory.interface import Tag
from rtl.memory.schedule.entries import first, pick, waiting_read

__all__ = ["BankReads"]


class BankReads(EmitOnce):
    """A queue of `depth` reads in the order of their age, any of which may leave, and which of them the open row serves.

    Members
    -------
    enable
        Steps it.
    tick
        Half an age limit has passed: a read that has seen two of them has expired.
    push, pushed, pushed_ticks, pushed_urgent
        A read comes in, with the ticks that it has seen (thermometer) and its class of service; only with `room`.
    take
        The candidate leaves.
    activate, act_row
        The decision for an ACT of the row. Hits are seen from the second clock after it.
    close
        The decision for a PRE.
    probe_row, probe_column
        Of the request at the intake.
    open, opening
        A row is open, or will be after the next clock.
    any, room
        A read waits; there is room for one.
    hit
        A read of the open row waits: the oldest of them is the candidate `column`, `tag`.
    capped
        The oldest read has expired and is no hit.
    expired
        The oldest read has expired.
    urgent, urgent_hit
        An urgent read waits; one of the open row does.
    row
        Of the oldest read, or of the oldest urgent one, until the oldest has expired.
    open_row
        The one that is open.
    holds
        A read of the probed atom waits.
    same_row
        The open row is the probed one.
    """

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__({
            "enable": In(1), "tick": In(1),
            "push": In(1), "pushed": In(waiting_read()), "pushed_ticks": In(2), "pushed_urgent": In(1), "take": In(1),
            "activate": In(1), "act_row": In(15), "close": In(1), "probe_row": In(15), "probe_column": In(5),
            "open": Out(1), "opening": Out(1), "any": Out(1), "room": Out(1), "hit": Out(1), "capped": Out(1), "expired": Out(1),
            "urgent": Out(1), "urgent_hit": Out(1),
            "column": Out(5), "tag": Out(Tag), "row": Out(15), "open_row": Out(15), "holds": Out(1), "same_row": Out(1),
        })

    @property
    def key(self) -> tuple:
        return (self.depth,)

    def build(self, platform):
        m = Module()
        depth = self.depth
        entries = [Signal(waiting_read(), name=f"entry{index}") for index in range(depth)]
        valid, hits, seen, expired, urgent = (Signal(depth, name=name) for name in ("valid", "hits", "seen", "expired", "urgents"))
        open_row = self.open_row

        candidate, first_urgent = first(m, hits, "candidate"), first(m, urgent, "first_urgent")
        hurried = urgent.any() & ~expired[0]
        m.d.comb += [
            self.any.eq(valid[0]), self.room.eq(~valid[-1]), self.hit.eq(hits.any()),
            self.row.eq(Mux(hurried, pick(first_urgent, [entry.row for entry in entries]), entries[0].row)),
            self.capped.eq(expired[0] & ~hits[0]), self.expired.eq(expired[0]),
            self.urgent.eq(urgent.any()), self.urgent_hit.eq((urgent & hits).any()),
            Cat(self.column, self.tag).eq(pick(candidate, [Cat(entry.column, entry.tag) for entry in entries])),
            self.holds.eq(Cat(
                valid[index] & (Cat(entry.column, entry.row) == Cat(self.probe_column, self.probe_row))
                for index, entry in enumerate(entries)
            ).any()),
            self.same_row.eq(self.open & ~self.close & (open_row == self.probe_row)),
        ]

        keep, left, tail = (Signal(depth, name=name) for name in ("keep", "left", "tail"))
        m.d.comb += [
            keep.eq((candidate - 1) | (~self.take).replicate(depth)),
            left.eq(Mux(self.take, valid >> 1, valid)),
            tail.eq(Cat(self.push, (left & self.push.replicate(depth))[:-1]) & ~left),
        ]
        for index, entry in enumerate(entries):
            above = entries[index + 1] if index + 1 < depth else entry
            m.d.sync += entry.eq(Mux(tail[index], self.pushed, Mux(keep[index], entry, above)))

        def moved(bits):
            return (bits & keep) | ((bits >> 1) & ~keep)

        matching = Signal(depth)
        m.d.comb += matching.eq(Mux(
            self.opening, valid & Cat(entry.row == open_row for entry in entries), hits & (~self.close).replicate(depth),
        ))
        pushed_hit = self.open & ~self.close & (self.pushed.row == open_row)
        expired_now, seen_now = Signal(depth), Signal(depth)
        m.d.comb += [
            expired_now.eq(expired | (seen & self.tick.replicate(depth))), seen_now.eq(seen | (valid & self.tick.replicate(depth))),
        ]
        m.d.sync += [
            valid.eq(left | tail),
            hits.eq(moved(matching) | (tail & pushed_hit.replicate(depth))),
            seen.eq(moved(seen_now) | (tail & self.pushed_ticks[0].replicate(depth))),
            urgent.eq((moved(urgent) & left) | (tail & self.pushed_urgent.replicate(depth))),
            expired.eq(moved(expired_now) | (tail & self.pushed_ticks[1].replicate(depth))),
            Assert(~self.push | ~left[-1], "there is room for the read"), Assert(~self.take | hits.any(), "the read that leaves hits"),
            Assert(~self.activate | ~self.open, "no ACT of an open bank"), Assert(~self.close | ~self.opening, "no PRE with the ACT"),
            self.opening.eq(self.activate), self.open.eq((self.open | self.activate) & ~self.close),
        ]
        with m.If(self.activate):
            m.d.sync += open_row.eq(self.act_row)
        return EnableInserter(self.enable)(m)
