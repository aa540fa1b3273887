"""What the quick tier leaves to the long one."""

import pytest

from verif.common.runner import Bench

__all__ = ["long_on_icarus", "long_on_verilator"]


def long_on_verilator(request: pytest.FixtureRequest, bench: Bench):
    """For a further variant of a design that the quick tier builds anyway: Icarus always runs it, Verilator with `--long`, since
    its builds cost most of the time."""
    if bench.simulator == "verilator" and not request.config.getoption("--long"):
        pytest.skip("long tier on Verilator: run with --long")


def long_on_icarus(request: pytest.FixtureRequest, bench: Bench):
    """For many cycles of a large design that other quick tests build for Verilator: Icarus takes some 25 times as long."""
    if bench.simulator == "icarus" and not request.config.getoption("--long"):
        pytest.skip("long tier on Icarus: run with --long")
