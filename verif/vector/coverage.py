"""Coverage plan of the vector engine's commands (`docs/vector.md`)."""

from typing import Any

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import Status, VectorOp, VectorSource
from verif.common.coverage import Plan

__all__ = ["BLOCK", "VectorCoverage"]

BLOCK = "vector"
_FORMATS = [Format(code).name for code in range(7)]
_REDUCTIONS = ["FADD", "FMAX", "FMIN", "IADD", "IMAX", "IMIN"]
_COLUMNS = ["one", "part of a tile", "a tile", "tiles", "tiles and a part"]
_POINTS = {
    "cp_status": [
        status.name for status in (
            Status.OK, Status.UNDEFINED_OPCODE, Status.UNDEFINED_FIELD, Status.UNSUPPORTED, Status.SIZE, Status.ALIGNMENT, Status.ADDRESS)
    ],
    "cp_x": _FORMATS,
    "cp_y": ["none", *_FORMATS],
    "cp_z": _FORMATS,
    "cp_from": ["L1", "tensor core"],
    "cp_taps": ["one", *_REDUCTIONS],
    "cp_params": list(range(5)),
    "cp_ops": [0, 1, 2, 3, 5, 8],
    "cp_op": [op.name for op in VectorOp],
    "cp_source": [source.name for source in VectorSource],
    "cp_columns": _COLUMNS,
    "cp_stride": [f"{operand} {sign}" for operand in "xyz" for sign in ("back", "zero", "on")],
    "cp_before": ["first", "good", "refused"],
    "cp_stall": ["rough", "calm"],
}  # fmt: skip
_CROSSES = {
    "cp_x_z": (["cp_x", "cp_z"], None),
    "cp_x_taps": (["cp_x", "cp_taps"], None),
    "cp_from_x": (["cp_from", "cp_x"], lambda origin, x: origin == "tensor core" and x not in ("FP32", "INT32")),
    "cp_op_z": (["cp_op", "cp_z"], None),
    "cp_columns_stall": (["cp_columns", "cp_stall"], None),
    "cp_status_before": (["cp_status", "cp_before"], lambda status, before: before == "first" and status != "OK"),
}


class VectorCoverage:
    """Samples commands in the order in which they are queued. Of a refused one only what is around it counts."""

    def __init__(self, config: ChipConfig):
        self._config = config
        self._plan = Plan(BLOCK, _POINTS, _CROSSES)

    def sample(self, command: dict, status: Status, before: str, stall: float):
        values: dict[str, Any] = {name: set() for name in _POINTS}
        values |= {"cp_status": status.name, "cp_before": before, "cp_stall": "rough" if stall else "calm"}
        if status is Status.OK:
            values |= self._contents(command)
        self._plan.sample(**values)

    def _contents(self, command: dict) -> dict:
        mode, steps = command["mode"], command["program"][: command["mode"]["ops"]]
        n, tile = command["n"], self._config.pe_columns
        axes = {"x": ("kw", "kh", "ow", "oh"), "y": ("ow", "oh"), "z": ("ow", "oh")}
        used = {"x": not mode["from_tensor"], "y": mode["y_enable"], "z": True}
        strides = {
            f"{operand} {'back' if stride < 0 else 'on' if stride else 'zero'}"
            for operand in "xyz" if used[operand] for axis in axes[operand] if command[axis] > 1
            for stride in [command[f"{operand}_{axis}"]]
        }
        return {
            "cp_x": Format(mode["x_format"]).name, "cp_z": Format(mode["z_format"]).name,
            "cp_y": Format(mode["y_format"]).name if mode["y_enable"] else "none",
            "cp_from": "tensor core" if mode["from_tensor"] else "L1",
            "cp_taps": VectorOp(mode["reduce"]).name if command["kh"] * command["kw"] > 1 else "one",
            "cp_params": mode["params"], "cp_ops": mode["ops"],
            "cp_op": {VectorOp(step["op"]).name for step in steps},
            "cp_source": {VectorSource(step[side]).name for step in steps for side in "ab"},
            "cp_columns": "one" if n == 1 else "part of a tile" if n < tile else "a tile" if n == tile
            else "tiles and a part" if n % tile else "tiles",
            "cp_stride": strides,
        }  # fmt: skip

    def export(self):
        self._plan.export()
