"""Timing sets with awkward roundings, and what the hardware must load, worked out by hand.

In `odd` 14 ns, 9.8 ns and 48.3 ns are whole clocks of 0.7 ns, which a division of floating-point numbers rounds up to one more.
"""

import tomllib
from decimal import Decimal

from rtl.memory.timing import TimingSet

__all__ = ["HAND", "read_hand"]

_ODD = """
name = "odd"
tCK = 0.7
[nCK]
RL = 21
WL = 7
tCCD_S = 2
tCCD_L = 3
tRTW_GAP = 1
[ns]
tRCDRD = 14.0
tRCDWR = 9.8
tRP = 14.1
tRAS = 33
tRC = 48.3
tRRD_S = 2.1
tRRD_L = 2.8
tFAW = 16
tWR = 15.4
tRTP = 4.91
tWTR_S = 2.5
tWTR_L = 6.3
tREFI = 3900
tRFC = 260
tREFIsb = 243
tRFCsb = 120
tRREFD = 8
"""

_FINE = """
name = "fine"
tCK = 0.625
[nCK]
tCCD_S = 2
tCCD_L = 4
tRTW_GAP = 2
[ns]
RL = 13.75
WL = 5.001
tRCDRD = 14.375
tRCDWR = 8.126
tRP = 12.5
tRAS = 28.75
tRC = 41.25
tRRD_S = 3.75
tRRD_L = 3.76
tFAW = 12.49
tWR = 16.25
tRTP = 5
tWTR_S = 4.375
tWTR_L = 9.375
tREFI = 3900
tRFC = 350
tREFIsb = 243.75
tRFCsb = 160
tRREFD = 8.125
"""

#: By name, the TOML text and the fields of `TimingValues`.
HAND = {
    "odd": (_ODD, dict(
        RL=21, WL=7, tRCDRD=20, tRCDWR=14, tRP=21, tRAS=48, tRC=69, tRRD_S=3, tRRD_L=4, tCCD_S=2, tCCD_L=3, tFAW=23, tRTP=8, tRFC=372,
        tRFCsb=172, tRREFD=12, tREFI=5572, tREFIsb=348, write_to_precharge=31, write_to_read_S=13, write_to_read_L=18, read_to_write=17,
    )),
    "fine": (_FINE, dict(
        RL=22, WL=9, tRCDRD=23, tRCDWR=14, tRP=20, tRAS=46, tRC=66, tRRD_S=6, tRRD_L=7, tCCD_S=2, tCCD_L=4, tFAW=20, tRTP=8, tRFC=560,
        tRFCsb=256, tRREFD=13, tREFI=6240, tREFIsb=390, write_to_precharge=37, write_to_read_S=18, write_to_read_L=26, read_to_write=17,
    )),
}  # fmt: skip


def read_hand(name: str) -> TimingSet:
    return TimingSet.from_dict(tomllib.loads(HAND[name][0], parse_float=Decimal), source=name)
