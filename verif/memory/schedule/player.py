"""The native player of a scheduler: builds it, runs a timing set on it, reads its counts."""

import ctypes
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtl.config import ChipConfig
from rtl.memory.address import AddressMap
from rtl.memory.interface import BusCause
from rtl.memory.timing import TimingSet, TimingValues
from sim.hbm.parameters import DEVICE_SOURCES
from sim.native.harness import build
from sim.verilog.emit import emit
from verif.memory.schedule.system import SchedulerSystem

__all__ = ["GAP", "PARTIAL", "URGENT", "WRITE", "Counts", "Player", "build_player"]

#: Marks of a request beside its atom's number.
WRITE, PARTIAL, URGENT, GAP = 1 << 31, 1 << 30, 1 << 29, 0x3FFFFFFF

_COUNTS = (
    "clocks", "accepted", "returned", "mismatches", "column_commands", "longest_read", "longest_write", "highest_owed", "pending",
    "violations", "first_violation", "stopped", "owed", "first_row", "first_column", "reads", "urgent_reads", "waits", "urgent_waits",
)


@dataclass(frozen=True)
class Counts:
    """Times in clocks. `longest_read` is from acceptance to data, `longest_write` from acceptance to WR; `pending` are
    reads that have not come back; `waits` are sums over the reads of a class."""

    clocks: int
    accepted: int
    returned: int
    mismatches: int
    column_commands: int
    longest_read: int
    longest_write: int
    highest_owed: int
    pending: int
    violations: int
    first_violation: int
    stopped: int
    owed: int
    first_row: int
    first_column: int
    reads: int
    urgent_reads: int
    waits: int
    urgent_waits: int
    causes: dict[str, int]
    #: Processor time of the requests so far.
    seconds: float

    @property
    def percent(self) -> float:
        """Of the data bus: 32 bytes take two clocks."""
        return 200 * self.column_commands / self.clocks


def build_player(config: ChipConfig) -> Path:
    """The shared library of scheduler, device and player."""
    return build(emit(SchedulerSystem(config), "bench").text, DEVICE_SOURCES, harness=Path(__file__).with_name("player.cpp"), traced=False)


class Player:
    """One simulation. `faulty` is the scheduler's timing set, where it is not the device's."""

    def __init__(self, library: Path, config: ChipConfig, timing: TimingSet, *, faulty: TimingSet | None = None, trace: Path | None = None,
                 age_limit: int = 0, close_after: int = 0, refresh_all: bool = False):
        self._lib = ctypes.CDLL(str(library))
        self.seconds = 0.0
        self._lib.player_create.restype = ctypes.c_void_p
        words = np.ctypeslib.ndpointer(np.uint32)
        self._lib.player_create.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, words, words, *[ctypes.c_int] * 4]
        self._lib.player_play.restype = ctypes.c_uint64
        self._lib.player_play.argtypes = [ctypes.c_void_p, words, ctypes.c_uint64, ctypes.c_uint64]
        self._lib.player_wait.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int]
        self._lib.player_count.restype = ctypes.c_uint64
        self._lib.player_count.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._lib.player_destroy.argtypes = [ctypes.c_void_p]
        plusargs = [f"+hbm_{name}={getattr(timing, name)}" for name in timing.parameters()]
        if trace is not None:
            plusargs.append(f"+hbm_trace={trace}")
        arguments = [b"bench", *(argument.encode() for argument in plusargs)]
        address_map = AddressMap(config.dram_rows)
        packed = TimingValues.as_shape().const((faulty or timing).values()).as_value().value
        size = -(-TimingValues.as_shape().size // 32)
        values = np.array([packed >> 32 * word & 0xFFFFFFFF for word in range(size)], np.uint32)
        self._handle = self._lib.player_create(
            len(arguments), (ctypes.c_char_p * len(arguments))(*arguments), address_map.atom_bits, np.array(address_map.masks, np.uint32),
            values, size, age_limit, close_after, refresh_all,
        )

    def play(self, requests: "np.ndarray | Iterable[int]", clocks: int) -> int:
        """Offers requests (an atom's number, with marks) in order for at most so many clocks; returns how many were taken."""
        array = np.asarray(requests if isinstance(requests, np.ndarray) else list(requests), np.uint32)
        begin = time.process_time()
        taken = self._lib.player_play(self._handle, array, len(array), clocks)
        self.seconds += time.process_time() - begin
        return taken

    def wait(self, clocks: int, run: bool = True):
        """No requests for so many clocks; without `run`, until the scheduler has stopped."""
        self._lib.player_wait(self._handle, clocks, run)

    def counts(self) -> Counts:
        values = [ctypes.c_int64(self._lib.player_count(self._handle, number)).value for number in range(len(_COUNTS))]
        causes = {cause.name: self._lib.player_count(self._handle, 32 + cause.value) for cause in BusCause}
        return Counts(*values, causes, self.seconds)

    def close(self):
        if self._handle:
            self._lib.player_destroy(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
