"""What flows inside a port, and from the ports to the arbiter."""

from amaranth import unsigned
from amaranth.lib import data

from rtl.bus.axi import Response
from rtl.memory.address import ATOM_BYTES
from rtl.memory.interface import WORDS, Tag

__all__ = [
    "OFFSET_BITS", "PAGE_ATOM_BITS", "PAGE_BITS", "atom_layout", "beat_layout", "burst_layout", "held_atom", "part_layout", "read_offer",
    "response_layout", "write_beat", "write_offer",
]

#: AXI4 bursts stay in one page of 4 KiB.
PAGE_BITS = 12

#: Bits of a byte's place in its atom, and of an atom's in its page.
OFFSET_BITS = (ATOM_BYTES - 1).bit_length()
PAGE_ATOM_BITS = PAGE_BITS - OFFSET_BITS


def burst_layout(atom_bits: int, id_bits: int) -> data.StructLayout:
    """A burst that has been checked, and how to walk it.

    `offset` is the first byte's place in `atom`, `length` the number of further beats, `size` the binary logarithm of their bytes. A beat
    moves the bits of `offset_moves`, an atom those of `atom_moves`. A burst that is `single` stays in its atom, however often it wraps.
    If `response` is not OKAY, the burst is refused and accesses nothing.
    """
    return data.StructLayout({
        "id": id_bits, "atom": unsigned(atom_bits), "offset": OFFSET_BITS, "length": 8, "size": 3,
        "offset_moves": OFFSET_BITS, "atom_moves": PAGE_ATOM_BITS, "single": 1, "response": Response, "urgent": 1,
    })


def part_layout(id_bits: int) -> data.StructLayout:
    """The beats that one atom gives to its burst: `beats` further ones from `offset` on; `more` atoms of the burst follow."""
    return data.StructLayout({
        "id": id_bits, "offset": OFFSET_BITS, "beats": 8, "size": 3, "offset_moves": OFFSET_BITS, "more": 1, "response": Response,
    })


def atom_layout(atom_bits: int, id_bits: int) -> data.StructLayout:
    """An atom of a read burst. A refused burst has one, which is not to be read and gives all beats."""
    return data.StructLayout({"atom": unsigned(atom_bits), "urgent": 1, "part": part_layout(id_bits)})


def held_atom(id_bits: int) -> data.StructLayout:
    """An atom that leaves the return buffer."""
    return data.StructLayout({"part": part_layout(id_bits), "data": 8 * ATOM_BYTES, "bad": WORDS})


def beat_layout(bus_bytes: int, id_bits: int) -> data.StructLayout:
    """A beat of the read data channel."""
    return data.StructLayout({"id": id_bits, "data": 8 * bus_bytes, "response": Response, "last": 1})


def write_beat(bus_bytes: int) -> data.StructLayout:
    """A beat of the write data channel."""
    return data.StructLayout({"data": 8 * bus_bytes, "strobe": bus_bytes, "last": 1})


def response_layout(id_bits: int) -> data.StructLayout:
    """A write response."""
    return data.StructLayout({"id": id_bits, "response": Response})


def read_offer(atom_bits: int) -> data.StructLayout:
    """An atom to read, from a port to the arbiter; its place in the return buffer is taken."""
    return data.StructLayout({"atom": unsigned(atom_bits), "urgent": 1, "tag": Tag})


def write_offer(atom_bits: int) -> data.StructLayout:
    """An atom to write, from a port to the arbiter; at least one byte is strobed."""
    return data.StructLayout({"atom": unsigned(atom_bits), "urgent": 1, "data": 8 * ATOM_BYTES, "strobe": ATOM_BYTES})
