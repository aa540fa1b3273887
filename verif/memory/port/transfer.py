"""An AXI4 burst as the standard describes it (Arm IHI 0022, "Address structure"), for any slave."""

from dataclasses import dataclass, field

from cocotb.triggers import Event

__all__ = ["FIXED", "INCR", "WRAP", "Transfer"]

FIXED, INCR, WRAP = range(3)


@dataclass(eq=False)
class Transfer:
    """One burst of port `port`. `words` and `strobes` are a write's beats, `marks` its WLAST; or what a read returned."""

    port: int
    write: bool
    address: int
    beats: int
    size: int
    burst: int = INCR
    id: int = 0
    qos: int = 0
    lock: int = 0
    words: list[int] = field(default_factory=list)
    strobes: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    #: What is wrong with it, and the answer that it must have, if not OKAY.
    fault: str = "none"
    expected: int = 0
    #: Clocks: address taken, first sight of the answer, end.
    accepted: int | None = None
    seen: int | None = None
    finished: int | None = None
    responses: list[int] = field(default_factory=list)
    number: int = 0
    done: Event = field(default_factory=Event)

    @property
    def harmless(self) -> bool:
        """It accesses the memory; only a misplaced WLAST is wrong."""
        return self.fault in ("none", "WLAST")

    def places(self) -> list[tuple[int, int]]:
        """First and last byte address of each beat."""
        width = 1 << self.size
        aligned = self.address // width * width
        found = []
        for n in range(self.beats):
            first = self.address if n == 0 or self.burst == FIXED else aligned + n * width
            if self.burst == WRAP:
                boundary = self.address // (width * self.beats) * (width * self.beats)
                first = boundary + (first - boundary) % (width * self.beats)
            found.append((first, first // width * width + width - 1))
        return found
