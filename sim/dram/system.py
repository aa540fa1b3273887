"""The design that `gcu dram` runs: a memory controller with its device, and what its driver watches besides the AXI port."""

from dataclasses import astuple

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4
from rtl.config import ChipConfig
from rtl.memory.controller import MemoryController
from rtl.memory.dfi import ColumnOperation, RowOperation
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import HbmDevice
from sim.verilog.cache import emitted
from sim.verilog.emit import emit

__all__ = ["DEVICE_SCOPE", "ID_BITS", "TOP", "DramSystem", "dram_text"]

TOP = "dram"
#: Where Verilator finds the device's arrays.
DEVICE_SCOPE = "TOP.dram.device.hbm"
ID_BITS = 6


class DramSystem(wiring.Component):
    """One pseudo-channel. The device is found at `device.hbm` below the top.

    Members
    -------
    axi
        The controller's port.
    ready
        Requests are served.
    enable
        The memory side steps in this clock.
    row_operation, column_operation
        The commands that go to the device.
    violations, first_violation
        As of :class:`HbmDevice`.
    """

    def __init__(self, config: ChipConfig, timing: TimingSet):
        self.config, self.timing = config, timing
        super().__init__({
            "axi": In(AXI4(32, config.bus_bytes, ID_BITS)), "ready": Out(1), "enable": Out(1),
            "row_operation": Out(RowOperation), "column_operation": Out(ColumnOperation),
            "violations": Out(32), "first_violation": Out(8),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller = controller = MemoryController(self.config, self.timing, ID_BITS)
        m.submodules.device = device = HbmDevice(self.config, self.timing)
        wiring.connect(m, controller.dfi, device.dfi)
        wiring.connect(m, wiring.flipped(self.axi), controller.axi)
        m.d.comb += [
            self.ready.eq(controller.ready), self.enable.eq(controller.dfi.enable),
            self.row_operation.eq(controller.dfi.row.operation), self.column_operation.eq(controller.dfi.column.operation),
            self.violations.eq(device.violations), self.first_violation.eq(device.first_violation),
        ]
        return m


def dram_text(config: ChipConfig, timing: TimingSet) -> str:
    """SystemVerilog of the design, top module :data:`TOP`."""
    parameters = (config.bus_bytes, config.dram_rows, config.memory_clock, astuple(timing))
    return emitted("dram", parameters, lambda: emit(DramSystem(config, timing), TOP).text)
