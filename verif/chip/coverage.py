"""Coverage plan of the chip (`docs/chip.md`): each job by how it ends and what its engines did, each access of the host's memory port."""

from collections.abc import Mapping

from rtl.isa import Cause, Engine, Status
from verif.common.coverage import Plan

__all__ = ["BLOCK", "ChipCoverage"]

BLOCK = "chip"
#: How a job can end that the testbench makes fail; the host's own refusals are no jobs.
_ENDS = (
    Status.OK, Status.UNDEFINED_OPCODE, Status.UNDEFINED_ENGINE, Status.UNDEFINED_FIELD, Status.LOOP_DEPTH, Status.BAD_MAGIC,
    Status.BAD_VERSION, Status.BAD_FINGERPRINT, Status.BAD_ENTRY, Status.FETCH_BUS, Status.WATCHDOG, Status.UNSUPPORTED, Status.SIZE,
    Status.ALIGNMENT, Status.ADDRESS, Status.BUS, Status.BAD_JOB,
)
_ENGINES = [engine.name for engine in Engine if engine is not Engine.SEQUENCER]
_JOB = {
    "cp_end": [status.name for status in _ENDS],
    "cp_before": ["first", "after a good job", "after a bad one"],
    "cp_units": ["a SIP", "the cluster", "all"],
    "cp_engine": [*_ENGINES, "none"],
}
_JOB_CROSSES = {
    # Every kind of end comes after a good job, and every one but the last is followed by one.
    "cp_end_before": (["cp_end", "cp_before"], lambda end, before: before != "after a good job" and (end != "OK" or before == "first")),
    "cp_end_units": (["cp_end", "cp_units"], lambda end, units: end != "OK"),
    "cp_end_engine": (
        ["cp_end", "cp_engine"],
        lambda end, engine: end not in ("OK", "ADDRESS", "UNSUPPORTED", "SIZE") or (end == "OK") != (engine == "none")
        or (end, engine) in (("UNSUPPORTED", "VECTOR"), ("SIZE", "VECTOR")),
    ),
}
_COUNTER = {
    "cp_counter": [engine.name for engine in Engine],
    "cp_cause": [cause.name for cause in (Cause.IDLE, Cause.BUSY, Cause.EVENT, Cause.MEMORY)],
}
#: Tensor core and vector engine have L1 alone, which isn't counted as memory.
_COUNTER_CROSSES = {
    "cp_counter_cause": (["cp_counter", "cp_cause"], lambda engine, cause: cause == "MEMORY" and engine in ("TENSOR", "VECTOR")),
}
_ACCESS = {
    "cp_port": ["read", "write"],
    "cp_space": ["L2", "L3"],
    "cp_size": ["one byte", "a part of a beat", "a part of a chunk", "more"],
    "cp_host_beside": ["idle", "a job runs"],
}
_ACCESS_CROSSES = {
    "cp_port_space_size": (["cp_port", "cp_space", "cp_size"], None),
    "cp_port_space_beside": (["cp_port", "cp_space", "cp_host_beside"], None),
}


class ChipCoverage:
    """Samples what one chip of `sips` SIPs and beats of `width` byte meets."""

    def __init__(self, sips: int, width: int):
        self._sips, self._width = sips, width
        self._job = Plan(BLOCK, _JOB, _JOB_CROSSES)
        self._counter = Plan(BLOCK, _COUNTER, _COUNTER_CROSSES)
        self._access = Plan(BLOCK, _ACCESS, _ACCESS_CROSSES)
        self._before = "first"

    def job(self, status: Status, mask: int, engine: Engine):
        """A job ended; `engine` is the record's, of one that failed."""
        failed = status not in (Status.OK, Status.BAD_JOB) and engine is not Engine.SEQUENCER
        self._job.sample(
            cp_end=status.name, cp_before=self._before,
            cp_units="all" if mask == (1 << self._sips + 1) - 1 else "the cluster" if mask == 1 << self._sips else "a SIP",
            cp_engine=engine.name if failed else "none",
        )
        self._before = "after a good job" if status is Status.OK else "after a bad one"

    def counters(self, causes: Mapping[tuple[int, Engine], Mapping[Cause, int]]):
        """Cycle counters that were read."""
        for (_, engine), counted in causes.items():
            self._counter.sample(cp_counter=engine.name, cp_cause={cause.name for cause, cycles in counted.items() if cycles})

    def access(self, port: str, l2: bool, size: int, running: bool):
        small = "one byte" if size == 1 else "a part of a beat" if size < self._width else "a part of a chunk" if size < 256 else "more"
        self._access.sample(
            cp_port=port, cp_space="L2" if l2 else "L3", cp_size=small, cp_host_beside="a job runs" if running else "idle",
        )

    def export(self):
        self._job.export()
