"""What the quick tier leaves to the long one."""

import pytest

from verif.common.runner import Bench

__all__ = ["long_on_verilator"]


def long_on_verilator(request: pytest.FixtureRequest, bench: Bench):
    """For a further variant of a design that the quick tier builds anyway: Icarus always runs it, Verilator with `--long`, since
    its builds cost most of the time."""
    if bench.simulator == "verilator" and not request.config.getoption("--long"):
        pytest.skip("long tier on Verilator: run with --long")
