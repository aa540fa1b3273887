"""Jobs of the whole chip while something goes wrong once; what came of it is written down and not judged here."""

import json
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, SimTimeoutError, with_timeout

from rtl.isa import HostRegister as R
from rtl.isa import Interrupt, Status
from sim.job import Job
from verif.chip.bench import Chip
from verif.chip.chip_tests import prepare
from verif.chip.programs import pipeline
from verif.common.clock import PERIOD_NS
from verif.common.params import params, rng

#: Clocks without progress before the chip gives a job up, and before the host does.
WATCHDOG, PATIENCE = 2000, 30_000
#: The chunks of L3 that a job's operands and result lie in.
DATA = (0xE0000, 0xE0100, 0xE0200, 0xE2000, 0xE3000, 0xE4000, 0xE4100)


class Ledger:
    """Runs jobs, and keeps what was seen."""

    def __init__(self, chip: Chip):
        self.chip = chip
        self.found = {"silent": 0, "reported": 0, "hangs": False, "hangs_until_reset": False}

    async def job(self, job: Job) -> bool:
        """Whether the job ended, in whatever way."""
        chip = self.chip
        await chip.push(job)
        await chip.write(R.DOORBELL, 1)
        chip.golden.run(job)
        try:
            await with_timeout(chip.settle(1), PATIENCE * PERIOD_NS, "ns")
        except SimTimeoutError:
            return False
        status = Status(await chip.read(R.JOB_STATUS))
        self.found["reported"] += status is not Status.OK
        if status is Status.OK:
            self.found["silent"] += int(np.count_nonzero(chip.l3() != chip.golden.l3))
        await chip.write(R.ERROR_CAUSE, 0)
        await chip.write(R.INTERRUPT, 1 << Interrupt.ERROR)
        chip.golden.clear_error()
        chip.golden.l3[:] = chip.l3()
        return True


async def restart(chip: Chip, clocks: int):
    """A reset of so many clocks; then what the host sets up."""
    dut = chip.dut
    await FallingEdge(dut.clk)
    dut.rst.value = 1
    for _ in range(clocks):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    chip.done = 0
    await chip.write(R.INTERRUPT_ENABLE, 1 << Interrupt.JOB_DONE)
    await chip.write(R.WATCHDOG, WATCHDOG)


async def bus_errors(chip: Chip, draw):
    """One chunk of the data answers with an error for a while."""
    await ClockCycles(chip.dut.clk, draw.randrange(800))
    first = draw.choice(DATA)
    for memory in chip.memory:
        memory.fail(first, first + 255)
    await ClockCycles(chip.dut.clk, draw.randrange(200, 2500))
    for memory in chip.memory:
        memory.heal()


async def stuck(chip: Chip, draw):
    """One handshake of the memory stays low until the chip has given up."""
    await ClockCycles(chip.dut.clk, draw.randrange(1500))
    channel = draw.choice(("ar", "aw", "w", "r", "b"))
    for memory in chip.memory:
        memory.stuck.add(channel)
    await ClockCycles(chip.dut.clk, 3 * WATCHDOG)
    for memory in chip.memory:
        memory.stuck.clear()


@cocotb.test()
async def jobs(dut):
    """cp_upset: two jobs, in the first of which something goes wrong; then a reset and a third one, which must be right."""
    chip = await Chip(dut).start(400_000)
    draw, kind = rng("upset"), params()["fault"]
    await chip.write(R.WATCHDOG, WATCHDOG)
    ledger = Ledger(chip)
    works = [pipeline(draw, tiles=4), pipeline(draw, m=7, n=5, k=33, tiles=3), pipeline(draw, tiles=2)]
    beside = None
    for number, work in enumerate(works[:2]):
        job = prepare(chip, {0: work}, 0x10000)
        if kind == "reset" and number == 0:
            await chip.push(job)
            await chip.write(R.DOORBELL, 1)
            await ClockCycles(dut.clk, draw.randrange(3000))
            await restart(chip, 1)
            chip.golden.l3[:] = chip.l3()
            job = prepare(chip, {0: work}, 0x10000)
        elif number == 0 and kind in ("bus_errors", "stuck"):
            beside = cocotb.start_soon({"bus_errors": bus_errors, "stuck": stuck}[kind](chip, draw))
        if not await ledger.job(job):
            ledger.found["hangs_until_reset"] = True
            break
    if beside is not None:
        await beside
    await restart(chip, 4)
    chip.golden.l3[:] = chip.l3()
    before = ledger.found["reported"]
    if not await ledger.job(prepare(chip, {0: works[2]}, 0x10000)) or ledger.found["reported"] != before:
        ledger.found["hangs"] = True
    Path("upset.json").write_text(json.dumps({**ledger.found, "clocks": cocotb.simtime.get_sim_time("ns") // PERIOD_NS}))
