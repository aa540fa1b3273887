"""Workers for jobs: local processes or a dask cluster. Answers stream in; what a lost worker had is run again by another."""

import os
import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dask
from distributed import Client, Future, LocalCluster

from gcu.errors import BadInput, CheckFailed
from gcu.output import check_writable
from gcu.regress.kinds import KINDS, Answer, Job, perform
from sim.tools import build_folder

__all__ = ["Workers", "connect", "prepare"]

#: Seconds to reach a scheduler, and to wait for a worker where there is none.
_CONNECT, _NO_WORKER = 20.0, 60.0
#: Workers that a job may take down before it counts as failed itself.
_LOSSES = 3


@dataclass
class Workers:
    """Connection to a scheduler. `lost` counts the workers that went while jobs ran."""

    client: Client
    lost: int = 0
    #: Calls of :meth:`perform`: jobs of two of them may have the same name, and what ends one must not end the other.
    _calls: int = 0

    @property
    def count(self) -> int:
        """Jobs that can run at the same time."""
        return sum(worker["nthreads"] for worker in self._workers().values())

    def _workers(self) -> dict:
        return self.client.scheduler_info(n_workers=-1)["workers"]

    def rows(self, jobs: Sequence[Job]) -> Iterator[list]:
        """Runs all jobs; yields what the kind of each makes of its answer as it ends, and an empty list at least every second.

        Raises :class:`BadInput` where a worker has other sources, besides what :meth:`perform` raises.
        """
        for pair in self.perform(jobs):
            if pair is None:
                yield []
                continue
            job, answer = pair
            if answer.foreign:
                raise BadInput(f"a worker can't run these tests ({answer.error}); start it from the same checkout")
            yield KINDS[job.kind].rows(job.argument, answer)

    def perform(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Answer] | None]:
        """Runs all jobs, first ones first; yields each with its answer as it ends, and None at least every second.

        Raises :class:`CheckFailed` if the scheduler is lost, or if there is no worker for a while.
        """
        done: queue.Queue[tuple[Job, Future]] = queue.Queue()
        futures = []
        self._calls += 1
        for number, job in enumerate(jobs):
            future = self.client.submit(perform, job, key=f"{job.kind}-{self._calls}-{number}-{job.name}", priority=-number, pure=False)
            future.add_done_callback(lambda future, job=job: done.put((job, future)))
            futures.append(future)
        open_jobs, known, alone_since = len(jobs), set(self._workers()), None
        try:
            while open_jobs:
                try:
                    job, future = done.get(timeout=1)
                except queue.Empty:
                    yield None
                else:
                    open_jobs -= 1
                    yield job, _answer(future)
                if self.client.status != "running":
                    raise CheckFailed(f"the scheduler is lost, with {open_jobs} jobs open")
                present = set(self._workers())
                self.lost += len(known - present)
                known = present
                alone_since = None if present else (alone_since or time.monotonic())
                if alone_since and time.monotonic() - alone_since > _NO_WORKER:
                    raise CheckFailed(f"no worker for {_NO_WORKER:.0f} s, with {open_jobs} jobs open")
        finally:
            self.client.cancel(futures, force=True)


def _answer(future: Future) -> Answer:
    if future.status == "finished":
        return future.result()
    if future.status == "cancelled":
        return Answer(None, "cancelled by the scheduler")
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return Answer(None, f"{_LOSSES} workers in turn were lost while they ran it")
    return Answer(None, f"{type(error).__name__}: {error}", foreign=isinstance(error, ImportError))


def prepare(*, workers: int | None, scheduler: str | None, folder: Path, json_to: str | None):
    """What every command with workers looks at first; raises :class:`BadInput` for what can't work. Workers of this machine build where
    the command does."""
    if workers is not None and workers < 1:
        raise BadInput(f"--workers {workers}: at least 1")
    if workers is not None and scheduler is not None:
        raise BadInput("--workers starts workers here, --scheduler takes those of a cluster; give one of them")
    check_writable("--json", json_to)
    check_writable("-o", folder, folder=True)
    os.environ["MINIGCU_BUILD"] = str(build_folder())


@contextmanager
def connect(scheduler: str | None, workers: int | None, most: int | None = None) -> Iterator[Workers]:
    """A cluster: that of `scheduler`, or `workers` processes of this machine, one a core without a number, and not more than `most`.

    Raises :class:`BadInput` if there is none at the address.
    """
    with dask.config.set({
        "distributed.scheduler.allowed-failures": _LOSSES, "distributed.comm.timeouts.connect": _CONNECT,
        "distributed.logging.distributed": "error", "distributed.admin.tick.limit": "1h",
    }):
        if scheduler is None:
            local = workers or len(os.sched_getaffinity(0))
            with LocalCluster(
                n_workers=min(local, most or local), threads_per_worker=1, processes=True, memory_limit=0, host="127.0.0.1",
                # Any free port: another cluster may run beside this one, and nobody else needs to see either.
                dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0",
            ) as cluster, Client(cluster) as client:
                yield Workers(client)
            return
        try:
            client = Client(scheduler, timeout=_CONNECT)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise BadInput(f"--scheduler {scheduler}: no scheduler answers ({reason}); '.venv/bin/dask scheduler' starts one") from None
        with client:
            try:
                client.wait_for_workers(1, timeout=_NO_WORKER)
            except TimeoutError:
                raise BadInput(f"--scheduler {scheduler}: it has no worker; start some by '.venv/bin/dask worker {scheduler}'") from None
            yield Workers(client)
