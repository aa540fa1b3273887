"""Yosys' `sat` on a model: temporal induction, or its base case alone. Runs in a process of its own, with a time limit."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sim.verilog.yosys import yosys
from verif.formal.model import Model

__all__ = ["Answer", "Unsolved", "solve"]


class Unsolved(RuntimeError):
    """No answer: the time limit, or an error of Yosys."""


@dataclass(frozen=True)
class Answer:
    """`verdict`: "proved" (by induction of length `steps`, or for the first `steps` clocks), "violated" in the last of `steps` clocks,
    with the inputs of each clock, or "open": no violation in `steps` clocks, and no induction of that length."""

    verdict: str
    steps: int
    inputs: tuple[dict[str, int], ...] = ()


def solve(model: Model, induction: bool, depth: int, covers: "list[str] | None" = None, seconds: int = 900) -> list[Answer]:
    """One answer for all asserts; or with `covers`, one for each of these: "violated" in the clock that reaches it.

    With `induction`, `depth` is the greatest length tried, else the number of clocks from reset.
    """
    common = "-set-assumes -set rst 0 " + " ".join(f"-show {name}" for name in model.inputs)
    # Without `-seq`, which would leave out the first clocks.
    kind = "-tempinduct" if induction else "-tempinduct-baseonly"
    goals = ["-prove-asserts"] if covers is None else [f"-prove {model.covers[name]} 0" for name in covers]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.il").write_text(model.text)
        commands = [
            f"read_rtlil {folder / 'model.il'}", "hierarchy -top top", "proc", "flatten", "memory", "opt_clean",
            # Parts of a parity that a lemma names become nodes of the whole.
            "simplemap t:$reduce_xor", "opt_merge", "opt_clean",
        ]
        for number, goal in enumerate(goals):
            files = f"-dump_json {folder / f'{number}.json'}"
            commands.append(
                f"-o {folder / f'{number}.log'} sat {kind} -maxsteps {depth} {goal} {common} {files} top"
            )
        try:
            run = yosys(commands, seconds=seconds)
        except subprocess.TimeoutExpired:
            raise Unsolved(f"no answer in {seconds} s") from None
        if run.returncode:
            raise Unsolved(f"Yosys, status {run.returncode}: {run.stderr[-500:]}")
        return [_answer(folder / f"{number}.log", folder / f"{number}.json", model, induction) for number in range(len(goals))]


def _answer(log: Path, dump: Path, model: Model, induction: bool) -> Answer:
    text = log.read_text()
    if "model found for base case: FAIL!" in text:
        inputs = _waves(json.loads(dump.read_text()), model)
        return Answer("violated", len(inputs), inputs)
    # The last base case that was solved.
    steps = max(map(int, re.findall(r"\[base case (\d+)\]", text)))
    if "Induction step proven: SUCCESS!" in text:
        return Answer("proved", steps)
    if not re.search(r"Reached maximum number of time steps", text):
        raise Unsolved(f"an answer of `sat` that nobody understands: {text[-500:]}")
    return Answer("open" if induction else "proved", steps)


def _waves(dump: dict, model: Model) -> tuple[dict[str, int], ...]:
    """WaveJSON: a symbol for each clock; "." repeats. Of a design with registers, there is one more in front, for the initial state."""
    clocks: list[dict[str, int]] = []
    for signal in dump["signal"]:
        if signal["name"] not in model.inputs:
            continue
        values, value, data = [], 0, iter(signal.get("data", ()))
        for symbol in signal["wave"]:
            if symbol == "4":
                # No value: an input of the initial state.
                next(data, None)
                continue
            if symbol != ".":
                value = int(next(data) if "data" in signal else symbol, 2)
            values.append(value)
        clocks = clocks or [{} for _ in values]
        for clock, number in zip(clocks, values, strict=True):
            clock[signal["name"]] = number
    return tuple(clocks)
