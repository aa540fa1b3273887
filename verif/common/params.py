"""What a pytest hands to its cocotb module: parameters and the seed."""

import json
import os
import random

from rtl.config import ChipConfig

__all__ = ["config", "inputs", "params", "rng", "seed"]


def params() -> dict:
    """The `params` of :meth:`verif.common.runner.Bench.run`."""
    return json.loads(os.environ.get("MINIGCU_PARAMS", "{}"))


def inputs() -> list[str]:
    """Names of the design's input ports, without clock and reset."""
    return json.loads(os.environ.get("MINIGCU_INPUTS", "[]"))


def config() -> ChipConfig:
    """The chip configuration named by `params()["config"]`: a preset's name, or a mapping as in a TOML file."""
    given = params().get("config", "tiny")
    return ChipConfig.from_dict(given) if isinstance(given, dict) else ChipConfig.load(given)


def seed() -> int:
    """The seed of the run."""
    return int(os.environ.get("COCOTB_RANDOM_SEED", "1"))


def rng(name: str) -> random.Random:
    """A stream of random numbers of its own for each user, so that adding one user changes no other."""
    return random.Random(f"{seed()}/{name}")
