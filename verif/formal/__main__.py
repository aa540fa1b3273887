"""Proves what is asked for and prints a line for each goal: `python -m verif.formal`. Exit status 1 if one is not as expected."""

import argparse
import json
import sys
import time

from rich.console import Console

from verif.formal.goals import GOALS
from verif.formal.prove import Goal, ProofFailure, folder, prove
from verif.formal.replay import replay
from verif.formal.solver import Unsolved

__all__ = ["main"]


def _chosen(names: list[str], quick: bool) -> list[Goal]:
    """A name also stands for those that begin with it and an underscore."""
    found = []
    for name in names:
        matching = [GOALS[name]] if name in GOALS else [goal for key, goal in GOALS.items() if key.startswith(f"{name}_")]
        if not matching:
            raise SystemExit(f"no goal is named {name!r}: see --list")
        found += matching
    return found if names else [goal for goal in GOALS.values() if not (quick and goal.long)]


def _replay(name: str) -> int:
    path = folder() / f"{name}.json"
    if name not in GOALS or not path.exists():
        print(f"there is no counterexample {path.name} in {path.parent}", file=sys.stderr)
        return 2
    vcd = path.with_suffix(".vcd")
    seen = replay(GOALS[name].harness(), json.loads(path.read_text()), vcd)
    print(f"{name}: {seen.failed or 'no assert fails any more'}\n{seen.table}\nwaveform: {vcd}")
    return 1 if seen.failed else 0


def main(arguments: "list[str] | None" = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m verif.formal", description="Proofs of the hardware's properties.")
    parser.add_argument("names", nargs="*", help="goals, by name or by its beginning (all by default)")
    parser.add_argument("--quick", action="store_true", help="without the long tier")
    parser.add_argument("--list", action="store_true", help="names the goals")
    parser.add_argument("--replay", metavar="NAME", help="runs the last counterexample of a goal again, in Amaranth's simulator")
    options = parser.parse_args(arguments)
    if options.replay:
        return _replay(options.replay)
    if options.list:
        for goal in GOALS.values():
            print(f"{goal.name:<28}{goal.mode:<10}{goal.depth:>3}  {goal.expect:<7} {'long' if goal.long else ''}".rstrip())
        return 0
    console = Console(highlight=False, soft_wrap=True)
    failed, start = 0, time.monotonic()
    chosen = _chosen(options.names, options.quick)
    for goal in chosen:
        try:
            result = prove(goal)
        except (ProofFailure, Unsolved) as error:
            failed += 1
            console.print(f"FAILED {goal.name}: {error}", markup=False)
        else:
            word = "ok" if goal.expect == "proved" else "caught"
            console.print(f"{word:<7}{goal.name:<28}{result.seconds:>6.1f} s  {result}", markup=False)
    print(f"{len(chosen) - failed} of {len(chosen)} goals as expected, {time.monotonic() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
