"""The drivers themselves, on the smallest stream components."""

import pytest

from rtl.common.stream import StreamFifo, StreamRegister
from verif.common.fault import Fault
from verif.common.runner import BenchFailure

TESTS = "verif.common.stream_tests"


@pytest.mark.parametrize("make", [lambda: StreamRegister(16), lambda: StreamFifo(16, 5)], ids=["register", "fifo"])
def test_stream(bench, make):
    bench.run(make(), TESTS)


def test_stream_fault(bench):
    bench.run(Fault(StreamRegister(16), "output__payload", 3, after=50), TESTS, expect_failure=True)


def test_fault_must_be_seen(bench):
    """A fault that comes after the end changes nothing."""
    late = Fault(StreamRegister(16), "output__payload", 3, after=1_000_000)
    with pytest.raises(BenchFailure, match="passed in spite"):
        bench.run(late, TESTS, expect_failure=True)


def test_fault_names_outputs():
    with pytest.raises(ValueError, match="StreamRegister has no output nosuch"):
        Fault(StreamRegister(16), "nosuch")
