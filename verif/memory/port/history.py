"""What a read may see: every byte with the writes to it, from the rule of order alone."""

from collections.abc import Callable

from verif.memory.port.transfer import Transfer

__all__ = ["History"]


def _before(first: Transfer, second: Transfer) -> bool:
    """The rule puts `first` before `second`: one port sent them in this order, or the first's answer was there when the other's address was
    taken."""
    if first.port == second.port:
        return first.number < second.number
    return first.seen is not None and second.accepted is not None and first.seen <= second.accepted


class History:
    """Writes of several ports to one memory.

    A read sees of each byte a write that had been accepted before the read ended, and that no other write replaced whose answer was
    there when the read's address was taken.
    """

    def __init__(self, initial: Callable[[int], int]):
        self._initial = initial
        self._bytes: dict[int, list[tuple[Transfer | None, int]]] = {}

    def write(self, transfer: Transfer, bus_bytes: int, oldest: int):
        """Before the transfer is sent. `oldest`: clock in which the oldest read in flight was accepted."""
        for n, (first, last) in enumerate(transfer.places()):
            base = first // bus_bytes * bus_bytes
            for lane in range(bus_bytes):
                if transfer.strobes[n] >> lane & 1:
                    place = base + lane
                    assert first <= place <= last, "a strobe beside the beat's bytes"
                    writes = self._bytes.setdefault(place, [(None, self._initial(place))])
                    if len(writes) > 4:
                        writes[:] = self._candidates(writes, oldest)
                    # A FIXED or narrow burst may write a byte twice: the later one stays.
                    writes[:] = [entry for entry in writes if entry[0] is not transfer]
                    writes.append((transfer, transfer.words[n] >> 8 * lane & 0xFF))

    @staticmethod
    def _candidates(writes, accepted: int):
        """Those that a read accepted in this clock may still see, and later ones."""
        settled = [writer for writer, _ in writes if writer is not None and writer.seen is not None and writer.seen <= accepted]
        return [
            (writer, value) for writer, value in writes
            if not any(writer is None or (writer is not other and _before(writer, other)) for other in settled)
        ]

    def check(self, transfer: Transfer, bus_bytes: int) -> str:
        """Compares a finished read. Returns what raced with it: "alone", "after a write" of another port, "with a write" in flight."""
        race = "alone"
        for n, (first, last) in enumerate(transfer.places()):
            for place in range(first, last + 1):
                value = transfer.words[n] >> 8 * (place % bus_bytes) & 0xFF
                writes = self._bytes.get(place)
                if writes is None:
                    allowed = {self._initial(place)}
                else:
                    found = [
                        (writer, byte) for writer, byte in self._candidates(writes, transfer.accepted)
                        if writer is None or (writer.accepted is not None and writer.accepted <= transfer.finished)
                    ]
                    allowed = {byte for _, byte in found}
                    if len(found) > 1:
                        race = "with a write"
                    elif race == "alone" and found[0][0] is not None and found[0][0].port != transfer.port:
                        race = "after a write"
                what = f"port {transfer.port} reads {value:#04x} at {place:#x}, beat {n} of {transfer.beats}"
                assert value in allowed, f"{what}; allowed are {sorted(map(hex, allowed))}"
        return race
