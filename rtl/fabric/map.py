"""The fabric's address map: which slave a fabric address belongs to, and the address there.

Slaves are numbered: memory channels, L2 ports, and last the fabric itself, which answers what belongs to none of them.

Channels and L2 ports interleave by chunk (256 byte), so the bits above the chunk select one. For L2 that is all. A channel number is the
lowest bits above the chunk, each XORed with the parity of every `log2(channels)`-th bit above it: a stride of any power of two then
walks over all channels. The local address leaves the selecting bits out; the hash reads only bits that stay, besides the one it changes,
so the map is a bijection, and :func:`l3_address` is its inverse.
"""

from amaranth import Cat, Const, Mux, Value

from rtl.bus.axi import CHUNK_BYTES, L2_SELECT_BIT
from rtl.config import ChipConfig

__all__ = ["LOCAL_ADDRESS_BITS", "channel_masks", "decode", "l3_address", "local_address", "slaves"]

#: Width of an address within a channel or an L2 port.
LOCAL_ADDRESS_BITS = 32

_CHUNK_BITS = (CHUNK_BYTES - 1).bit_length()


def slaves(config: ChipConfig) -> int:
    """Number of slaves, the fabric itself included."""
    return config.channels + config.l2_ports + 1


def channel_masks(config: ChipConfig) -> list[int]:
    """For each bit of the channel number, the bits of the L3 address of which it is the parity."""
    select = (config.channels - 1).bit_length()
    top = (config.l3_bytes - 1).bit_length()
    return [sum(1 << bit for bit in range(_CHUNK_BITS + k, top, select)) for k in range(select)]


def local_address(config: ChipConfig, address: int) -> tuple[int, int]:
    """(channel, address within it) of an L3 byte address. Raises ValueError beyond the memory."""
    if not 0 <= address < config.l3_bytes:
        raise ValueError(f"L3 address {address:#x} lies outside the {config.l3_bytes:#x} byte of the memory")
    masks = channel_masks(config)
    channel = sum(((address & mask).bit_count() & 1) << k for k, mask in enumerate(masks))
    return channel, address >> (_CHUNK_BITS + len(masks)) << _CHUNK_BITS | address % CHUNK_BYTES


def l3_address(config: ChipConfig, channel: int, local: int) -> int:
    """The L3 byte address of byte `local` of a channel. Raises ValueError outside the channel."""
    if not (0 <= channel < config.channels and 0 <= local < config.channel_bytes):
        raise ValueError(f"channel {channel} has no byte {local:#x}")
    masks = channel_masks(config)
    upper = local >> _CHUNK_BITS << (_CHUNK_BITS + len(masks))
    select = sum(((channel >> k ^ (upper & mask).bit_count()) & 1) << (_CHUNK_BITS + k) for k, mask in enumerate(masks))
    return upper | select | local % CHUNK_BYTES


def _without(address: Value, select: int) -> Value:
    """A 32-bit address without the `select` bits above the chunk."""
    return Cat(address[:_CHUNK_BITS], address[_CHUNK_BITS + select : L2_SELECT_BIT], Const(0, select))


def decode(config: ChipConfig, address: Value) -> tuple[Value, Value]:
    """(one-hot slave, local address) of a fabric address, as combinational logic."""
    ports = (config.l2_ports - 1).bit_length()
    masks = channel_masks(config)
    in_l2 = address[L2_SELECT_BIT]
    fits = [
        ~address[(size - 1).bit_length() : L2_SELECT_BIT].any() for size in (config.l3_bytes, config.l2_bytes)
    ]
    memory, l2 = ~in_l2 & fits[0], in_l2 & fits[1]
    channel = Cat((address & mask).xor() for mask in masks)
    port = address[_CHUNK_BITS : _CHUNK_BITS + ports]
    target = Cat(
        *(memory & (channel == number) for number in range(config.channels)),
        *(l2 & (port == number) for number in range(config.l2_ports)),
        ~memory & ~l2,
    )
    return target, Mux(in_l2, _without(address, ports), _without(address, len(masks)))
