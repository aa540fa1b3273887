"""One distance at a time one clock too short: the proof fails, and its counterexample is a trace that checker and device refuse too.

    python -m verif.memory.formal.mutants
"""

import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from rtl.memory.timing import TimingSet
from sim.hbm.checker import check
from verif.formal.prove import Goal, ProofFailure, prove
from verif.memory.cases import Command
from verif.memory.formal.rules import RULES, Rule
from verif.memory.formal.timers import BankAndChannel
from verif.memory.player import play

__all__ = ["GOALS", "Mutant", "judge", "table"]


@dataclass(frozen=True)
class Mutant:
    """`rule` with its timer one clock short: the clocks of the counterexample, and what the two other judges say of its commands."""

    rule: str
    clocks: int
    proof: str
    commands: tuple[Command, ...]
    timing: TimingSet
    device: frozenset[str] = frozenset()
    checker: frozenset[str] = frozenset()

    @property
    def caught(self) -> dict[str, bool]:
        return {"proof": self.proof == f"rule {self.rule}", "device": self.rule in self.device, "checker": self.rule in self.checker}


def _goal(rule: Rule) -> Goal:
    # A lawful sender: else its commands would break rules of state as well.
    return Goal(
        f"mutant_{rule.name}", lambda: BankAndChannel(weaken=rule.field, lawful=True), "bounded", 14, "broken", f"rule {rule.name}",
        long=True,
    )


GOALS = [_goal(rule) for rule in RULES]


def timing_of(values: dict[str, int]) -> TimingSet:
    """The timing set of a counterexample; that `TimingSet` takes it shows that the proof assumes no more than it should have."""
    parts = {name: values.get(f"timing.{name}", values.get(f"sums.{name}")) for name in TimingSet.parameters()}
    return TimingSet(name="counterexample", tCK=Fraction(5, 8), **parts)


def commands_of(values: list[dict[str, int]]) -> tuple[Command, ...]:
    """An ACT is seen in its second clock. The last clock is the one in which a rule is broken."""
    found = []
    for clock, now in enumerate(clock for clock in values if clock["enable"]):
        if now["ACT"]:
            found.append(Command(clock - 1, "ACT", now["acting_bank"], 1))
        found += [Command(clock, name, now["row_bank"]) for name in ("PRE", "REFSB") if now[name]]
        found += [Command(clock, name, now["column_bank"]) for name in ("RD", "WR") if now[name]]
    # Of one clock the column command first: it finds the row that a PRE of that clock closes.
    return tuple(sorted(found, key=lambda command: (command.time, command.name not in ("RD", "WR"))))


def find(rule: Rule) -> Mutant:
    """The proof's part."""
    result = prove(_goal(rule))
    values = list(result.values)
    return Mutant(rule.name, result.steps, result.failed, commands_of(values), timing_of(values[0]))


def judge(mutant: Mutant, simulator: str = "icarus") -> Mutant:
    """The other judges' part: the commands under the timing set of the counterexample."""
    lines = [command.line() for command in mutant.commands]
    checker = frozenset(violation.rule for violation in check(lines, mutant.timing, rows=64).violations)
    with tempfile.TemporaryDirectory() as folder:
        (verdict,) = play(simulator, mutant.timing, [mutant.commands], Path(folder))
    return Mutant(mutant.rule, mutant.clocks, mutant.proof, mutant.commands, mutant.timing, verdict.rules, checker)


def table(mutants: list[Mutant]) -> str:
    lines = [f"{'rule':<8} {'field of TimingValues':<22}{'clocks':>7}  {'proof':<8}{'device':<8}checker"]
    fields = {rule.name: rule.field for rule in RULES}
    for mutant in mutants:
        caught = "".join(f"{'yes' if value else 'NO':<8}" for value in mutant.caught.values())
        lines.append(f"{mutant.rule:<8} {fields[mutant.rule]:<22}{mutant.clocks:>7}  {caught}".rstrip())
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Rules by name, all by default. Exit status 1 where a judge misses a rule."""
    unknown = [name for name in arguments if name not in {rule.name for rule in RULES}]
    if unknown:
        print(f"{unknown[0]!r} is not one of {', '.join(rule.name for rule in RULES)}", file=sys.stderr)
        return 2
    try:
        mutants = [judge(find(rule)) for rule in RULES if not arguments or rule.name in arguments]
    except ProofFailure as error:
        print(error, file=sys.stderr)
        return 1
    print(table(mutants))
    return 0 if all(all(mutant.caught.values()) for mutant in mutants) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
