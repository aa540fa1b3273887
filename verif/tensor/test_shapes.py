"""The bits of a product depend on neither the tiling, nor the chip, nor the simulator: odd shapes, numbers that hurt, all formats."""

import json

import pytest

from rtl.config import PRESETS
from rtl.tensor.core import TensorCore
from verif.common.tiers import long_on_icarus

TESTS = "verif.tensor.shapes_tests"


def _results(bench, simulator: str, config: str, products: int, tilings: int) -> dict[str, str]:
    bench.simulator = simulator
    run = bench.run(TensorCore(PRESETS[config]), TESTS, params={"config": config, "products": products, "tilings": tilings})
    return json.loads((run / "results.json").read_text())


def test_tilings(bench, request):
    """On `tiny`, one simulator at a time: a tiling changes no bit."""
    long_on_icarus(request, bench)
    assert len(_results(bench, bench.simulator, "tiny", 1, 1)) == 18


@pytest.mark.long
@pytest.mark.parametrize("products", range(4))
def test_chips(bench, products):
    """`tiny` in Icarus and `small` in Verilator."""
    if bench.simulator != "icarus":
        pytest.skip("runs both simulators itself")
    tiny, small = _results(bench, "icarus", "tiny", products, 2), _results(bench, "verilator", "small", products, 2)
    assert tiny == small
