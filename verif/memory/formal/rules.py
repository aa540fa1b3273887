"""The rules of the DRAM written down once more, as hardware: what a proof compares the controller's timers with.

Every rule is a row of one table: after an event, another one comes at least so many clocks later, in the same bank, group or channel.
Written from the rules alone; an ACT is an event of its second clock. The monitor counts the clocks since each event; counters that have
reached their end stand for anything later, and for never.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.timing import BURST_CLOCKS, TIMER_BITS, TimingValues

__all__ = ["RULES", "Monitor", "Rule", "Since", "Sums", "valid"]


class Sums(data.Struct):
    """What a timing set has besides :class:`TimingValues`: the parts of its sums."""

    tWR: TIMER_BITS
    tWTR_S: TIMER_BITS
    tWTR_L: TIMER_BITS
    tRTW_GAP: TIMER_BITS


def valid(t: data.View, sums: data.View) -> list[Value]:
    """What `TimingSet` demands of a timing set, nothing more: distances of at least one clock, and its relations between them."""
    positive = [
        *(t[key] for key, _ in TimingValues.as_shape() if key not in _SUM_FIELDS), *(sums[key] for key, _ in Sums.as_shape()),
    ]
    end = t.WL + BURST_CLOCKS
    return [
        *(value >= 1 for value in positive), t.RL <= 60, t.WL <= 60,
        t.tRRD_L >= t.tRRD_S, t.tCCD_L >= t.tCCD_S, sums.tWTR_L >= sums.tWTR_S, t.tRAS >= t.tRCDRD, t.tRAS >= t.tRCDWR,
        t.tREFIsb >= t.tRREFD, t.tRFC >= t.tRFCsb, t.tREFI >= t.tRFC, t.tRC >= t.tRAS + t.tRP, t.tCCD_S >= BURST_CLOCKS,
        16 * t.tREFIsb <= t.tREFI, 15 * t.tRREFD + t.tRFCsb <= 16 * t.tREFIsb,
        t.write_to_precharge == end + sums.tWR, t.write_to_read_S == end + sums.tWTR_S, t.write_to_read_L == end + sums.tWTR_L,
        t.read_to_write + t.WL == t.RL + BURST_CLOCKS + sums.tRTW_GAP, t.read_to_write >= 1,
    ]


_SUM_FIELDS = ("write_to_precharge", "write_to_read_S", "write_to_read_L", "read_to_write")


@dataclass(frozen=True)
class Rule:
    """`later` comes at least `clocks(timing, sums)` after `earlier` of the same `scope`; `field` of TimingValues enforces it."""

    name: str
    earlier: str
    later: str
    scope: str
    field: str

    def clocks(self, t: data.View, sums: data.View) -> Value:
        """The distance, from the parts and not from the sums that the hardware is given."""
        end = t.WL + BURST_CLOCKS
        match self.field:
            case "write_to_precharge":
                return end + sums.tWR
            case "write_to_read_S":
                return end + sums.tWTR_S
            case "write_to_read_L":
                return end + sums.tWTR_L
            case "read_to_write":
                # At least 1, by `valid`.
                return (t.RL + BURST_CLOCKS + sums.tRTW_GAP - t.WL)[:TIMER_BITS]
        return t[self.field]


#: ROW is an ACT or a REFSB, COL a RD or a WR.
RULES = tuple(Rule(*row) for row in (
    ("tRCDRD", "ACT", "RD", "bank", "tRCDRD"),
    ("tRCDWR", "ACT", "WR", "bank", "tRCDWR"),
    ("tRAS", "ACT", "PRE", "bank", "tRAS"),
    ("tRTP", "RD", "PRE", "bank", "tRTP"),
    ("tWR", "WR", "PRE", "bank", "write_to_precharge"),
    ("tRC", "ACT", "ROW", "bank", "tRC"),
    ("tRP", "PRE", "ROW", "bank", "tRP"),
    ("tRFCsb", "REFSB", "ROW", "bank", "tRFCsb"),
    ("tRRD_S", "ROW", "ROW", "channel", "tRRD_S"),
    ("tRRD_L", "ROW", "ROW", "group", "tRRD_L"),
    ("tRREFD", "REFSB", "ROW", "channel", "tRREFD"),
    ("tFAW", "FOURTH", "ROW", "channel", "tFAW"),
    ("tCCD_S", "COL", "COL", "channel", "tCCD_S"),
    ("tCCD_L", "COL", "COL", "group", "tCCD_L"),
    ("tWTR_S", "WR", "RD", "channel", "write_to_read_S"),
    ("tWTR_L", "WR", "RD", "group", "write_to_read_L"),
    ("tRTW", "RD", "WR", "channel", "read_to_write"),
))


class Since:
    """Clocks since an event: k in the k-th clock after it. The last value means that many, more, or never."""

    BITS = TIMER_BITS

    def __init__(self, name: str):
        self.end = (1 << self.BITS) - 1
        self.value = Signal(self.BITS, init=self.end, name=f"since_{name}")

    def count(self, m: Module, event: Value, value: "Value | None" = None):
        """`value`: what the event sets, 1 by default."""
        with m.If(event):
            m.d.sync += self.value.eq(1 if value is None else value)
        with m.Else():
            m.d.sync += self.value.eq(self.following)

    @property
    def following(self) -> Value:
        """The value in the next clock, without an event."""
        return Mux(self.value == self.end, self.end, self.value + 1)[:self.BITS]


class Monitor(wiring.Component):
    """Sees all commands of a channel; judges those to one bank, `watched`, against everything before them.

    Members
    -------
    timing, sums
        The timing set, constant.
    watched
        The bank, group in the low bits, constant. Since it may be any, what holds for it holds for every pair of commands.
    ACT, REFSB, PRE
        A row event in this clock, to `row_bank`; an ACT's is in its second clock.
    RD, WR
        A column command in this clock, to `column_bank`.
    broken
        By rule, in the order of `RULES`: the command of this clock to `watched` comes too early.
    """

    def __init__(self):
        super().__init__({
            "timing": In(TimingValues), "sums": In(Sums), "watched": In(4),
            "ACT": In(1), "REFSB": In(1), "PRE": In(1), "row_bank": In(4), "RD": In(1), "WR": In(1), "column_bank": In(4),
            "broken": Out(len(RULES)),
        })
        pairs = dict.fromkeys((rule.earlier, rule.scope) for rule in RULES if rule.earlier != "FOURTH")
        self.since = {pair: Since("_".join(pair)) for pair in pairs}
        #: Clocks since the last four activates, the last one first.
        self.activates = [Since(f"activate{k}") for k in range(4)]

    def passed(self, rule: Rule) -> Value:
        """Clocks since the rule's earlier event."""
        return self.activates[3].value if rule.earlier == "FOURTH" else self.since[rule.earlier, rule.scope].value

    def allows(self, later: tuple[str, ...], ahead: int = 0) -> Value:
        """By the rules, an event that is called any of `later` may come to `watched` in this clock, or in the next one (`ahead`)."""
        return Cat(
            self.passed(rule) + ahead >= rule.clocks(self.timing, self.sums) for rule in RULES if rule.later in later
        ).all()

    def elaborate(self, platform):
        m = Module()
        row, column = self.ACT | self.REFSB, self.RD | self.WR
        events = {"ACT": self.ACT, "REFSB": self.REFSB, "PRE": self.PRE, "ROW": row, "RD": self.RD, "WR": self.WR, "COL": column}
        columns = ("RD", "WR", "COL")

        def here(event: str, scope: str) -> Value:
            bank = self.column_bank if event in columns else self.row_bank
            return {"bank": bank == self.watched, "group": bank[:2] == self.watched[:2], "channel": Const(1)}[scope]

        for (event, scope), since in self.since.items():
            since.count(m, events[event] & here(event, scope))
        self.activates[0].count(m, row)
        for newer, older in zip(self.activates, self.activates[1:], strict=False):
            older.count(m, row, newer.following)
        for index, rule in enumerate(RULES):
            late = self.passed(rule) >= rule.clocks(self.timing, self.sums)
            m.d.comb += self.broken[index].eq(events[rule.later] & here(rule.later, "bank") & ~late)
        return m
