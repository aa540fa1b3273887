"""`gcu regress --faults`: bits that turn over while a block runs, one run each, and what became of them."""

import time
from collections import Counter
from pathlib import Path

from gcu.errors import BadInput, CheckFailed
from gcu.output import console, progress, table, write_json
from gcu.regress.cluster import connect, prepare
from gcu.regress.collect import collect
from gcu.regress.tests import Result, jobs
from verif.database import replay

__all__ = ["MODULES", "faults"]

#: The tests of a target: one for each kind of upset, a run with one of them for each seed.
MODULES = {"memory": "verif/memory/test_upsets.py", "chip": "verif/chip/test_upsets.py"}
#: Seconds of a run, for the size of jobs.
_SECONDS = 1.0
#: Outcomes from good to bad.
OUTCOMES = ("harmless", "corrected", "reported", "hangs until reset", "silent", "hangs", "breaks the port's rules", "breaks a DRAM rule")


def faults(name: str, *, count: int, workers: int | None, scheduler: str | None, folder: Path, json_to: str | None):
    """Runs `count` upsets, as many of each kind. :class:`CheckFailed` where one of a kind that the design protects goes by unnoticed."""
    if name not in MODULES:
        raise BadInput(f"--faults: {name!r} is not one of {', '.join(MODULES)}")
    if count < 1:
        raise BadInput(f"--count {count}: at least 1")
    prepare(workers=workers, scheduler=scheduler, folder=folder, json_to=json_to)
    every = collect(["verilator"], blocks=[MODULES[name].split("/")[1]], keyword=None, long=True, seeds=1)
    tests = [case for case in every if case.module == MODULES[name] and case.simulator == "verilator" and case.seeded]
    rounds = -(-count // len(tests))
    cases = [case.in_round(number) for number in range(rounds) for case in tests][:count]
    out, start, results = console(json_to), time.monotonic(), []
    with connect(scheduler, workers) as cluster, progress("upsets", count) as update:
        # The first of each kind builds, before many wait for it.
        for part in (cases[: len(tests)], cases[len(tests) :]):
            seconds = {case.nodeid: _SECONDS for case in part}
            for rows in cluster.rows(jobs(part, seconds, ["verilator"], long=True, fault=None)):
                results += rows
                update(len(results))
    report = _report(name, results) | {"seconds": round(time.monotonic() - start, 1)}
    seen = [outcome for outcome in OUTCOMES if any(row[outcome] for row in report["kinds"])]
    lines = [
        [row["kind"], "yes" if row["protected"] else "no", row["count"], *(row[outcome] for outcome in seen)] for row in report["kinds"]
    ]
    out.print(table(f"upsets of {name}, one in each run", ["kind", "protected", "runs", *seen], lines, left=2))
    write_json(report, json_to)
    write_json(report, str(folder / f"faults_{name}.json"))
    if report["failures"]:
        first = report["failures"][0]
        bad = f"first: {first['kind']}: {first['place']}: {first['outcome']}"
        raise CheckFailed(f"{len(report['failures'])} upsets where the design is protected went by; {bad}; replay: {first['replay']}")


def _report(name: str, results: list[Result]) -> dict:
    if lost := [result for result in results if not result.upset]:
        raise CheckFailed(f"--faults {name}: {lost[0].case.nodeid}, seed {lost[0].case.seed}, has no outcome: {lost[0].story[-1500:]}")
    kinds: dict[str, Counter] = {}
    for result in results:
        kinds.setdefault(result.upset["kind"], Counter())[result.upset["outcome"]] += 1
    protected = {result.upset["kind"]: result.upset["protected"] for result in results}
    rows = [
        {"kind": kind, "protected": protected[kind], "count": sum(counts.values()), **{each: counts[each] for each in OUTCOMES}}
        for kind, counts in kinds.items()
    ]
    upsets = [
        {**result.upset, "seed": result.case.seed, "replay": replay(result.case.nodeid, "verilator", result.case.seed, long=True)}
        for result in results
    ]
    failures = [upset for upset, result in zip(upsets, results, strict=True) if result.outcome == "failed"]
    return {"target": name, "count": len(results), "kinds": rows, "failures": failures, "upsets": upsets}
