"""Runs the tensor core's benchmark. Budgets are what it took when they were pinned; the utilisation is what must be reached."""

import pytest

from rtl.config import PRESETS
from rtl.tensor.core import TensorCore
from verif.common.tiers import long_on_icarus

TESTS = "verif.tensor.rate_tests"

#: (format, M x N x K, budget of cycles, least utilisation).
TINY = [("INT8", (32, 16, 128), 2110, 0.95), ("FP16", (32, 16, 64), 2080, 0.95), ("FP32", (32, 16, 16), 2110, 0.95)]
#: The shapes that the field is compared by; 1 x 256 x 256 is bound by the weights, a quarter of the peak. 128 x 128 x 128 shows the
#: ratios of the formats, 8 : 2 : 2 : 2 : 1 within 2 %.
SMALL = [
    ("FP16", (96, 96, 96), 13850, 0.9945), ("FP16", (192, 192, 192), 110620, 0.9994), ("FP16", (128, 128, 128), 32800, 0.996),
    ("FP16", (12, 16, 16), 72, 0.50), ("FP16", (17, 17, 13), 160, 0.30), ("FP16", (36, 32, 31), 600, 0.88),
    ("FP16", (12, 16, 256), 800, 0.94), ("FP16", (1, 256, 256), 4120, 0.23),
    ("FP32", (128, 128, 128), 131230, 0.99), ("TF32", (128, 128, 128), 32930, 0.99), ("BF16", (128, 128, 128), 32800, 0.99),
    ("INT8", (128, 128, 128), 16540, 0.98),
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
