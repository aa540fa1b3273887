"""Runs the tensor core's benchmark. Budgets are what it took when they were pinned; the utilisation is what must be reached."""

import pytest

from rtl.config import PRESETS
from rtl.tensor.core import TensorCore
from verif.common.tiers import long_on_icarus

TESTS = "verif.tensor.rate_tests"

#: (format, M x N x K, budget of cycles, least utilisation).
TINY = [("INT8", (32, 16, 128), 2140, 0.95), ("FP16", (32, 16, 64), 2140, 0.95), ("FP32", (32, 16, 16), 2140, 0.95)]
#: The shapes that the field is compared by; 1 x 256 x 256 is bound by the weights, a quarter of the peak.
SMALL = [
    ("FP16", (96, 96, 96), 14000, 0.9945), ("FP16", (192, 192, 192), 111000, 0.9994), ("FP16", (128, 128, 128), 33000, 0.996),
    ("FP16", (12, 16, 16), 96, 0.50), ("FP16", (17, 17, 13), 200, 0.30), ("FP16", (36, 32, 31), 700, 0.88),
    ("FP16", (12, 16, 256), 820, 0.94), ("FP16", (1, 256, 256), 4452, 0.23),
    ("FP32", (128, 128, 128), 131400, 0.99), ("TF32", (128, 128, 128), 33000, 0.99), ("BF16", (128, 128, 128), 33000, 0.99),
    ("INT8", (128, 128, 128), 16700, 0.98),
]  # fmt: skip


def _run(bench, config: str, cases: list, in_a_row: list, testcase=None):
    core = TensorCore(PRESETS[config])
    run = bench.run(core, TESTS, params={"config": config, "cases": cases, "in_a_row": in_a_row}, testcase=testcase)
    print(*[line for line in (run / "log.txt").read_text().splitlines() if PRESETS[config].name in line], sep="\n")


def test_rate(bench, request):
    long_on_icarus(request, bench)
    _run(bench, "tiny", TINY, ["FP16"])


@pytest.mark.long
def test_rate_small(bench):
    """128 x 128 x 128 in all formats, and the shapes that the field is compared by."""
    _run(bench, "small", SMALL, ["FP32", "TF32", "FP16", "BF16", "INT8"])
