"""Every goal, and that the kit refuses what proves nothing."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from verif.formal.__main__ import main
from verif.formal.goals import GOALS
from verif.formal.model import Model
from verif.formal.prove import Goal, ProofFailure, prove
from verif.formal.solver import Unsolved


@pytest.mark.parametrize("name", [pytest.param(goal.name, marks=[pytest.mark.long] if goal.long else []) for goal in GOALS.values()])
def test_goal(name):
    prove(GOALS[name])


class Counter(wiring.Component):
    """Counts to `end` and starts again; `checks` are the properties."""

    step: In(1)
    end: In(4)
    value: Out(4)

    constants = ("end",)

    def __init__(self, *checks):
        super().__init__()
        self.checks = checks

    def elaborate(self, platform):
        m = Module()
        with m.If(self.step):
            m.d.sync += self.value.eq(self.value + 1)
            with m.If(self.value == self.end):
                m.d.sync += self.value.eq(0)
        for domain, check in self.checks:
            m.d[domain] += check(self)
        return m


def small(c):
    return Assume(c.end < 9)


def below(c):
    return Assert(c.value <= c.end, "below the end")


def wraps(c):
    return Cover((c.value == c.end) & (c.end == 3) & c.step, "wraps")


def goal(*checks, name="kit", mode="induction", **options) -> Goal:
    return Goal(name, lambda: Counter(*(("sync", check) for check in checks)), mode, **options)


def test_induction():
    result = prove(goal(small, below, wraps))
    assert (result.verdict, result.steps, result.covers) == ("proved", 1, {"wraps": 4})
    assert str(result) == "induction, k = 1: 1 asserts; 1 covers met"


def test_counterexample(capsys):
    wrong = goal(small, wraps, lambda c: Assert(c.value != 5, "never five"), depth=8)
    with pytest.raises(ProofFailure) as failure:
        prove(wrong)
    text = str(failure.value)
    # Five steps lead there; the solver chooses an end of five or more.
    assert text.startswith("kit: counterexample of 6 clocks: never five\nconstants: end=")
    assert "\nvalue  0 1 2 3 4 5\n" in text and "replay: .venv/bin/python -m verif.formal --replay kit" in text
    result = prove(goal(small, wraps, lambda c: Assert(c.value != 5, "never five"), depth=8, expect="broken"))
    assert result.failed == "never five" and [clock["value"] for clock in result.values] == [0, 1, 2, 3, 4, 5]
    assert result.vcd.read_text().startswith("$")


def test_bounded_says_no_more_than_its_bound():
    def never_five(c):
        return Assert(c.value != 5, "never five")

    assert prove(goal(small, wraps, never_five, mode="bounded", depth=5)).steps == 5
    with pytest.raises(ProofFailure, match="counterexample of 6 clocks"):
        prove(goal(small, wraps, never_five, mode="bounded", depth=6))


def test_not_inductive():
    with pytest.raises(ProofFailure, match="no counterexample in 2 clocks, and no induction of length 2"):
        # True, but only seen from reset: 12 leads to 13, and nothing says that 12 can't be.
        prove(goal(small, wraps, lambda c: Assert(c.value != 13, "never thirteen"), depth=2))


def test_vacuous():
    with pytest.raises(ProofFailure, match="'wraps' can't be met in 12 clocks"):
        prove(goal(small, below, wraps, lambda c: Assume(~c.step)))
    with pytest.raises(ProofFailure, match="without a Cover nothing shows"):
        prove(goal(small, below))
    with pytest.raises(ProofFailure, match=r"a fault that the proof does not see \(proved, 1\)"):
        prove(goal(small, below, wraps, expect="broken"))


def test_another_assert_fails():
    with pytest.raises(ProofFailure, match="never five failed, not below"):
        prove(goal(small, below, wraps, lambda c: Assert(c.value != 5, "never five"), depth=8, expect="broken", fails="below"))


@pytest.mark.parametrize("checks, message", [
    ([("comb", below)], "the assert 'below the end' is not in a clocked domain"),
    ([("sync", below), ("sync", below)], "an assert needs a name of its own, not 'below the end'"),
    ([("sync", lambda c: Assert(c.value < 9))], "an assert needs a name of its own, not ''"),
    ([("sync", wraps)], "there is nothing to prove: no Assert"),
])
def test_refused(checks, message):
    with pytest.raises(ValueError) as error:
        Model.of(Counter(*checks))
    assert str(error.value) == message


def test_constants_are_inputs():
    class Wrong(Counter):
        constants = ("value",)

    with pytest.raises(ValueError, match="the constant 'value' is no input"):
        Model.of(Wrong(("sync", below)))


def test_time_limit():
    from verif.formal.solver import solve

    class Factors(wiring.Component):
        a: In(40)
        b: In(40)

        def elaborate(self, platform):
            m = Module()
            product = Signal(80)
            m.d.comb += product.eq(self.a * self.b)
            m.d.sync += Assert((product != 0x7FFFFFFFFFFFFFE7) | (self.a == 1) | (self.b == 1), "prime")
            return m

    with pytest.raises(Unsolved, match="no answer in 2 s"):
        solve(Model.of(Factors()), False, 1, seconds=2)


def test_command_line(capsys):
    assert main(["leading_zeros_2", "leading_zeros_fault"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok     leading_zeros_2 ") and lines[0].endswith("induction, k = 1: 1 asserts; 1 covers met")
    assert lines[1].startswith("caught leading_zeros_fault ") and lines[2].startswith("2 of 2 goals as expected, ")
    assert main(["--replay", "leading_zeros_fault"]) == 1
    assert "leading_zeros_fault: the zeros above the highest one\n" in capsys.readouterr().out
    assert main(["--replay", "nothing"]) == 2
    assert main(["--list"]) == 0
    assert "stream_register " in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no goal is named 'nothing'"):
        main(["nothing"])
