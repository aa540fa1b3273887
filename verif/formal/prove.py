"""Proves the asserts of a component, and that the proof is about something."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from sim.tools import build_folder
from verif.formal.model import Model
from verif.formal.replay import replay
from verif.formal.solver import Answer, solve

__all__ = ["Goal", "ProofFailure", "Result", "prove"]


class ProofFailure(AssertionError):
    """A goal that did not come out as expected. The message has the counterexample and how to replay it."""


@dataclass(frozen=True)
class Goal:
    """Something to prove.

    Parameters
    ----------
    name
        Unique; also the name of the files of a counterexample.
    harness
        Makes a component whose checks are `Assert`, `Assume` and `Cover` in a clocked domain, each with a name. Its inputs are free in
        every clock, those named in its attribute `constants` are free but never change.
    mode
        "induction": for all time. "bounded": for `depth` clocks from reset.
    depth
        The greatest length of the induction, or the bound.
    expect
        "proved", or "broken": a design with a known fault, in which a counterexample must be found.
    fails
        Of a broken design: the assert that must fail is one whose name begins so.
    reach
        Clocks in which every cover must be met.
    long
        Belongs to the long tier.
    """

    name: str
    harness: Callable[[], wiring.Component]
    mode: str = "induction"
    depth: int = 2
    expect: str = "proved"
    fails: str = ""
    reach: int = 12
    long: bool = False

    def __post_init__(self):
        if self.mode not in ("induction", "bounded") or self.expect not in ("proved", "broken"):
            raise ValueError(f"{self.name}: mode {self.mode!r}, expect {self.expect!r}")


@dataclass(frozen=True)
class Result:
    """`steps`: length of the induction, the bound, or the clock of the failure. `covers`: the clock that meets each.

    Of a counterexample: the assert that `failed`, its `table`, the `values` of the ports by clock and the waveform.
    """

    goal: Goal
    verdict: str
    steps: int
    asserts: int
    covers: dict[str, int]
    seconds: float
    failed: str | None = None
    table: str = ""
    values: tuple[dict[str, int], ...] = ()
    vcd: Path | None = None

    def __str__(self) -> str:
        if self.verdict == "violated":
            return f"counterexample of {self.steps} clocks: {self.failed}"
        how = f"induction, k = {self.steps}" if self.goal.mode == "induction" else f"bounded, {self.steps} clocks"
        return f"{how}: {self.asserts} asserts; {len(self.covers)} covers met"


def folder() -> Path:
    path = build_folder() / "formal"
    path.mkdir(parents=True, exist_ok=True)
    return path


def prove(goal: Goal) -> Result:
    """Raises :class:`ProofFailure` where the goal is not as expected: a counterexample, no induction of the given length, a cover that
    can't be met, or a broken design that passes."""
    start = time.monotonic()
    model = Model.of(goal.harness())
    (answer,) = solve(model, goal.mode == "induction", goal.depth)
    if answer.verdict == "violated":
        result = _counterexample(goal, model, answer, start)
        if goal.expect == "broken":
            if not (result.failed or "").startswith(goal.fails):
                raise ProofFailure(f"{goal.name}: {result.failed} failed, not {goal.fails}\n{result.table}")
            return result
        raise ProofFailure(
            f"{goal.name}: {result}\n{result.table}\nwaveform: {result.vcd}\nreplay: .venv/bin/python -m verif.formal --replay {goal.name}"
        )
    if goal.expect == "broken":
        raise ProofFailure(f"{goal.name}: a fault that the proof does not see ({answer.verdict}, {answer.steps})")
    if answer.verdict == "open":
        raise ProofFailure(f"{goal.name}: no counterexample in {answer.steps} clocks, and no induction of length {answer.steps}")
    covers = _covers(goal, model)
    return Result(goal, answer.verdict, answer.steps, len(model.asserts), covers, time.monotonic() - start)


def _counterexample(goal: Goal, model: Model, answer: Answer, start: float) -> Result:
    vcd = folder() / f"{goal.name}.vcd"
    (folder() / f"{goal.name}.json").write_text(json.dumps(answer.inputs))
    seen = replay(goal.harness(), list(answer.inputs), vcd)
    if seen.failed not in model.asserts:
        # Solver and simulator disagree: a fault of the kit or of a tool, never of the design.
        raise ProofFailure(f"{goal.name}: the simulator does not confirm the counterexample ({seen.failed})\n{seen.table}")
    seconds = time.monotonic() - start
    return Result(goal, "violated", answer.steps, len(model.asserts), {}, seconds, seen.failed, seen.table, seen.values, vcd)


def _covers(goal: Goal, model: Model) -> dict[str, int]:
    """The clock in which each cover can be met; an assumption that excludes too much shows here."""
    if not model.covers:
        raise ProofFailure(f"{goal.name}: without a Cover nothing shows that the proof is about something")
    met = {}
    for name, answer in zip(model.covers, solve(model, False, goal.reach, list(model.covers)), strict=True):
        if answer.verdict != "violated":
            raise ProofFailure(f"{goal.name}: {name!r} can't be met in {answer.steps} clocks")
        seen = replay(goal.harness(), list(answer.inputs))
        if seen.failed is not None or name not in seen.covered:
            raise ProofFailure(f"{goal.name}: the simulator does not confirm that {name!r} is met ({seen.failed})\n{seen.table}")
        met[name] = answer.steps
    return met
