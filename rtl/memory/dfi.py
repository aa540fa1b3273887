"""The boundary between controller and device, in the manner of DFI: one row and one column command a memory clock, and whole bursts.

Clocks are those in which `enable` is high; nothing is sampled in the others.
"""

from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DFI", "ColumnCommand", "ColumnOperation", "RowCommand", "RowOperation"]


class RowOperation(enum.Enum, shape=3):
    NOP = 0
    ACT = 1  #: takes two clocks; the bus says NOP in the second
    PRE = 2
    PREA = 3
    REFSB = 4
    REFAB = 5
    MRS = 6  #: mode register `bank` := `row`; 0 holds RL, 1 holds WL


class ColumnOperation(enum.Enum, shape=3):
    NOP = 0
    RD = 1
    RDA = 2  #: with auto-precharge
    WR = 3
    WRA = 4


class RowCommand(data.Struct):
    operation: RowOperation
    group: 2
    bank: 2
    row: 15


class ColumnCommand(data.Struct):
    operation: ColumnOperation
    group: 2
    bank: 2
    column: 5


class DFI(wiring.Signature):
    """Seen from the controller.

    Members
    -------
    enable
        The device steps in clocks with `enable` only.
    row, column
        One command each a clock.
    write_data, write_check, write_mask
        The 32 bytes of a write and their check bits (side-band, byte w for word w), valid in the clock WL after its WR; a set mask bit
        leaves its byte as it was (as JESD235's DM). The check bits of a word are stored unless all its bytes are masked.
    read_data, read_check, read_valid
        The 32 bytes of a read, RL + 2 clocks after its RD: the clock after the last half of the burst. Never stalled.
    """

    def __init__(self):
        super().__init__({
            "enable": Out(1), "row": Out(RowCommand), "column": Out(ColumnCommand),
            "write_data": Out(256), "write_check": Out(32), "write_mask": Out(32),
            "read_data": In(256), "read_check": In(32), "read_valid": In(1),
        })

    def __eq__(self, other):
        return type(self) is type(other)

    def __repr__(self):
        return "DFI()"
