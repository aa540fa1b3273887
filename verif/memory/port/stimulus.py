"""Random bursts of every kind that AXI4 has, and of the kinds that it forbids."""

from verif.memory.port.transfer import FIXED, INCR, WRAP, Transfer

__all__ = ["FAULTS", "Stimulus", "kind_of"]

OKAY, SLVERR, DECERR = 0, 2, 3
PAGE = 4096
FAULTS = ("beyond", "wide", "type", "across 4 KiB", "WRAP length", "WRAP unaligned", "FIXED length", "WLAST")


def kind_of(transfer: Transfer, bus_bytes: int) -> str:
    """Name of the burst's kind, for the coverage."""
    width = 1 << transfer.size
    if transfer.burst == WRAP:
        return "WRAP in an atom" if width * transfer.beats <= 32 else "WRAP"
    if transfer.burst == FIXED:
        return "FIXED"
    if transfer.beats == 1:
        return "INCR of a beat"
    if width < bus_bytes:
        return "INCR narrow"
    if transfer.address % width:
        return "INCR unaligned"
    return "INCR long" if transfer.beats * width > 256 else "INCR"


class Stimulus:
    """Bursts in a few hot pages, so that ports meet; `urgent` is the share of those with QoS 8 or more."""

    def __init__(self, bus_bytes: int, channel_bytes: int, id_bits: int, rng, *, urgent: float = 0.3, faults: float = 0.08, pages: int = 2):
        self._bus, self._channel, self._ids = bus_bytes, channel_bytes, 1 << id_bits
        self._full = (bus_bytes - 1).bit_length()
        self._rng = rng
        self.urgent, self.faults, self.pages = urgent, faults, pages

    def _address(self) -> int:
        page = self._rng.choice((0, 0, self._channel // PAGE - 1, *range(self.pages)))
        # Most lie close together.
        return page * PAGE + (self._rng.randrange(256) if self._rng.random() < 0.6 else self._rng.randrange(PAGE))

    def burst(self, port: int) -> Transfer:
        rng = self._rng
        size = self._full if rng.random() < 0.6 else rng.randint(0, self._full)
        width = 1 << size
        address = self._address()
        kind = rng.random()
        if kind < 0.2:
            beats, burst = rng.choice((2, 4, 8, 16)), WRAP
            address = address // width * width
        elif kind < 0.3:
            beats, burst = rng.randint(1, 16), FIXED
        else:
            burst = INCR
            beats = rng.choice((1, 2, rng.randint(1, 16), 256 // width, rng.randint(1, 256)))
            if rng.random() < 0.7:
                address = address // width * width
            room = (PAGE - address % PAGE + width - 1) // width
            beats = min(beats, room, 256) if beats < 64 or rng.random() < 0.25 else min(beats, room, 16)
        transfer = Transfer(
            port, rng.random() < 0.5, address, beats, size, burst, rng.choice((rng.randrange(4), rng.randrange(self._ids))),
            qos=rng.randrange(8) + 8 * (rng.random() < self.urgent), lock=int(rng.random() < 0.1),
        )
        if rng.random() < self.faults:
            self._break(transfer)
        if transfer.write:
            self._fill(transfer)
        return transfer

    def _break(self, transfer: Transfer):
        rng = self._rng
        fault = rng.choice([fault for fault in FAULTS if (fault != "WLAST" or transfer.write) and (fault != "wide" or self._full < 7)])
        transfer.fault, transfer.expected = fault, SLVERR
        if fault == "beyond":
            transfer.address |= self._channel << rng.randrange(32 - (self._channel - 1).bit_length())
            transfer.expected = DECERR
        elif fault == "wide":
            transfer.size, transfer.burst, transfer.beats = rng.randint(self._full + 1, 7), INCR, rng.randint(1, 4)
        elif fault == "type":
            transfer.burst = 3
        elif fault == "across 4 KiB":
            transfer.burst, transfer.size, transfer.beats = INCR, self._full, rng.randint(2, 16)
            transfer.address = transfer.address // PAGE * PAGE + PAGE - self._bus * rng.randint(1, transfer.beats - 1)
        elif fault == "WRAP length":
            transfer.burst, transfer.beats = WRAP, rng.choice((1, 3, 5, 6, 9, 15, 17, 32))
            transfer.address = transfer.address >> transfer.size << transfer.size
        elif fault == "WRAP unaligned":
            transfer.burst, transfer.size, transfer.beats = WRAP, rng.randint(1, self._full), rng.choice((2, 4, 8, 16))
            transfer.address |= 1
        elif fault == "FIXED length":
            transfer.burst, transfer.beats = FIXED, rng.randint(17, 40)

    def _fill(self, transfer: Transfer):
        rng = self._rng
        transfer.words = [rng.getrandbits(8 * self._bus) for _ in range(transfer.beats)]
        transfer.marks = [0] * (transfer.beats - 1) + [1]
        if transfer.fault == "WLAST":
            place = rng.randrange(transfer.beats)
            transfer.marks[place] ^= 1
        if not transfer.harmless:
            transfer.strobes = [rng.getrandbits(self._bus) for _ in range(transfer.beats)]
            return
        sparse, empty = rng.random() < 0.4, rng.random() < 0.1
        for first, last in transfer.places():
            lanes = ((1 << last - first + 1) - 1) << first % self._bus
            if empty and rng.random() < 0.8:
                lanes = 0
            transfer.strobes.append(lanes & rng.getrandbits(self._bus) if sparse else lanes)
