"""Ports of the L1 scratchpad, seen from the requester, and the list of who has one.

Any byte address is allowed: the L1 splits an access over its banks and rotates the bytes. An access is granted whole or not at
all, in order per port. The requester keeps addresses inside L1; the bytes of one access beyond the end wrap to the start.

| port | direction | width (bytes) | priority |
|---|---|---|---|
| tensor A | read | `a_bytes` | 0 (highest) |
| tensor B | read | `b_bytes` | 1 |
| tensor C | read | `c_bytes` | 2 |
| tensor D | write | `c_bytes` | 3 |
| vector X | read | `vector_bytes` | 4 |
| vector Y (and parameters) | read | `vector_bytes` | 5 |
| vector Z | write | `vector_bytes` | 6 |
| data engine | read | `bus_bytes` | 7 |
| data engine | write | `bus_bytes` | 8 |

A request that has waited 15 cycles goes first for one grant, so every wait is bounded.
"""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig

__all__ = ["L1Read", "L1Write", "l1_ports"]


class L1Read(wiring.Signature):
    """Read port.

    Members
    -------
    request : stream of {address, size}
        `size` bytes (1 to `width`) from byte `address`.
    response : {valid, data}
        One per request, in order, two cycles or more after its grant, without back-pressure: the requester has room
        for what it asked. Byte i of `data` is the byte at address + i; bytes from `size` up are undefined (but never X).
    """

    def __init__(self, address_bits: int, width: int):
        self.address_bits = address_bits
        self.width = width
        self.request_shape = data.StructLayout({"address": address_bits, "size": width.bit_length()})
        super().__init__({
            "request": Out(stream.Signature(self.request_shape)),
            "response": In(data.StructLayout({"valid": 1, "data": 8 * width})),
        })

    def __eq__(self, other):
        return type(self) is type(other) and (self.address_bits, self.width) == (other.address_bits, other.width)

    def __repr__(self):
        return f"L1Read({self.address_bits}, {self.width})"


class L1Write(wiring.Signature):
    """Write port.

    Members
    -------
    request : stream of {address, data, strobe}
        Byte i of `data` goes to address + i where bit i of `strobe` is set.
    written : 1
        One pulse per request, once any later read, by any port, sees the bytes. A command is not done before its last pulse.
    """

    def __init__(self, address_bits: int, width: int):
        self.address_bits = address_bits
        self.width = width
        self.request_shape = data.StructLayout({"address": address_bits, "data": 8 * width, "strobe": width})
        super().__init__({"request": Out(stream.Signature(self.request_shape)), "written": In(1)})

    def __eq__(self, other):
        return type(self) is type(other) and (self.address_bits, self.width) == (other.address_bits, other.width)

    def __repr__(self):
        return f"L1Write({self.address_bits}, {self.width})"


def l1_ports(config: ChipConfig) -> dict[str, wiring.Signature]:
    """Ports of the L1 in order of priority, the highest first, by name."""
    bits = config.l1_address_bits
    return {
        "tensor_a": L1Read(bits, config.a_bytes),
        "tensor_b": L1Read(bits, config.b_bytes),
        "tensor_c": L1Read(bits, config.c_bytes),
        "tensor_d": L1Write(bits, config.c_bytes),
        "vector_x": L1Read(bits, config.vector_bytes),
        "vector_y": L1Read(bits, config.vector_bytes),
        "vector_z": L1Write(bits, config.vector_bytes),
        "data_read": L1Read(bits, config.bus_bytes),
        "data_write": L1Write(bits, config.bus_bytes),
    }
