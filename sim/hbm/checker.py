"""Offline checker of DRAM command traces: every timing and state rule of the device, by name. Shares no code with model or controller.

A trace has a line for each command, `t CMD bg ba row col`, with `t` in clocks (an ACT's first) and `-` where a field has no meaning.
Most rules are rows of one table: after command A, command B in the same bank, group or channel comes at least so much later.

    python -m sim.hbm.checker FILE --timing P3200
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rtl.memory.timing import MAX_POSTPONED, TimingError, TimingSet

__all__ = ["Report", "TraceError", "Violation", "check"]

_COMMANDS = ("ACT", "PRE", "PREA", "RD", "RDA", "WR", "WRA", "REFAB", "REFSB", "MRS")
_ROW_BUS = {"ACT", "PRE", "PREA", "REFAB", "REFSB", "MRS"}


class TraceError(ValueError):
    """A line that is no command. The message has its number."""


@dataclass(frozen=True)
class Violation:
    """A broken rule. `time` is the later command's clock."""

    rule: str
    time: int
    text: str


@dataclass
class Report:
    """What a trace holds. `owed` is the largest number of refreshes that a bank is owed at the end, negative if all are in advance."""

    violations: list[Violation] = field(default_factory=list)
    commands: Counter = field(default_factory=Counter)
    clocks: int = 0
    refreshes: int = 0  #: bank refreshes / 16, rounded down: an all-bank refresh is one
    owed: int = 0

    @property
    def ok(self) -> bool:
        return not self.violations


@dataclass(frozen=True)
class _Rule:
    """`later` comes at least `clocks` after `earlier` within `scope`."""

    name: str
    earlier: str
    later: str
    scope: str
    clocks: int


def _rules(t: TimingSet) -> list[_Rule]:
    """Events, not commands: an ACT happens in its second clock; `PRE` is the start of a precharge; `ROW` is an ACT or a REFSB."""
    end = t.WL + 2
    table = [
        ("tRCDRD", "ACT", "RD", "bank", t.tRCDRD), ("tRCDWR", "ACT", "WR", "bank", t.tRCDWR), ("tRAS", "ACT", "PRE", "bank", t.tRAS),
        ("tRTP", "RD", "PRE", "bank", t.tRTP), ("tWR", "WR", "PRE", "bank", end + t.tWR),
        ("tCCD_S", "COLUMN", "COLUMN", "channel", t.tCCD_S), ("tCCD_L", "COLUMN", "COLUMN", "group", t.tCCD_L),
        ("tWTR_S", "WR", "RD", "channel", end + t.tWTR_S), ("tWTR_L", "WR", "RD", "group", end + t.tWTR_L),
        ("tRTW", "RD", "WR", "channel", t.RL + 2 + t.tRTW_GAP - t.WL),
        ("tRRD_S", "ROW", "ROW", "channel", t.tRRD_S), ("tRRD_L", "ROW", "ROW", "group", t.tRRD_L),
        ("tRREFD", "REFSB", "ROW", "channel", t.tRREFD),
    ]
    for later in ("ROW", "REFAB", "MRS"):
        table += [
            ("tRC", "ACT", later, "bank", t.tRC), ("tRP", "PRE", later, "bank", t.tRP),
            ("tRFC", "REFAB", later, "bank", t.tRFC), ("tRFCsb", "REFSB", later, "bank", t.tRFCsb),
        ]
    return [_Rule(*row) for row in table]


class _Checker:
    def __init__(self, timing: TimingSet, rows: int):
        self.timing = timing
        self.row_count = rows
        self.report = Report()
        #: Rules by the event that they end in.
        self.rules: dict[str, list[_Rule]] = {}
        for rule in _rules(timing):
            self.rules.setdefault(rule.later, []).append(rule)
        #: Time of the last event of a kind in (scope, number).
        self.last: dict[tuple[str, str, int], int] = {}
        self.rows: dict[int, int | None] = {}
        self.activates: list[int] = []
        self.round: set[int] = set()
        self.round_end: int | None = None
        self.refreshes: dict[int, list[int]] = {bank: [] for bank in range(16)}
        self.bus_free = {"row": 0, "column": 0}
        self.where = ""

    def violate(self, rule: str, time: int, reason: str):
        self.report.violations.append(Violation(rule, time, f"{self.where}: {reason}"))

    def compare(self, event: str, time: int, bank: int):
        """Checks the table's rules that end in this event."""
        for rule in self.rules.get(event, ()):
            number = {"bank": bank, "group": bank & 3, "channel": 0}[rule.scope]
            before = self.last.get((rule.earlier, rule.scope, number))
            if before is not None and time < before + rule.clocks:
                self.violate(rule.name, time, f"{time - before} clocks after {rule.earlier}, not {rule.clocks}")

    def note(self, event: str, time: int, bank: int):
        for scope, number in (("bank", bank), ("group", bank & 3), ("channel", 0)):
            self.last[event, scope, number] = time

    def bus(self, name: str, time: int, clocks: int):
        if time < self.bus_free[name]:
            self.violate("ROW_BUS" if name == "row" else "COLUMN_BUS", time, f"the {name} bus is busy until {self.bus_free[name]}")
        self.bus_free[name] = time + clocks

    def activate(self, time: int, bank: int):
        """What ACT and REFSB share; `time` is the ACT's second clock."""
        if self.rows.get(bank) is not None:
            self.violate("OPEN", time, f"row {self.rows[bank]} is open")
        self.compare("ROW", time, bank)
        if len(self.activates) >= 4 and time < self.activates[-4] + self.timing.tFAW:
            self.violate("tFAW", time, f"the fifth activate in {time - self.activates[-4]} clocks, not {self.timing.tFAW}")
        self.activates = [*self.activates[-3:], time]
        self.note("ROW", time, bank)

    def precharge(self, time: int, bank: int):
        if self.rows.get(bank) is None:
            return
        self.compare("PRE", time, bank)
        self.rows[bank] = None
        self.note("PRE", time, bank)

    def auto_precharge(self, bank: int):
        """The device precharges as soon as the rules allow."""
        starts = [self.last.get((rule.earlier, "bank", bank), -rule.clocks) + rule.clocks for rule in self.rules["PRE"]]
        self.rows[bank] = None
        self.note("PRE", max(starts), bank)

    def column(self, time: int, name: str, bank: int, row: int | None, auto: bool):
        self.bus("column", time, 1)
        if self.rows.get(bank) is None:
            self.violate("CLOSED", time, "no row is open")
            return
        if row is not None and row != self.rows[bank]:
            self.violate("CLOSED", time, f"row {self.rows[bank]} is open")
        self.compare(name, time, bank)
        self.compare("COLUMN", time, bank)
        self.note(name, time, bank)
        self.note("COLUMN", time, bank)
        if auto:
            self.auto_precharge(bank)

    def idle(self, rule: str, event: str, time: int):
        """For commands that need every bank closed and at rest."""
        for bank in range(16):
            if self.rows.get(bank) is not None:
                self.violate(rule, time, f"row {self.rows[bank]} of bank {bank} is open")
            self.compare(event, time, bank)

    def refresh_bank(self, time: int, bank: int):
        self.activate(time, bank)
        if bank in self.round:
            self.violate("ROUND", time, "the bank had its turn in this round")
        if not self.round and self.round_end is not None and time < self.round_end + self.timing.tRFCsb:
            self.violate("tRFCsb", time, f"a round begins {time - self.round_end} clocks after the last, not {self.timing.tRFCsb}")
        self.round.add(bank)
        if len(self.round) == 16:
            self.round, self.round_end = set(), time
        self.note("REFSB", time, bank)
        self.refreshes[bank].append(time)

    def refresh_all(self, time: int):
        self.idle("OPEN", "REFAB", time)
        self.round = set()
        for bank in range(16):
            self.note("REFAB", time, bank)
            self.refreshes[bank].append(time)

    def mode(self, time: int, register: int | None, value: int | None):
        self.idle("MODE", "MRS", time)
        expected = {0: self.timing.RL, 1: self.timing.WL}
        if value is not None and expected.get(register) != value:
            self.violate("MODE", time, f"mode register {register} is given {value}")

    def command(self, time: int, name: str, bank: int, row: int | None, register: int | None):
        self.report.commands[name] += 1
        if name in _ROW_BUS:
            self.bus("row", time, 2 if name == "ACT" else 1)
        if name == "ACT":
            self.activate(time + 1, bank)
            if row is not None and row >= self.row_count:
                self.violate("RANGE", time, f"there is no row {row}")
            self.rows[bank] = row
            self.note("ACT", time + 1, bank)
        elif name == "PRE":
            self.precharge(time, bank)
        elif name == "PREA":
            for each in range(16):
                self.precharge(time, each)
        elif name == "REFSB":
            self.refresh_bank(time, bank)
        elif name == "REFAB":
            self.refresh_all(time)
        elif name == "MRS":
            self.mode(time, register, row)
        else:
            self.column(time, name[:2], bank, row, auto=name.endswith("A"))

    def refresh_debt(self, end: int) -> int:
        """Replays due times against refreshes, bank by bank; what is more than eight ahead does not count."""
        worst = -MAX_POSTPONED
        for bank, times in self.refreshes.items():
            debt = 0
            # A bank's refresh falls due at the end of each tREFI; one in that very clock still is in time.
            events = [(time, 0) for time in times] + [(time, 1) for time in range(self.timing.tREFI - 1, end, self.timing.tREFI)]
            for time, due in sorted(events):
                debt = debt + 1 if due else max(debt - 1, -MAX_POSTPONED)
                if debt > MAX_POSTPONED:
                    self.where = f"bank {bank}"
                    self.violate("tREFI", time, f"{debt} refreshes are owed")
                    debt = MAX_POSTPONED
            worst = max(worst, debt)
        return worst


def _number(text: str, line: int) -> int | None:
    if text == "-":
        return None
    if not text.isdigit():
        raise TraceError(f"line {line}: {text!r} is no number")
    return int(text)


def check(trace: "str | Path | Iterable[str]", timing: TimingSet, clocks: int | None = None, rows: int = 32768) -> Report:
    """Checks a trace: a path, or its lines. `clocks` is the length of the run, by default up to the last command; `rows` are a bank's.

    Raises :class:`TraceError` on a line that is no command, and where time runs backwards.
    """
    if isinstance(trace, (str, Path)):
        with open(trace) as file:
            return check(file, timing, clocks, rows)
    checker = _Checker(timing, rows)
    now = 0
    for number, line in enumerate(trace, 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 6 or words[1] not in _COMMANDS:
            raise TraceError(f"line {number}: {line.strip()!r} is not 't CMD bg ba row col'")
        time, group, bank, row, _ = (_number(word, number) for word in (words[0], *words[2:]))
        if time is None or time < now:
            raise TraceError(f"line {number}: time {words[0]} comes after {now}")
        name = words[1]
        if (name not in ("PREA", "REFAB", "MRS") and (group not in range(4) or bank not in range(4))) or (name == "ACT" and row is None):
            raise TraceError(f"line {number}: {name} without a bank{' and a row' if name == 'ACT' else ''}")
        now = time
        checker.where = f"{name} of line {number}"
        checker.command(time, name, 4 * (bank or 0) + (group or 0), row, bank)
    report = checker.report
    report.clocks = max(now + 1, clocks or 0)
    report.refreshes = sum(len(times) for times in checker.refreshes.values()) // 16
    report.owed = checker.refresh_debt(report.clocks)
    return report


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 0 good, 1 violations, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m sim.hbm.checker", description="Checks a DRAM command trace.")
    parser.add_argument("file")
    parser.add_argument("--timing", default="P3200", help="a timing set's name or TOML file")
    options = parser.parse_args(arguments)
    try:
        report = check(options.file, TimingSet.load(options.timing))
    except (OSError, TimingError, TraceError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 2
    for violation in report.violations[:20]:
        print(f"{violation.time:>10} {violation.rule:<10} {violation.text}")
    counts = ", ".join(f"{report.commands[name]} {name}" for name in _COMMANDS if report.commands[name])
    print(f"{report.clocks} clocks: {counts}")
    print(f"{report.refreshes} refreshes of all banks, at most {report.owed} owed at the end; {len(report.violations)} violations")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
