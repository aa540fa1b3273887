"""What flows inside a memory controller, from the intakes to the column commands."""

from amaranth import unsigned
from amaranth.lib import data

from rtl.memory.address import Location

__all__ = ["SLOTS", "SLOT_BITS", "column_request", "read_request", "row_request", "write_request"]

#: Atoms in the write buffer, and in the return buffer. A read holds its slot from just before its command until the port takes the
#: atom: RL + 2 clocks and a short pipe, at an atom in two clocks; 32 slots stream without a gap up to RL = 48.
SLOTS = 32
SLOT_BITS = 5


def read_request(atom_bits: int) -> data.StructLayout:
    """A read of one atom."""
    return data.StructLayout({"atom": unsigned(atom_bits)})


def write_request(atom_bits: int, id_bits: int) -> data.StructLayout:
    """A write of one atom whose bytes wait in `slot`. `last` ends the burst `id`. With `error` there is nothing to write."""
    return data.StructLayout({"atom": unsigned(atom_bits), "slot": SLOT_BITS, "id": id_bits, "last": 1, "error": 1})


def row_request() -> data.StructLayout:
    """An access on its way to its row; `activate`: the row must be opened first."""
    return data.StructLayout({"location": Location, "slot": SLOT_BITS, "write": 1, "activate": 1})


def column_request() -> data.StructLayout:
    """An access whose row is open, or will be before its turn. `slot` is in the write buffer or in the return buffer."""
    return data.StructLayout({"bank": 4, "column": 5, "slot": SLOT_BITS, "write": 1})
