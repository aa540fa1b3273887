"""The vector engine as a whole."""

import pytest

from rtl.config import ChipConfig
from rtl.vector.engine import VectorEngine
from verif.common.fault import Fault

TESTS = "verif.vector.engine_tests"
#: Two column beats a tile.
NARROW = {"base": "tiny", "name": "narrow", "vector_lanes": 2}


def configuration(given):
    return ChipConfig.from_dict(given) if isinstance(given, dict) else ChipConfig.load(given)


def run(bench, config, **kwargs):
    scale = 1 if bench.simulator == "icarus" else 2
    params = {"config": config, "commands": 30 * scale, "hostile": 40 * scale, **kwargs.pop("params", {})}
    return bench.run(VectorEngine(configuration(config)), TESTS, params=params, **kwargs)


@pytest.mark.parametrize("config", ["tiny", NARROW], ids=["tiny", "narrow"])
def test_engine(bench, config):
    run(bench, config)
