"""Codec and guard on the simulators, alone and with deliberate faults."""

import pytest

from rtl.memory.ecc.guard import Guard
from rtl.memory.ecc.rewrites import RewriteQueue
from verif.common.coverage import Report
from verif.common.fault import Fault
from verif.common.tiers import long_on_verilator
from verif.memory.ecc.system import Codec, Guarded

CODEC = "verif.memory.ecc.codec_tests"
GUARD = "verif.memory.ecc.guard_tests"


def test_codec(bench):
    bench.run(Codec(), CODEC)


@pytest.mark.long
def test_codec_long(bench):
    bench.run(Codec(), CODEC, params={"rounds": 20}, testcase="every_pattern")


@pytest.mark.parametrize(("port", "bit"), [
    ("returned", 40), pytest.param("check", 9, marks=pytest.mark.long), pytest.param("verdict", 17, marks=pytest.mark.long),
])
def test_codec_fault(request, bench, port, bit):
    long_on_verilator(request, bench)
    bench.run(Fault(Codec(), port, bit, after=500), CODEC, testcase="every_pattern", expect_failure=True)


def _guard(bench, entries: int = 8, **params):
    folder = bench.run(Guarded(entries), GUARD, params={"entries": entries, **params})
    Report("guard", [folder]).require()


def test_guard(request, bench):
    # The service's testbench has a guard inside, on both simulators.
    long_on_verilator(request, bench)
    _guard(bench)


@pytest.mark.long
@pytest.mark.parametrize("entries", [2, 5, 8])
def test_guard_long(bench, entries):
    _guard(bench, entries, rounds=6, requests=1000)


@pytest.mark.parametrize(("port", "bit", "testcase"), [
    ("coded__payload", 50, "storm"), ("errors", 3, "counters"),
    *(pytest.param(*fault, marks=pytest.mark.long) for fault in (
        ("injected", 0, "injection"), ("idle", 0, "hold"), ("request__ready", 0, "rate"),
    )),
])
def test_guard_fault(request, bench, port, bit, testcase):
    long_on_verilator(request, bench)
    bench.run(Fault(Guarded(), port, bit, after=200), GUARD, params={"entries": 8}, testcase=testcase, expect_failure=True)


def test_refused():
    with pytest.raises(ValueError, match="the guard has 2 to 32 entries, not 1"):
        Guard(15, 1)
    with pytest.raises(ValueError, match="the queue of rewrites has a power of two of entries from 2 up, not 3"):
        RewriteQueue(15, 3)
