"""The design that `gcu dram` runs: a memory controller with its device, and what its driver watches besides the AXI port."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4
from rtl.bus.registers import RegisterPort
from rtl.config import ChipConfig
from rtl.isa import MEMORY_BYTES
from rtl.memory.controller import MemoryController
from rtl.memory.dfi import ColumnOperation, RowOperation
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import HbmDevice
from sim.verilog.cache import emitted
from sim.verilog.emit import emit

__all__ = ["ID_BITS", "STORAGE_SCOPE", "TOP", "DramSystem", "dram_text"]

TOP = "dram"
#: Where Verilator finds the device's arrays.
STORAGE_SCOPE = "TOP.dram.device.hbm.storage"
ID_BITS = 6


class DramSystem(wiring.Component):
    """One pseudo-channel, of any timing set: the controller gets it through its registers, the device by plusargs.

    Members
    -------
    axi
        The controller's port.
    registers
        The controller's; it waits for its RUN.
    ready
        Requests are served.
    enable
        The memory side steps in this clock.
    row_operation, column_operation
        The commands that go to the device.
    violations, first_violation
        As of :class:`HbmDevice`.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "axi": In(AXI4(32, config.bus_bytes, ID_BITS, quality=True)),
            "registers": In(RegisterPort((MEMORY_BYTES - 1).bit_length())), "ready": Out(1), "enable": Out(1),
            "row_operation": Out(RowOperation), "column_operation": Out(ColumnOperation),
            "violations": Out(32), "first_violation": Out(8),
        })

    def elaborate(self, platform):
        m = Module()
        timing = TimingSet.load("P3200")
        m.submodules.controller = controller = MemoryController(self.config, timing, id_bits=ID_BITS, autostart=False)
        m.submodules.device = device = HbmDevice(self.config, timing, pages=self.config.channel_bytes // 1024)
        wiring.connect(m, controller.dfi, device.dfi)
        wiring.connect(m, wiring.flipped(self.registers), controller.registers)
        wiring.connect(m, wiring.flipped(self.axi), controller.axi[0])
        m.d.comb += [
            self.ready.eq(controller.ready), self.enable.eq(controller.dfi.enable),
            self.row_operation.eq(controller.dfi.row.operation), self.column_operation.eq(controller.dfi.column.operation),
            self.violations.eq(device.violations), self.first_violation.eq(device.first_violation),
        ]
        return m


def dram_text(config: ChipConfig) -> str:
    """SystemVerilog of the design, top module :data:`TOP`."""
    return emitted("dram", config.to_dict(), lambda: emit(DramSystem(config), TOP, enables=True).text)
