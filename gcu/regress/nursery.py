"""A process that has loaded what all tests need, and forks for each job: a test starts in a fraction of the seconds that Python's imports
take, and none sees what another left in memory.

The caller's side is :class:`Nursery`; `python -m gcu.regress.nursery` is the other. Requests are lines of JSON on standard input, answers
on standard output. At the end of its input the process ends, with every process below it: that is how a killed worker takes its
simulators along.
"""

import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["Expired", "Nursery"]

ROOT = Path(__file__).parents[2]

#: What most tests import, and what takes long.
_PRELOAD = (
    "pytest", "hypothesis", "numpy", "amaranth.hdl", "amaranth.lib.wiring", "amaranth.sim", "amaranth.back.rtlil",
    "cocotb_coverage.coverage", "rtl.config", "rtl.isa", "sim.verilog.emit", "verif.common.runner", "gcu.cli", "gcu.regress.tests",
)


class Expired(Exception):
    """A job took longer than its limit."""


class Nursery:
    """Runs jobs one after the other, each in a fork of one warm process.

    Raises :class:`Expired` after `limit` seconds of a job, and RuntimeError where the job's process ended without an answer.
    """

    def __init__(self):
        self._process: subprocess.Popen | None = None

    def _start(self) -> subprocess.Popen:
        # One thread each for numpy: the jobs are the parallel part.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment.setdefault("MINIGCU_BUILD", str(ROOT / "build"))
        environment.update(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(Path(environment["MINIGCU_BUILD"]) / "pycache"))
        return subprocess.Popen(
            [sys.executable, "-m", "gcu.regress.nursery"], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, start_new_session=True,
        )

    def run(self, function: str, argument: dict, limit: float) -> dict:
        """Calls `function` ("module:name") with `argument` in a fork; both it and the result are plain data."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        process = self._process
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"function": function, "argument": argument}) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], limit)
        if not ready:
            self.close()
            raise Expired(f"no result within {limit:.0f} s")
        line = process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process of the job ended"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def close(self):
        """Ends the process and all below it."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin and process.stdout
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _kill_below():
    """Ends every process below this one; simulators have sessions of their own, so a signal to the group would miss them."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass


def _child(request: dict, result: Path):
    """The fork: what it prints goes nowhere, since standard output carries the answers."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    module, _, name = request["function"].partition(":")
    answer = getattr(importlib.import_module(module), name)(request["argument"])
    result.write_text(json.dumps(answer))


def _serve():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for module in _PRELOAD:
        importlib.import_module(module)
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    while line := requests.readline():
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    _child(json.loads(line), result)
                    status = 0
                except BaseException as error:
                    result.with_suffix(".error").write_text(f"{type(error).__name__}: {error}")
                finally:
                    os._exit(status)
            end = os.pidfd_open(child)
            ready, _, _ = select.select([end, requests], [], [])
            if end not in ready:  # nobody waits for the answer any more
                _kill_below()
                os._exit(1)
            os.close(end)
            _, status = os.waitpid(child, 0)
            _kill_below()  # what a job left running
            error = result.with_suffix(".error")
            if result.exists():
                answer = {"result": json.loads(result.read_text())}
            else:
                why = error.read_text() if error.exists() else f"exit status {os.waitstatus_to_exitcode(status)}"
                answer = {"error": f"the job ended without a result: {why}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
