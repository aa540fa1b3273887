"""A device as busy as the rules allow: a command trace that can be repeated for ever."""

from rtl.memory.timing import TimingSet
from verif.memory.cases import Command

__all__ = ["busy_period"]


def busy_period(t: TimingSet) -> list[Command]:
    """One tREFI: an all-bank refresh, sixteen rows, then a column command each tCCD_S, groups in turn, in runs of reads and of
    writes; all is closed again at the end."""
    commands = [Command(0, "REFAB")]
    step = max(t.tRRD_L, (t.tFAW + 3) // 4)
    commands += [Command(t.tRFC + bank * step, "ACT", bank, bank) for bank in range(16)]
    clock = t.tRFC + 16 * step + t.tRCDRD + t.tRCDWR
    # After the last write the banks must be closed and precharged.
    last = t.tREFI - t.tRP - max(t.write_end + t.tWR, t.tRTP) - 10
    pace = max(t.tCCD_S, (t.tCCD_L + 3) // 4)
    number = 0
    while clock < last:
        name = "RD" if number // 128 % 2 == 0 else "WR"
        commands.append(Command(clock, name, number % 16, 0, number // 16 % 32))
        number += 1
        turn = number % 128 == 0
        clock += max(t.read_to_write, t.write_end + t.tWTR_L, pace) if turn else pace
    return [*commands, Command(t.tREFI - t.tRP - 1, "PREA")]
