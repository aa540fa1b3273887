"""Traffic of one port while a bit turns over somewhere; what came of it is written down and not judged here."""

import json
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, SimTimeoutError, with_timeout

from rtl.bus.axi import Response
from rtl.isa import MemoryRegister
from verif.common.clock import PERIOD_NS, start
from verif.common.params import config, rng
from verif.fabric.master import Master, Transfer

CONFIG = config()
BUS = CONFIG.bus_bytes
#: Bytes in a few rows of several banks; rounds of bursts; clocks that a burst may take.
WINDOW, ROUNDS, BURSTS, PATIENCE = 1 << 16, 4, 24, 20_000


class Ledger:
    """What each byte should be, None where nobody can tell: an answer to a write says that it failed."""

    def __init__(self):
        self.bytes: dict[int, int | None] = {}
        self.found = {"silent": 0, "refused": 0, "hangs": False}

    async def settle(self, transfers: list[Transfer]):
        for transfer in transfers:
            try:
                await with_timeout(transfer.done.wait(), PATIENCE * PERIOD_NS, "ns")
            except SimTimeoutError:
                self.found["hangs"] = True
                return
            (self._written if transfer.strobe else self._read)(transfer)

    def _written(self, transfer: Transfer):
        failed = transfer.resp != [Response.OKAY.value]
        self.found["refused"] += failed
        for beat, (word, lanes) in enumerate(zip(transfer.data, transfer.strobe, strict=True)):
            for lane in range(BUS):
                if lanes >> lane & 1:
                    self.bytes[transfer.address + beat * BUS + lane] = None if failed else word >> 8 * lane & 0xFF

    def _read(self, transfer: Transfer):
        for beat, (word, answer) in enumerate(zip(transfer.data, transfer.resp, strict=True)):
            if answer != Response.OKAY.value:
                self.found["refused"] += 1
                continue
            for lane in range(BUS):
                wanted = self.bytes.get(transfer.address + beat * BUS + lane, 0)
                self.found["silent"] += wanted is not None and wanted != word >> 8 * lane & 0xFF


async def register(dut, number: int) -> int:
    await FallingEdge(dut.clk)
    dut.registers__read__valid.value, dut.registers__read__address.value = 1, number >> 2
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.registers__read__valid.value = 0
    return int(dut.registers__read__data.value)


@cocotb.test()
async def traffic(dut):
    """cp_upset: bursts of whole and partial writes and of reads, several in flight; then all that was written is read."""
    await start(dut, 400_000)
    while not int(dut.ready.value):
        await ClockCycles(dut.clk, 1)
    draw = rng("traffic")
    master, ledger = Master(dut, "axi__0", rng("master"), bus_bytes=BUS, stall=0.2), Ledger()
    master.id_bits = 0  # answers of one identifier keep their order
    chunks = [256 * number for number in draw.sample(range(WINDOW // 256), 32)]
    for _ in range(ROUNDS):
        posted = []
        for chunk in draw.sample(chunks, BURSTS):
            first = draw.randrange(256 // BUS)
            beats = draw.randint(1, 256 // BUS - first)
            if draw.random() < 0.6:
                words = [draw.getrandbits(8 * BUS) for _ in range(beats)]
                lanes = [draw.choice([(1 << BUS) - 1, (1 << BUS) - 1, draw.getrandbits(BUS)]) for _ in range(beats)]
                posted.append(master.write(chunk + first * BUS, words, lanes))
            else:
                posted.append(master.read(chunk + first * BUS, beats))
        await ledger.settle(posted)
        if ledger.found["hangs"]:
            break
    else:
        await ledger.settle([master.read(chunk, 256 // BUS) for chunk in sorted(chunks)])
    names = {"corrected": MemoryRegister.SINGLE_ERRORS, "bad": MemoryRegister.DOUBLE_ERRORS}
    counts = {name: await register(dut, number) for name, number in names.items()}
    Path("upset.json").write_text(json.dumps({**ledger.found, **counts, "violations": int(dut.violations.value)}))
