"""The whole chip as a functional model: it takes the jobs and program images that the hardware takes, and has no time."""

import struct
from collections.abc import Iterator

import numpy as np

from rtl.config import ChipConfig
from rtl.image import HEADER_BYTES, MAGIC, ImageEntry, ImageHeader
from rtl.isa import ISA_VERSION, Engine, Space, Status
from sim.golden.command import decode_struct
from sim.golden.outcome import Fault
from sim.golden.sequencer import Events
from sim.golden.sip import Executed, JobError, Sip
from sim.job import ErrorInfo, Job, JobResult

__all__ = ["GoldenChip"]

#: Greatest number of arguments of a job, and the alignment of image and arguments in bytes.
_MAX_ARGUMENTS = 32
_ALIGN = 64


class GoldenChip:
    """The chip after reset: memories are zero, every partition's window is the whole of L3.

    Members
    -------
    l1, l2, l3
        Bytes of each memory; `l1` is a list with one array per SIP. They keep their contents between jobs.
    windows
        [base, limit) of each partition in L3, then, where it isn't both, whether it may be read and written; ValueError at a job
        whose window reaches beyond L3.
    trace
        Every command executed since the start of the last job.
    error
        The first error record since :meth:`clear_error`.
    overflow
        The register OVERFLOW: a bit per SIP, set since :meth:`clear_overflow` by an INT8 sum that left int32.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        self.l3 = np.zeros(config.l3_bytes, np.uint8)
        self.l2 = np.zeros(config.l2_bytes, np.uint8)
        self.l1 = [np.zeros(config.l1_bytes, np.uint8) for _ in range(config.sips)]
        self.windows: list[tuple[int, ...]] = [(0, config.l3_bytes)] * config.partitions
        self.trace: list[Executed] = []
        self.error: ErrorInfo | None = None
        self.overflow = 0

    def clear_error(self):
        """What the host does by writing ERROR_CAUSE."""
        self.error = None

    def clear_overflow(self):
        """What the host does by writing OVERFLOW."""
        self.overflow = 0

    def run(self, job: Job) -> JobResult:
        """Runs one job to its end, good or bad. `error` of the result is the job's own; the chip keeps the first one. `overflow` of
        the result is the chip's at that time."""
        self.trace = []
        try:
            self._schedule(list(self._launch(job)))
        except JobError as error:
            self.error = self.error or error.info
            return JobResult(error.info.status, error.info, overflow=self.overflow)
        return JobResult(Status.OK, overflow=self.overflow)

    def _record(self, executed: Executed):
        self.trace.append(executed)
        self.overflow |= executed.overflow << executed.sip

    # Launch

    def _launch(self, job: Job) -> Iterator[Sip]:
        lowest = (job.mask & -job.mask).bit_length() - 1 if job.mask > 0 else 0
        if (
            job.mask <= 0 or job.mask >> (self.config.sips + 1)
            or not 0 <= job.arg_count <= _MAX_ARGUMENTS
            or not 0 <= job.partition < self.config.partitions
            or job.image % _ALIGN or (job.arg_count and job.args % _ALIGN)
        ):
            raise self._refusal(lowest, Fault(Status.BAD_JOB))
        window = self.windows[job.partition]
        if window[1] > self.config.l3_bytes:
            raise ValueError(f"the window {window[0]:#x} to {window[1]:#x} reaches beyond the {self.config.l3_bytes} byte of L3")
        events = [Events() for _ in range(self.config.sips + 1)]
        for index in range(self.config.sips + 1):
            if job.mask >> index & 1:
                try:
                    base, program = self._program(job, index)
                    arguments = np.frombuffer(self._fetch(job.args, 4 * job.arg_count), "<u4")
                except Fault as fault:
                    raise self._refusal(index, fault) from None
                spaces = {Space.L2: self.l2, Space.L3: self.l3}
                if index < self.config.sips:
                    spaces[Space.L1] = self.l1[index]
                yield Sip(self.config, index, base, program, arguments, events, spaces, window, self._record)

    @staticmethod
    def _refusal(sip: int, fault: Fault) -> JobError:
        return JobError(ErrorInfo(fault.status, sip, Engine.SEQUENCER, fault.address, 0, 0))

    def _fetch(self, address: int, size: int) -> bytes:
        """Bytes of L3; FETCH_BUS with the first address outside."""
        if size and (address < 0 or address + size > self.config.l3_bytes):
            raise Fault(Status.FETCH_BUS, max(address, self.config.l3_bytes) if address >= 0 else address)
        return self.l3[address : address + size].tobytes()

    def _program(self, job: Job, index: int) -> tuple[int, np.ndarray]:
        """Byte address and instructions of the image's entry for one SIP."""
        header = decode_struct(ImageHeader, int.from_bytes(self._fetch(job.image, HEADER_BYTES), "little"))
        if header.magic != MAGIC:
            raise Fault(Status.BAD_MAGIC)
        if header.version != ISA_VERSION:
            raise Fault(Status.BAD_VERSION)
        if header.fingerprint != self.config.fingerprint:
            raise Fault(Status.BAD_FINGERPRINT)
        if index >= header.entries:
            raise Fault(Status.BAD_ENTRY)
        entry_bytes = struct.calcsize("<II")
        raw = self._fetch(job.image + HEADER_BYTES + entry_bytes * index, entry_bytes)
        entry = decode_struct(ImageEntry, int.from_bytes(raw, "little"))
        if entry.offset % 8 or entry.length == 0:
            raise Fault(Status.BAD_ENTRY)
        base = job.image + entry.offset
        return base, np.frombuffer(self._fetch(base, 8 * entry.length), "<u8")

    # Scheduling

    @staticmethod
    def _schedule(sips: list[Sip]):
        """Round after round, in a fixed order: every sequencer until it has to wait, then one command of every engine."""
        while not all(sip.ended for sip in sips):
            moved = [sip.run_sequencer() for sip in sips] + [sip.run_engines() for sip in sips]
            if not any(moved):
                raise next(sip for sip in sips if not sip.ended).stuck()
