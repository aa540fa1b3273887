"""The writes that wait, without their bytes."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import BANKS, Location
from rtl.memory.schedule.entries import Entries, first, pick

__all__ = ["WritePool"]


class WritePool(wiring.Component):
    """`depth` writes of any bank, found by their address, each to an atom of its own.

    Members
    -------
    tick
        As in :class:`rtl.memory.schedule.reads.BankReads`.
    probe, found, found_whole, found_slot
        The write of the probed atom: it waits, all its bytes are valid, the row of its bytes in the data buffer.
    push, slot, whole, hit
        A write of the probed atom comes in: only with `room`, and if none is found. `hit`: its row is open and stays so.
    merge
        With `whole`: all bytes of the found write are now valid.
    opened, opened_bank, opened_row
        The second clock of an ACT.
    close
        The banks that a decision closes.
    legal
        Banks that may have a WR now. If they have hits, the oldest one leaves: `issue`, `issue_bank`, `issue_column`, `issue_slot`.
    any, hits, capped, expired, pressing
        For each bank: a write waits; one for the open row waits; the oldest has expired and is no hit; the oldest has expired; one of the
        pool's oldest quarter waits.
    activate, row
        One-hot, and the row of the oldest write of that bank.
    room, empty, half
        There is room for one; none waits; at least half of the entries are used.
    """

    def __init__(self, depth: int):
        self.depth = depth
        self.slot_bits = depth.bit_length()
        super().__init__({
            "tick": In(1), "probe": In(Location), "found": Out(1), "found_whole": Out(1), "found_slot": Out(self.slot_bits),
            "push": In(1), "slot": In(self.slot_bits), "whole": In(1), "hit": In(1), "merge": In(1),
            "opened": In(1), "opened_bank": In(4), "opened_row": In(15), "close": In(BANKS),
            "legal": In(BANKS), "issue": Out(1), "issue_bank": Out(4), "issue_column": Out(5), "issue_slot": Out(self.slot_bits),
            "any": Out(BANKS), "hits": Out(BANKS), "capped": Out(BANKS), "expired": Out(BANKS), "pressing": Out(BANKS),
            "activate": In(BANKS), "row": Out(15), "room": Out(1), "empty": Out(1), "half": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        fields = {"row": 15, "bank": 4, "column": 5, "slot": self.slot_bits, "whole": 1, "hit": 1, "seen": 1, "expired": 1}
        entries = Entries(m, "write", self.depth, fields)
        whole, hit, seen, expired = (entries.fields[name][0] for name in ("whole", "hit", "seen", "expired"))
        bank = self.probe.as_value()[5:9]
        found = entries.same("found", row=self.probe.row, bank=bank, column=self.probe.column)
        members = entries.members("bank", "members")
        m.d.comb += [
            self.found.eq(found.any()), self.found_whole.eq((found & whole).any()), self.found_slot.eq(entries.value("slot", found)),
            self.room.eq(~entries.valid[-1]), self.empty.eq(~entries.valid[0]), self.half.eq(entries.valid[self.depth // 2 - 1]),
        ]

        leaves = first(m, entries.signal(hit & entries.select("bank", self.legal), "can_leave"), "leaves")
        m.d.comb += [
            self.issue.eq(leaves.any()), self.issue_bank.eq(entries.value("bank", leaves)),
            self.issue_column.eq(entries.value("column", leaves)), self.issue_slot.eq(entries.value("slot", leaves)),
        ]

        heads = [first(m, part, f"head{index}") for index, part in enumerate(members)]
        late = entries.signal(expired & ~hit, "late")
        m.d.comb += [
            self.any.eq(Cat(part.any() for part in members)), self.hits.eq(Cat((part & hit).any() for part in members)),
            self.expired.eq(Cat((head & expired).any() for head in heads)),
            self.pressing.eq(Cat(part[:self.depth // 4].any() for part in members)),
            self.capped.eq(Cat((head & late).any() for head in heads)),
        ]
        head = entries.signal(pick(self.activate, heads), "head_of_activate")
        m.d.comb += self.row.eq(entries.value("row", head))

        opened = Signal(self.depth)
        m.d.comb += opened.eq(entries.same("of_opened", row=self.opened_row, bank=self.opened_bank) & self.opened.replicate(self.depth))
        ticks = self.tick.replicate(self.depth)
        entries.step(
            leaves, self.push,
            {"row": self.probe.row, "bank": bank, "column": self.probe.column, "slot": self.slot, "whole": self.whole, "hit": self.hit,
             "seen": 0, "expired": 0},
            {
                "whole": whole | (found & (self.merge & self.whole).replicate(self.depth)),
                "hit": (hit | opened) & ~pick(self.close, members), "seen": seen | (entries.valid & ticks),
                "expired": expired | (seen & ticks),
            },
        )
        return m
