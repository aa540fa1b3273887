"""The testbench of the ports: masters above, the memory's model below, one loop that steps all of them, and the referee."""

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.memory.address import ATOM_BYTES
from verif.common import clock
from verif.common.params import config, params, rng
from verif.memory.port.below import Below
from verif.memory.port.coverage import PortCoverage
from verif.memory.port.history import History
from verif.memory.port.master import PortMaster
from verif.memory.port.transfer import Transfer

__all__ = ["ID_BITS", "PortBench"]

ID_BITS = 6

#: Atoms that the service has for itself: the second page of 4 KiB from the end.
SERVICE_PAGE = -2


class PortBench:
    """Parameters of the run: `ports`, `interleave`, and `clock` (p of q). `stall` 0 to 1 goes for all streams.

    Ports of `foreign` have no master here.
    """

    def __init__(
        self, dut, name: str, *, stall: float, holds: bool = False, coverage: bool = False, foreign: tuple[int, ...] = (), **below
    ):
        self.dut, self.chip = dut, config()
        given = params()
        self.ports, self.bus_bytes = given.get("ports", 2), self.chip.bus_bytes
        atoms = self.chip.channel_bytes // ATOM_BYTES
        page = 4096 // ATOM_BYTES
        self.below = Below(
            dut, (atoms - 1).bit_length(), self.ports, self.chip.return_slots, rng(f"{name} below"), stall=stall,
            clock=tuple(given.get("clock", (1, 1))), service_atoms=range(atoms + SERVICE_PAGE * page, atoms + (SERVICE_PAGE + 1) * page),
            **below,
        )
        self.masters = {
            n: PortMaster(dut, n, rng(f"{name} master {n}"), stall=stall, holds=holds, interleave=given.get("interleave", True))
            for n in range(self.ports) if n not in foreign
        }
        for master in self.masters.values():
            master.finish = self._finish
        self.history = History(lambda place: self.below.atom(place // ATOM_BYTES)[place % ATOM_BYTES])
        self._initial: dict[int, bytes] = {}
        self.coverage = PortCoverage(self.bus_bytes, "rough" if stall > 0.3 else "calm") if coverage else None
        self.clock = 0
        self.finished: list[Transfer] = []
        self.refusals = 0

    @classmethod
    async def up(cls, dut, name: str, cycles: int, **options) -> "PortBench":
        await clock.start(dut, cycles)
        bench = cls(dut, name, **options)
        cocotb.start_soon(bench._run())
        return bench

    async def _run(self):
        parts = [*self.masters.values(), self.below]
        while True:
            await FallingEdge(self.dut.clk)
            for part in parts:
                part.drive(self.clock)
            await ReadOnly()
            for part in parts:
                part.sample(self.clock)
            self.clock += 1

    def push(self, transfer: Transfer) -> Transfer:
        if transfer.write and transfer.harmless:
            reads = [read.accepted for master in self.masters.values() for read in master.open_reads if read.accepted is not None]
            self.history.write(transfer, self.bus_bytes, min([self.clock, *reads]))
        return self.masters[transfer.port].push(transfer)

    async def clocks(self, count: int):
        for _ in range(count):
            await FallingEdge(self.dut.clk)

    async def drain(self, limit: int = 20_000):
        """Waits until nothing is in flight."""
        begin = self.clock
        while any(master.in_flight for master in self.masters.values()) or not self.below.idle:
            await FallingEdge(self.dut.clk)
            assert self.clock - begin < limit, f"{[master.in_flight for master in self.masters.values()]} bursts are still in flight"
        await self.clocks(4)

    def _finish(self, transfer: Transfer, order: str):
        """Judges a burst that has ended."""
        self.finished.append(transfer)
        self.refusals += transfer.expected != 0
        what = f"port {transfer.port}: {transfer.beats} beats at {transfer.address:#x}, fault: {transfer.fault}"
        race, touches_bad = "write", False
        if transfer.write:
            assert transfer.responses == [transfer.expected], f"{what}: write answered by {transfer.responses}, not {transfer.expected}"
        elif transfer.harmless:
            expected = [self._beat_response(first, last) for first, last in transfer.places()]
            touches_bad = any(expected)
            assert transfer.responses == expected, f"{what}: read answered by {transfer.responses}, not {expected}"
            race = self.history.check(transfer, self.bus_bytes)
        else:
            race = "alone"
            assert transfer.responses == [transfer.expected] * transfer.beats, f"{what}: read answered by {transfer.responses}"
            assert not any(transfer.words), f"{what}: a refused read returned data"
        if self.coverage:
            self.coverage.sample(transfer, order, race, touches_bad)

    def _beat_response(self, first: int, last: int) -> int:
        bad = self.below.bad.get(first // ATOM_BYTES, 0)
        words = range(first % ATOM_BYTES // 8, last % ATOM_BYTES // 8 + 1)
        return 2 if any(bad >> word & 1 for word in words) else 0
