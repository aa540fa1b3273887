"""What a back end runs and what it hands back: one description for golden model, Verilator and Icarus."""

from dataclasses import dataclass, field

import numpy as np

from rtl.config import ChipConfig
from rtl.image import Image, ImageError
from rtl.isa import ISA_VERSION, Cause, Engine
from sim.job import Job, JobResult

__all__ = ["RECORD", "Outcome", "Segment", "Workload"]

#: One command (or run of commands with one tag) of one engine; lane = 4 * sequencer + engine. Cycles by cause, bytes from and to L3.
RECORD = np.dtype([
    ("first", "<u4"), ("last", "<u4"), ("tag", "<u2"), ("lane", "<u2"), ("busy", "<u4"), ("operand", "<u4"), ("memory", "<u4"),
    ("event", "<u4"), ("accumulator", "<u4"), ("skipped", "<u4"), ("read", "<u4"), ("write", "<u4"),
])


@dataclass(frozen=True)
class Segment:
    """Bytes at an L3 address."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Workload:
    """Memory contents before the start, jobs to ring in one after the other, and what to read back at the end.

    `memory` is "ideal" (an AXI memory without contention) or "hbm" (controller and device model). `reads` are (address, bytes).
    """

    config: ChipConfig
    segments: tuple[Segment, ...]
    jobs: tuple[Job, ...]
    reads: tuple[tuple[int, int], ...]
    memory: str = "hbm"
    #: Clocks that one job may take before the run is given up.
    job_limit: int = 50_000_000
    #: Jobs that a waveform covers, from the first.
    recorded_jobs: int = 1

    def __post_init__(self):
        for address, size in [(s.address, len(s.data)) for s in self.segments] + list(self.reads):
            if address < 0 or address + size > self.config.l3_bytes:
                raise ValueError(f"{size} byte at {address:#x} reach beyond the {self.config.l3_bytes} byte of L3")
        if self.memory not in ("ideal", "hbm"):
            raise ValueError(f"memory: {self.memory!r} is not ideal or hbm")

    def check_programs(self):
        """Raises :class:`rtl.image.ImageError` for a job whose program is damaged or made for another configuration.

        The hardware refuses it too; back ends don't call this, so that tests can show that it does.
        """
        for number, job in enumerate(self.jobs):
            segment = next((s for s in self.segments if s.address <= job.image < s.address + len(s.data)), None)
            if segment is None:
                raise ImageError(f"job {number}: no program lies at {job.image:#x}")
            image = Image.from_bytes(segment.data[job.image - segment.address :])
            if image.version != ISA_VERSION:
                raise ImageError(f"job {number}: its program is of version {image.version}, this chip runs {ISA_VERSION}")
            if image.fingerprint != self.config.fingerprint:
                raise ImageError(
                    f"job {number}: its program is for the configuration {image.fingerprint:#018x}; {self.config.name} is "
                    f"{self.config.fingerprint:#018x}: compile it again"
                )


@dataclass
class Outcome:
    """Result of a workload on one back end. `clocks`, `counters` and `records` are empty on the golden model, which has no time."""

    backend: str
    version: str
    jobs: list[JobResult]
    reads: list[bytes]
    #: Clocks of the whole run by the harness's own count.
    clocks: int | None = None
    #: Seconds that the simulation itself took, builds apart: CPU time of the native simulator, wall time of others.
    seconds: float = 0.0
    #: Per job: (lane of the sequencer, engine) to cycles by cause.
    counters: list[dict[tuple[int, Engine], dict[Cause, int]]] = field(default_factory=list)
    records: np.ndarray = field(default_factory=lambda: np.zeros(0, RECORD))
    #: Records that the probes had no room for.
    records_lost: int = 0
    #: Timing violations that the DRAM device saw.
    violations: int = 0
