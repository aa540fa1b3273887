"""What a read may see, from the port contract alone: every byte with the writes to it and when they were taken and confirmed."""

from dataclasses import dataclass

__all__ = ["History"]


@dataclass
class _Write:
    taken: int
    value: int
    written: int | None = None


class History:
    """A memory whose every byte has one writer at a time.

    A read that was taken at cycle t sees the last write with `written` before t, or a newer one that was taken before the response.
    """

    def __init__(self, size: int):
        self.size = size
        self._bytes: dict[int, list[_Write]] = {}

    def write(self, address: int, data: bytes, strobe: int, cycle: int) -> list[_Write]:
        """A write that is taken in `cycle`; hand the result to :meth:`written`."""
        writes = []
        for index, value in enumerate(data):
            if strobe >> index & 1:
                writes.append(_Write(cycle, value))
                self._bytes.setdefault((address + index) % self.size, [_Write(-1, 0, -1)]).append(writes[-1])
        return writes

    @staticmethod
    def written(writes: list[_Write], cycle: int):
        for write in writes:
            write.written = cycle

    def check(self, address: int, data: bytes, taken: int):
        """The bytes of a response that comes now, to a read that was taken in cycle `taken`. Raises AssertionError."""
        for index, value in enumerate(data):
            place = (address + index) % self.size
            writes = self._bytes.get(place, [_Write(-1, 0, -1)])
            settled = max(i for i, write in enumerate(writes) if write.written is not None and write.written < taken)
            allowed = {write.value for write in writes[settled:]}
            assert value in allowed, f"byte {place:#x} reads {value:#04x}; the contract allows {sorted(map(hex, allowed))}"

    def settle(self):
        """Forgets all but the last write of each byte, and when it was; only while nothing is in flight."""
        for writes in self._bytes.values():
            assert writes[-1].written is not None, "a write was not confirmed"
            writes[:] = [_Write(-1, writes[-1].value, -1)]
