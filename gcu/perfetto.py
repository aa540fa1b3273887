"""The timeline of a run in the Trace Event Format that Perfetto and Chrome read: a lane for each engine and each DRAM bank.

Format: "Trace Event Format" (Chromium project). One microsecond of the viewer is one clock; a bank's clocks are those of the memory.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from rtl.config import ChipConfig
from sim.workload import Outcome

__all__ = ["save_trace"]

_ENGINES = ("tensor core", "vector engine", "data engine", "sequencer")
_CAUSES = ("busy", "operand", "memory", "event", "accumulator", "skipped")
#: Processes of the viewer: SIPs from 1, then the cluster, then the memory channels.
_MEMORY = 1000


def save_trace(outcome: Outcome, config: ChipConfig, tags: dict[int, str], dram: Iterable[Path], path: Path) -> Path:
    """Writes `path`; `dram` are the command traces of the channels, `tags` names the layer of each command tag."""
    with path.open("w") as stream:
        # Event by event: a long run has millions.
        stream.write('{"displayTimeUnit": "ns", "traceEvents": [\n')
        first = True
        for event in (*_names(config), *_engines(outcome, config, tags)):
            stream.write(("" if first else ",\n") + json.dumps(event))
            first = False
        for channel, trace in enumerate(dram):
            if trace.exists():
                for event in _banks(channel, trace):
                    stream.write(",\n" + json.dumps(event))
        stream.write("\n]}\n")
    return path


def _name(kind: str, process: int, thread: int | None, text: str) -> dict:
    return {"ph": "M", "name": kind, "pid": process, **({} if thread is None else {"tid": thread}), "args": {"name": text}}


def _names(config: ChipConfig) -> Iterator[dict]:
    for unit in range(config.sips + 1):
        yield _name("process_name", unit + 1, None, "cluster" if unit == config.sips else f"SIP {unit}")
        for lane, engine in enumerate(_ENGINES):
            if unit < config.sips or lane >= 2:
                yield _name("thread_name", unit + 1, lane, engine)
    for channel in range(config.channels):
        yield _name("process_name", _MEMORY + channel, None, f"HBM {channel}")
        for bank in range(16):
            yield _name("thread_name", _MEMORY + channel, bank, f"bank {bank >> 2} of group {bank & 3}")


def _engines(outcome: Outcome, config: ChipConfig, tags: dict[int, str]) -> Iterator[dict]:
    """A slice for each command with its cycles by cause and its bytes; what waits for an event is a slice of its own."""
    for record in outcome.records:
        unit, lane = divmod(int(record["lane"]), 4)
        tag = int(record["tag"])
        layer = tags.get(tag, f"tag {tag}") if lane != 3 else "program"
        waits = bool(record["event"])
        arguments = {cause: int(record[cause]) for cause in (*_CAUSES, "read", "write") if record[cause]}
        yield {
            "ph": "X", "name": f"{layer}: waits for an event" if waits else layer, "cat": "event" if waits else "command",
            "pid": unit + 1, "tid": lane, "ts": int(record["first"]), "dur": int(record["last"]) - int(record["first"]) + 1,
            "args": arguments,
        }


def _banks(channel: int, trace: Path) -> Iterator[dict]:
    """A slice from ACT to precharge for each open row with its accesses, one for each refresh."""
    opened: dict[int, dict] = {}

    def close(bank: int, time: int) -> Iterator[dict]:
        event = opened.pop(bank, None)
        if event is not None:
            event["dur"] = max(time - event["ts"], 1)
            yield event

    def slice_of(bank: int, time: int, name: str, **arguments) -> dict:
        return {"ph": "X", "name": name, "cat": "dram", "pid": _MEMORY + channel, "tid": bank, "ts": time, "dur": 1, "args": arguments}

    now = 0
    with trace.open() as lines:
        for line in lines:
            clock, command, group, bank_address, row, _ = line.split()
            now = int(clock)
            if command in ("PREA", "REFAB"):
                for bank in range(16):
                    yield from close(bank, now)
                    if command == "REFAB":
                        yield slice_of(bank, now, "refresh")
                continue
            if command == "MRS":
                continue
            bank = 4 * int(bank_address) + int(group)
            if command == "ACT":
                opened[bank] = slice_of(bank, now, f"row {row}", reads=0, writes=0)
            elif command == "PRE":
                yield from close(bank, now)
            elif command == "REFSB":
                yield slice_of(bank, now, "refresh")
            elif bank in opened:
                opened[bank]["args"]["reads" if command.startswith("RD") else "writes"] += 1
                if command.endswith("A"):
                    yield from close(bank, now)
    for bank in list(opened):
        yield from close(bank, now)
