"""The register bus: one access a clock, without waiting, from a slave to whoever has the registers."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RegisterFanout", "RegisterPort", "RegisterRead", "RegisterWrite"]


class _Registers(wiring.Signature):
    def __init__(self, address_bits: int, members: dict):
        if address_bits < 3:
            raise ValueError(f"a register bus has byte addresses of at least 3 bits, not {address_bits}")
        self.address_bits = address_bits
        super().__init__({"valid": Out(1), "address": Out(address_bits - 2), **members})

    def __eq__(self, other):
        return type(self) is type(other) and self.address_bits == other.address_bits

    def __repr__(self):
        return f"{type(self).__name__}({self.address_bits})"


class RegisterWrite(_Registers):
    """Seen from the master: one access per `valid` cycle; `error` answers in the same cycle. Addresses count 32-bit words.

    Parameters
    ----------
    address_bits
        Width of the byte addresses that the bus reaches.
    """

    def __init__(self, address_bits: int):
        super().__init__(address_bits, {"data": Out(32), "strobe": Out(4), "error": In(1)})


class RegisterRead(_Registers):
    """Seen from the master: one access per `valid` cycle; `data` and `error` answer in the next cycle."""

    def __init__(self, address_bits: int):
        super().__init__(address_bits, {"data": In(32), "error": In(1)})


class RegisterPort(_Registers):
    """Both, independent of each other, as members `write` and `read`."""

    def __init__(self, address_bits: int):
        self.address_bits = address_bits
        wiring.Signature.__init__(self, {"write": Out(RegisterWrite(address_bits)), "read": Out(RegisterRead(address_bits))})


class RegisterFanout(wiring.Component):
    """Several equal register files behind one port, one after the other; beyond the last, every access is an error. No latency of its own.

    Parameters
    ----------
    address_bits, part_bits
        Width of the byte addresses of `port` and of each of `parts`.
    count
        Number of register files.
    """

    def __init__(self, address_bits: int, part_bits: int, count: int):
        if count << part_bits > 1 << address_bits:
            raise ValueError(f"{count} register files of {1 << part_bits} byte don't fit into {1 << address_bits}")
        self.part_bits = part_bits
        super().__init__({"port": In(RegisterPort(address_bits)), "parts": Out(RegisterPort(part_bits)).array(count)})

    def elaborate(self, platform):
        m = Module()
        write, read, words = self.port.write, self.port.read, self.part_bits - 2
        # A read is answered by the part that was asked a cycle ago.
        asked = Signal.like(read.address[words:])
        m.d.sync += asked.eq(read.address[words:])
        m.d.comb += [write.error.eq(1), read.error.eq(1)]
        for number, part in enumerate(self.parts):
            m.d.comb += [
                part.write.valid.eq(write.valid & (write.address[words:] == number)), part.write.address.eq(write.address),
                part.write.data.eq(write.data), part.write.strobe.eq(write.strobe),
                part.read.valid.eq(read.valid & (read.address[words:] == number)), part.read.address.eq(read.address),
            ]
            with m.If(write.address[words:] == number):
                m.d.comb += write.error.eq(part.write.error)
            with m.If(asked == number):
                m.d.comb += [read.data.eq(part.read.data), read.error.eq(part.read.error)]
        return m
