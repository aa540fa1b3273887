"""A request trace through the RTL of controller and device, in native Verilator."""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtl.config import ChipConfig
from rtl.isa import MemoryControl, MemoryRegister
from rtl.memory.address import ATOM_BYTES
from rtl.memory.interface import BusCause
from rtl.memory.timing import TimingSet
from sim.dram.requests import Requests
from sim.dram.system import ID_BITS, STORAGE_SCOPE, TOP, dram_text
from sim.hbm.parameters import DEVICE_SOURCES, RULES, timing_plusargs
from sim.hbm.secded import check_bits
from sim.native.harness import build
from sim.tools import ToolError

__all__ = ["SOURCE", "Measurement", "library", "simulate"]

#: The C++ of the driver.
SOURCE = Path(__file__).with_name("driver.cpp")

_WINDOW = (
    "begin", "clocks", "memory_begin", "memory_clocks", "reads", "writes", "bus_reads", "bus_writes", "bank_refreshes", "all_refreshes",
    "since_reset",
)
_ERRORS = ("mismatches", "contents", "responses", "protocol")
#: Clocks between two reports of progress.
_SLICE = 20_000
#: Clocks in which something must move.
_PATIENCE = 50_000


@dataclass
class Measurement:
    """What one run gave. The window begins in the clock in which the first request is offered.

    Members
    -------
    clocks, memory_clocks
        Length of the window, in clocks of the bus and of the memory.
    reads, writes
        Accesses whose last beat or response came in the window.
    bus_reads, bus_writes
        Column commands in the window; each makes the data bus busy for two memory clocks.
    accepted, first, last
        For each request: clocks since the window's begin, of its address and of the first and last beat of its data (of a write, `last` is
        its response). -1 where there was none.
    bank_refreshes, all_refreshes, owed
        Refresh commands from reset to the end of the window, and bank refreshes that were due then and not done; negative: done in advance.
    violations, first_violation
        The device's count, and the name of the first rule.
    errors
        Reads with wrong bytes, atoms with wrong contents at the end, responses that are not OKAY, breaches of AXI's rules.
    log
        The first of them in words.
    stuck
        Nothing moved for long while requests waited: the run was given up.
    offered, answered
        Requests whose address was taken, and that have had their response, in the whole run.
    memory_begin, memory_total
        Memory clocks from reset to the window's begin, as the command trace counts them, and to the end of the run.
    total_clocks, seconds
        Clocks of the whole run, and its CPU time.
    causes
        What the data bus did with each memory clock of the window, by the controller's own counters, which are read one after the other
        at its end: they add up to it within a few clocks.
    """

    clocks: int
    memory_clocks: int
    reads: int
    writes: int
    bus_reads: int
    bus_writes: int
    accepted: np.ndarray
    first: np.ndarray
    last: np.ndarray
    bank_refreshes: int
    all_refreshes: int
    owed: int
    violations: int
    first_violation: str
    errors: dict[str, int]
    log: list[str]
    stuck: bool
    offered: int
    answered: int
    memory_begin: int
    memory_total: int
    total_clocks: int
    seconds: float
    is_read: np.ndarray
    causes: dict[str, int]

    @property
    def percent_of_peak(self) -> float:
        """Bytes of the completed accesses against 16 byte in each memory clock."""
        return 100 * ATOM_BYTES * (self.reads + self.writes) / (16 * self.memory_clocks) if self.memory_clocks else 0.0

    @property
    def bus_percent(self) -> float:
        """Memory clocks in which the data bus was busy. Reads that a pending write serves, and writes merged with one, don't use it."""
        return 100 * 2 * (self.bus_reads + self.bus_writes) / self.memory_clocks if self.memory_clocks else 0.0

    @property
    def ok(self) -> bool:
        return not (self.violations or self.stuck or any(self.errors.values()))

    def latency(self, until: str = "last") -> np.ndarray:
        """Clocks from the address to the `first` or `last` beat, of the reads that were answered in the window."""
        end = getattr(self, until)
        read = self.is_read & (self.last >= 0) & (self.last < self.clocks)
        return end[read] - self.accepted[read]


def library(config: ChipConfig) -> Path:
    """The built design, for every timing set. Raises :class:`ToolError`."""
    return build(dram_text(config), DEVICE_SOURCES, top=TOP, harness=SOURCE, traced=False)


def simulate(
    requests: Requests, config: ChipConfig, timing: TimingSet, *, clocks: int | None = None, commands: Path | None = None,
    identifiers: int = 1 << ID_BITS, outstanding: int | None = None, stall: float = 0.0, seed: int = 1,
    refresh_all: bool = False, device_timing: TimingSet | None = None,
    progress: Callable[[int], None] | None = None, built: Path | None = None,
) -> Measurement:
    """Runs a trace.

    Parameters
    ----------
    clocks
        Length of the window; the rest of the trace is not offered. Without it, the window ends with the last response.
    commands
        Where the device's command trace goes.
    identifiers
        How many AXI identifiers each direction uses, one after the other.
    outstanding
        Requests in flight at the most.
    stall, seed
        Share of clocks in which the responses' `ready` are low, drawn from the seed; above 0, now and then for 200 clocks.
    refresh_all
        All banks are refreshed together, not one by one.
    device_timing
        The device judges by another set: a deliberate fault.
    progress
        Called with the clocks done so far.
    built
        Another design with the same ports and device, for tests of the driver.
    """
    if not len(requests):
        raise ValueError("the trace holds no requests")
    plusargs = [*timing_plusargs(device_timing or timing), *([f"+hbm_trace={commands}"] if commands else [])]
    with _Driver(built or library(config), identifiers, round(65536 * stall), seed, plusargs) as driver:
        driver.start(timing, ecc=config.ecc, refresh_all=refresh_all)
        driver.load(requests, clocks or 0, outstanding or len(requests), _settle(timing))
        begin, done = time.process_time(), 0
        while not (state := driver.run(_SLICE)):
            done += _SLICE
            if progress:
                progress(done)
        seconds = time.process_time() - begin
        return driver.measurement(requests, timing, stuck=state == 2, seconds=seconds)


def _settle(timing: TimingSet) -> int:
    """Clocks without a column command after which no write is pending: a refresh, and the longest wait for a direction."""
    return 4 * timing.tRFC + 2048


class _Driver:
    """The functions of `driver.cpp`."""

    def __init__(self, path: Path, identifiers: int, stall: int, seed: int, plusargs: list[str]):
        self._lib = lib = ctypes.CDLL(str(path))
        number, pointer, text = ctypes.c_uint64, ctypes.c_void_p, ctypes.c_char_p
        lib.dram_create.restype = pointer
        lib.dram_create.argtypes = [ctypes.c_int, ctypes.POINTER(text), number, number, number]
        lib.dram_memory.restype = pointer
        lib.dram_memory.argtypes = [pointer, text, text, ctypes.POINTER(number), ctypes.POINTER(number)]
        lib.dram_wait.argtypes = [pointer, number]
        lib.dram_write.argtypes = [pointer, ctypes.c_uint32, ctypes.c_uint32]
        lib.dram_contents.argtypes = [number, pointer, pointer]
        lib.dram_store.argtypes = [*[pointer] * 5, number, pointer, pointer, pointer]
        lib.dram_load.argtypes = [pointer, number, number, *[pointer] * 5, *[number] * 4, ctypes.c_uint32, number]
        lib.dram_run.argtypes = [pointer, number]
        lib.dram_compare.argtypes = [pointer]
        lib.dram_result.argtypes = [pointer] * 5
        lib.dram_log.restype = text
        lib.dram_log.argtypes = [pointer]
        lib.dram_destroy.argtypes = [pointer]
        arguments = [TOP.encode(), *(plusarg.encode() for plusarg in plusargs)]
        self._handle = lib.dram_create(len(arguments), (text * len(arguments))(*arguments), identifiers, stall, seed)

    def start(self, timing: TimingSet, *, ecc: bool, refresh_all: bool):
        """Gives the controller its timing set, and starts it."""
        for number, name in enumerate(timing.parameters()):
            self._set(MemoryRegister.TIMING + 4 * number, getattr(timing, name))
        bits = {MemoryControl.RUN: True, MemoryControl.ECC: ecc, MemoryControl.REFRESH_ALL: refresh_all}
        self._set(MemoryRegister.CONTROL, sum(1 << bit for bit, wanted in bits.items() if wanted))
        if not self._lib.dram_wait(self._handle, _PATIENCE):
            raise ToolError(f"the memory controller is not ready {_PATIENCE:,} clocks after its start")
        self._set(MemoryRegister.BUS, 0)

    def _set(self, address: int, value: int):
        if self._lib.dram_write(self._handle, address, value):
            raise ToolError(f"the memory controller refuses {value} in register 0x{address:03x}")

    def _array(self, name: str) -> tuple[int, int]:
        """Address and bytes of an array of the device's storage."""
        rows, size = ctypes.c_uint64(), ctypes.c_uint64()
        found = self._lib.dram_memory(self._handle, STORAGE_SCOPE.encode(), name.encode(), ctypes.byref(rows), ctypes.byref(size))
        if not found:
            raise ToolError(f"the design has no array {name} at {STORAGE_SCOPE}")
        return found, rows.value * size.value

    def load(self, requests: Requests, clocks: int, outstanding: int, settle: int):
        arrays = [self._array(name) for name in ("page", "pages_used", "mem", "check")]
        atoms = arrays[0][1] // 4 * 32
        if int(requests.atom.max()) >= atoms:
            raise ValueError(f"address 0x{ATOM_BYTES * int(requests.atom.max()):x} is beyond the {ATOM_BYTES * atoms} bytes")
        used = np.unique(requests.atom)
        words = np.empty((len(used), ATOM_BYTES // 8), "<u8")
        self._lib.dram_contents(len(used), used.ctypes.data, words.ctypes.data)
        check = check_bits(words)
        self._lib.dram_store(
            self._handle, *(pointer for pointer, _ in arrays), len(used), used.ctypes.data, words.ctypes.data, check.ctypes.data,
        )
        self._write = requests.write.astype(np.uint8)
        self._atom = requests.atom
        self._times = np.zeros((3, len(requests)), np.uint32)
        self._lib.dram_load(
            self._handle, atoms, len(requests), self._write.ctypes.data, self._atom.ctypes.data,
            *(row.ctypes.data for row in self._times), clocks, outstanding, _PATIENCE, settle,
            MemoryRegister.BUS, len(BusCause),
        )

    def run(self, clocks: int) -> int:
        return self._lib.dram_run(self._handle, clocks)

    def measurement(self, requests: Requests, timing: TimingSet, *, stuck: bool, seconds: float) -> Measurement:
        if not stuck:
            self._lib.dram_compare(self._handle)
        window, errors, state = np.zeros(len(_WINDOW), np.uint64), np.zeros(len(_ERRORS), np.uint64), np.zeros(6, np.uint64)
        causes = np.zeros(len(BusCause), np.uint32)
        self._lib.dram_result(self._handle, *(array.ctypes.data for array in (window, errors, state, causes)))
        seen = dict(zip(_WINDOW, map(int, window), strict=True))
        clock, index, in_flight, violations, rule, memory_clock = map(int, state)
        times = np.where(self._times, self._times.astype(np.int64) - seen.pop("begin"), -1)
        owed = seen.pop("since_reset") // timing.tREFIsb - seen["bank_refreshes"] - 16 * seen["all_refreshes"]
        return Measurement(
            **seen, accepted=times[0], first=times[1], last=times[2], owed=owed, violations=violations, first_violation=RULES[rule],
            errors=dict(zip(_ERRORS, map(int, errors), strict=True)), log=self._lib.dram_log(self._handle).decode().splitlines(),
            stuck=stuck, offered=index, answered=index - in_flight, memory_total=memory_clock, total_clocks=clock, seconds=seconds,
            is_read=~requests.write, causes={cause.name.lower(): int(causes[cause.value]) for cause in BusCause},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lib.dram_destroy(self._handle)
