"""What goes wrong once while the whole chip works: `gcu regress --faults chip` runs these with many seeds."""

import random

import pytest

from rtl.chip import Compute
from rtl.config import PRESETS
from verif.common.emission import emission
from verif.common.mutation import Campaign, Mutation
from verif.common.upset import judge_upset

#: Places of each kind that the seeds choose from; of registers all over the chip.
SITES, ALL_OVER = 200, 1000
#: Clocks in which an upset comes; clocks for which a bit of what an SRAM is given is inverted, so that a word meets it.
BEGIN, END, WINDOW = 200, 3000, 100

#: Kinds, and whether the design claims that none of that kind goes by unnoticed or leaves it unable to work. Its memories and registers
#: have no code; what it promises are ends: an error response is reported, the watchdog ends what waits, and a reset heals everything.
KINDS = {
    "error responses": True, "stuck handshake": True, "reset of one clock": True,
    "l1": False, "l2": False, "accumulators": False, "command queues": False, "weight registers": False, "registers": False,
}
#: Modules of each kind of memory, and of registers.
_MEMORIES = {"l1": "*.l1", "l2": "l2port_*", "accumulators": "*.tensor.accumulators", "command queues": "*_lane"}
_REGISTERS = {"weight registers": "processingelement_*", "registers": ""}
_TROUBLE = {"error responses": "bus_errors", "stuck handshake": "stuck", "reset of one clock": "reset"}


def outcome(found: dict) -> str:
    """The worst of what was seen."""
    for name, key in (("hangs", "hangs"), ("silent", "silent"), ("hangs until reset", "hangs_until_reset"), ("reported", "reported")):
        if found[key]:
            return name
    return "harmless"


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_upset(request, bench, kind):
    if bench.simulator == "icarus":
        pytest.skip("Verilator alone: many runs")
    draw, system, plusargs, place = random.Random(f"{kind}/{bench.seed}"), Compute(PRESETS["tiny"]), [], f"seed {bench.seed}"
    if kind not in _TROUBLE:
        modules = {**_MEMORIES, **_REGISTERS}[kind]
        bits, count = "memories" if kind in _MEMORIES else "registers", SITES if modules else ALL_OVER
        campaign = Campaign(emission(system, "dut").digest, modules, count, 1, bits)
        # Of a processing element the registers that are its own.
        sites = [site for site in campaign.mutated(system).mutants if kind != "weight registers" or "pe.py" in site.place]
        site, clock = draw.choice(sites), draw.randrange(BEGIN, END)
        bench.mutation = Mutation(campaign, site.number)
        plusargs = [f"+upset_at={clock}", f"+upset_for={WINDOW if kind in _MEMORIES else 1}"]
        place = f"{site.cell} {site.port} ({site.place}), clock {clock}"

    def run():
        return bench.run(system, "verif.chip.upset_tests", params={"config": "tiny", "fault": _TROUBLE.get(kind, "")}, plusargs=plusargs)

    judge_upset(request, run, outcome, kind=kind, place=place, protected=KINDS[kind])
