"""What no controller can exceed on a pattern, from the timing set and the number of requests it holds."""

from rtl.memory.address import BANKS
from rtl.memory.timing import BURST_CLOCKS, TimingSet
from sim.dram.patterns import Pattern

__all__ = ["activate_bound", "bound", "turnaround_bound"]


def bound(pattern: Pattern, timing: TimingSet, *, reads: int, writes: int) -> float:
    """Percent of peak for a controller that holds `reads` reads and `writes` writes, with refresh by bank."""
    limits = [100.0]
    if pattern.atoms is not None:
        limits.append(activate_bound(timing, pattern.atoms))
    if pattern.reads and pattern.writes:
        limits.append(turnaround_bound(timing, pattern.reads / pattern.writes, reads, writes))
    return min(limits)


def activate_bound(timing: TimingSet, atoms: int) -> float:
    """Each activate serves `atoms` atoms. Activates follow each other by tRRD_S, by tFAW / 4 and by tRC / 16 at best, and in each
    tREFIsb one single-bank refresh takes the place of an activate, and tRREFD until the next."""
    step = max(timing.tRRD_S, timing.tFAW / 4, timing.tRC / BANKS, 2)
    activates = (timing.tREFIsb - max(timing.tRREFD, step)) / step
    return min(100.0, 100 * BURST_CLOCKS * atoms * activates / timing.tREFIsb)


def turnaround_bound(timing: TimingSet, ratio: float, reads: int, writes: int) -> float:
    """The bus turns around twice a cycle of phases. A phase of writes ends when the reads that arrive with them, `ratio` for each,
    fill the room for reads, and the other way round; each phase also empties its own room. So a cycle has reads + ratio * writes reads
    and writes + reads / ratio writes."""
    busy = BURST_CLOCKS * (reads + ratio * writes + writes + reads / ratio)
    lost = timing.read_to_write - BURST_CLOCKS + timing.write_end + timing.tWTR_S - BURST_CLOCKS
    return 100 * busy / (busy + lost)
