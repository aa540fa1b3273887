"""Runs the tensor core's benchmark; the budgets are what it took when they were pinned, and 95 % of the peak must be reached."""

import pytest

from rtl.config import PRESETS
from rtl.tensor.core import TensorCore

TESTS = "verif.tensor.rate_tests"


def _run(bench, config: str, format: str, shape: tuple, budget: int, utilisation: float):
    core = TensorCore(PRESETS[config])
    params = {"config": config, "format": format, "shape": shape, "budget": budget, "utilisation": utilisation}
    run = bench.run(core, TESTS, params=params)
    print(*[line for line in (run / "log.txt").read_text().splitlines() if "utilisation" in line], sep="\n")


@pytest.mark.parametrize(("format", "budget"), [("INT8", 2140), ("FP32", 4190)])
def test_rate(bench, format, budget):
    _run(bench, "tiny", format, (32, 16, 128) if format == "INT8" else (32, 16, 32), budget, 0.95)


@pytest.mark.long
@pytest.mark.parametrize(("format", "budget"), [("INT8", 16700), ("FP32", 131400)])
def test_rate_small(bench, format, budget):
    """128 x 128 x 128 in `small`."""
    _run(bench, "small", format, (128, 128, 128), budget, 0.95)
