"""The cost model against the hardware: its error on products that computation, moves or both bound, and what its choice costs."""

import pytest

from compiler.cost import Cut, tensor_cycles
from compiler.graph import Contraction, Tensor
from compiler.tiling import plan_contraction
from gcu.operands import DTYPES, OUTPUTS
from rtl.config import PRESETS
from verif.front.kit import gcu

TINY = PRESETS["tiny"]
#: The model may be off by so much of what the hardware takes, through memory and in L1, where beside it so many cycles don't matter.
THROUGH_MEMORY, IN_L1, CYCLES = 0.25, 0.1, 40


def _kernel(dtype: str, m: int, n: int, k: int, tile: str | None = None) -> Contraction:
    format = DTYPES[dtype]
    a, b = Tensor("A", 1, m, k, format, (m, k)), Tensor("B", 1, k, n, format, (k, n))
    cut = tuple(map(int, tile.split("x"))) if tile else None
    return Contraction("gemm", ("gemm",), a, Tensor("C", 1, m, n, OUTPUTS[format][0], (m, n)), y=b, tile=cut)


def _measured(dtype: str, m: int, n: int, k: int, memory: str, tile: str | None = None) -> int:
    options = ["--tile", tile] if tile else []
    answer = gcu("gemm", m, n, k, "--dtype", dtype, "--config", "tiny", "--memory", memory, "--on", "verilator", "--json", "-", *options)
    assert answer.status == 0, answer.err
    return answer.json["cycles"]


@pytest.mark.parametrize("dtype, m, n, k, tile", [
    ("fp16", 16, 16, 16, "16x16x16"), ("fp32", 16, 16, 32, "16x4x32"), ("bf16", 48, 16, 64, "48x16x64"),  # one command, or whole K
    ("fp16", 32, 32, 64, "32x16x16"), ("bf16", 24, 48, 128, "12x24x64"),  # partial sums
    ("fp16", 32, 32, 64, "8x8x64"), ("int8", 48, 16, 64, "8x4x64"), ("bf16", 4, 48, 32, "2x12x32"),  # bound by many short moves
])  # fmt: skip
def test_error_through_memory(dtype, m, n, k, tile):
    estimate, measured = plan_contraction(_kernel(dtype, m, n, k, tile), TINY).cycles, _measured(dtype, m, n, k, "hbm", tile)
    assert estimate == pytest.approx(measured, rel=THROUGH_MEMORY)


@pytest.mark.parametrize("dtype, m, n, k", [
    ("fp16", 12, 16, 16), ("fp16", 17, 17, 13), ("fp32", 33, 7, 20), ("tf32", 9, 5, 33), ("int8", 33, 17, 65),
    ("int8", 90, 12, 40),
])  # fmt: skip
def test_error_of_a_command(dtype, m, n, k):
    """Operands in L1, as `gcu gemm` measures by default."""
    whole = Cut(1, 1, k, n, 1, m, True)
    assert tensor_cycles(_kernel(dtype, m, n, k), TINY, whole) == pytest.approx(_measured(dtype, m, n, k, "ideal"), IN_L1, CYCLES)


@pytest.mark.parametrize("dtype, m, n, k, tiles", [
    ("fp16", 32, 32, 64, ["16x16x64", "8x8x64", "32x16x16"]), ("int8", 48, 16, 64, ["48x16x64", "8x4x64"]),
])  # fmt: skip
def test_choice(dtype, m, n, k, tiles):
    """The plan that the model prefers is no slower on the hardware than others, or by 5 % at most."""
    chosen = _measured(dtype, m, n, k, "hbm")
    others = {tile: _measured(dtype, m, n, k, "hbm", tile) for tile in tiles}
    assert chosen <= 1.05 * min(others.values()), (chosen, others)
