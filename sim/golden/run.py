"""Runs a workload on the golden model."""

import time
from pathlib import Path

import numpy as np

from sim.golden.chip import GoldenChip
from sim.workload import Outcome, Workload

__all__ = ["run"]


def run(workload: Workload, *, folder: Path | None = None, waves=None, progress=None) -> Outcome:
    """As the simulators' `run`; it has no time, so no clocks, counters, records or waves."""
    chip = GoldenChip(workload.config)
    begin = time.perf_counter()
    for segment in workload.segments:
        chip.l3[segment.address : segment.address + len(segment.data)] = np.frombuffer(segment.data, np.uint8)
    jobs = []
    for job in workload.jobs:
        jobs.append(chip.run(job))
        chip.clear_overflow()  # as the simulators' script does
        if progress is not None:
            progress(len(jobs))
    reads = [chip.l3[address : address + size].tobytes() for address, size in workload.reads]
    return Outcome("golden", "numpy " + np.__version__, jobs, reads, seconds=time.perf_counter() - begin)
