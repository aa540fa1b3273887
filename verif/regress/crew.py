"""Jobs for the tests of the workers: run in a worker's warm process, as tests are."""

import os
import signal
import subprocess
import time
from pathlib import Path

__all__ = ["answer", "die", "first_kills_worker", "hang"]


def answer(argument: dict) -> dict:
    """Gives back what it was given, and its process."""
    return {"given": argument["value"], "process": os.getpid()}


def die(argument: dict) -> dict:
    """Ends without an answer."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def hang(argument: dict) -> dict:
    """Starts a program in a session of its own, notes it, and waits for ever."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(argument["file"]).write_text(str(process.pid))
    time.sleep(600)
    return {}


def first_kills_worker(argument: dict) -> dict:
    """The first one that gets there ends the whole worker, as a machine that goes down does; the file remembers that it was done."""
    file = Path(argument["file"])
    if not file.exists():
        file.write_text("done")
        os.kill(_worker(), signal.SIGKILL)
        time.sleep(60)
    return {"given": argument["value"], "process": os.getpid()}


def _worker() -> int:
    """The process that asked: the parent of the warm process that this one was forked from."""
    import psutil

    return psutil.Process().parent().ppid()
