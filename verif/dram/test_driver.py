"""The driver of request traces, on a memory with a fault for every way to be wrong: each one must be found, and named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from rtl.config import ChipConfig
from rtl.isa import MemoryRegister
from rtl.memory.interface import BusCause
from rtl.memory.timing import TimingSet
from sim.dram.requests import Requests
from sim.dram.simulation import SOURCE, Measurement, simulate
from sim.native.harness import build
from sim.tools import ToolError

CONFIG = ChipConfig.load("small")
TIMING = TimingSet.load("P3200")
FAULTS = ("none", "flipped", "lost", "stale", "read error", "write error", "early last", "wrong id", "twice", "silent", "astray", "rule")


@pytest.fixture(scope="module")
def slave() -> Path:
    return build(Path(__file__).with_name("slave.sv").read_text(), top="dram", harness=SOURCE, traced=False)


def run(slave: Path, requests: Requests, **options) -> Measurement:
    return simulate(requests, CONFIG, TIMING, built=slave, **options)


def traffic(seed: int, count: int, *, atoms: int = 2048) -> Requests:
    """Reads and writes of few atoms of the faultless part."""
    rng = np.random.default_rng(seed)
    return Requests(rng.random(count) < 0.5, rng.integers(0, atoms, count))


@pytest.mark.parametrize("atoms", (1, 8, 2048))
@pytest.mark.parametrize("stall", (0.0, 0.4))
def test_good(slave, seed, atoms, stall):
    """cp_scoreboard: nothing is wrong where nothing is; storms on one atom and on eight, overtaking and interleaving, and `ready`
    low at random."""
    requests = traffic(seed, 20_000, atoms=atoms)
    found = run(slave, requests, stall=stall, seed=seed)
    assert found.ok, found.log
    assert (found.reads, found.writes) == (int((~requests.write).sum()), int(requests.write.sum()))
    assert found.offered == found.answered == len(requests)
    assert (found.accepted >= 0).all() and (found.last >= found.accepted).all()
    assert found.bus_writes == found.writes  # the slave shows a read's command only where there is no write's


def test_overtaking(slave):
    """The slave answers out of order: the driver must have seen it, or the test above shows less than it says."""
    requests = traffic(2, 400)
    found = run(slave, Requests(np.zeros(400, bool), requests.atom))
    assert found.ok and (np.diff(found.last) < 0).sum() > 20
    assert (found.last - found.first > 1).sum() > 100


def test_latency(slave):
    """One read of the fast queue at a time: 20 clocks, one for the register of the response, one more to the second beat."""
    found = run(slave, Requests(np.zeros(16, bool), np.arange(16)), outstanding=1)
    assert set(found.latency("first")) == {21} and set(found.latency()) == {22}
    assert (np.diff(found.accepted) == 23).all()
    assert found.clocks == 16 * 23 and found.percent_of_peak == pytest.approx(100 * 2 / 23)


def test_order_and_window(slave):
    """cp_window: requests are taken in the trace's order, at most one a clock; a limited window ends after so many clocks, and
    everything that was taken is answered."""
    requests = traffic(1, 5000)
    found = run(slave, requests, clocks=1000)
    assert found.ok and found.clocks == 1000
    taken = found.accepted[found.accepted >= 0]
    assert found.offered == len(taken) < 5000 and (found.accepted[: len(taken)] >= 0).all()
    assert (np.diff(taken) >= 1).all() and (found.last[: len(taken)] >= 0).all()
    assert found.reads + found.writes < len(taken)


#: What each fault is found by.
KINDS = {
    "flipped": "mismatches", "lost": "mismatches", "stale": "mismatches", "read error": "responses", "write error": "responses",
    "early last": "protocol", "wrong id": "protocol", "twice": "protocol", "astray": "mismatches",
}


@pytest.mark.parametrize("fault", KINDS)
def test_faults(slave, seed, fault):
    """A write and, well after it, a read of one atom of the faulty part, in much traffic elsewhere."""
    requests, place = traffic(seed, 3000), 2048 * FAULTS.index(fault) + 5
    for at, write in ((1000, True), (1120, False)):
        requests.write[at], requests.atom[at] = write, place
    found = run(slave, requests, seed=seed)
    assert found.errors[KINDS[fault]] and not found.ok
    if KINDS[fault] == "mismatches":
        assert f"0x{32 * place:x}" in found.log[0] and "request 1121" in found.log[0]
    if fault in ("lost", "astray"):
        assert f"returned the initial contents of 0x{32 * place:x}" in found.log[0]
        assert found.errors["contents"] >= 1
    if fault == "flipped":
        assert "bytes that nobody wrote" in found.log[0] and not found.errors["contents"]


def test_contents(slave):
    """A lost write that nobody reads is found at the end."""
    requests = traffic(3, 500)
    requests.write[200], requests.atom[200] = True, 2048 * FAULTS.index("lost") + 9
    found = run(slave, requests)
    assert found.errors == {"mismatches": 0, "contents": 1, "responses": 0, "protocol": 0}


def test_older_write_returns(slave):
    """Two writes of one atom, each answered, and a read of the first one's bytes: the second is stored too late."""
    place = 2048 * FAULTS.index("stale")
    quiet = traffic(4, 100)
    requests = Requests(
        np.concatenate([[True], quiet.write, [True], quiet.write, [False], np.zeros(400, bool)]),
        np.concatenate([[place], quiet.atom, [place], quiet.atom, [place], np.arange(400)]),
    )
    found = run(slave, requests)
    assert found.errors["mismatches"] == 1 and not found.errors["contents"]
    assert found.log[0] == f"request 203, read of 0x{32 * place:x}, returned what request 1 wrote to 0x{32 * place:x}"


def test_silence(slave):
    """A read without an answer ends the run, and doesn't hang it."""
    requests = traffic(5, 300)
    requests.write[100], requests.atom[100] = False, 2048 * FAULTS.index("silent")
    found = run(slave, requests)
    assert found.stuck and not found.ok and found.answered == found.offered - 1


def test_rule(slave):
    requests = Requests([True, False], [2048 * FAULTS.index("rule"), 0])
    found = run(slave, requests)
    assert (found.violations, found.first_violation) == (1, "tFAW") and not found.ok


def test_seeds(slave):
    """The same seed gives the same clocks, another one others."""
    one, same, other = (run(slave, traffic(6, 3000), stall=0.3, seed=seed) for seed in (7, 7, 8))
    assert (one.last == same.last).all() and (one.last != other.last).any()


def test_registers(slave):
    """The counters of the data bus are read one by one (the slave answers with the word's number); a refused value ends the run."""
    found = run(slave, traffic(1, 100))
    assert found.causes == {cause.name.lower(): MemoryRegister.BUS // 4 + cause.value for cause in BusCause}
    with pytest.raises(ToolError, match="the memory controller refuses 60 in register 0x104"):
        simulate(traffic(1, 100), CONFIG, dataclasses.replace(TIMING, RL=60, WL=60), built=slave)


def test_refusals(slave):
    with pytest.raises(ValueError, match="the trace holds no requests"):
        run(slave, Requests([], []))
    with pytest.raises(ValueError, match="address 0x100000 is beyond the 1048576 bytes"):
        run(slave, Requests([False], [1 << 15]))
    with pytest.raises(ValueError, match="not as many"):
        Requests([False], [1, 2])
