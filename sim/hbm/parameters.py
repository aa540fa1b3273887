"""The device model beside the hardware: its Verilog parameters, its plusargs, and a component that stands for it in a design."""

from pathlib import Path

from amaranth import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.dfi import DFI
from rtl.memory.timing import TimingSet

__all__ = ["DEVICE_SOURCES", "RULES", "STORAGE_PAGES", "HbmDevice", "device_parameters", "timing_plusargs"]

_FOLDER = Path(__file__).parent

#: The Verilog sources, to be compiled with the design.
DEVICE_SOURCES = (_FOLDER / "device.sv", _FOLDER / "storage.sv")

#: Names of the rules by their code, as in `first_violation` and the bits of `broken`; 0 is none.
RULES = (
    "", "tRCDRD", "tRCDWR", "tRP", "tRAS", "tRC", "tRRD_S", "tRRD_L", "tFAW", "tCCD_S", "tCCD_L", "tWTR_S", "tWTR_L", "tRTW", "tWR",
    "tRTP", "tRFC", "tRFCsb", "tRREFD", "tREFI", "ROUND", "ROW_BUS", "OPEN", "CLOSED", "RANGE", "MODE", "COMMAND", "DATA_BUS", "STORAGE",
)

#: Pages of 1 KiB that a device stores unless told otherwise, if it has as many: 64 MiB.
STORAGE_PAGES = 65536


def _timing(timing: TimingSet) -> dict[str, int]:
    """The values that the device judges by. tREFIsb is a pace that a controller keeps, no rule."""
    return {name: getattr(timing, name) for name in timing.parameters() if name != "tREFIsb"}


def timing_plusargs(timing: TimingSet) -> list[str]:
    """Plusargs that make any build of the device work by this set, whatever set it was built for."""
    return [f"+hbm_{name}={value}" for name, value in _timing(timing).items()]


def device_parameters(config: ChipConfig, timing: TimingSet, *, channel: int = 0, pages: int | None = None) -> dict[str, int]:
    """Verilog parameters of `hbm_device`. `pages` limits the KiB that it stores, by default to :data:`STORAGE_PAGES`."""
    most = 16 * config.dram_rows
    stored = min(most, STORAGE_PAGES) if pages is None else pages
    if not 1 <= stored <= most:
        raise ValueError(f"pages must be 1 to {most}, not {stored}")
    masks = AddressMap(config.dram_rows).masks
    return {
        "CHANNEL": channel, "ROWS": config.dram_rows, "PAGES": stored,
        **dict(zip(("MASK_BG0", "MASK_BG1", "MASK_BA0", "MASK_BA1"), masks, strict=True)), **_timing(timing),
    }


class HbmDevice(wiring.Component):
    """An instance of `hbm_device`; the design then needs :data:`DEVICE_SOURCES` as further sources.

    `timing` is what it works by unless :func:`timing_plusargs` say otherwise. The back door's variables are in the submodule
    `hbm.storage`, see :mod:`sim.hbm.backdoor`.

    Members
    -------
    dfi
        From the controller.
    finished
        The run is over: what plusargs ask for is written to files.
    violations, first_violation, broken
        Number of broken rules since the reset, the first one's code in :data:`RULES`, and all their codes as a set of bits.
    flips
        Bits inverted on purpose since the reset, of storage and of read data.
    """

    dfi: In(DFI())
    finished: In(1)
    violations: Out(32)
    first_violation: Out(8)
    broken: Out(32)
    flips: Out(32)

    def __init__(self, config: ChipConfig, timing: TimingSet, *, channel: int = 0, pages: int | None = None):
        self.parameters = device_parameters(config, timing, channel=channel, pages=pages)
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
            **{f"i_write_{name}": getattr(dfi, f"write_{name}") for name in ("data", "check", "mask")},
            **{f"o_read_{name}": getattr(dfi, f"read_{name}") for name in ("data", "check", "valid")},
            **{f"o_{name}": getattr(self, name) for name in ("violations", "first_violation", "broken", "flips")},
        )
        return m
