"""What a regression can consist of: kinds of jobs by name, and the job as it travels to a worker."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gcu.regress.nursery import Expired, Nursery

__all__ = ["KINDS", "Answer", "Job", "Kind", "perform", "source_digest"]

_ROOT = Path(__file__).parents[2]
_FOLDERS = ("rtl", "sim", "compiler", "verif", "gcu")


@dataclass(frozen=True)
class Job:
    """A piece of work for one worker: plain data.

    `function` ("module:name") is called with `argument` in a process of its own; both and the result are data that JSON can hold. `cost`
    are the seconds that it will take, as far as known; `limit` those that it may. `digest` names the sources it is meant for.
    """

    name: str
    kind: str
    function: str
    argument: dict
    cost: float
    limit: float
    digest: str


@dataclass(frozen=True)
class Answer:
    """What a job gave: `result`, or `error` where it didn't come to one.

    `foreign`: the worker has other sources. `expired`: the time ran out.
    """

    result: dict | None
    error: str = ""
    foreign: bool = False
    expired: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of jobs: what makes rows of the report from a job's argument and its answer."""

    rows: Callable[[dict, Answer], list]


#: Kinds by name; a module that adds one registers it here.
KINDS: dict[str, Kind] = {}


@cache
def source_digest() -> str:
    """Content hash of all sources that decide what a job does."""
    sha = hashlib.sha256()
    for folder in _FOLDERS:
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".pyc", ".pyo"):
                sha.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:16]


#: One warm process for each thread of a worker.
_local = threading.local()


def perform(job: Job) -> Answer:
    """Runs a job on this machine; what dask calls on a worker."""
    if job.digest != source_digest():
        return Answer(None, f"its sources are not these of the command: {_ROOT}", foreign=True)
    if not hasattr(_local, "nursery"):
        _local.nursery = Nursery()
    try:
        return Answer(_local.nursery.run(job.function, job.argument, job.limit))
    except (Expired, RuntimeError) as error:
        return Answer(None, str(error), expired=isinstance(error, Expired))
