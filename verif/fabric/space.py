"""What the masters expect: the address map written a second time, as its page says it, and the contents of every chunk."""

from rtl.bus.axi import CHUNK_BYTES, L2_SELECT_BIT, Response
from rtl.config import ChipConfig
from verif.fabric.slave import fails, pattern

__all__ = ["Space", "fold", "place"]


def fold(value: int, bits: int) -> int:
    """XOR of all groups of `bits` bits."""
    result = 0
    while bits and value:
        result ^= value & ((1 << bits) - 1)
        value >>= bits
    return result


def place(config: ChipConfig, chunk: int) -> tuple[str, int] | None:
    """(slave, chunk number there) of chunk number `chunk` of the fabric; None outside."""
    space, number = divmod(chunk, (1 << L2_SELECT_BIT) // CHUNK_BYTES)
    if space:
        if number >= config.l2_bytes // CHUNK_BYTES:
            return None
        return f"l2__{number % config.l2_ports}", number // config.l2_ports
    if number >= config.l3_bytes // CHUNK_BYTES:
        return None
    channel = fold(number, (config.channels - 1).bit_length())
    return f"memory__{channel}", number // config.channels


class Space:
    """Contents of the fabric's address space as its masters see it."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self._chunks: dict[int, bytearray] = {}

    def chunk(self, number: int) -> bytearray:
        if number not in self._chunks:
            where = place(self.config, number)
            self._chunks[number] = bytearray(CHUNK_BYTES if where is None else pattern(*where))
        return self._chunks[number]

    def resp(self, number: int) -> int:
        """What an access to the chunk is answered with."""
        where = place(self.config, number)
        if where is None:
            return Response.DECERR.value
        return Response.SLVERR.value if fails(where[1]) else Response.OKAY.value

    def byte(self, address: int) -> int:
        return self.chunk(address // CHUNK_BYTES)[address % CHUNK_BYTES]

    def store(self, address: int, value: int):
        """A byte write; without effect where it is answered with an error."""
        if self.resp(address // CHUNK_BYTES) == Response.OKAY.value:
            self.chunk(address // CHUNK_BYTES)[address % CHUNK_BYTES] = value

    def written(self) -> dict[int, bytearray]:
        """Every chunk that was looked at, by number."""
        return self._chunks
