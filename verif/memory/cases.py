"""One command trace for each rule: legal as it stands, illegal with its last command one clock earlier; and plain illegal ones.

The traces are written from the rules by hand, for the offline checker and for the device model alike.
"""

from dataclasses import dataclass

from rtl.memory.timing import TimingSet

__all__ = ["Case", "Command", "exact_cases", "illegal_cases"]


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


@dataclass(frozen=True)
class Case:
    """`commands`; the last of them is what `rule` is about. `only`: no other rule is broken in this timing set."""

    rule: str
    commands: tuple[Command, ...]
    only: bool = True

    def early(self) -> "Case":
        """The last command one clock too early."""
        *before, last = self.commands
        return Case(self.rule, (*before, Command(last.time - 1, last.name, last.bank, last.row, last.column)), self.only)


def exact_cases(t: TimingSet, rows: int) -> dict[str, Case]:
    """For each distance between two commands, a trace in which just this distance is met exactly."""
    act = Command(10, "ACT", 0, 3)
    opened = 11  # ACT counts from its second clock
    late = opened + t.tRC  # nothing of the ACT binds any more
    other, same_group = Command(10 + t.tRRD_L, "ACT", 1, 5), Command(10 + t.tRRD_L, "ACT", 4, 5)
    late2 = late + t.tRRD_L
    end = t.WL + 2
    cases: dict[str, Case] = {}

    def case(name: str, *commands, only: bool = True):
        cases[name] = Case(name.split()[0], commands, only)

    case("tRCDRD", act, Command(opened + t.tRCDRD, "RD"))
    case("tRCDRD RDA", act, Command(opened + t.tRCDRD, "RDA"))
    case("tRCDWR", act, Command(opened + t.tRCDWR, "WR"))
    case("tRAS", act, Command(opened + t.tRAS, "PRE"))
    case("tRAS PREA", act, Command(opened + t.tRAS, "PREA"))
    slack = t.tRC > t.tRAS + t.tRP
    pre = Command(opened + t.tRAS, "PRE")
    case("tRC ACT", act, pre, Command(10 + t.tRC, "ACT"), only=slack)
    case("tRC REFSB", act, pre, Command(opened + t.tRC, "REFSB"), only=slack)
    case("tRC REFAB", act, pre, Command(opened + t.tRC, "REFAB"), only=slack)
    pre = Command(late, "PRE")
    case("tRP ACT", act, pre, Command(late + t.tRP - 1, "ACT"))
    case("tRP REFSB", act, pre, Command(late + t.tRP, "REFSB"))
    case("tRP REFAB", act, pre, Command(late + t.tRP, "REFAB"))
    case("tRP MRS", act, pre, Command(late + t.tRP, "MRS", 0, t.RL))
    case("tRP PREA", act, other, Command(late2, "PREA"), Command(late2 + t.tRP - 1, "ACT", 1))
    case("tRP RDA", act, Command(late, "RDA"), Command(late + t.tRTP + t.tRP - 1, "ACT"))
    case("tRP WRA", act, Command(late, "WRA"), Command(late + end + t.tWR + t.tRP - 1, "ACT"))
    case("tRTP", act, Command(late, "RD"), Command(late + t.tRTP, "PRE"))
    case("tWR", act, Command(late, "WR"), Command(late + end + t.tWR, "PRE"))
    case("tRRD_S", act, Command(10 + t.tRRD_S, "ACT", 1), only=t.tRRD_S < t.tRRD_L)
    case("tRRD_L", act, Command(10 + t.tRRD_L, "ACT", 4), only=t.tRRD_S < t.tRRD_L)
    case("tRRD_S REFSB", act, Command(opened + t.tRRD_S, "REFSB", 1))
    case("tRRD_L REFSB", act, Command(opened + t.tRRD_L, "REFSB", 4), only=t.tRRD_S < t.tRRD_L)
    if t.tFAW > 4 * t.tRRD_S:
        four = [Command(10 + k * t.tRRD_S, "ACT", k) for k in range(4)]
        case("tFAW", *four, Command(10 + t.tFAW, "ACT", 4))
        case("tFAW REFSB", *four, Command(11 + t.tFAW, "REFSB", 4))
    first = 10 + t.tRREFD - 1
    if t.tFAW > t.tRREFD + 3 * t.tRRD_S:
        three = [Command(first + k * t.tRRD_S, "ACT", k + 1) for k in range(3)]
        case("tFAW counts REFSB", Command(10, "REFSB"), *three, Command(9 + t.tFAW, "ACT", 4))
    case("tCCD_S", act, other, Command(late2, "RD", 0), Command(late2 + t.tCCD_S, "RD", 1))
    case("tCCD_S WR", act, other, Command(late2, "WR", 0), Command(late2 + t.tCCD_S, "WR", 1))
    case("tCCD_L", act, Command(late, "RD", 0, 0, 1), Command(late + t.tCCD_L, "RD", 0, 0, 9), only=False)
    case("tCCD_L group", act, same_group, Command(late2, "WR", 0), Command(late2 + t.tCCD_L, "WR", 4), only=False)
    case("tWTR_S", act, other, Command(late2, "WR", 0), Command(late2 + end + t.tWTR_S, "RD", 1))
    case("tWTR_L", act, same_group, Command(late2, "WR", 0), Command(late2 + end + t.tWTR_L, "RD", 4), only=False)
    case("tRTW", act, other, Command(late2, "RD", 0), Command(late2 + t.RL + 2 + t.tRTW_GAP - t.WL, "WR", 1))
    case("tRFC ACT", Command(10, "REFAB"), Command(10 + t.tRFC - 1, "ACT", 7))
    case("tRFC REFAB", Command(10, "REFAB"), Command(10 + t.tRFC, "REFAB"))
    case("tRFC REFSB", Command(10, "REFAB"), Command(10 + t.tRFC, "REFSB", 3))
    case("tRFCsb ACT", Command(10, "REFSB", 9), Command(10 + t.tRFCsb - 1, "ACT", 9))
    case("tRFCsb REFAB", Command(10, "REFSB", 9), Command(10 + t.tRFCsb, "REFAB"))
    case("tRREFD ACT", Command(10, "REFSB", 9), Command(first, "ACT", 2))
    case("tRREFD REFSB", Command(10, "REFSB", 9), Command(10 + t.tRREFD, "REFSB", 2))
    a_round = [Command(10 + bank * t.tRREFD, "REFSB", bank) for bank in range(16)]
    case("tRFCsb round", *a_round, Command(10 + 15 * t.tRREFD + t.tRFCsb, "REFSB", 0))
    case("ROW_BUS", act, Command(12, "PRE", 5))
    return cases


def illegal_cases(t: TimingSet, rows: int) -> dict[str, Case]:
    """Broken rules of state."""
    act = Command(10, "ACT", 0, 3)
    late = 11 + t.tRC
    return {
        "OPEN ACT": Case("OPEN", (act, Command(late, "ACT", 0, 4))),
        "OPEN REFSB": Case("OPEN", (act, Command(late, "REFSB", 0))),
        "OPEN REFAB": Case("OPEN", (act, Command(late, "REFAB"))),
        "CLOSED RD": Case("CLOSED", (act, Command(late, "RD", 1))),
        "CLOSED WR": Case("CLOSED", (act, Command(late, "PRE"), Command(late + 1, "WR"))),
        "CLOSED RDA": Case("CLOSED", (act, Command(late, "RDA"), Command(late + t.tCCD_L, "RD"))),
        "ROUND": Case("ROUND", (Command(10, "REFSB", 6), Command(10 + t.tRFCsb, "REFSB", 6))),
        "RANGE": Case("RANGE", (Command(10, "ACT", 0, rows),)),
        "MODE open": Case("MODE", (act, Command(late, "MRS", 0, t.RL))),
        "MODE value": Case("MODE", (Command(10, "MRS", 0, t.RL), Command(11, "MRS", 1, t.WL + 1))),
    }
