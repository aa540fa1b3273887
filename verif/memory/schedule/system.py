"""The design under test: a scheduler with its device."""

from amaranth import EnableInserter, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.dfi import ColumnCommand, RowCommand
from rtl.memory.interface import BusCause, coded_request, fetched
from rtl.memory.schedule.scheduler import Scheduler
from rtl.memory.timing import TimingSet, TimingValues
from sim.hbm.parameters import HbmDevice

__all__ = ["SchedulerSystem"]


class SchedulerSystem(wiring.Component):
    """Scheduler and device; the device's timing comes from plusargs. Both step in clocks with `step`."""

    def __init__(self, config: ChipConfig):
        self.config = config
        atom_bits = AddressMap(config.dram_rows).atom_bits
        super().__init__({
            "step": In(1), "requests": In(stream.Signature(coded_request(atom_bits))), "fetched": Out(fetched(atom_bits)),
            "timing": In(TimingValues), "run": In(1), "stopped": Out(1), "refresh_all": In(1), "close_after": In(16), "age_limit": In(16),
            "cause": Out(BusCause), "owed": Out(12),
            "row_bus": Out(RowCommand), "column_bus": Out(ColumnCommand), "violations": Out(32), "first_violation": Out(8),
        })

    def elaborate(self, platform):
        m = Module()
        scheduler = Scheduler(self.config)
        m.submodules.scheduler = EnableInserter(self.step)(scheduler)
        m.submodules.device = device = HbmDevice(self.config, TimingSet.load("P3200"))
        dfi = device.dfi
        m.d.comb += [
            scheduler.requests.payload.eq(self.requests.payload), scheduler.requests.valid.eq(self.requests.valid),
            self.requests.ready.eq(scheduler.requests.ready & self.step), scheduler.enable.eq(self.step),
            self.fetched.eq(scheduler.fetched), self.fetched.valid.eq(scheduler.fetched.valid & self.step),
            *(getattr(scheduler, name).eq(getattr(self, name)) for name in (
                "timing", "run", "refresh_all", "close_after", "age_limit")),
            *(port.eq(mask) for port, mask in zip(scheduler.masks, AddressMap(self.config.dram_rows).masks, strict=True)),
            *(getattr(self, name).eq(getattr(scheduler, name)) for name in ("stopped", "cause", "owed")),
            self.row_bus.eq(scheduler.row), self.column_bus.eq(scheduler.column),
            self.violations.eq(device.violations), self.first_violation.eq(device.first_violation),
            dfi.enable.eq(self.step), *(getattr(dfi, name).eq(getattr(scheduler, name)) for name in (
                "row", "column", "write_data", "write_check", "write_mask")),
            *(getattr(scheduler, name).eq(getattr(dfi, name)) for name in ("read_data", "read_check", "read_valid")),
        ]
        return m
