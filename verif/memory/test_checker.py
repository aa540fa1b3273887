"""The offline checker against hand-made traces."""

import io
import time

import pytest

from rtl.memory.timing import TimingSet
from sim.hbm.checker import Checker, TraceError, check, main
from verif.memory.busy import busy_period
from verif.memory.cases import cases

ROWS = 64


def test_every_rule_of_the_four_activate_window_binds_somewhere():
    assert "tFAW" in cases(TimingSet.load("F3200"), ROWS)
    assert "tFAW" not in cases(TimingSet.load("P3200"), ROWS)


def test_violation_says_where():
    (violation,) = check(["0 ACT 0 0 1 -", "5 RD 0 0 - 0"], TimingSet.load("P3200")).violations
    assert (violation.rule, violation.time, violation.earlier, violation.required) == ("tRCDRD", 5, 1, 23)
    assert str(violation) == "tRCDRD at 5: RD of line 2: 4 clocks after ACT at 1, not 23"
    # The time of an ACT is its first clock, its distance counts from the second.
    (violation,) = check(["0 ACT 0 0 1 -", "3 ACT 1 0 1 -"], TimingSet.load("P3200")).violations
    assert str(violation) == "tRRD_S at 3: ACT of line 2: 3 clocks after ROW at 1, not 7"


def test_column_bus():
    timing = TimingSet.load("P3200")
    lines = ["0 ACT 0 0 1 -", "7 ACT 1 0 1 -", "90 RD 0 0 - 0", "90 RD 1 0 - 0"]
    assert {violation.rule for violation in check(lines, timing).violations} == {"COLUMN_BUS", "tCCD_S", "DATA_BUS"}


def test_refresh_debt():
    timing = TimingSet.load("P3200")
    end = 9 * timing.tREFI
    assert check([], timing, clocks=end - 1).owed == 8
    report = check([], timing, clocks=end)
    assert [violation.rule for violation in report.violations] == ["tREFI"] * 16
    assert check([f"{end - 1} REFAB - - - -"], timing, clocks=end).ok
    by_bank = [f"{100 + 13 * bank} REFSB {bank & 3} {bank >> 2} - -" for bank in range(16)]
    report = check(by_bank, timing, clocks=end)
    assert report.ok and report.refreshes == 1 and report.owed == 8
    report = check(by_bank[:3], timing, clocks=end - 1)
    assert report.owed_by_bank == (7, 7, 7, *[8] * 13) and report.owed == 8


def test_refreshes_in_advance_count_up_to_eight():
    timing = TimingSet.load("P3200")
    lines = [f"{1000 * k} REFAB - - - -" for k in range(12)]
    assert check(lines, timing, clocks=6 * timing.tREFI).owed == check(lines[:10], timing, clocks=6 * timing.tREFI).owed


def test_line_by_line():
    """A checker tells what it has found while the trace still grows."""
    timing = TimingSet.load("P3200")
    checker = Checker(timing)
    checker.feed("0 ACT 0 0 1 -")
    checker.feed("9 RD 0 0 - 0")
    assert [violation.rule for violation in checker.report.violations] == ["tRCDRD"]
    checker.feed(f"{10 * timing.tREFI} PREA - - - -")
    assert [violation.rule for violation in checker.report.violations] == ["tRCDRD"] + ["tREFI"] * 32
    assert checker.finish().clocks == 10 * timing.tREFI + 1


def test_speed():
    """Ten million clocks at full load take half a minute or less; here a tenth of a million commands."""
    timing = TimingSet.load("P3200")
    period = busy_period(timing)
    lines = [command.at(command.time + number * timing.tREFI).line() for number in range(40) for command in period]
    begin = time.process_time()
    report = check(lines, timing)
    taken = time.process_time() - begin
    print(f"\n{len(lines) / taken:,.0f} commands a second, {report.clocks / taken:,.0f} clocks a second")
    assert report.ok and len(lines) / taken > 50_000


@pytest.mark.parametrize("line, message", [
    ("0 ACT 0 0 1", "line 1: '0 ACT 0 0 1' is not 't CMD bg ba row col'"),
    ("0 JUMP 0 0 1 -", "line 1: '0 JUMP 0 0 1 -' is not 't CMD bg ba row col'"),
    ("x ACT 0 0 1 -", "line 1: 'x' is no number"),
    ("0 ACT 4 0 1 -", "line 1: ACT without a bank and a row"),
    ("0 RD - 0 - 1", "line 1: RD without a bank"),
    ("0 ACT 0 0 x -", "line 1: ACT without a bank and a row"),
])
def test_bad_lines(line, message):
    with pytest.raises(TraceError) as error:
        check([line], TimingSet.load("P3200"))
    assert str(error.value) == message


def test_time_runs_forward():
    with pytest.raises(TraceError, match="line 2: time 4 comes after 5"):
        check(["5 PREA - - - -", "4 PREA - - - -"], TimingSet.load("P3200"))


def test_command_line(tmp_path, capsys, monkeypatch):
    trace = tmp_path / "commands.txt"
    trace.write_text("0 ACT 0 0 1 -\n24 RD 0 0 - 0\n")
    assert main([str(trace)]) == 0
    assert capsys.readouterr().out == "25 clocks: 1 ACT, 1 RD\n0 refreshes of all banks, at most 0 owed at the end; 0 violations\n"
    trace.write_text("0 ACT 0 0 1 -\n23 RD 0 0 - 0\n")
    assert main([str(trace), "--timing", "P3200"]) == 1
    assert "23 tRCDRD     RD of line 2: 22 clocks after ACT at 1, not 23" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("0 PREA - - - -\n"))
    assert main(["-"]) == 0
    assert main([str(trace), "--timing", "X"]) == 2
    assert main([str(tmp_path / "none.txt")]) == 2
