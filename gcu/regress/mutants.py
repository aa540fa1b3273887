"""`gcu regress --mutate`: small faults in the hardware, one at a time, and which of them the tests of a block find."""

import os
import shlex
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gcu.errors import BadInput, CheckFailed
from gcu.output import console, progress, table, write_json
from gcu.regress.cluster import connect, prepare
from gcu.regress.collect import collect
from gcu.regress.kinds import KINDS, Answer, Job, Kind, source_digest
from gcu.regress.summary import commit
from gcu.regress.tests import run as run_tests
from sim.tools import build_folder
from sim.verilog.equivalence import equivalent
from sim.verilog.mutate import Mutant
from verif.common.mutation import Campaign
from verif.database import Case
from verif.mutants import TARGETS, Target

__all__ = ["judge", "mutate"]

#: A mutant that takes so many times as long as the design itself, and so many seconds more, hangs; the first one also builds.
_SLOWER, _MORE, _BUILD = 4, 30.0, 900.0
#: Seconds that a test of the design itself may take.
_LIMIT = 3600.0


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: `killer` is the test that failed ("hangs" where the time ran out), None if all of them passed.

    That of the design itself, number 0, has all `mutants` with it: the build folder that they are kept in may be another machine's.
    """

    number: int
    killer: str | None
    seconds: float
    story: str = ""
    mutants: tuple[Mutant, ...] = ()


def mutate(
    names: list[str], *, count: int, seed: int, long: bool, workers: int | None, scheduler: str | None, folder: Path, json_to: str | None,
):
    """Runs a campaign for each target; :class:`BadInput` for one that doesn't exist, :class:`CheckFailed` where its own tests fail."""
    for name in names:
        if name not in TARGETS:
            raise BadInput(f"--mutate: {name!r} is not one of {', '.join(TARGETS)}")
    if count < 1:
        raise BadInput(f"--mutants {count}: at least 1")
    prepare(workers=workers, scheduler=scheduler, folder=folder, json_to=json_to)
    reports = []
    with connect(scheduler, workers) as cluster:
        for name in names:
            reports.append(_campaign(name, TARGETS[name], cluster, count, seed, long, folder, json_to))
            write_json(reports[-1], str(folder / f"mutants_{name}.json"))
    rows = [[each[key] for key in ("target", "mutants", "equivalent", "killed", "hung", "survived", "share")] for each in reports]
    columns = ["target", "mutants", "equivalent", "killed", "of these hung", "survived", "killed, %"]
    console(json_to).print(table("", columns, rows, left=1))
    write_json({"targets": reports}, json_to)


def _campaign(name: str, target: Target, cluster, count: int, seed: int, long: bool, folder: Path, json_to: str | None) -> dict:
    out, start, began = console(json_to), time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    blocks = sorted({module.split("/")[1] for module in target.modules})
    cases = [
        case for case in collect(["verilator"], blocks=blocks, keyword=None, long=long, seeds=1)
        if case.module in target.modules and case.simulator == "verilator"
    ]
    if not cases:
        raise BadInput(f"--mutate {name}: none of its tests runs on Verilator")
    digest, chosen, seconds = _design(name, target, cases, cluster, long)
    campaign = Campaign(digest, target.inside, count, seed)
    file = folder / f"campaign_{name}.json"
    campaign.save(file)
    # One job builds, so that the others find the build: the design itself, on which everything must pass.
    first = _job(campaign, file, 0, chosen, seconds, long)
    (itself,) = [verdict for verdicts in cluster.rows([first]) for verdict in verdicts]
    if itself.killer is not None:
        raise CheckFailed(f"--mutate {name}: without any fault {itself.killer} fails: {itself.story[-1500:]}")
    mutants = itself.mutants
    verdicts: dict[int, Verdict] = {}
    jobs = [_job(campaign, file, mutant.number, chosen, seconds, long) for mutant in mutants]
    with progress(f"mutants of {name}", len(jobs)) as update:
        out.print(f"{name}: {len(jobs)} mutants, {len(chosen)} tests of {sum(seconds.values()):.0f} s, {cluster.count} at a time")
        for rows in cluster.rows(jobs):
            verdicts |= {verdict.number: verdict for verdict in rows}
            update(len(verdicts))
    alive = [mutant for mutant in mutants if verdicts[mutant.number].killer is None]
    proven = _equivalent(campaign, file, alive, cluster)
    survivors = [{**asdict(mutant), "replay": _replay(file, mutant.number, chosen, long)} for mutant in alive if mutant not in proven]
    killed, hung = len(mutants) - len(alive), sum(verdict.killer == "hangs" for verdict in verdicts.values())
    for mutant in alive:
        out.print(f"{'equivalent' if mutant in proven else 'survived'} {mutant}", markup=False, soft_wrap=True)
    if survivors:
        out.print(f"  one of them again: {survivors[0]['replay']}", markup=False, soft_wrap=True)
    return {
        "target": name, "began": began, "commit": commit(),
        "mutants": len(mutants), "equivalent": len(proven), "killed": killed, "hung": hung, "survived": len(survivors),
        "share": round(100 * killed / max(len(mutants) - len(proven), 1), 1), "seed": seed, "tests": [case.nodeid for case in chosen],
        "killers": Counter(verdict.killer for verdict in verdicts.values() if verdict.killer), "survivors": survivors,
        "seconds": round(time.monotonic() - start, 1),
    }


def _design(name: str, target: Target, cases: list[Case], cluster, long: bool) -> tuple[str, list[Case], dict[str, float]]:
    """The design of the target's class that its tests use most, those that do, the quickest first, and their seconds."""
    jobs = []
    for case in cases:
        argument = {"cases": [vars(case)], "simulators": ["verilator"], "long": long, "fault": None}
        jobs.append(Job(case.nodeid, "tests", "gcu.regress.tests:run", argument, 1.0, _LIMIT, source_digest()))
    results = []
    with progress(f"tests of {name}", len(jobs)) as update:
        for rows in cluster.rows(jobs):
            results += rows
            update(len(results))
    if failed := [result for result in results if result.outcome == "failed"]:
        raise CheckFailed(f"--mutate {name}: without any fault {failed[0].case.nodeid} fails: {failed[0].story[-1500:]}")
    uses: Counter[str] = Counter()
    for result in results:
        for design, digest in result.designs:
            uses[digest] += (design == target.design) and result.seconds
    digest = max(uses, key=lambda each: uses[each], default="")
    if not uses[digest]:
        raise BadInput(f"--mutate {name}: none of its tests runs {target.design} on Verilator" + "; with --long more do" * (not long))
    own = sorted((result for result in results if digest in [each for _, each in result.designs]), key=lambda result: result.seconds)
    return digest, [result.case for result in own], {result.case.nodeid: result.seconds for result in own}


def _job(campaign: Campaign, file: Path, number: int, cases: list[Case], seconds: dict[str, float], long: bool) -> Job:
    # The file may lie elsewhere on a worker's machine: the campaign travels, too.
    argument = {"campaign": asdict(campaign), "number": number, "cases": [vars(case) for case in cases], "long": long}
    limit = _SLOWER * sum(seconds.values()) + (_MORE if number else _BUILD)
    return Job(f"{file.stem}_{number}", "mutant", "gcu.regress.mutants:judge", argument, 0.0, limit, source_digest())


def judge(argument: dict) -> dict:
    """Runs the tests on a mutant until one fails; with the design itself the result has all `mutants`."""
    campaign = Campaign(**argument["campaign"])
    file = build_folder() / "mutants" / f"{campaign.digest}_{os.getpid()}.json"
    campaign.save(file)
    try:
        tests = {"cases": argument["cases"], "simulators": ["verilator"], "long": argument["long"], "fault": None}
        result = run_tests({**tests, "more": ["-x", "--mutant", f"{file}:{argument['number']}"]})
        # Where the mutants could not be made, the test that wanted them has failed and says why.
        if not argument["number"] and campaign.file.exists():
            result["mutants"] = [asdict(mutant) for mutant in campaign.mutated().mutants]
        return result
    finally:
        file.unlink()


def _equivalent(campaign: Campaign, file: Path, mutants: list[Mutant], cluster) -> list[Mutant]:
    """Those that nobody can find, by proof."""
    jobs = [
        Job(f"{file.stem}_{mutant.number}_proof", "proof", "gcu.regress.mutants:prove",
            {"campaign": asdict(campaign), "mutant": asdict(mutant)}, 0.0, _LIMIT, source_digest())
        for mutant in mutants
    ]  # fmt: skip
    proofs: dict[int, bool] = {}
    with progress("proofs", len(jobs)) as update:
        for rows in cluster.rows(jobs):
            proofs.update(rows)
            update(len(proofs))
    return [mutant for mutant in mutants if proofs[mutant.number]]


def prove(argument: dict) -> dict:
    """Whether a mutant is equivalent; where its design isn't kept nobody knows."""
    prepared = Campaign(**argument["campaign"]).file.with_suffix(".il")
    return {"equivalent": prepared.exists() and equivalent(prepared, Mutant(**argument["mutant"]))}


def _proofs(argument: dict, answer: Answer) -> list[tuple[int, bool]]:
    number = argument["mutant"]["number"]
    if answer.result is None:
        raise CheckFailed(f"proof of mutant {number}: {answer.error}")
    return [(number, answer.result["equivalent"])]


def _rows(argument: dict, answer: Answer) -> list[Verdict]:
    number = argument["number"]
    if answer.result is None:
        if not answer.expired:
            raise CheckFailed(f"mutant {number}: {answer.error}")
        return [Verdict(number, "hangs", 0.0, answer.error)]
    outcomes = answer.result["outcomes"]
    seconds = sum(outcome["seconds"] for outcome in outcomes.values())
    for name, outcome in outcomes.items():
        if outcome["outcome"] == "failed":
            return [Verdict(number, name, seconds, outcome["story"])]
    if not any(outcome["outcome"] == "passed" for outcome in outcomes.values()):
        return [Verdict(number, "no test", seconds, f"pytest ended with status {answer.result['status']} and ran nothing")]
    return [Verdict(number, None, seconds, mutants=tuple(Mutant(**mutant) for mutant in answer.result.get("mutants", [])))]


def _replay(file: Path, number: int, cases: list[Case], long: bool) -> str:
    nodes = [case.nodeid for case in cases]
    return shlex.join([".venv/bin/pytest", *nodes, "--sim", "verilator", "--mutant", f"{file}:{number}", "--waves", *["--long"] * long])


KINDS["mutant"] = Kind(_rows)
KINDS["proof"] = Kind(_proofs)
