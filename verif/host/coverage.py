"""Coverage plan of the host block (`docs/host.md`): every register access, every push and doorbell, every job."""

from rtl.isa import COUNTER_BASE, MEMORY_BASE, WINDOW_BASE, HostRegister
from verif.common.coverage import Plan
from verif.host.cluster import Seen

__all__ = ["BLOCK", "HostCoverage"]

BLOCK = "host"
_REGISTERS = [*(register.name for register in HostRegister), "WINDOW", "COUNTER", "MEMORY"]
_ACCESS = {
    "cp_register": [*_REGISTERS, "undefined"],
    "cp_direction": ["read", "write"],
    "cp_bytes": [1, 2, 3, 4],
    "cp_response": ["OKAY", "SLVERR"],
    "cp_while": ["idle", "a job runs"],
}
#: Whole words alone are read, and of the registers only a memory controller's refuse an access.
_ACCESS_CROSSES = {
    "cp_register_direction": (["cp_register", "cp_direction"], None),
    "cp_register_response": (
        ["cp_register", "cp_response"],
        lambda register, response: register != "MEMORY" and (register == "undefined") != (response == "SLVERR"),
    ),
    "cp_direction_bytes": (["cp_direction", "cp_bytes"], lambda direction, size: direction == "read" and size < 4),
    "cp_direction_while": (["cp_direction", "cp_while"], None),
}
_QUEUE = {
    "cp_queue_event": ["push", "doorbell"],
    "cp_queue_level": ["empty", "some", "full"],
    "cp_queue_result": ["taken", "refused"],
}
_QUEUE_CROSSES = {
    "cp_queue": (
        ["cp_queue_event", "cp_queue_level", "cp_queue_result"],
        lambda event, level, result: event == "push" and (result == "refused") != (level == "full"),
    ),
}
_FAILED = ["none", "lowest", "another", "several at once"]
_JOB = {
    "cp_end": ["good", "failed", "not launched"],
    "cp_mask": ["one", "some", "all", "none"],
    "cp_failed": _FAILED,
    "cp_cancelled": ["none", "some", "all others"],
    "cp_commands": ["none", "some"],
    "cp_before": ["first", "after a good job", "after a bad one"],
}
_JOB_CROSSES = {
    # A job that can't be launched has no parts.
    "cp_end_before": (["cp_end", "cp_before"], lambda end, before: before == "first" and end != "good"),
    "cp_mask_failed": (
        ["cp_mask", "cp_failed"],
        lambda mask, failed: failed in {"none": _FAILED[1:], "one": _FAILED[2:]}.get(mask, ()),
    ),
    "cp_failed_cancelled": (
        ["cp_failed", "cp_cancelled"],
        lambda failed, cancelled: cancelled in {"none": ("some", "all others"), "several at once": ("all others",)}.get(failed, ()),
    ),
}


def _register(address: int) -> str:
    address &= ~3
    if address in iter(HostRegister):
        return HostRegister(address).name
    return "MEMORY" if address >= MEMORY_BASE else "COUNTER" if address >= COUNTER_BASE else "WINDOW" if address >= WINDOW_BASE else ""


class HostCoverage:
    """Samples what a host block of `count` sequencers meets."""

    def __init__(self, count: int):
        self._count = count
        self._access = Plan(BLOCK, _ACCESS, _ACCESS_CROSSES)
        self._queue = Plan(BLOCK, _QUEUE, _QUEUE_CROSSES)
        self._job = Plan(BLOCK, _JOB, _JOB_CROSSES)
        self._before = "first"

    def access(self, address: int, direction: str, size: int, good: bool, running: bool):
        name = _register(address)
        self._access.sample(
            cp_register=name if name and (good or name == "MEMORY") else "undefined", cp_direction=direction, cp_bytes=size,
            cp_response="OKAY" if good else "SLVERR", cp_while="a job runs" if running else "idle",
        )

    def queue(self, event: str, level: int, depth: int, taken: bool):
        """`level`: jobs in the queue before it."""
        self._queue.sample(
            cp_queue_event=event, cp_queue_level="empty" if not level else "full" if level == depth else "some",
            cp_queue_result="taken" if taken else "refused",
        )

    def refused(self):
        """A job that could not be launched ended."""
        self._sample("not launched", "none", "none", "none", "none")

    def job(self, seen: Seen):
        """A job ended."""
        members, failure = len(seen.launches), seen.failure
        failed = "none"
        if failure:
            failed = "several at once" if seen.failed_at_once > 1 else "lowest" if failure[0] == min(seen.launches) else "another"
        cancelled = len(seen.cancelled)
        self._sample(
            "failed" if failure else "good", "one" if members == 1 else "all" if members == self._count else "some", failed,
            "none" if not cancelled else "all others" if cancelled == members - 1 else "some", "some" if seen.cycles else "none",
        )

    def _sample(self, end: str, mask: str, failed: str, cancelled: str, commands: str):
        self._job.sample(
            cp_end=end, cp_mask=mask, cp_failed=failed, cp_cancelled=cancelled, cp_commands=commands, cp_before=self._before,
        )
        self._before = "after a good job" if end == "good" else "after a bad one"

    def export(self):
        self._job.export()
