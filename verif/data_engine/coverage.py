"""What the random commands of the data engine have covered."""

from rtl.formats import Format
from rtl.isa import DataOp
from verif.common.coverage import Plan
from verif.data_engine.model import RANK, element_bytes

__all__ = ["BLOCK", "Coverage"]

BLOCK = "data_engine"

_KINDS = ("copy", "transpose", "fill", "slice", "slice_transpose", "gaps", "window", "gather")
_RANKS = tuple(range(1, RANK + 1))
_ALIGNED = ("beat", "odd")

_POINTS = {
    "cp_kind": _KINDS,
    "cp_rank": _RANKS,
    "cp_element": ("1", "2", "4", "convert"),
    "cp_source_lane": _ALIGNED,
    "cp_destination_lane": _ALIGNED,
    "cp_spaces": tuple(f"{a} to {b}" for a in ("L1", "L2", "L3") for b in ("L1", "L2", "L3")),
    "cp_conversion": ("none", *(f"{a.name} to {b.name}" for a in Format for b in Format)),
}

_CROSSES = {
    "cp_kind_rank": (("cp_kind", "cp_rank"), lambda kind, rank: kind.endswith("transpose") and rank == 1),
    "cp_kind_element": (("cp_kind", "cp_element"), lambda kind, element: kind == "fill" and element == "convert"),
    "cp_kind_spaces": (("cp_kind", "cp_spaces"), None),
    "cp_kind_lanes": (("cp_kind", "cp_source_lane", "cp_destination_lane"), None),
}


def _kind(command: dict) -> str:
    mode = command["mode"]
    if mode["op"] is DataOp.FILL:
        return "fill"
    if mode["op"] is DataOp.COPY:
        return "transpose" if mode["tile"] else "copy"
    if mode["gather"]:
        return "gather"
    if mode["tile"]:
        return "slice_transpose"
    if mode["share3"] or mode["share4"]:
        return "window"
    return "gaps" if any(command[f"gaps{d}"] for d in range(RANK)) else "slice"


class Coverage:
    """Samples commands that the design has run."""

    def __init__(self, beat: int):
        self._beat = beat
        self._plan = Plan(BLOCK, _POINTS, _CROSSES)

    def sample(self, command: dict):
        mode = command["mode"]
        used = [d for d in range(RANK) if command[f"size{d}"] > 1]
        converts = mode["convert"]
        self._plan.sample(
            cp_kind=_kind(command),
            cp_rank=used[-1] + 1 if used else 1,
            cp_element="convert" if converts else str(element_bytes(command)[0]),
            cp_source_lane="odd" if command["src_base"] % self._beat else "beat",
            cp_destination_lane="odd" if command["dst_base"] % self._beat else "beat",
            cp_spaces=f"{mode['source'].name} to {mode['destination'].name}",
            cp_conversion=f"{mode['source_format'].name} to {mode['destination_format'].name}" if converts else "none",
        )

    def export(self):
        self._plan.export()
