"""AXI4 and AXI4-Lite as Amaranth signatures, with the flat lower-case names that bus models expect (`axi__awaddr`).

Source: Arm IHI 0022 (AMBA AXI and ACE protocol). Cache, protection, region and user signals are left out: nothing in the chip gives them
a meaning. Lock and QoS are an option, for slaves that do.
"""

from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXI4", "CHUNK_BYTES", "FABRIC_ADDRESS_BITS", "L2_SELECT_BIT", "AXI4Lite", "AXI4Read", "Burst", "Response"]

#: Inside the fabric a burst is INCR, of full-width aligned beats, and stays within one aligned chunk of this size. It is also the
#: grain by which channels and L2 ports interleave, and what the fabric promises to every slave.
CHUNK_BYTES = 256

#: A fabric address is a space bit (L2) above a 32-bit byte address.
L2_SELECT_BIT = 32
FABRIC_ADDRESS_BITS = 33


class Burst(enum.Enum, shape=2):
    FIXED = 0
    INCR = 1
    WRAP = 2


class Response(enum.Enum, shape=2):
    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def _quality_members(channel: str) -> dict:
    return {f"{channel}lock": Out(1), f"{channel}qos": Out(4)}


def _read_members(address_bits: int, data_bytes: int, id_bits: int) -> dict:
    return {
        "arid": Out(id_bits), "araddr": Out(address_bits), "arlen": Out(8), "arsize": Out(3), "arburst": Out(Burst),
        "arvalid": Out(1), "arready": In(1),
        "rid": In(id_bits), "rdata": In(8 * data_bytes), "rresp": In(Response), "rlast": In(1),
        "rvalid": In(1), "rready": Out(1),
    }


def _write_members(address_bits: int, data_bytes: int, id_bits: int) -> dict:
    return {
        "awid": Out(id_bits), "awaddr": Out(address_bits), "awlen": Out(8), "awsize": Out(3), "awburst": Out(Burst),
        "awvalid": Out(1), "awready": In(1),
        "wdata": Out(8 * data_bytes), "wstrb": Out(data_bytes), "wlast": Out(1), "wvalid": Out(1), "wready": In(1),
        "bid": In(id_bits), "bresp": In(Response), "bvalid": In(1), "bready": Out(1),
    }


class _AXI(wiring.Signature):
    def __init__(self, address_bits: int, data_bytes: int, id_bits: int, members: dict):
        if data_bytes not in (1, 2, 4, 8, 16, 32, 64, 128):
            raise ValueError(f"AXI data width must be a power of two from 1 to 128 byte, not {data_bytes}")
        self.address_bits = address_bits
        self.data_bytes = data_bytes
        self.id_bits = id_bits
        super().__init__(members)

    def __eq__(self, other):
        return (
            type(self) is type(other) and self.address_bits == other.address_bits
            and self.data_bytes == other.data_bytes and self.id_bits == other.id_bits
        )

    def __repr__(self):
        return f"{type(self).__name__}({self.address_bits}, {self.data_bytes}, {self.id_bits})"


class AXI4(_AXI):
    """Full AXI4 seen from the master: `In` on a slave. With `quality` it has lock and QoS, which a master without them ties to 0."""

    def __init__(self, address_bits: int, data_bytes: int, id_bits: int, *, quality: bool = False):
        self.quality = quality
        members = {**_read_members(address_bits, data_bytes, id_bits), **_write_members(address_bits, data_bytes, id_bits)}
        if quality:
            members |= {**_quality_members("ar"), **_quality_members("aw")}
        super().__init__(address_bits, data_bytes, id_bits, members)

    def __eq__(self, other):
        return super().__eq__(other) and self.quality == other.quality

    def __repr__(self):
        return f"AXI4({self.address_bits}, {self.data_bytes}, {self.id_bits}{', quality=True' if self.quality else ''})"


class AXI4Read(_AXI):
    """The read half of :class:`AXI4`, for masters that never write, such as the command fetch."""

    def __init__(self, address_bits: int, data_bytes: int, id_bits: int):
        super().__init__(address_bits, data_bytes, id_bits, _read_members(address_bits, data_bytes, id_bits))


class AXI4Lite(wiring.Signature):
    """AXI4-Lite with 32-bit data, seen from the master."""

    def __init__(self, address_bits: int):
        self.address_bits = address_bits
        super().__init__({
            "awaddr": Out(address_bits), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
            "bresp": In(Response), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(address_bits), "arvalid": Out(1), "arready": In(1),
            "rdata": In(32), "rresp": In(Response), "rvalid": In(1), "rready": Out(1),
        })

    def __eq__(self, other):
        return type(self) is type(other) and self.address_bits == other.address_bits

    def __repr__(self):
        return f"AXI4Lite({self.address_bits})"
