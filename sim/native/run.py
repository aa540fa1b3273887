"""Runs a workload on the native Verilator harness."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from rtl.config import ChipConfig
from rtl.fabric.map import local_address
from sim.bench.bench import bench_design, bench_sources, memory_scope, probe_scopes
from sim.hbm.backdoor import BackDoor
from sim.native.harness import Harness, build
from sim.script import Script
from sim.tools import ToolError, verilator_version
from sim.workload import RECORD, Outcome, Workload

__all__ = ["prepare", "run"]

#: Clocks between two looks at the progress.
SLICE = 50_000
_CHUNK = 256


def prepare(config: ChipConfig, memory: str) -> Path:
    """Builds the simulator if it isn't there yet; returns its library. What runs on `tiny` is short: there the build counts."""
    return build(bench_design(config, memory), bench_sources(memory), optimise="-O1" if config.name == "tiny" else "-O3")


def run(
    workload: Workload, *, folder: Path, waves: Path | None = None, progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Runs a workload; `waves` names the FST or VCD that records its first jobs, `progress` is told the clocks so far.

    With HBM, the DRAM command trace lies in `folder`/dram_trace.txt (channel 0; further channels append their number).
    """
    library = prepare(workload.config, workload.memory)
    script = Script.of(workload)
    plusargs = [f"+hbm_trace={folder / 'dram_trace.txt'}"] if workload.memory == "hbm" else []
    with Harness(library, plusargs) as harness:
        memories = [_memory(harness, workload.memory, channel) for channel in range(workload.config.channels)]
        for segment in workload.segments:
            _write(workload.config, memories, segment.address, np.frombuffer(segment.data, np.uint8))
        rows = harness.memory("bench.player", "script").view("<u4")
        for index, (operation, address, data) in enumerate(script.checked_rows(len(rows))):
            rows[index] = (data, address, operation)
        if waves is not None:
            harness.trace(waves)
        begin = time.process_time()
        clocks = 0
        recording = waves is not None
        while not harness.done:
            # A recorded clock takes far longer than a call, so that the recording ends in the very clock in which Icarus ends it.
            length = 1 if recording else SLICE
            ran = harness.run(length)
            clocks += ran
            if progress is not None:
                progress(clocks)
            if recording and harness.status()["logged"] >= script.recorded:
                harness.trace_stop()
                recording = False
            if ran < length:
                break
        seconds = time.process_time() - begin
        status = harness.status()
        log = harness.memory("bench.player", "log").view("<u4").reshape(-1)[: status["logged"]].tolist()
        records, lost = [], 0
        for scope in probe_scopes(workload.config):
            count = int(harness.memory(scope, "count").view("<u4").reshape(-1)[0])
            kept = harness.memory(scope, "records")
            lost += max(count - len(kept), 0)
            records.append(kept[: min(count, len(kept))].copy().view(RECORD).reshape(-1))
        reads = [_read(workload.config, memories, address, size) for address, size in workload.reads]
    jobs, counters = script.results(log, status)
    return Outcome(
        "verilator", verilator_version(), jobs, reads, clocks, seconds, counters, np.concatenate(records), lost, status["violations"],
    )


class _Plain:
    """The back door of a memory that is one array of bytes."""

    def __init__(self, contents: np.ndarray):
        self._contents = contents

    def store(self, address: int, data: np.ndarray):
        self._contents[address : address + len(data)] = data

    def load(self, address: int, size: int) -> bytes:
        return self._contents[address : address + size].tobytes()


def _memory(harness: Harness, memory: str, channel: int) -> BackDoor | _Plain:
    variable = partial(harness.memory, memory_scope(memory, channel))
    return BackDoor(variable) if memory == "hbm" else _Plain(variable("mem").reshape(-1))


def _pieces(config, address: int, size: int):
    """(channel, local address, place in the data, size) of each chunk of a range; one piece where there is one channel."""
    if config.channels == 1:
        yield 0, address, 0, size
        return
    place = 0
    while place < size:
        count = min(size - place, _CHUNK - (address + place) % _CHUNK)
        yield *local_address(config, address + place), place, count
        place += count


def _write(config, memories: list, address: int, data: np.ndarray):
    """A channel's chunks of a range follow each other there, so each channel is written at once.

    Raises :class:`ToolError` where a device stores less than that.
    """
    pieces: dict[int, list] = {}
    for channel, local, place, count in _pieces(config, address, len(data)):
        pieces.setdefault(channel, [local]).append(data[place : place + count])
    for channel, (local, *chunks) in pieces.items():
        try:
            memories[channel].store(local, np.concatenate(chunks))
        except ValueError as error:
            raise ToolError(f"channel {channel}: {error}") from None


def _read(config, memories: list, address: int, size: int) -> bytes:
    return b"".join(memories[channel].load(local, count) for channel, local, _, count in _pieces(config, address, size))
