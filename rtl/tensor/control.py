"""What goes with a row of A through the stages of the PEs."""

from amaranth.lib import data

from rtl.formats import Format
from rtl.isa import AlignMode

__all__ = ["ACCUMULATOR_STAGE", "PE_STAGES", "RowControl"]

#: Pipeline stages of a PE, in every format: `result` is valid this many cycles after `a`.
PE_STAGES = 4

#: The stage at which the accumulator enters: `c` is sampled this many cycles after `a`. Products don't wait for it, so a chain of
#: dependent operations advances every PE_STAGES - ACCUMULATOR_STAGE cycles.
ACCUMULATOR_STAGE = 1


class RowControl(data.Struct):
    """One row at one stage of a row of PEs. Each row passes the stages 0 to PE_STAGES - 1 in successive cycles."""

    enable: 1  #: The stage holds a row; without it its registers keep still and the other members mean nothing.
    a_format: Format  #: Of A; UINT8 stands for A unsigned and weights signed.
    align: AlignMode  #: Of TF32, FP16 and BF16; the others ignore it.
    lanes: 8  #: Lanes that take part, lane 0 lowest. With none, `c` passes unchanged (an FP32 NaN becomes 7FC00000).
