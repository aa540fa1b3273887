"""Prints the table of `docs/memory_scheduler.md`: each pattern for 150,000 clocks from cold, checked by device, scoreboard and trace.

    python -m verif.memory.schedule.table --timing P3200
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.timing import TimingSet
from sim.hbm.checker import check
from verif.memory.schedule.patterns import GOALS, pattern
from verif.memory.schedule.player import WRITE, Counts, Player, build_player

__all__ = ["measure"]

CLOCKS = 150_000


def measure(library: Path, config: ChipConfig, timing: TimingSet, name: str, trace: Path | None, *, clocks=CLOCKS, **options) -> Counts:
    """One pattern; the counts at the end of the load. What waits then is finished and compared too."""
    requests = pattern(name, AddressMap(config.dram_rows), clocks)
    with Player(library, config, timing, trace=trace, **options) as player:
        player.play(requests, clocks)
        counts = player.counts()
        player.wait(20_000, run=False)
        # A write that is lost shows when its atom is read again.
        player.wait(10)
        taken = requests[:counts.accepted]
        player.play(taken[taken >= WRITE][-2000:] & ~np.uint32(WRITE), 20_000)
        player.wait(20_000, run=False)
        after = player.counts()
    problems = [f"{key} = {getattr(after, key)}" for key in ("mismatches", "violations", "pending") if getattr(after, key)]
    if problems or not after.stopped:
        raise AssertionError(f"{timing.name} {name}: {', '.join(problems) or 'it did not stop'}; first {after.first_violation}")
    if trace is not None:
        report = check(trace, timing, after.clocks, config.dram_rows)
        if not report.ok:
            raise AssertionError(f"{timing.name} {name}: {report.violations[:3]}")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timing", default="P3200")
    parser.add_argument("--clocks", type=int, default=CLOCKS)
    parser.add_argument("--age", type=int, default=4096)
    parser.add_argument("--unchecked", action="store_true", help="no offline check of the trace")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    config = ChipConfig("scheduler", dram_rows=32768)
    timing = TimingSet.load(options.timing)
    library = build_player(config)
    print(f"{timing.name}, {options.clocks} clocks")
    print(f"{'pattern':<18}{'%':>7}{'goal':>7}{'owed':>6}{'most':>6}{'read':>7}{'write':>7}  clocks/s  idle causes")
    with tempfile.TemporaryDirectory() as folder:
        for name, goal in GOALS.items():
            if options.only and options.only not in name:
                continue
            trace = None if options.unchecked else Path(folder) / "commands.txt"
            counts = measure(library, config, timing, name, trace, clocks=options.clocks, age_limit=options.age)
            idle = " ".join(f"{cause}:{100 * value / counts.clocks:.1f}" for cause, value in counts.causes.items()
                            if cause not in ("READ", "WRITE") and value > counts.clocks / 2000)
            print(f"{name:<18}{counts.percent:>7.2f}{goal:>7}{counts.owed:>6}{counts.highest_owed:>6}{counts.longest_read:>7}"
                  f"{counts.longest_write:>7}  {counts.clocks / counts.seconds:>8.0f}  {idle}", flush=True)


if __name__ == "__main__":
    main()
