"""The design under test: a memory controller with its device."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4
from rtl.config import ChipConfig
from rtl.memory.controller import MemoryController
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import HbmDevice

__all__ = ["MemorySystem"]


class MemorySystem(wiring.Component):
    """`controller_timing` lets the controller work by another set than the device's: a deliberate fault."""

    def __init__(self, config: ChipConfig, controller_timing: TimingSet | None = None):
        self.config = config
        self.timing = TimingSet.load(config.dram_timing)
        self.controller_timing = controller_timing or self.timing
        super().__init__({
            "axi": In(AXI4(32, config.bus_bytes, 6)), "ready": Out(1), "violations": Out(32), "first_violation": Out(8),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller = controller = MemoryController(self.config, self.controller_timing)
        m.submodules.device = device = HbmDevice(self.config, self.timing)
        wiring.connect(m, controller.dfi, device.dfi)
        wiring.connect(m, wiring.flipped(self.axi), controller.axi)
        m.d.comb += [
            self.ready.eq(controller.ready), self.violations.eq(device.violations),
            self.first_violation.eq(device.first_violation),
        ]
        return m
