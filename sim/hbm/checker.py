"""Offline checker of DRAM command traces: every timing and state rule of the device, by name. Shares no code with model or controller.

A trace has a line for each command, `t CMD bg ba row col`, with `t` in clocks (an ACT's first) and `-` where a field has no meaning.
Most rules are rows of one table: after event A, event B in the same bank, group or another one comes at least so much later.

    python -m sim.hbm.checker FILE --timing P3200
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rtl.memory.timing import BURST_CLOCKS, MAX_POSTPONED, TimingError, TimingSet

__all__ = ["Checker", "Report", "TraceError", "Violation", "check"]

_COMMANDS = ("ACT", "PRE", "PREA", "RD", "RDA", "WR", "WRA", "REFAB", "REFSB", "MRS")
_WITHOUT_BANK = {"PREA", "REFAB", "MRS"}
_BANKS = range(16)
#: Long before every trace.
_NEVER = -(10**9)
#: The bank of a line's fields bg and ba; its group is in the low two bits.
_BANK_OF = {(str(group), str(bank)): 4 * bank + group for group in range(4) for bank in range(4)}


class TraceError(ValueError):
    """A line that is no command. The message has its number."""


@dataclass(frozen=True)
class Violation:
    """A broken rule. `time` is the later command's clock; `earlier` that of what it comes too soon after (an ACT's second clock) and
    `required` the distance, where the rule is one of distance."""

    rule: str
    time: int
    text: str
    earlier: int | None = None
    required: int | None = None

    def __str__(self):
        return f"{self.rule} at {self.time}: {self.text}"


@dataclass
class Report:
    """What a trace holds. `owed_by_bank` are the refreshes that each bank is owed at the end, negative if they are in advance."""

    violations: list[Violation] = field(default_factory=list)
    commands: Counter = field(default_factory=Counter)
    clocks: int = 0
    refreshes: int = 0  #: bank refreshes / 16, rounded down: an all-bank refresh is one
    owed_by_bank: tuple[int, ...] = (0,) * 16

    @property
    def ok(self) -> bool:
        return not self.violations

    @property
    def owed(self) -> int:
        """The worst bank's."""
        return max(self.owed_by_bank)


#: Where the earlier event of a rule may lie, seen from a bank: whether its times are kept by bank (or by group), and where to look.
_SCOPES = {
    "the bank": (True, lambda bank: (bank,)),
    "the group": (False, lambda bank: (bank & 3,)),
    "another group": (False, lambda bank: tuple(group for group in range(4) if group != bank & 3)),
    "any group": (False, lambda bank: (0, 1, 2, 3)),
    "another bank of the group": (True, lambda bank: tuple(other for other in _BANKS if other != bank and (other ^ bank) & 3 == 0)),
    "another bank": (True, lambda bank: tuple(other for other in _BANKS if other != bank)),
}


def _table(t: TimingSet) -> list[tuple[str, str, str, str, int]]:
    """(name, earlier, later, scope, clocks). Events, not commands: an ACT happens in its second clock; PRE is the start of a
    precharge; ROW is an ACT or a REFSB, COLUMN an RD or a WR."""
    end = t.WL + BURST_CLOCKS
    table = [
        ("tRCDRD", "ACT", "RD", "the bank", t.tRCDRD), ("tRCDWR", "ACT", "WR", "the bank", t.tRCDWR),
        ("tRAS", "ACT", "PRE", "the bank", t.tRAS), ("tRTP", "RD", "PRE", "the bank", t.tRTP), ("tWR", "WR", "PRE", "the bank", end + t.tWR),
        ("tCCD_S", "COLUMN", "COLUMN", "another group", t.tCCD_S), ("tCCD_L", "COLUMN", "COLUMN", "the group", t.tCCD_L),
        ("tWTR_S", "WR", "RD", "another group", end + t.tWTR_S), ("tWTR_L", "WR", "RD", "the group", end + t.tWTR_L),
        ("tRTW", "RD", "WR", "any group", t.RL + BURST_CLOCKS + t.tRTW_GAP - t.WL),
        ("tRRD_S", "ROW", "ROW", "another group", t.tRRD_S), ("tRRD_L", "ROW", "ROW", "another bank of the group", t.tRRD_L),
        ("tRREFD", "REFSB", "ROW", "another bank", t.tRREFD),
    ]
    for later in ("ROW", "REFAB", "MRS"):
        table += [
            ("tRC", "ACT", later, "the bank", t.tRC), ("tRP", "PRE", later, "the bank", t.tRP),
            ("tRFC", "REFAB", later, "the bank", t.tRFC), ("tRFCsb", "REFSB", later, "the bank", t.tRFCsb),
        ]
    return table


class Checker:
    """Judges a trace while it grows: :meth:`feed` it lines, then :meth:`finish`.

    Parameters
    ----------
    timing : TimingSet
        What to judge by.
    rows : int
        Rows of a bank.

    Members
    -------
    report : Report
        What was found so far; complete after :meth:`finish`.
    """

    def __init__(self, timing: TimingSet, rows: int = 32768):
        self.timing = timing
        self.report = Report()
        self._row_count = rows
        self._lines = 0
        self._now = 0
        table = _table(timing)
        events = {event for _, earlier, later, _, _ in table for event in (earlier, later)}
        #: Times of the last event of each kind, by bank and by group.
        self._by_bank = {event: [_NEVER] * 16 for event in events}
        self._by_group = {event: [_NEVER] * 4 for event in events}
        #: The rules that end in an event: (name, earlier event, its times, where to look for each bank, clocks).
        self._rules: dict[str, list[tuple[str, str, list[int], list[tuple[int, ...]], int]]] = {event: [] for event in events}
        for name, earlier, later, scope, clocks in table:
            by_bank, places = _SCOPES[scope]
            times = (self._by_bank if by_bank else self._by_group)[earlier]
            self._rules[later].append((name, earlier, times, [places(bank) for bank in _BANKS], clocks))
        self._rows: list[int | None] = [None] * 16
        self._activates = [_NEVER] * 4
        self._round: set[int] = set()
        self._round_end = _NEVER
        self._row_bus_free = 0
        self._column_time = -1
        #: Bit k: the data bus has an owner k clocks after `_data_time`.
        self._data_bus = 0
        self._data_time = 0
        self._debt = [0] * 16
        self._refreshed = 0
        self._due = timing.tREFI - 1
        self._counts = dict.fromkeys(_COMMANDS, 0)

    def _violate(self, rule: str, reason: str, earlier: int | None = None, required: int | None = None):
        self.report.violations.append(Violation(rule, self._now, f"{self._what} of line {self._lines}: {reason}", earlier, required))

    def _apart(self, rule: str, time: int, what: str, earlier: int, required: int):
        """The rule that `time` comes `required` clocks after `earlier`."""
        if time < earlier + required:
            self._violate(rule, f"{time - earlier} clocks after {what} at {earlier}, not {required}", earlier, required)

    def _compare(self, event: str, time: int, bank: int):
        """Checks the table's rules that end in this event."""
        for name, earlier, times, places, clocks in self._rules[event]:
            latest = time - clocks
            for place in places[bank]:
                if times[place] > latest:
                    self._apart(name, time, earlier, times[place], clocks)

    def _note(self, event: str, time: int, bank: int):
        self._by_bank[event][bank] = time
        self._by_group[event][bank & 3] = time

    def _activate(self, time: int, bank: int):
        """What ACT and REFSB share; `time` is the ACT's second clock."""
        if self._rows[bank] is not None:
            self._violate("OPEN", f"row {self._rows[bank]} is open")
        self._compare("ROW", time, bank)
        self._apart("tFAW", time, "the fourth activate before", self._activates[0], self.timing.tFAW)
        self._activates = [*self._activates[1:], time]
        self._note("ROW", time, bank)

    def _precharge(self, time: int, bank: int):
        if self._rows[bank] is not None:
            self._compare("PRE", time, bank)
            self._rows[bank] = None
            self._note("PRE", time, bank)

    def _auto_precharge(self, bank: int):
        """The device precharges as soon as the rules allow."""
        self._rows[bank] = None
        self._note("PRE", max(times[bank] + clocks for _, _, times, _, clocks in self._rules["PRE"]), bank)

    def _column(self, time: int, name: str, bank: int, row: str):
        if time == self._column_time:
            self._violate("COLUMN_BUS", "the second column command of a clock")
        self._column_time = time
        open_row = self._rows[bank]
        if open_row is None:
            self._violate("CLOSED", "no row is open")
            return
        if row != "-" and row != str(open_row):
            self._violate("CLOSED", f"row {open_row} is open")
        direction = name[:2]
        self._compare(direction, time, bank)
        self._compare("COLUMN", time, bank)
        self._by_bank[direction][bank] = self._by_group[direction][bank & 3] = self._by_group["COLUMN"][bank & 3] = time
        burst = 3 << (self.timing.RL if direction == "RD" else self.timing.WL)
        self._data_bus >>= time - self._data_time
        self._data_time = time
        if self._data_bus & burst:
            self._violate("DATA_BUS", "its data meet another burst's")
        self._data_bus |= burst
        if len(name) == 3:
            self._auto_precharge(bank)

    def _idle(self, rule: str, event: str, time: int):
        """For commands that need every bank closed and at rest."""
        for bank in _BANKS:
            if self._rows[bank] is not None:
                self._violate(rule, f"row {self._rows[bank]} of bank {bank} is open")
            self._compare(event, time, bank)

    def _pay(self, bank: int):
        self._refreshed += 1
        self._debt[bank] = max(self._debt[bank] - 1, -MAX_POSTPONED)

    def _refresh_bank(self, time: int, bank: int):
        self._activate(time, bank)
        if bank in self._round:
            self._violate("ROUND", "the bank had its turn in this round")
        if not self._round:
            self._apart("tRFCsb", time, "the end of the round before", self._round_end, self.timing.tRFCsb)
        self._round.add(bank)
        if len(self._round) == 16:
            self._round, self._round_end = set(), time
        self._note("REFSB", time, bank)
        self._pay(bank)

    def _refresh_all(self, time: int):
        self._idle("OPEN", "REFAB", time)
        self._round = set()
        for bank in _BANKS:
            self._note("REFAB", time, bank)
            self._pay(bank)

    def _mode(self, time: int, register: str, value: str):
        self._idle("MODE", "MRS", time)
        expected = {"0": self.timing.RL, "1": self.timing.WL}
        if value != "-" and str(expected.get(register)) != value:
            self._violate("MODE", f"mode register {register} is given {value}")

    def _fall_due(self, end: int):
        """Refreshes that fall due before `end`: one for each bank at the end of each tREFI. A refresh in that very clock is in time."""
        while self._due < end:
            for bank in _BANKS:
                self._debt[bank] += 1
                if self._debt[bank] > MAX_POSTPONED:
                    self.report.violations.append(Violation("tREFI", self._due, f"bank {bank} is owed {self._debt[bank]} refreshes"))
                    self._debt[bank] = MAX_POSTPONED
            self._due += self.timing.tREFI

    def feed(self, line: str):
        """Judges one line. Raises :class:`TraceError` if it is no command, or time runs backwards."""
        self._lines += 1
        words = line.split()
        if not words:
            return
        if len(words) != 6 or words[1] not in self._counts:
            raise TraceError(f"line {self._lines}: {line.strip()!r} is not 't CMD bg ba row col'")
        clock, name, group, ba, row, column = words
        if not clock.isdigit():
            raise TraceError(f"line {self._lines}: {clock!r} is no number")
        time = int(clock)
        if time < self._now:
            raise TraceError(f"line {self._lines}: time {time} comes after {self._now}")
        bank = _BANK_OF.get((group, ba))
        if bank is None and name not in _WITHOUT_BANK:
            raise TraceError(f"line {self._lines}: {name} without a bank{' and a row' if name == 'ACT' else ''}")
        if time > self._due:
            self._fall_due(time)
        self._now = time
        self._what = name
        self._counts[name] += 1
        if name[0] in "RW" and name[1] in "DR":
            self._column(time, name, bank, row)
        else:
            self._row_command(time, name, bank, ba, row)

    def _row_command(self, time: int, name: str, bank: int | None, register: str, row: str):
        if time < self._row_bus_free:
            self._violate("ROW_BUS", f"the row bus is busy until {self._row_bus_free}")
        self._row_bus_free = time + (2 if name == "ACT" else 1)
        if name == "ACT":
            if not row.isdigit():
                raise TraceError(f"line {self._lines}: ACT without a bank and a row")
            self._activate(time + 1, bank)
            if int(row) >= self._row_count:
                self._violate("RANGE", f"there is no row {row}")
            self._rows[bank] = int(row)
            self._note("ACT", time + 1, bank)
        elif name == "PRE":
            self._precharge(time, bank)
        elif name == "PREA":
            for each in _BANKS:
                self._precharge(time, each)
        elif name == "REFSB":
            self._refresh_bank(time, bank)
        elif name == "REFAB":
            self._refresh_all(time)
        else:
            self._mode(time, register, row)

    def finish(self, clocks: int | None = None) -> Report:
        """The report of a run of `clocks`, by default up to the last command."""
        report = self.report
        report.clocks = max(self._now + 1, clocks or 0)
        self._fall_due(report.clocks)
        report.commands = Counter({name: count for name, count in self._counts.items() if count})
        report.refreshes = self._refreshed // 16
        report.owed_by_bank = tuple(self._debt)
        return report


def check(trace: "str | Path | Iterable[str]", timing: TimingSet, clocks: int | None = None, rows: int = 32768) -> Report:
    """Checks a trace: a path, which may be a pipe that a simulation still writes to, or an iterable of its lines.

    `clocks` is the length of the run, by default up to the last command; `rows` are a bank's. Raises :class:`TraceError` on a line that is
    no command, and where time runs backwards.
    """
    if isinstance(trace, (str, Path)):
        with open(trace) as file:
            return check(file, timing, clocks, rows)
    checker = Checker(timing, rows)
    for line in trace:
        checker.feed(line)
    return checker.finish(clocks)


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 0 good, 1 violations, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m sim.hbm.checker", description="Checks a DRAM command trace.")
    parser.add_argument("file", help="a command trace, or - for the standard input")
    parser.add_argument("--timing", default="P3200", help="a timing set's name or TOML file")
    options = parser.parse_args(arguments)
    try:
        report = check(sys.stdin if options.file == "-" else options.file, TimingSet.load(options.timing))
    except (OSError, UnicodeDecodeError, TimingError, TraceError) as error:
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
