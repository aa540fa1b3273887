"""Sends the column commands: in order but for a small window, in which bank groups interleave."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS
from rtl.memory.requests import column_request

__all__ = ["ColumnStage"]


class ColumnStage(wiring.Component):
    """The oldest access of the window whose timers allow it goes out, one a clock at most, but never past one of the other direction.

    Two accesses to one atom can't overtake each other: in the same direction and bank they have the same timers. Four entries hide
    tCCD_L behind the other bank groups.

    Members
    -------
    requests
        Accesses whose rows are open or opening.
    can_read, can_write
        For each bank: bank and channel allow the command in this clock.
    read, write, access
        A command goes out in this clock, and to where.
    """

    ENTRIES = 4

    def __init__(self):
        super().__init__({
            "requests": In(stream.Signature(column_request())), "can_read": In(BANKS), "can_write": In(BANKS),
            "read": Out(1), "write": Out(1), "access": Out(column_request()),
        })

    def elaborate(self, platform):
        m = Module()
        entries = [Signal(column_request(), name=f"entry{k}") for k in range(self.ENTRIES)]
        valid = Signal(self.ENTRIES)

        # For each entry, whether it or an older one leaves; the oldest that is ready does.
        leaves = [Signal(name=f"leaves{k}") for k in range(self.ENTRIES)]
        go = leaves[-1]
        for k, entry in enumerate(entries):
            same = Cat(entries[0].write == other.write for other in entries[:k + 1]).all()
            allowed = Array(Mux(entry.write, self.can_write, self.can_read))[entry.bank]
            older = leaves[k - 1] if k else 0
            m.d.comb += leaves[k].eq(older | (valid[k] & same & allowed))
        m.d.comb += self.access.eq(entries[-1])
        for k in reversed(range(self.ENTRIES - 1)):
            with m.If(leaves[k]):
                m.d.comb += self.access.eq(entries[k])
        m.d.comb += [self.read.eq(go & ~self.access.write), self.write.eq(go & self.access.write)]

        # From registers only: an entry that leaves in this clock makes room in the next one.
        m.d.comb += self.requests.ready.eq(~valid[-1])
        enters, incoming = self.requests.valid & self.requests.ready, self.requests.payload
        after = [*zip(valid, entries, strict=True), (0, incoming)]
        for k in range(self.ENTRIES):
            kept = Mux(leaves[k], after[k + 1][0], valid[k])
            before = 1 if k == 0 else Mux(leaves[k - 1], valid[k], valid[k - 1])
            # The first place that is free after the shift takes what enters.
            takes = enters & ~kept & before
            m.d.sync += valid[k].eq(kept | takes)
            with m.If(takes):
                m.d.sync += entries[k].eq(incoming)
            with m.Elif(leaves[k]):
                m.d.sync += entries[k].eq(after[k + 1][1])
        return m
