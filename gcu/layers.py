"""The table per layer, from the records of the activity probes."""

import numpy as np

from compiler.compile import Compiled
from rtl.config import ChipConfig
from rtl.isa import Engine
from sim.workload import Outcome

__all__ = ["jobs", "layer_rows", "spans"]

#: The sequencer's place among the four lanes of a SIP.
_SEQUENCER = 3

_CAUSES = ("busy", "operand", "memory", "event", "accumulator")


def spans(records: np.ndarray) -> list[tuple[int, int, int]]:
    """(tag, first cycle, last cycle) of every layer in every job, in order, without overlap.

    A layer ends with its last store, and the data engine works in order: its records alone tell the layers apart, while the other
    engines may wait for the next layer already. A layer begins where the one before ends, the first of a job at its first load.
    """
    records = records[(records["lane"] % 4 == Engine.DATA.value) & (records["tag"] != 0)]
    found: list[tuple[int, int, int]] = []
    for record in np.sort(records, order="first"):
        tag, first, last = int(record["tag"]), int(record["first"]), int(record["last"])
        if found and found[-1][0] == tag:
            found[-1] = (tag, found[-1][1], last)
        else:
            found.append((tag, found[-1][2] + 1 if found and found[-1][0] < tag else first, last))
    return found


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
