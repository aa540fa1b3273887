"""What flows inside a memory controller, from the intakes to the column commands."""

from amaranth import unsigned
from amaranth.lib import data

from rtl.memory.address import Location

__all__ = ["READ_SLOTS", "SLOT_BITS", "WRITE_SLOTS", "column_request", "read_request", "row_request", "write_request"]

#: Atoms in the write buffer: as many as the opener looks ahead.
WRITE_SLOTS = 32

#: Atoms in the return buffer. A read takes its slot as it passes the arbiter, so that whatever the port does, the accesses behind the
#: arbiter come to their end and the banks to their refresh. 64 cover the opener (32), the column stage (4), RL + 2 clocks at an atom in
#: two clocks, and the pipe.
READ_SLOTS = 64

#: A request holds a slot of either.
SLOT_BITS = 6


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
