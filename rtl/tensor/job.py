"""The job: a tensor command that has passed its checks, in the widths that the datapath needs."""

from amaranth.lib import data

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import AlignMode

__all__ = ["IssueJob", "JobLayout"]


class JobLayout(data.StructLayout):
    """What the front end hands to the walkers. Addresses and strides are cut to the bits of an L1 address: the whole box of bytes has
    been found inside the L1, so sums modulo its size are exact.
    """

    def __init__(self, config: ChipConfig):
        address = config.l1_address_bits
        tile_rows = config.accumulator_rows.bit_length() - 1
        super().__init__({
            "tag": 16,
            "a_format": Format,
            "d_format": Format,
            "align": AlignMode,
            "element": 2,  # log2 of the bytes of an element of A and B
            "d_element": 2,
            "group": 2,  # log2 of the lanes
            "accumulate": 1,
            "to_vector": 1,
            "transpose_a": 1,
            "transpose_b": 1,
            "skip_zero": 1,
            "c_broadcast": 1,  # every row of C is the same: it is read once for each column tile
            "kh": 16, "kw": 16, "channels": 16, "k": 16, "ow": 16, "oh": 16, "n": 16, "batch": 16,
            # Rows of m, cut into accumulator tiles; oh * ow has 32 bits.
            "m_tiles": 33 - tile_rows,
            # Elements of K in a full pass: all rows of PEs, or one where the groups of A don't lie side by side.
            "pass_elements": range(8 * config.pe_rows + 1),
            "a_pass": address,  # from one pass to the next in A
            **dict.fromkeys(
                ("a_base", "a_c", "a_kw", "a_kh", "a_ow", "a_oh", "a_batch", "b_base", "b_k", "b_batch",
                 "c_base", "c_ow", "c_oh", "c_batch", "d_base", "d_ow", "d_oh", "d_batch"), address,
            ),
        })  # fmt: skip


class IssueJob(data.Struct):
    """The part of a job that goes with its rows into the array."""

    tag: 16
    align: AlignMode
    accumulate: 1
    c_broadcast: 1
    skip_zero: 1
