"""The device model beside the hardware: its Verilog parameters, and a component that stands for it in a design."""

from pathlib import Path

from amaranth import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.dfi import DFI
from rtl.memory.timing import TimingSet

__all__ = ["DEVICE", "RULES", "HbmDevice", "device_parameters"]

#: The Verilog source, to be compiled with the design.
DEVICE = Path(__file__).with_name("device.sv")

#: Names of the rules by their code, as in `first_violation`; 0 is none.
RULES = (
    "", "tRCDRD", "tRCDWR", "tRP", "tRAS", "tRC", "tRRD_S", "tRRD_L", "tFAW", "tCCD_S", "tCCD_L", "tWTR_S", "tWTR_L", "tRTW", "tWR",
    "tRTP", "tRFC", "tRFCsb", "tRREFD", "tREFI", "ROUND", "ROW_BUS", "OPEN", "CLOSED", "RANGE", "MODE", "COMMAND",
)


def device_parameters(config: ChipConfig, timing: TimingSet, *, channel: int = 0, stored_rows: int | None = None) -> dict[str, int]:
    """Verilog parameters of `hbm_device`. `stored_rows` limits its storage to the channel's first rows of 16 KiB."""
    stored = config.dram_rows if stored_rows is None else stored_rows
    if not 1 <= stored <= config.dram_rows:
        raise ValueError(f"stored_rows must be 1 to {config.dram_rows}, not {stored}")
    masks = AddressMap(config.dram_rows).masks
    return {
        "CHANNEL": channel, "ROWS": config.dram_rows, "STORED_ROWS": stored,
        **dict(zip(("MASK_BG0", "MASK_BG1", "MASK_BA0", "MASK_BA1"), masks, strict=True)),
        **{name: getattr(timing, name) for name in timing.parameters()},
    }


class HbmDevice(wiring.Component):
    """An instance of `hbm_device`; the design then needs :data:`DEVICE` as a further source.

    Members
    -------
    dfi
        From the controller.
    finished
        The run is over: what plusargs ask for is written to files.
    violations, first_violation
        Number of broken rules so far, and the first one's code in :data:`RULES`.
    """

    dfi: In(DFI())
    finished: In(1)
    violations: Out(32)
    first_violation: Out(8)

    def __init__(self, config: ChipConfig, timing: TimingSet, *, channel: int = 0, stored_rows: int | None = None):
        self.parameters = device_parameters(config, timing, channel=channel, stored_rows=stored_rows)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        dfi = self.dfi
        m.submodules.hbm = Instance(
            "hbm_device",
            **{f"p_{name}": value for name, value in self.parameters.items()},
            i_clk=ClockSignal(), i_rst=ResetSignal(), i_enable=dfi.enable, i_finished=self.finished,
            **{f"i_row_{name}": getattr(dfi.row, name) for name in ("operation", "group", "bank", "row")},
            **{f"i_column_{name}": getattr(dfi.column, name) for name in ("operation", "group", "bank", "column")},
            i_write_data=dfi.write_data, i_write_check=dfi.write_check, i_write_mask=dfi.write_mask,
            o_read_data=dfi.read_data, o_read_check=dfi.read_check, o_read_valid=dfi.read_valid,
            o_violations=self.violations, o_first_violation=self.first_violation,
        )
        return m
