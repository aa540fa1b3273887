"""SRAM macros. On silicon they are hard macros; the emitter writes a behavioural module that any tool infers or swaps.

In simulation an SRAM starts as zeros, so that a read of what nobody wrote gives the same in every simulator.
"""

from amaranth import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["Sram", "SramDual"]


class _Macro(wiring.Component):
    """An SRAM that the emitter swaps for a behavioural module, since a memory in a netlist has one `initial` line for each row."""

    def __init__(self, ports: dict, depth: int, width: int, granularity: int | None):
        if depth < 2:
            raise ValueError(f"an SRAM has at least 2 rows, not {depth}")
        self.granularity = width if granularity is None else granularity
        if width % self.granularity:
            raise ValueError(f"SRAM width {width} is not a multiple of the write granularity {self.granularity}")
        self.depth = depth
        self.width = width
        super().__init__(ports)

    @property
    def address_bits(self) -> int:
        return (self.depth - 1).bit_length()

    def elaborate(self, platform):
        emit_sram = getattr(platform, "emit_sram", None)
        return self._memory() if emit_sram is None else emit_sram(self)


class Sram(_Macro):
    """Single-port SRAM of `depth` rows of `width` bits.

    Members
    -------
    enable, address
        Sampled at the clock edge; nothing happens without `enable`.
    write : one bit per `granularity` bits
        All zero makes the access a read.
    write_data
        Sampled with `write`.
    read_data
        The row of the last read, from one cycle after its `enable` until the next read. Writes don't change it.
    """

    def __init__(self, depth: int, width: int, *, granularity: int | None = None):
        grain = width if granularity is None else granularity
        super().__init__(
            {
                "enable": In(1), "address": In((depth - 1).bit_length()), "write": In(max(width // grain, 1)),
                "write_data": In(width), "read_data": Out(width),
            },
            depth, width, granularity,
        )

    def _memory(self):
        m = Module()
        m.submodules.memory = memory = Memory(shape=unsigned(self.width), depth=self.depth, init=[])
        write = memory.write_port(granularity=self.granularity)
        read = memory.read_port(domain="sync")
        m.d.comb += [
            write.addr.eq(self.address), write.data.eq(self.write_data), write.en.eq(self.write & self.enable.replicate(len(self.write))),
            read.addr.eq(self.address), read.en.eq(self.enable & ~self.write.any()), self.read_data.eq(read.data),
        ]
        return m


class SramDual(_Macro):
    """SRAM with one read and one write port (registers or a two-port macro).

    Members
    -------
    read_enable, read_address, read_data
        As in :class:`Sram`. A row that is written in the same cycle reads as its *old* contents.
    write, write_address, write_data
        `write` has one bit per `granularity` bits.
    """

    def __init__(self, depth: int, width: int, *, granularity: int | None = None):
        grain = width if granularity is None else granularity
        bits = (depth - 1).bit_length()
        super().__init__(
            {
                "read_enable": In(1), "read_address": In(bits), "read_data": Out(width),
                "write": In(max(width // grain, 1)), "write_address": In(bits), "write_data": In(width),
            },
            depth, width, granularity,
        )

    def _memory(self):
        m = Module()
        m.submodules.memory = memory = Memory(shape=unsigned(self.width), depth=self.depth, init=[])
        write = memory.write_port(granularity=self.granularity)
        read = memory.read_port(domain="sync")
        m.d.comb += [
            write.addr.eq(self.write_address), write.data.eq(self.write_data), write.en.eq(self.write),
            read.addr.eq(self.read_address), read.en.eq(self.read_enable), self.read_data.eq(read.data),
        ]
        return m
