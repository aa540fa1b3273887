"""The offline checker against hand-made traces."""

import pytest

from rtl.memory.timing import TimingSet
from sim.hbm.checker import TraceError, check, main
from verif.memory.cases import Case, exact_cases, illegal_cases

ROWS = 64


def rules_of(case: Case, timing: TimingSet) -> list[str]:
    return [violation.rule for violation in check([command.line() for command in case.commands], timing, rows=ROWS).violations]


@pytest.mark.parametrize("name", TimingSet.names())
def test_exact(name):
    timing = TimingSet.load(name)
    for title, case in exact_cases(timing, ROWS).items():
        assert rules_of(case, timing) == [], title
        broken = set(rules_of(case.early(), timing))
        assert broken == {case.rule} if case.only else case.rule in broken, f"{title}: {broken}"


@pytest.mark.parametrize("name", TimingSet.names())
def test_illegal(name):
    timing = TimingSet.load(name)
    for title, case in illegal_cases(timing, ROWS).items():
        assert rules_of(case, timing) == [case.rule], title


def test_every_rule_of_the_four_activate_window_binds_somewhere():
    assert "tFAW" in exact_cases(TimingSet.load("F3200"), ROWS)
    assert "tFAW" not in exact_cases(TimingSet.load("P3200"), ROWS)


def test_violation_says_where():
    (violation,) = check(["0 ACT 0 0 1 -", "5 RD 0 0 - 0"], TimingSet.load("P3200")).violations
    assert (violation.rule, violation.time) == ("tRCDRD", 5)
    assert violation.text == "RD of line 2: 4 clocks after ACT, not 23"


def test_column_bus():
    timing = TimingSet.load("P3200")
    lines = ["0 ACT 0 0 1 -", "7 ACT 1 0 1 -", "90 RD 0 0 - 0", "90 RD 1 0 - 0"]
    assert {violation.rule for violation in check(lines, timing).violations} == {"COLUMN_BUS", "tCCD_S"}


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


def test_refreshes_in_advance_count_up_to_eight():
    timing = TimingSet.load("P3200")
    lines = [f"{1000 * k} REFAB - - - -" for k in range(12)]
    assert check(lines, timing, clocks=6 * timing.tREFI).owed == check(lines[:10], timing, clocks=6 * timing.tREFI).owed


@pytest.mark.parametrize("line, message", [
    ("0 ACT 0 0 1", "line 1: '0 ACT 0 0 1' is not 't CMD bg ba row col'"),
    ("0 JUMP 0 0 1 -", "line 1: '0 JUMP 0 0 1 -' is not 't CMD bg ba row col'"),
    ("x ACT 0 0 1 -", "line 1: 'x' is no number"),
    ("0 ACT 4 0 1 -", "line 1: ACT without a bank and a row"),
    ("0 RD - 0 - 1", "line 1: RD without a bank"),
])
def test_bad_lines(line, message):
    with pytest.raises(TraceError) as error:
        check([line], TimingSet.load("P3200"))
    assert str(error.value) == message


def test_time_runs_forward():
    with pytest.raises(TraceError, match="line 2: time 4 comes after 5"):
        check(["5 PREA - - - -", "4 PREA - - - -"], TimingSet.load("P3200"))


def test_command_line(tmp_path, capsys):
    trace = tmp_path / "commands.txt"
    trace.write_text("0 ACT 0 0 1 -\n24 RD 0 0 - 0\n")
    assert main([str(trace)]) == 0
    assert capsys.readouterr().out == "25 clocks: 1 ACT, 1 RD\n0 refreshes of all banks, at most 0 owed at the end; 0 violations\n"
    trace.write_text("0 ACT 0 0 1 -\n23 RD 0 0 - 0\n")
    assert main([str(trace), "--timing", "P3200"]) == 1
    assert "23 tRCDRD     RD of line 2: 22 clocks after ACT, not 23" in capsys.readouterr().out
    assert main([str(trace), "--timing", "X"]) == 2
    assert main([str(tmp_path / "none.txt")]) == 2
