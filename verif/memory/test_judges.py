"""Device model and offline checker against each other: hand-made traces for each rule, random legal ones, and the same with faults.

`pytest -s verif/memory/test_judges.py -k table` prints which judge named which rule, how often.
"""

import copy
from collections import Counter
from random import Random

import pytest

from rtl.memory.timing import TimingSet
from sim.hbm.checker import check
from sim.hbm.parameters import RULES
from verif.memory.cases import Command, cases
from verif.memory.player import ROWS, play
from verif.memory.traces import Mutant, Trace, mutants, random_timing, random_trace, shuffled

#: What only one judge can see: the other's reason.
ONE_JUDGE = {
    "COLUMN_BUS": ("device", "its bus can't express it"),
    "COMMAND": ("checker", "a TraceError: no such line; the device in test_device.py"),
    "STORAGE": ("checker", "a trace has no data; the device in test_device.py"),
}
#: Rules that being early by a clock doesn't break, or not in every set: hand-made traces and the shuffled ones have them.
STATES = {"tREFI", "ROUND", "OPEN", "CLOSED", "RANGE", "MODE", "COLUMN_BUS", "COMMAND", "DATA_BUS", "STORAGE"}
#: Random timing sets of a quick run, and mutants of a rule in each.
SETS = {"icarus": 2, "verilator": 20}
MUTANTS = 4


def checked(commands: tuple[Command, ...], timing: TimingSet) -> frozenset[str]:
    """The rules that the offline checker names."""
    return frozenset(violation.rule for violation in check([command.line() for command in commands], timing, rows=ROWS).violations)


def material(timing: TimingSet, random: Random) -> tuple[list[Trace], list[Mutant], list[tuple[Command, ...]]]:
    """Legal traces, mutants of each rule, and traces that are illegal somehow."""
    legal = [random_trace(timing, random, 150, ROWS) for _ in range(5)]
    pool = [mutant for trace in legal for mutant in mutants(trace)]
    random.shuffle(pool)
    chosen, count = [], Counter()
    for mutant in pool:
        if any(count[rule] < MUTANTS for rule in mutant.rules):
            count.update(mutant.rules)
            chosen.append(mutant)
    return legal, chosen, [shuffled(trace, random, ROWS) for trace in legal for _ in range(2)]


def compare_cases(simulator: str, timing: TimingSet, folder, found: dict[str, Counter]):
    """Hand-made traces; counts the illegal ones by judge."""
    hand_made = cases(timing, ROWS)
    asked = {title: case for title, case in hand_made.items() if "device" in case.judges}
    verdicts = play(simulator, timing, [trace for case in asked.values() for trace in (case.legal, case.illegal)], folder)
    for (title, case), legal, illegal in zip(asked.items(), verdicts[::2], verdicts[1::2], strict=True):
        assert not legal.violations, f"{timing.name}: {title}: the device says that a legal trace breaks {set(legal.rules)}"
        assert illegal.rules == case.broken, f"{timing.name}: {title}: the device says {set(illegal.rules)}"
        found["device, by hand"][case.rule] += 1
    for title, case in hand_made.items():
        assert checked(case.legal, timing) == frozenset(), f"{timing.name}: {title}"
        assert checked(case.illegal, timing) == case.broken, f"{timing.name}: {title}"
        found["checker, by hand"][case.rule] += 1


def compare_random(simulator: str, timing: TimingSet, random: Random, folder, found: dict[str, Counter]):
    """Both judges accept the legal traces, name just the broken rules of the mutants, and say the same of the shuffled ones."""
    legal, illegal, wild = material(timing, random)
    traces = [*(trace.commands for trace in legal), *(mutant.commands for mutant in illegal), *wild]
    expected = [*(frozenset() for _ in legal), *(mutant.rules for mutant in illegal), *(checked(trace, timing) for trace in wild)]
    for number, (commands, rules, verdict) in enumerate(zip(traces, expected, play(simulator, timing, traces, folder), strict=True)):
        # A row that doesn't exist has no place either, which a trace can't show.
        device = verdict.rules - ({"STORAGE"} if "RANGE" in rules else set())
        assert device == rules, f"{timing}, trace {number}: the device says {set(device)}, not {set(rules)}"
        assert checked(commands, timing) == rules, f"{timing}, trace {number}: the checker says {set(checked(commands, timing))}"
        for judge in ("device", "checker"):
            found[f"{judge}, {'moved' if number < len(legal) + len(illegal) else 'shuffled'}"].update(rules)


def table(found: dict[str, Counter]) -> str:
    lines = [f"{'rule':<12}" + "".join(f"{column:>19}" for column in found)]
    for rule in (*RULES[1:], "COLUMN_BUS"):
        blind, reason = ONE_JUDGE.get(rule, ("", ""))
        cells = ["-" if blind and column.startswith(blind) else str(counts[rule]) for column, counts in found.items()]
        lines.append(f"{rule:<12}" + "".join(f"{cell:>19}" for cell in cells) + (f"   {blind}: {reason}" if blind else ""))
    return "\n".join(lines)


def empty_table() -> dict[str, Counter]:
    return {f"{judge}, {kind}": Counter() for kind in ("by hand", "moved", "shuffled") for judge in ("device", "checker")}


def test_table(simulator, seed, tmp_path):
    """cp_rules: for each rule traces that keep it exactly, and traces that miss it by a clock, in timing sets that nobody tuned for."""
    found = empty_table()
    for name in TimingSet.names():
        compare_cases(simulator, TimingSet.load(name), tmp_path, found)
    for number in range(SETS[simulator]):
        random = Random(f"{seed}/{number}")
        compare_random(simulator, random_timing(random, number), random, tmp_path, found)
    print(f"\nillegal traces in which each judge named the rule ({simulator}, seed {seed})\n{table(found)}")
    for rule in (*RULES[1:], "COLUMN_BUS"):
        for column, counts in found.items():
            judge, _, kind = column.partition(", ")
            can = kind == "by hand" or (kind == "moved" and rule not in STATES)
            if can and rule not in ("COMMAND", "STORAGE") and judge not in ONE_JUDGE.get(rule, ()):
                assert counts[rule], f"{column}: no trace broke {rule}"


@pytest.mark.long
def test_random_long(simulator, seed, tmp_path):
    found = empty_table()
    for number in range(SETS[simulator] * 10):
        random = Random(f"{seed}/{number}")
        compare_random(simulator, random_timing(random, number), random, tmp_path, found)
    print(f"\n{table(found)}")


def off_by(timing: TimingSet, parameter: str, clocks: int) -> TimingSet:
    """The set with one value changed, though the set may then contradict itself."""
    changed = copy.copy(timing)
    object.__setattr__(changed, parameter, getattr(timing, parameter) + clocks)
    return changed


@pytest.mark.parametrize("parameter", [name for name in TimingSet.parameters() if name != "tREFIsb"])
def test_fault(simulator, tmp_path, parameter):
    """A judge whose value is one clock off is found out: too strict, it names a rule in a legal trace; too lax, it misses one."""
    timing = TimingSet.load("F3200")
    # Those of tREFI take longest by far.
    asked = [case for case in cases(timing, ROWS).values() if "device" in case.judges and (case.rule != "tREFI" or parameter == "tREFI")]
    traces = [trace for case in asked for trace in (case.legal, case.illegal)]
    right = [rules for case in asked for rules in (frozenset(), case.broken)]
    strict = -1 if parameter == "tREFI" else 1
    for clocks, which in ((strict, slice(0, None, 2)), (-strict, slice(1, None, 2))):
        wrong = off_by(timing, parameter, clocks)
        device = [verdict.rules for verdict in play(simulator, wrong, traces, tmp_path)]
        assert device[which] != right[which], f"a device with {parameter} {clocks:+} is not found out"
        assert [checked(trace, wrong) for trace in traces[which]] != right[which], f"a checker with {parameter} {clocks:+} is not found out"
