"""The table per layer, from the records of the activity probes."""

import numpy as np

from compiler.compile import Compiled
from rtl.config import ChipConfig
from sim.workload import Outcome

__all__ = ["jobs", "layer_rows", "spans"]

#: The sequencer's place among the four lanes of a SIP.
_SEQUENCER = 3

_CAUSES = ("busy", "operand", "memory", "event", "accumulator", "skipped")


def jobs(records: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) cycle of each job: SIP 0's sequencer works or waits from its launch to its end without a break."""
    mine = np.sort(records[records["lane"] == _SEQUENCER], order="first")
    found: list[list[int]] = []
    for record in mine:
        if found and found[-1][1] + 1 >= record["first"]:
            found[-1][1] = int(record["last"])
        else:
            found.append([int(record["first"]), int(record["last"])])
    return [(first, last) for first, last in found]


def spans(records: np.ndarray) -> dict[int, int]:
    """By tag, the cycles from the start of a layer's first command to the end of its last, over all jobs. Layers overlap."""
    work = records[(records["lane"] % 4 != _SEQUENCER) & (records["event"] == 0)]
    cycles: dict[int, int] = {}
    for first, last in jobs(records):
        part = work[(work["first"] >= first) & (work["first"] <= last)]
        for tag in np.unique(part["tag"]):
            mine = part[part["tag"] == tag]
            cycles[int(tag)] = cycles.get(int(tag), 0) + int(mine["last"].max()) - int(mine["first"].min()) + 1
    return cycles


def layer_rows(outcome: Outcome, compiled: Compiled, config: ChipConfig, samples: int) -> list[dict]:
    """One row per layer: averages over the samples."""
    records = outcome.records
    cycles = spans(records)
    rows = []
    for layer in compiled.layers:
        mine = records[(records["tag"] == layer.tag) & (records["lane"] % 4 != _SEQUENCER)]
        taken = cycles.get(layer.tag, 0) / samples
        peak = config.macs_per_cycle(layer.format) if layer.macs else 0
        rows.append({
            "tag": layer.tag, "name": layer.name, "kind": layer.kind, "nodes": list(layer.nodes), "engine": layer.engine, "cycles": taken,
            "macs": layer.macs, "utilisation": layer.macs / (peak * taken) if peak and taken else None,
            "bytes_read": int(mine["read"].sum()) / samples, "bytes_written": int(mine["write"].sum()) / samples,
            "stalls": {cause: int(mine[cause].sum()) / samples for cause in _CAUSES if cause != "busy"},
            "busy": {
                name: int(mine[mine["lane"] % 4 == lane]["busy"].sum()) / samples for lane, name in enumerate(("tensor", "vector", "data"))
            },
        })
    return rows
