"""DRAM timing sets: data in TOML, converted to clocks.

A file has `name`, `tCK` (ns) and two tables: `[nCK]` in clocks, `[ns]` in nanoseconds, which are rounded up to clocks. Each parameter
stands in exactly one of them. Conversion is exact: 8 ns at 0.625 ns are 12.8, hence 13 clocks.
"""

import tomllib
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path

from amaranth.lib import data

__all__ = ["BURST_CLOCKS", "MAX_POSTPONED", "TIMER_BITS", "TimingError", "TimingSet", "TimingValues"]

#: Burst length 4 at double data rate.
BURST_CLOCKS = 2

#: Refreshes of a bank that may be owed at any time; JESD235 lets a controller postpone as many.
MAX_POSTPONED = 8

#: Width of a distance between commands. The longest is tRFC, then WL + 2 + tWR.
TIMER_BITS = 10

_FOLDER = Path(__file__).parent / "timing_sets"


class TimingValues(data.Struct):
    """A timing set as the hardware sees it, in clocks of the memory: constant while the controller runs.

    Names as in :class:`TimingSet`; the last four are sums that the register file forms, so that a timer has one value to load.
    """

    RL: 6
    WL: 6
    tRCDRD: TIMER_BITS
    tRCDWR: TIMER_BITS
    tRP: TIMER_BITS
    tRAS: TIMER_BITS
    tRC: TIMER_BITS
    tRRD_S: TIMER_BITS
    tRRD_L: TIMER_BITS
    tCCD_S: TIMER_BITS
    tCCD_L: TIMER_BITS
    tFAW: TIMER_BITS
    tRTP: TIMER_BITS
    tRFC: TIMER_BITS
    tRFCsb: TIMER_BITS
    tRREFD: TIMER_BITS
    tREFI: 16
    tREFIsb: 12
    write_to_precharge: TIMER_BITS  #: WL + 2 + tWR
    write_to_read_S: TIMER_BITS  #: WL + 2 + tWTR_S
    write_to_read_L: TIMER_BITS
    read_to_write: TIMER_BITS  #: RL + 2 + tRTW_GAP - WL


class TimingError(ValueError):
    """A timing set that can't be read or contradicts itself. The message names the set and the parameter."""


@dataclass(frozen=True)
class TimingSet:
    """Timing parameters in clocks (nCK). Names as in JESD235; `_S` is for another bank group, `_L` for the same one.

    Raises :class:`TimingError` where two of them contradict each other.
    """

    name: str
    tCK: Fraction  #: ns
    RL: int  #: read command to data
    WL: int  #: write command to data
    tRCDRD: int
    tRCDWR: int
    tRP: int
    tRAS: int
    tRC: int
    tRRD_S: int
    tRRD_L: int
    tCCD_S: int
    tCCD_L: int
    tFAW: int
    tWR: int  #: end of write data to precharge
    tRTP: int
    tWTR_S: int  #: end of write data to read command
    tWTR_L: int
    tRTW_GAP: int  #: idle clocks of the data bus between read and write data
    tREFI: int
    tRFC: int
    tREFIsb: int
    tRFCsb: int
    tRREFD: int

    def __post_init__(self):
        for key in self.parameters():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                self._refuse(f"{key} = {value} is not a positive number of clocks")
        if self.RL > 60 or self.WL > 60:
            self._refuse(f"RL = {self.RL} and WL = {self.WL} must not exceed 60")
        for small, large in (("tRRD_S", "tRRD_L"), ("tCCD_S", "tCCD_L"), ("tWTR_S", "tWTR_L"), ("tRCDRD", "tRAS"),
                             ("tRCDWR", "tRAS"), ("tRREFD", "tREFIsb"), ("tRFCsb", "tRFC"), ("tRFC", "tREFI")):
            if getattr(self, large) < getattr(self, small):
                self._refuse(f"{large} = {getattr(self, large)} is less than {small} = {getattr(self, small)}")
        for key, value in self.values().items():
            width = TimingValues.as_shape()[key].width
            if value >> width:
                self._refuse(f"{key} = {value} is more than the {width} bits of its register hold")
        if self.tRC < self.tRAS + self.tRP:
            self._refuse(f"tRC = {self.tRC} is less than tRAS + tRP = {self.tRAS + self.tRP}")
        if self.tCCD_S < BURST_CLOCKS:
            self._refuse(f"tCCD_S = {self.tCCD_S} is less than the {BURST_CLOCKS} clocks of a burst")
        if self.read_to_write < 1:
            self._refuse(f"WL = {self.WL} is too long for RL + 2 + tRTW_GAP = {self.RL + 2 + self.tRTW_GAP}")
        if 16 * self.tREFIsb > self.tREFI:
            self._refuse(f"16 tREFIsb = {16 * self.tREFIsb} exceeds tREFI = {self.tREFI}: refresh by bank would fall behind")
        if 15 * self.tRREFD + self.tRFCsb > 16 * self.tREFIsb:
            self._refuse(f"a round of 15 tRREFD + tRFCsb = {15 * self.tRREFD + self.tRFCsb} exceeds 16 tREFIsb = {16 * self.tREFIsb}")

    def _refuse(self, reason: str):
        raise TimingError(f"timing set {self.name}: {reason}")

    @property
    def read_to_write(self) -> int:
        """RD to WR: the write's data follow the read's after the gap."""
        return self.RL + BURST_CLOCKS + self.tRTW_GAP - self.WL

    @property
    def write_end(self) -> int:
        """WR to the end of its data; tWR and tWTR count from there."""
        return self.WL + BURST_CLOCKS

    def values(self) -> dict[str, int]:
        """The fields of :class:`TimingValues`."""
        sums = {
            "write_to_precharge": self.write_end + self.tWR, "write_to_read_S": self.write_end + self.tWTR_S,
            "write_to_read_L": self.write_end + self.tWTR_L, "read_to_write": max(self.read_to_write, 0),
        }
        return {key: sums.get(key, getattr(self, key, 0)) for key, _ in TimingValues.as_shape()}

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """The keys of a file's two tables."""
        return tuple(field.name for field in fields(cls) if field.name not in ("name", "tCK"))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The sets that come with the project."""
        return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))

    @classmethod
    def load(cls, name: "str | Path") -> "TimingSet":
        """A set by name, or from a `.toml` file. Raises :class:`TimingError`."""
        path = Path(name)
        if path.suffix != ".toml":
            if str(name) not in cls.names():
                raise TimingError(f"timing set {str(name)!r} is not one of {', '.join(cls.names())}, and not a .toml file")
            path = _FOLDER / f"{name}.toml"
        try:
            data = tomllib.loads(path.read_text(), parse_float=Decimal)
        except OSError as error:
            raise TimingError(f"timing set {name}: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TimingError(f"timing set {name}: {error}") from None
        return cls.from_dict(data, source=path.stem)

    @classmethod
    def from_dict(cls, data: dict, *, source: str) -> "TimingSet":
        """From a parsed file; floating-point values are best given as `Decimal`."""
        def refuse(reason: str):
            raise TimingError(f"timing set {source}: {reason}")

        for key in data:
            if key not in ("name", "tCK", "nCK", "ns"):
                refuse(f"{key!r} is none of name, tCK, nCK, ns")
        if not isinstance(data.get("name"), str):
            refuse("name is missing")
        period = cls._number(data.get("tCK"))
        if period is None or period <= 0:
            refuse(f"tCK = {data.get('tCK')} is not a positive time in ns")
        clocks: dict[str, int] = {}
        for table in ("nCK", "ns"):
            entries = data.get(table, {})
            if not isinstance(entries, dict):
                refuse(f"{table} is not a table")
            for key, value in entries.items():
                number = cls._number(value)
                if key not in cls.parameters():
                    refuse(f"[{table}] {key} is not a timing parameter")
                if key in clocks:
                    refuse(f"{key} stands in both [nCK] and [ns]")
                if number is None or number <= 0 or (table == "nCK" and number.denominator != 1):
                    refuse(f"[{table}] {key} = {value} is not a positive {'number of clocks' if table == 'nCK' else 'time'}")
                clocks[key] = ceil(number) if table == "nCK" else ceil(number / period)
        for key in cls.parameters():
            if key not in clocks:
                refuse(f"{key} is missing")
        return cls(name=data["name"], tCK=period, **clocks)

    @staticmethod
    def _number(value) -> Fraction | None:
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            return None
        number = Decimal(str(value))
        return Fraction(number) if number.is_finite() else None
