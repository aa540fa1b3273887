"""Timing sets that nobody tuned for."""

import random
from fractions import Fraction

from rtl.memory.timing import TimingError, TimingSet

__all__ = ["random_set"]


def random_set(seed: int) -> TimingSet:
    """A valid set; small distances are as likely as large ones, and refresh may be up to four times as frequent as in P3200."""
    rng = random.Random(f"set/{seed}")

    def ordered(low: int, high: int) -> tuple[int, int]:
        return tuple(sorted((rng.randint(low, high), rng.randint(low, high))))

    while True:
        ras, rp = rng.randint(15, 70), rng.randint(4, 35)
        rrd, ccd, wtr = ordered(2, 12), ordered(2, 6), ordered(2, 20)
        refresh = rng.randint(90, 400)
        try:
            return TimingSet(
                name=f"random{seed}", tCK=Fraction(5, 8), RL=rng.randint(5, 40), WL=rng.randint(1, 20),
                tRCDRD=rng.randint(4, min(ras, 30)), tRCDWR=rng.randint(4, min(ras, 30)), tRP=rp, tRAS=ras,
                tRC=ras + rp + rng.randint(0, 6),
                tRRD_S=rrd[0], tRRD_L=rrd[1], tCCD_S=ccd[0], tCCD_L=ccd[1], tFAW=rng.randint(8, 60), tWR=rng.randint(4, 40),
                tRTP=rng.randint(2, 12), tWTR_S=wtr[0], tWTR_L=wtr[1], tRTW_GAP=rng.randint(1, 4), tREFI=16 * refresh + rng.randint(0, 99),
                tRFC=rng.randint(200, 600), tREFIsb=refresh, tRFCsb=rng.randint(60, 200), tRREFD=rng.randint(4, 20),
            )
        except TimingError:
            continue  # two values contradict each other
