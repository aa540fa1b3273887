"""Checks the bursts of an address channel, and steps from beat to beat."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import Burst, Response
from rtl.memory.port.layouts import OFFSET_BITS, PAGE_BITS, burst_layout

__all__ = ["BurstCheck", "following", "size_mask"]


def size_mask(size: Value) -> Value:
    """Bytes of a beat less one."""
    return ((1 << size) - 1)[:OFFSET_BITS]


def following(offset: Value, size: Value, moves: Value) -> tuple[Value, Value]:
    """Where the next beat begins, and whether that lies beyond the atom of a burst that is not `single`."""
    after = (offset | size_mask(size)) + 1
    return (offset & ~moves) | (after[:OFFSET_BITS] & moves), after[OFFSET_BITS]


class BurstCheck(wiring.Component):
    """Says how a burst is to be walked, and whether it is refused. Combinational.

    An address beyond the channel is refused by DECERR, whatever else is wrong; by SLVERR what AXI4 forbids: beats wider than the bus, the
    reserved burst type, an INCR across 4 KiB, a WRAP that is not aligned to its beats or not of 2, 4, 8 or 16 of them, a FIXED of more
    than 16. A `lock` changes nothing: an ordinary access, answered by OKAY, is how a slave without exclusive accesses declines.

    Parameters
    ----------
    channel_bytes
        A power of two.

    Members
    -------
    address, length, size, burst, id, qos
        As on the address channel.
    checked
        `urgent` is the upper half of `qos`.
    """

    def __init__(self, channel_bytes: int, bus_bytes: int, id_bits: int):
        self._address_bits = (channel_bytes - 1).bit_length()
        self._bus_bytes = bus_bytes
        super().__init__({
            "address": In(32), "length": In(8), "size": In(3), "burst": In(Burst), "id": In(id_bits), "qos": In(4),
            "checked": Out(burst_layout(self._address_bits - OFFSET_BITS, id_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        out = self.checked
        mask = Signal(OFFSET_BITS)
        #: Bytes of a WRAP less one, 16 beats of 32 at the most, and of an INCR less those of its last beat.
        around, reach = Signal(9), Signal(13)
        wrong = Signal()
        page = self.address[:PAGE_BITS]
        m.d.comb += [
            mask.eq(size_mask(self.size)), reach.eq(self.length << self.size), around.eq(reach | mask),
            out.id.eq(self.id), out.atom.eq(self.address[OFFSET_BITS:]), out.offset.eq(self.address), out.length.eq(self.length),
            out.size.eq(self.size), out.urgent.eq(self.qos[3]),
        ]
        with m.Switch(self.burst):
            with m.Case(Burst.INCR):
                m.d.comb += [
                    out.offset_moves.eq(~0), out.atom_moves.eq(~0),
                    wrong.eq((Cat(page[:OFFSET_BITS] & ~mask, page[OFFSET_BITS:]) + reach)[PAGE_BITS:] != 0),
                ]
            with m.Case(Burst.WRAP):
                m.d.comb += [
                    out.offset_moves.eq(around), out.atom_moves.eq(around[OFFSET_BITS:]), out.single.eq(around[OFFSET_BITS:] == 0),
                    wrong.eq(((page & mask) != 0) | ~self.length.matches(1, 3, 7, 15)),
                ]
            with m.Case(Burst.FIXED):
                m.d.comb += [out.single.eq(1), wrong.eq(self.length > 15)]
            with m.Default():
                m.d.comb += wrong.eq(1)
        beyond = self.address[self._address_bits:] != 0
        wide = self.size > (self._bus_bytes - 1).bit_length()
        m.d.comb += out.response.eq(Mux(beyond, Response.DECERR, Mux(wrong | wide, Response.SLVERR, Response.OKAY)))
        return m
