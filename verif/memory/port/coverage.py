"""Coverage plan of the ports (`docs/memory_ports.md`)."""

from verif.common.coverage import Plan
from verif.memory.port.stimulus import FAULTS, kind_of
from verif.memory.port.transfer import Transfer

__all__ = ["BLOCK", "PortCoverage"]

BLOCK = "memory_ports"
_KINDS = ["INCR", "INCR of a beat", "INCR narrow", "INCR unaligned", "INCR long", "WRAP", "WRAP in an atom", "FIXED", "refused"]
_POINTS = {
    "cp_direction": ["read", "write"],
    "cp_burst": _KINDS,
    "cp_fault": ["none", *FAULTS],
    "cp_answer": ["OKAY", "bad word", "SLVERR", "DECERR"],
    "cp_class": ["urgent", "other"],
    "cp_exclusive": ["plain", "exclusive"],
    "cp_order": ["in order", "overtakes", "alternates"],
    "cp_race": ["write", "alone", "after a write", "with a write"],
    "cp_stall": ["calm", "rough"],
}
_CROSSES = {
    "cp_direction_burst": (["cp_direction", "cp_burst"], None),
    "cp_direction_fault": (["cp_direction", "cp_fault"], lambda direction, fault: direction == "read" and fault == "WLAST"),
    "cp_burst_stall": (["cp_burst", "cp_stall"], None),
    "cp_direction_class": (["cp_direction", "cp_class"], None),
    "cp_direction_exclusive": (["cp_direction", "cp_exclusive"], None),
}


class PortCoverage:
    """Samples each burst as it ends. `stall` is "calm" or "rough"; without `interleave` bursts never alternate."""

    def __init__(self, bus_bytes: int, stall: str):
        self._bus_bytes, self._stall = bus_bytes, stall
        self._plan = Plan(BLOCK, _POINTS, _CROSSES)

    def sample(self, transfer: Transfer, order: str, race: str, touches_bad: bool):
        answer = {0: "OKAY", 2: "SLVERR", 3: "DECERR"}[transfer.expected]
        self._plan.sample(
            cp_direction="write" if transfer.write else "read",
            cp_burst=kind_of(transfer, self._bus_bytes) if transfer.harmless else "refused",
            cp_fault=transfer.fault, cp_answer="bad word" if touches_bad else answer,
            cp_class="urgent" if transfer.qos >= 8 else "other", cp_exclusive="exclusive" if transfer.lock else "plain",
            cp_order=order, cp_race=race, cp_stall=self._stall,
        )

    def export(self):
        self._plan.export()
