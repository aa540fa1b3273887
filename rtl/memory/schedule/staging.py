"""Reads whose bank's queue had no room when they came."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS, Location
from rtl.memory.interface import Tag
from rtl.memory.schedule.entries import Entries, first

__all__ = ["Staging"]


class Staging(wiring.Component):
    """`depth` reads of any bank; in each clock the oldest one whose bank has room moves on. Reads of one bank keep their order.

    Members
    -------
    tick
        As in :class:`rtl.memory.schedule.reads.BankReads`.
    push, location, tag
        A read comes in; only with `free`.
    room
        The banks' queues with room.
    moves, moved, moved_tag, moved_ticks
        A read leaves for its bank.
    free
        There is room for one.
    empty
        Nothing waits here.
    probe, holds
        A read of the probed atom waits here.
    """

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__({
            "tick": In(1), "push": In(1), "location": In(Location), "tag": In(Tag), "room": In(BANKS),
            "moves": Out(1), "moved": Out(Location), "moved_tag": Out(Tag), "moved_ticks": Out(2),
            "free": Out(1), "empty": Out(1), "probe": In(Location), "holds": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        fields = {"row": 15, "bank": 4, "column": 5, "tag": 11, "seen": 1, "expired": 1}
        entries = Entries(m, "staged", self.depth, fields)
        bank = self.location.as_value()[5:9]
        seen, expired = entries.fields["seen"][0], entries.fields["expired"][0]
        leaves = first(m, entries.valid & entries.select("bank", self.room), "leaves")
        ticks = self.tick.replicate(self.depth)
        m.d.comb += [
            self.free.eq(~entries.valid[-1]), self.empty.eq(~entries.valid[0]), self.moves.eq(leaves.any()),
            self.moved.column.eq(entries.value("column", leaves)), self.moved.as_value()[5:9].eq(entries.value("bank", leaves)),
            self.moved.row.eq(entries.value("row", leaves)), self.moved_tag.eq(entries.value("tag", leaves)),
            self.moved_ticks[0].eq(entries.value("seen", leaves) | self.tick),
            self.moved_ticks[1].eq(entries.value("expired", leaves) | (entries.value("seen", leaves) & self.tick)),
            self.holds.eq(entries.same(
                "same", row=self.probe.row, bank=self.probe.as_value()[5:9], column=self.probe.column).any()),
        ]
        entries.step(
            leaves, self.push,
            {"row": self.location.row, "bank": bank, "column": self.location.column, "tag": self.tag.as_value(), "seen": 0, "expired": 0},
            {"seen": seen | (entries.valid & ticks), "expired": expired | (seen & ticks)},
        )
        return m
