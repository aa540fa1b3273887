"""The design under test: a memory controller with its device."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4
from rtl.bus.registers import RegisterPort
from rtl.config import ChipConfig
from rtl.isa import MEMORY_BYTES
from rtl.memory.controller import MemoryController
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import HbmDevice

__all__ = ["MemorySystem"]


class MemorySystem(wiring.Component):
    """`controller_timing` lets the controller work by another set than the device's: a
    deliberate fault."""

    def __init__(self, config: ChipConfig, controller_timing: TimingSet | None = None, *, ports: int = 1):
        self.config = config
        self.timing = TimingSet.load(config.dram_timing)
        self.controller_timing = controller_timing or self.timing
        self.ports = ports
        super().__init__({
            "axi": In(AXI4(32, config.bus_bytes, 6, quality=True)).array(ports),
            "registers": In(RegisterPort((MEMORY_BYTES - 1).bit_length())),
            "ready": Out(1), "violations": Out(32), "first_violation": Out(8),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller = controller = MemoryController(self.config, self.controller_timing, ports=self.ports)
        m.submodules.device = device = HbmDevice(self.config, self.timing)
        wiring.connect(m, controller.dfi, device.dfi)
        for number, port in enumerate(self.axi):
            wiring.connect(m, wiring.flipped(port), controller.axi[number])
        wiring.connect(m, wiring.flipped(self.registers), controller.registers)
        m.d.comb += [
            self.ready.eq(controller.ready), self.violations.eq(device.violations),
            self.first_violation.eq(device.first_violation),
        ]
        return m
