"""What moves through the vector engine: slots, strips and steps.

A *slot* is one beat of one row: up to `vector_lanes` neighbouring elements. Eight slots, in the order of the command, make a *strip*; every
micro-operation runs over a whole strip, slot after slot, before the next one starts. Eight cycles are what a result needs to be read
again, so no step ever waits for an earlier one. The registers hold two strips (the *ring*): one is worked on, the other fills.
"""

from amaranth.lib import data, enum

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import VectorOp
from rtl.vector.alu import STAGES

__all__ = ["LATENCY", "POINTER_BITS", "RING", "STRIP", "Source", "entries", "log_bytes", "slot_layout", "step_layout", "target_layout"]

#: Cycles from the issue of a slot to the issue that sees its result: register read and operand selection, the lane, the write.
LATENCY = STAGES + 3
#: Slots of a strip.
STRIP = 8
#: Slots that the registers hold.
RING = 2 * STRIP
#: Slot pointers count to twice the ring, so that full and empty differ.
POINTER_BITS = 5

assert STRIP >= LATENCY


class Source(enum.Enum, shape=4):
    """`VectorSource` as the lanes see it: with the element of x that a reduction takes."""

    V0 = 0
    V1 = 1
    V2 = 2
    V3 = 3
    P0 = 4
    P1 = 5
    P2 = 6
    P3 = 7
    S0 = 8
    S1 = 9
    ZERO = 10
    X = 11


def entries(config: ChipConfig) -> int:
    """Column beats whose parameters are held: two tiles, so that the next tile's arrive in time, and 16 where tiles are narrower,
    since a tile of one row leaves after one slot for each."""
    wanted = max(16, 2 * (config.pe_columns // config.vector_lanes))
    return 1 << (wanted - 1).bit_length()


def log_bytes(format):
    """log2 of an element's bytes, as an expression of the format's code; code 7 counts as one byte."""
    code = format.as_value()
    two = (code == Format.FP16.value) | (code == Format.BF16.value)
    four = [f.value for f in Format if CONTAINER_BYTES[f] == 4]
    return two | (code.matches(*four) << 1)


def slot_layout(config: ChipConfig) -> data.StructLayout:
    address = config.l1_address_bits
    return data.StructLayout({
        "x": address, "y": address, "z": address,  # of the slot's first element; x at the first tap
        "columns": range(config.vector_lanes + 1),
        "entry": range(entries(config)),  # of its parameters
        "last_row": 1,  # nothing after this slot needs the entry
        "last": 1,  # of the command
    })


def step_layout(config: ChipConfig) -> data.StructLayout:
    """One micro-operation on one slot."""
    return data.StructLayout({
        "op": VectorOp, "a": Source, "b": Source, "c": Source,
        "entry": range(entries(config)), "target": target_layout(config),
    })


def target_layout(config: ChipConfig) -> data.StructLayout:
    """Where the result of a step goes: to a register of its slot, or with `store` to z."""
    return data.StructLayout({
        "store": 1, "register": 2, "position": range(RING),
        "columns": range(config.vector_lanes + 1), "z": config.l1_address_bits,
    })
