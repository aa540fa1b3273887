"""Bits that turn over in the memory controller and in the device: `gcu regress --faults memory` runs these with many seeds."""

import dataclasses
import random

import pytest

from rtl.config import PRESETS
from sim.hbm.parameters import DEVICE_SOURCES
from verif.common.emission import emission
from verif.common.mutation import Campaign, Mutation
from verif.common.upset import judge_upset
from verif.memory.system import MemorySystem

CONFIG = dataclasses.replace(PRESETS["tiny"], name="memory", dram_rows=64)
#: Places of each kind that the seeds choose from.
SITES = 250
#: Clocks of the traffic in which an upset comes; clocks for which a bit of what an SRAM is given is inverted, so that a word meets it.
BEGIN, END, WINDOW = 250, 3500, 8

#: Kinds, and whether the design claims that no upset of that kind goes by unnoticed: its code covers the device, and the memories between
#: encoder and decoder. What lies behind them and registers are not protected.
KINDS = {
    "dram, one bit": True, "dram, two bits": True, "coded memories": True, "byte strobes": False, "other memories": False,
    "registers": False,
}
#: What lies between encoder and decoder; of it the strobes of writes have no code.
CODED, STROBES = "dut.controller.scheduler.", ".strobes"


def kind_of(cell: str) -> str:
    """Of a memory."""
    return "other memories" if not cell.startswith(CODED) else "byte strobes" if STROBES in cell else "coded memories"


def outcome(found: dict) -> str:
    """The worst of what was seen."""
    if found["hangs"]:
        return "hangs"
    if found["silent"]:
        return "silent"
    if found["violations"]:
        return "breaks a DRAM rule"
    return "reported" if found["refused"] or found["bad"] else "corrected" if found["corrected"] else "harmless"


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_upset(request, bench, kind):
    if bench.simulator == "icarus":
        pytest.skip("Verilator alone: many runs")
    draw, system, plusargs = random.Random(f"{kind}/{bench.seed}"), MemorySystem(CONFIG, ports=1), []
    if kind.startswith("dram"):
        bits = 1 if kind.endswith("one bit") else 2
        place = f"one read of {draw.choice([8, 32, 128])}"
        # One word with two bits: another two in what is poisoned by them are four, of which the code knows nothing.
        plusargs = [
            f"+hbm_read_flips={place.split()[-1]}", f"+hbm_read_flip_most={bits - 1}", f"+hbm_read_flip_bits={bits}",
            f"+hbm_seed={draw.randrange(1, 1 << 30)}",
        ]
    else:
        upsets = "registers" if kind == "registers" else "memories"
        campaign = Campaign(emission(system, "dut").digest, "controller", SITES, 1, upsets)
        sites, clock = campaign.mutated(system).mutants, draw.randrange(BEGIN, END)
        site = draw.choice([site for site in sites if kind == "registers" or kind_of(site.cell) == kind])
        bench.mutation = Mutation(campaign, site.number)
        length = 1 if kind == "registers" else WINDOW
        plusargs = [f"+upset_at={clock}", f"+upset_for={length}"]
        place = f"{site.cell} {site.port} ({site.place}), clock {clock}"

    def run():
        return bench.run(
            system, "verif.memory.upset_tests", params={"config": CONFIG.to_dict()}, sources=list(DEVICE_SOURCES), plusargs=plusargs,
        )

    judge_upset(request, run, outcome, kind=kind, place=place, protected=KINDS[kind])
