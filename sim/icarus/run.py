"""Runs a workload on Icarus Verilog: slow, but event-driven and four-valued, so it sees what Verilator can't."""

import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtl.fabric.map import local_address
from sim.bench.bench import bench_design, bench_sources
from sim.hbm.backdoor import ROW_BYTES, memory_text
from sim.script import Script, ScriptError
from sim.tools import ToolError, build_folder, iverilog_version
from sim.workload import RECORD, Outcome, Workload

__all__ = ["prepare", "run"]

_MAIN = Path(__file__).parents[1] / "bench" / "main.sv"

#: Bytes in a row of each memory.
_ROW = {"hbm": 32}
#: Seconds that a run may take.
TIME_LIMIT = 3600
#: Characters of a path that the bench's registers for file names hold, less the number of a channel.
_PATH_LIMIT = 250


def prepare(config, memory: str) -> Path:
    """Compiles the bench if it isn't there yet; returns the file for `vvp`."""
    version = iverilog_version()
    design = bench_design(config, memory)
    sources = [*bench_sources(memory), _MAIN]
    sha = hashlib.sha256(design.encode() + b"".join(source.read_bytes() for source in sources) + version.encode())
    folder = build_folder() / "icarus" / sha.hexdigest()[:16]
    target = folder / "bench.vvp"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.sv").write_text(design)
    temporary = folder / f"bench.{os.getpid()}"
    command = ["iverilog", "-g2012", "-s", "main", "-o", str(temporary), str(folder / "bench.sv"), *map(str, sources)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if result.returncode:
        raise ToolError(f"iverilog failed: {result.stderr[-2000:]}")
    temporary.rename(target)
    return target


def run(
    workload: Workload, *, folder: Path, waves: Path | None = None, progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Runs a workload; `waves` names the FST that records its first jobs. The files of the back door lie in `folder`."""
    design = prepare(workload.config, workload.memory)
    config = workload.config
    script = Script.of(workload)
    row = _ROW.get(workload.memory, config.bus_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("icarus_*"):
        stale.unlink()
    rows = script.checked_rows(65536)
    (folder / "icarus_script.hex").write_text("".join(f"{o:08x}{a:08x}{d:08x}\n" for o, a, d in rows))
    _write_memories(workload, folder, row)
    wanted = [local_address(config, a) for address, size in workload.reads for a in (address, address + size - 1)]
    # One range of rows serves all reads: a chunk of 256 byte never splits over channels.
    first = min((local for _, local in wanted), default=0) // 256 * 256 // row
    last = (max((local for _, local in wanted), default=0) // 256 * 256 + 255) // row
    plusargs = {
        "script": folder / "icarus_script.hex", "memory": folder / "icarus_memory.hex", "dump": folder / "icarus_dump.hex",
        "dump_first": first, "dump_last": last, "log": folder / "icarus_log.hex", "records": folder / "icarus_records.hex",
        "limit": 2_000_000_000,
    }
    if workload.memory == "hbm":
        plusargs["hbm_trace"] = folder / "icarus_dram_trace.txt"
    if waves is not None:
        plusargs |= {"waves": waves, "waves_until": script.recorded}
    longest = max(map(str, plusargs.values()), key=len)
    if len(longest) > _PATH_LIMIT:
        raise ToolError(f"{longest}: a path of more than {_PATH_LIMIT} characters; name a shorter folder by -o or MINIGCU_BUILD")
    command = ["vvp", "-n", str(design), *(["-fst"] if waves is not None else []), *(f"+{key}={value}" for key, value in plusargs.items())]
    begin = time.perf_counter()
    output = _limited(command, progress)
    seconds = time.perf_counter() - begin
    found = re.search(r"minigcu: (\d+) clocks, done 1, timed_out (\d+), refused (\d+), logged (\d+), violations (\d+)", output)
    if not found:
        raise ScriptError(f"the run on Icarus did not end: {output[-1000:].strip()}")
    clocks, *values = map(int, found.groups())
    status = dict(zip(("timed_out", "refused", "logged", "violations"), values, strict=True))
    log = _hex_rows(folder / "icarus_log.hex", 4).view("<u4").reshape(-1).tolist()
    records_file = folder / "icarus_records.hex"
    records = _hex_rows(records_file, RECORD.itemsize).view(RECORD).reshape(-1) if records_file.exists() else np.zeros(0, RECORD)
    width = ROW_BYTES if workload.memory == "hbm" else row
    dumps = [_hex_rows(folder / f"icarus_dump.hex.{channel}", width)[:, :row].reshape(-1) for channel in range(config.channels)]
    reads = []
    for address, size in workload.reads:
        data = bytearray()
        while len(data) < size:
            here = address + len(data)
            channel, local = local_address(config, here)
            count = min(size - len(data), 256 - here % 256)
            data += dumps[channel][local - first * row :][:count].tobytes()
        reads.append(bytes(data))
    jobs, counters = script.results(log, status)
    return Outcome("icarus", iverilog_version(), jobs, reads, clocks, seconds, counters, records, 0, status["violations"])


def _write_memories(workload: Workload, folder: Path, row: int):
    """One file per channel, with only the rows that hold something."""
    config = workload.config
    contents: list[dict[int, bytearray]] = [{} for _ in range(config.channels)]
    for segment in workload.segments:
        place = 0
        while place < len(segment.data):
            channel, local = local_address(config, segment.address + place)
            offset = local % row
            count = min(row - offset, len(segment.data) - place)
            line = contents[channel].setdefault(local // row, bytearray(row))
            line[offset : offset + count] = segment.data[place : place + count]
            place += count
    for channel, lines in enumerate(contents):
        if workload.memory == "hbm":
            text = memory_text(lines)
        else:
            text = "".join(f"@{index:x} {bytes(reversed(line)).hex()}\n" for index, line in sorted(lines.items()))
        (folder / f"icarus_memory.hex.{channel}").write_text(text)


def _hex_rows(path: Path, width: int) -> np.ndarray:
    """Rows of a `$writememh` file as bytes, the lowest first. An unknown bit is an error: it must not reach a result."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        text = line.strip()
        if not text or text.startswith("//") or text.startswith("@"):
            continue
        if "x" in text.lower() or "z" in text.lower():
            raise ScriptError(f"{path.name}: the unknown value {text} reached memory")
        rows.append(int(text, 16).to_bytes(width, "little"))
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, width)


def _limited(command: list[str], progress: Callable[[int], None] | None) -> str:
    """Runs `vvp` in a process group of its own, since it outlives a parent that is killed; ends it after TIME_LIMIT."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    begin = time.monotonic()
    while True:
        try:
            output, _ = process.communicate(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            if progress is not None:
                progress(0)
            if time.monotonic() - begin > TIME_LIMIT:
                os.killpg(process.pid, signal.SIGKILL)
                raise ToolError(f"Icarus took more than {TIME_LIMIT} s") from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return output
