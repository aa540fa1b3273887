"""The back ends by name: each has a `run(workload, folder=..., waves=..., progress=...)` that returns an Outcome."""

from collections.abc import Callable
from importlib import import_module

__all__ = ["BACKENDS", "backend"]

BACKENDS = {"golden": "sim.golden.run", "verilator": "sim.native.run", "icarus": "sim.icarus.run"}


def backend(name: str) -> Callable:
    """The `run` of a back end. Raises ValueError for an unknown name."""
    if name not in BACKENDS:
        raise ValueError(f"{name!r} is not one of {', '.join(BACKENDS)}")
    return import_module(BACKENDS[name]).run
