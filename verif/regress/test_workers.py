"""The processes that run jobs: an answer of each, time limits, and workers that go down."""

import dataclasses
import os
import time

import pytest

from gcu.errors import BadInput
from gcu.regress import tests
from gcu.regress.cluster import connect
from gcu.regress.kinds import KINDS, Answer, Job, Kind, perform, source_digest
from gcu.regress.nursery import Expired, Nursery

CREW = "verif.regress.crew"


@pytest.fixture
def nursery():
    made = Nursery()
    yield made
    made.close()


def job(function: str, number: int, **argument) -> Job:
    return Job(f"job-{number}", "tests", f"{CREW}:{function}", {"value": number, **argument}, 1.0, 120.0, source_digest())


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has asked about is gone, too."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_each_job_has_a_process_of_its_own(nursery):
    answers = [nursery.run(f"{CREW}:answer", {"value": value}, 60) for value in ("first", "second")]
    assert [answer["given"] for answer in answers] == ["first", "second"]
    assert len({answer["process"] for answer in answers} | {os.getpid()}) == 3


def test_a_job_that_dies_or_raises_is_an_error_and_the_next_one_runs(nursery):
    with pytest.raises(RuntimeError, match="the job ended without a result: exit status -9"):
        nursery.run(f"{CREW}:die", {}, 60)
    with pytest.raises(RuntimeError, match="the job ended without a result: KeyError: 'value'"):
        nursery.run(f"{CREW}:answer", {}, 60)
    assert nursery.run(f"{CREW}:answer", {"value": 3}, 60)["given"] == 3


def test_an_expired_job_takes_its_programs_along(nursery, tmp_path):
    nursery.run(f"{CREW}:answer", {"value": 0}, 60)  # the limit below is not for the start
    file = tmp_path / "pid"
    with pytest.raises(Expired, match="no result within 4 s"):
        nursery.run(f"{CREW}:hang", {"file": str(file)}, 4)
    end = time.monotonic() + 10
    while alive(int(file.read_text())) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(int(file.read_text()))


def test_other_sources_are_refused():
    answer = perform(dataclasses.replace(job("answer", 1), digest="another"))
    assert answer.foreign and "its sources are not these of the command" in answer.error


def test_jobs_of_a_lost_worker_are_run_again(tmp_path):
    """One of two local workers is killed in the middle; every job has its answer all the same."""
    file = tmp_path / "killed"
    jobs = [job("first_kills_worker", number, file=str(file)) for number in range(6)]
    with connect(None, 2) as workers:
        assert workers.count == 2
        answers = [pair for pair in workers.perform(jobs) if pair is not None]
    assert file.exists() and workers.lost >= 1
    assert sorted(answer.result["given"] for _, answer in answers) == list(range(6)), [answer.error for _, answer in answers]


def test_jobs_of_one_name_in_turn():
    """What ends the jobs of one call leaves those of the next one alone."""
    with connect(None, 2) as workers:
        for _ in range(5):
            answers = [pair for pair in workers.perform([job("answer", number) for number in range(4)]) if pair is not None]
            assert sorted(answer.result["given"] for _, answer in answers) == list(range(4)), [answer.error for _, answer in answers]


def test_kinds_are_registered():
    assert KINDS["tests"] == Kind(tests._rows) and KINDS["tests"].rows({"cases": []}, Answer({"outcomes": {}, "status": 0})) == []


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_no_scheduler(address, monkeypatch):
    monkeypatch.setattr("gcu.regress.cluster._CONNECT", 1.0)
    with pytest.raises(BadInput, match=f"--scheduler {address}: no scheduler answers"), connect(address, 1):
        pass
