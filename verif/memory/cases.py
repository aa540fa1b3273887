"""Command traces for each rule: a legal one, and an illegal one that breaks just this rule and those that can't but break with it.

Written from the rules by hand, for the offline checker and for the device model alike.
"""

from dataclasses import dataclass, replace

from rtl.memory.timing import TimingSet

__all__ = ["Case", "Command", "cases"]

BOTH = ("device", "checker")


@dataclass(frozen=True)
class Command:
    """A command at clock `time`; `bank` is 0 to 15 with the group in the low two bits. MRS: register in `bank`, value in `row`."""

    time: int
    name: str
    bank: int = 0
    row: int = 0
    column: int = 0

    def line(self) -> str:
        """As in a trace file."""
        group, bank = str(self.bank & 3), str(self.bank >> 2)
        fields = {
            "ACT": (group, bank, self.row, "-"), "PRE": (group, bank, "-", "-"), "REFSB": (group, bank, "-", "-"),
            "PREA": ("-",) * 4, "REFAB": ("-",) * 4, "MRS": ("-", self.bank, self.row, "-"),
        }.get(self.name, (group, bank, "-", self.column))
        return " ".join(map(str, (self.time, self.name, *fields)))

    def at(self, time: int) -> "Command":
        return replace(self, time=time)


@dataclass(frozen=True)
class Case:
    """`illegal` breaks `rule` and the rules in `also`, `legal` none. `judges` are those that can be asked."""

    rule: str
    legal: tuple[Command, ...]
    illegal: tuple[Command, ...]
    also: frozenset[str] = frozenset()
    judges: tuple[str, ...] = BOTH

    @property
    def broken(self) -> frozenset[str]:
        return self.also | {self.rule}


def cases(t: TimingSet, rows: int) -> dict[str, Case]:
    """By title, which opens with the rule. The distances first: each is met exactly, and missed by one clock."""
    return {**_distances(t), **_states(t, rows)}


def _distances(t: TimingSet) -> dict[str, Case]:
    act = Command(10, "ACT", 0, 3)
    opened = 11  # ACT counts from its second clock
    late = opened + t.tRC  # nothing of the ACT binds any more
    other, same_group = Command(10 + t.tRRD_L, "ACT", 1, 5), Command(10 + t.tRRD_L, "ACT", 4, 5)
    late2 = late + t.tRRD_L
    end = t.WL + 2
    found: dict[str, Case] = {}

    def case(title: str, *commands, also: tuple[str, ...] = ()):
        *before, last = commands
        found[title] = Case(title.split()[0], commands, (*before, last.at(last.time - 1)), frozenset(also))

    case("tRCDRD", act, Command(opened + t.tRCDRD, "RD"))
    case("tRCDRD RDA", act, Command(opened + t.tRCDRD, "RDA"))
    case("tRCDWR", act, Command(opened + t.tRCDWR, "WR"))
    case("tRCDWR WRA", act, Command(opened + t.tRCDWR, "WRA"))
    case("tRAS", act, Command(opened + t.tRAS, "PRE"))
    case("tRAS PREA", act, Command(opened + t.tRAS, "PREA"))
    # Where tRC is no more than tRAS + tRP, nothing can break it alone.
    also = () if t.tRC > t.tRAS + t.tRP else ("tRP",)
    pre = Command(opened + t.tRAS, "PRE")
    case("tRC ACT", act, pre, Command(10 + t.tRC, "ACT"), also=also)
    case("tRC REFSB", act, pre, Command(opened + t.tRC, "REFSB"), also=also)
    case("tRC REFAB", act, pre, Command(opened + t.tRC, "REFAB"), also=also)
    case("tRC MRS", act, pre, Command(opened + t.tRC, "MRS", 0, t.RL), also=also)
    pre = Command(late, "PRE")
    case("tRP ACT", act, pre, Command(late + t.tRP - 1, "ACT"))
    case("tRP REFSB", act, pre, Command(late + t.tRP, "REFSB"))
    case("tRP REFAB", act, pre, Command(late + t.tRP, "REFAB"))
    case("tRP MRS", act, pre, Command(late + t.tRP, "MRS", 0, t.RL))
    case("tRP PREA", act, other, Command(late2, "PREA"), Command(late2 + t.tRP - 1, "ACT", 1))
    # An auto-precharge starts as soon as tRAS, tRTP and tWR allow: each in turn is what it waits for.
    early = opened + t.tRCDRD
    case("tRP RDA", act, Command(late, "RDA"), Command(late + t.tRTP + t.tRP - 1, "ACT"))
    case("tRP WRA", act, Command(late, "WRA"), Command(late + end + t.tWR + t.tRP - 1, "ACT"))
    if also and early + t.tRTP <= opened + t.tRAS:
        case("tRP RDA tRAS", act, Command(early, "RDA"), Command(opened + t.tRAS + t.tRP, "REFAB"), also=("tRC",))
    case("tRP WRA RDA", act, Command(late, "WR"), Command(late + end + t.tWTR_L, "RDA"),
         Command(late + end + max(t.tWR, t.tWTR_L + t.tRTP) + t.tRP, "REFSB"))
    case("tRTP", act, Command(late, "RD"), Command(late + t.tRTP, "PRE"))
    case("tRTP PREA", act, Command(late, "RD"), Command(late + t.tRTP, "PREA"))
    case("tWR", act, Command(late, "WR"), Command(late + end + t.tWR, "PRE"))
    case("tWR PREA", act, Command(late, "WR"), Command(late + end + t.tWR, "PREA"))
    case("tRRD_S", act, Command(10 + t.tRRD_S, "ACT", 1))
    case("tRRD_L", act, Command(10 + t.tRRD_L, "ACT", 4))
    case("tRRD_S REFSB", act, Command(opened + t.tRRD_S, "REFSB", 1))
    case("tRRD_L REFSB", act, Command(opened + t.tRRD_L, "REFSB", 4))
    if t.tFAW > 4 * t.tRRD_S:
        four = [Command(10 + k * t.tRRD_S, "ACT", k) for k in range(4)]
        case("tFAW", *four, Command(10 + t.tFAW, "ACT", 4))
        case("tFAW REFSB", *four, Command(11 + t.tFAW, "REFSB", 4))
    first = 10 + t.tRREFD - 1
    if t.tFAW > t.tRREFD + 3 * t.tRRD_S:
        three = [Command(first + k * t.tRRD_S, "ACT", k + 1) for k in range(3)]
        case("tFAW counts REFSB", Command(10, "REFSB"), *three, Command(9 + t.tFAW, "ACT", 4))
    bus = ("DATA_BUS",) if t.tCCD_S == 2 else ()
    case("tCCD_S", act, other, Command(late2, "RD", 0), Command(late2 + t.tCCD_S, "RD", 1), also=bus)
    case("tCCD_S WR", act, other, Command(late2, "WR", 0), Command(late2 + t.tCCD_S, "WR", 1), also=bus)
    bus = ("DATA_BUS",) if t.tCCD_L == 2 else ()
    case("tCCD_L", act, Command(late, "RD", 0, 0, 1), Command(late + t.tCCD_L, "RD", 0, 0, 9), also=bus)
    case("tCCD_L group", act, same_group, Command(late2, "WR", 0), Command(late2 + t.tCCD_L, "WR", 4), also=bus)
    case("tWTR_S", act, other, Command(late2, "WR", 0), Command(late2 + end + t.tWTR_S, "RD", 1))
    case("tWTR_L", act, same_group, Command(late2, "WR", 0), Command(late2 + end + t.tWTR_L, "RD", 4))
    case("tWTR_L bank", act, Command(late, "WR"), Command(late + end + t.tWTR_L, "RD"))
    turn = t.RL + 2 + t.tRTW_GAP - t.WL
    case("tRTW", act, other, Command(late2, "RD", 0), Command(late2 + turn, "WR", 1), also=("tCCD_S",) if turn <= t.tCCD_S else ())
    case("tRFC ACT", Command(10, "REFAB"), Command(10 + t.tRFC - 1, "ACT", 7))
    case("tRFC REFAB", Command(10, "REFAB"), Command(10 + t.tRFC, "REFAB"))
    case("tRFC REFSB", Command(10, "REFAB"), Command(10 + t.tRFC, "REFSB", 3))
    case("tRFC MRS", Command(10, "REFAB"), Command(10 + t.tRFC, "MRS", 1, t.WL))
    case("tRFCsb ACT", Command(10, "REFSB", 9), Command(10 + t.tRFCsb - 1, "ACT", 9))
    case("tRFCsb REFAB", Command(10, "REFSB", 9), Command(10 + t.tRFCsb, "REFAB"))
    case("tRFCsb MRS", Command(10, "REFSB", 9), Command(10 + t.tRFCsb, "MRS", 1, t.WL))
    case("tRREFD ACT", Command(10, "REFSB", 9), Command(first, "ACT", 2))
    case("tRREFD REFSB", Command(10, "REFSB", 9), Command(10 + t.tRREFD, "REFSB", 2))
    a_round = [Command(10 + bank * t.tRREFD, "REFSB", bank) for bank in range(16)]
    case("tRFCsb round", *a_round, Command(10 + 15 * t.tRREFD + t.tRFCsb, "REFSB", 0))
    case("ROW_BUS", act, Command(12, "PRE", 5))
    return found


def _states(t: TimingSet, rows: int) -> dict[str, Case]:
    act = Command(10, "ACT", 0, 3)
    late = 11 + t.tRC
    pre = Command(late, "PRE")
    rest = late + t.tRP
    a_round = tuple(Command(10 + bank * t.tRREFD, "REFSB", bank) for bank in range(16))
    other = Command(10 + t.tRRD_L, "ACT", 1, 5)
    late2 = late + t.tRRD_L
    last = 9 * t.tREFI - 1  # the clock in which every bank's ninth refresh falls due
    return {
        "OPEN ACT": Case("OPEN", (act, pre, Command(rest, "ACT", 0, 4)), (act, Command(late, "ACT", 0, 4))),
        "OPEN REFSB": Case("OPEN", (act, pre, Command(rest, "REFSB")), (act, Command(late, "REFSB"))),
        "OPEN REFAB": Case("OPEN", (act, pre, Command(rest, "REFAB")), (act, Command(late, "REFAB"))),
        "CLOSED RD": Case("CLOSED", (act, Command(late, "RD")), (act, Command(late, "RD", 1))),
        "CLOSED WR": Case("CLOSED", (act, Command(late, "WR")), (act, pre, Command(late + 1, "WR"))),
        "CLOSED RDA": Case(
            "CLOSED", (act, Command(late, "RD"), Command(late + t.tCCD_L, "RD")), (act, Command(late, "RDA"), Command(late + t.tCCD_L, "RD")),
        ),
        "ROUND": Case(
            "ROUND", (*a_round, Command(a_round[-1].time + t.tRFCsb, "REFSB", 6)),
            (Command(10, "REFSB", 6), Command(10 + t.tRFCsb, "REFSB", 6)),
        ),
        "ROUND REFAB": Case(
            "ROUND", (Command(10, "REFSB", 6), Command(10 + t.tRFCsb, "REFAB"), Command(10 + t.tRFCsb + t.tRFC, "REFSB", 6)),
            (*a_round[:-1], Command(a_round[-1].time + t.tRFCsb, "REFSB", 6)),
        ),
        "RANGE": Case("RANGE", (Command(10, "ACT", 0, rows - 1),), (Command(10, "ACT", 0, rows),)),
        "MODE open": Case("MODE", (act, pre, Command(rest, "MRS", 0, t.RL)), (act, Command(late, "MRS", 0, t.RL))),
        "MODE value": Case(
            "MODE", (Command(10, "MRS", 0, t.RL), Command(11, "MRS", 1, t.WL)), (Command(10, "MRS", 0, t.RL), Command(11, "MRS", 1, t.WL + 1)),
        ),
        "MODE register": Case("MODE", (Command(10, "MRS", 0, t.RL),), (Command(10, "MRS", 2, 0),)),
        "tREFI": Case("tREFI", (Command(last, "REFAB"),), (Command(last + 1, "REFAB"),)),
        # Nothing breaks it alone as long as the other rules of column commands are what they should be.
        "DATA_BUS": Case(
            "DATA_BUS", (act, other, Command(late2, "RD"), Command(late2 + t.tCCD_S, "RD", 1)),
            (act, other, Command(late2, "RD"), Command(late2 + 1, "RD", 1)), frozenset({"tCCD_S"}),
        ),
        "DATA_BUS turn": Case(
            "DATA_BUS", (act, other, Command(late2, "RD"), Command(late2 + t.RL + 2 + t.tRTW_GAP - t.WL, "WR", 1)),
            (act, other, Command(late2, "RD"), Command(late2 + t.RL + 1 - t.WL, "WR", 1)), frozenset({"tRTW"}),
        ),
        "COLUMN_BUS": Case(
            "COLUMN_BUS", (act, other, Command(late2, "RD"), Command(late2 + t.tCCD_S, "RD", 1)),
            (act, other, Command(late2, "RD"), Command(late2, "RD", 1)), frozenset({"tCCD_S", "DATA_BUS"}), ("checker",),
        ),
    }
