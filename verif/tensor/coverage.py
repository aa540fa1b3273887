"""Coverage plan of the tensor core: what a queue of commands has in it (`docs/tensor.md` says why)."""

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import AlignMode
from verif.common.coverage import Plan
from verif.tensor.checks import DOTS, FLOATS, INTEGERS
from verif.tensor.model import Outcome

__all__ = ["BLOCK", "TensorCoverage"]

BLOCK = "tensor"
_DEPENDENCE = ["none", *(f"{own} after {other}" for own, other in ("AD", "BD", "CD", "DA", "DB", "DC", "DD"))]
_FORMATS = [format.name for format in (*FLOATS, *INTEGERS)]
_SHAPES = [
    "one row", "one column", "one column tile", "column tiles", "accumulator tiles", "below a group", "not whole groups", "several passes",
    "one tap", "convolution", "batch", "transposed A", "transposed B", "both transposed", "transposed convolution",
]  # fmt: skip
_POINTS = {
    "cp_format": _FORMATS,
    "cp_shape": _SHAPES,
    "cp_stall": ["calm", "rough"],
    "cp_align": [mode.name for mode in AlignMode],
    "cp_d_format": ["FP32", "FP16", "BF16", "INT32", "to vector"],
    "cp_c": ["none", "rows", "broadcast"],
    "cp_skip": ["off", "no zero rows", "zero rows", "zero rows that count"],
    "cp_operand": ["zero", "subnormal", "normal", "infinity", "NaN"],
    "cp_overflow": ["stays", "leaves"],
    "cp_dependence": _DEPENDENCE,
    "cp_back_to_back": ["first", *_FORMATS],
}


def _one_element_groups(format: str, shape: str, *_) -> bool:
    return format == "FP32" and shape in ("below a group", "not whole groups")


_CROSSES = {
    "cp_format_shape_stall": (["cp_format", "cp_shape", "cp_stall"], _one_element_groups),
    "cp_format_align": (["cp_format", "cp_align"], lambda format, align: Format[format] not in DOTS and align != "OWN"),
    "cp_format_d_format": (
        ["cp_format", "cp_d_format"], lambda format, d: d != "to vector" and (d == "INT32") != (Format[format] in INTEGERS),
    ),
    "cp_format_c": (["cp_format", "cp_c"], None),
    # A row of INT8 zeros never counts.
    "cp_format_skip": (["cp_format", "cp_skip"], lambda format, skip: Format[format] in INTEGERS and skip == "zero rows that count"),
    "cp_format_operand": (["cp_format", "cp_operand"], lambda format, _: Format[format] in INTEGERS),
    "cp_format_overflow": (["cp_format", "cp_overflow"], lambda format, flag: Format[format] in FLOATS and flag == "leaves"),
    "cp_format_dependence": (["cp_format", "cp_dependence"], None),
    "cp_format_pairs": (["cp_format", "cp_back_to_back"], None),
    "cp_dependence_stall": (["cp_dependence", "cp_stall"], None),
}  # fmt: skip


class TensorCoverage:
    """Samples commands in the order in which they are queued. Dependence is that of bytes, not of boxes."""

    def __init__(self, config: ChipConfig, stall: str):
        self._config, self._stall = config, stall
        self._plan = Plan(BLOCK, _POINTS, _CROSSES)

    def sample(self, commands: list[dict], outcomes: list[Outcome]):
        """Counts the commands of one queue; refused ones don't count."""
        for number, (command, outcome) in enumerate(zip(commands, outcomes, strict=True)):
            if not outcome.rows:
                continue
            mode = command["mode"]
            format = mode["a_format"]
            before = outcomes[number - 1] if number else None
            self._plan.sample(
                cp_format=format.name,
                cp_shape=self._shapes(command),
                cp_stall=self._stall,
                cp_align=AlignMode(mode.get("align", 0)).name if format in DOTS else "OWN",
                cp_d_format="to vector" if mode.get("to_vector", 0) else mode["d_format"].name,
                cp_c="none" if not mode.get("accumulate", 0) else "rows" if command["c_ow"] or command["c_oh"] else "broadcast",
                cp_skip=self._skip(mode, outcome),
                cp_operand=outcome.classes,
                cp_overflow="leaves" if outcome.overflow else "stays",
                cp_dependence=_dependence(outcome, before) if before else {"none"},
                cp_back_to_back=commands[number - 1]["mode"]["a_format"].name if before and before.rows else "first",
            )

    def export(self):
        self._plan.export()

    def _shapes(self, command: dict) -> set[str]:
        mode, lanes = command["mode"], self._config.lanes(command["mode"]["a_format"])
        taps, channels, rows = command["kh"] * command["kw"], command["channels"], command["oh"] * command["ow"]
        a, b = mode.get("transpose_a", 0), mode.get("transpose_b", 0)
        holds = {
            "one row": rows == 1, "one column": command["n"] == 1, "one column tile": command["n"] == self._config.pe_columns,
            "column tiles": command["n"] > self._config.pe_columns, "accumulator tiles": rows > self._config.accumulator_rows,
            "below a group": channels < lanes, "not whole groups": channels > lanes and channels % lanes > 0,
            "several passes": channels > lanes * self._config.pe_rows, "one tap": taps == 1, "convolution": taps > 1,
            "batch": command["batch"] > 1, "transposed A": a and not b, "transposed B": b and not a, "both transposed": a and b,
            "transposed convolution": a and taps > 1 and command["oh"] > 1,
        }  # fmt: skip
        return {name for name, true in holds.items() if true}

    @staticmethod
    def _skip(mode: dict, outcome: Outcome) -> set[str]:
        if not mode.get("skip_zero", 0):
            return {"off"}
        found = {name for name, count in (("zero rows", outcome.skippable), ("zero rows that count", outcome.kept)) if count}
        return found or {"no zero rows"}


def _dependence(outcome: Outcome, before: Outcome) -> set[str]:
    """What a command reads or overwrites of the one before."""
    kinds = set()
    wrote, writes = (np.fromiter(o.written, np.int64, len(o.written)) for o in (before, outcome))
    for operand in "abc":
        if operand in outcome.read and outcome.read[operand][wrote].any():
            kinds.add(f"{operand.upper()} after D")
        if operand in before.read and before.read[operand][writes].any():
            kinds.add(f"D after {operand.upper()}")
    if np.isin(writes, wrote).any():
        kinds.add("D after D")
    return kinds or {"none"}
