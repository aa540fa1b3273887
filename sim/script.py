"""The host's side of a simulation: a workload's jobs as a script of register accesses, and the log that comes back.

The script is run by `sim/bench/host_player.sv`. Jobs go in the way that a driver uses: registers, push, doorbell, interrupt.
"""

from rtl.config import ChipConfig
from rtl.image import MAGIC
from rtl.isa import Cause, Engine, HostRegister, Interrupt, Status, counter_address
from sim.job import ErrorInfo, Job, JobResult
from sim.workload import Workload

__all__ = ["ENGINES", "Script", "ScriptError"]

_END, _WRITE, _READ, _WAIT, _IDLE = range(5)

#: Engines with counters, in the order of their registers.
ENGINES = (Engine.TENSOR, Engine.VECTOR, Engine.DATA, Engine.SEQUENCER)

_RECORD = (
    HostRegister.JOB_STATUS, HostRegister.JOB_CYCLES, HostRegister.JOB_TOTAL, HostRegister.ERROR_CAUSE, HostRegister.ERROR_ADDRESS,
    HostRegister.ERROR_PC, HostRegister.ERROR_COMMAND_LO, HostRegister.ERROR_COMMAND_HI, HostRegister.OVERFLOW,
)


class ScriptError(RuntimeError):
    """The hardware did not answer as a driver expects."""


class Script:
    """Rows of (operation, address, data) for the host player, and the meaning of what they log."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self.rows: list[tuple[int, int, int]] = []
        self._jobs: list[int] = []
        self._logged = 0
        #: Values logged when the jobs that a waveform covers are over.
        self.recorded = 0

    @classmethod
    def of(cls, workload: Workload) -> "Script":
        """Identity, then every job of a workload, one after the other."""
        script = cls(workload.config)
        script.identify()
        for number, job in enumerate(workload.jobs):
            script.job(job, workload.job_limit)
            if number < workload.recorded_jobs:
                script.recorded = script._logged
        script.finish()
        return script

    def checked_rows(self, room: int) -> list[tuple[int, int, int]]:
        """The rows. Raises :class:`ScriptError` if there are more than `room`, or more logged values."""
        if max(len(self.rows), self._logged) > room:
            raise ScriptError(f"{len(self._jobs)} jobs need a script of {len(self.rows)} rows; there is room for {room}")
        return self.rows

    def write(self, register: int, value: int):
        self.rows.append((_WRITE, register, value & 0xFFFFFFFF))

    def read(self, register: int) -> int:
        """Appends a read; returns the place of its value in the log."""
        self.rows.append((_READ, register, 0))
        self._logged += 1
        return self._logged - 1

    def identify(self):
        """Reads identity and fingerprint, which :meth:`results` compares, and enables the interrupt."""
        for register in (HostRegister.ID, HostRegister.FINGERPRINT_LO, HostRegister.FINGERPRINT_HI):
            self.read(register)
        self.write(HostRegister.INTERRUPT_ENABLE, 1 << Interrupt.JOB_DONE)

    def job(self, job: Job, limit: int):
        """Rings in one job, waits for its end and reads status, cycles, error record, overflows and counters."""
        for register, value in (
            (HostRegister.JOB_IMAGE, job.image), (HostRegister.JOB_ARGS, job.args), (HostRegister.JOB_ARG_COUNT, job.arg_count),
            (HostRegister.JOB_MASK, job.mask), (HostRegister.JOB_PARTITION, job.partition), (HostRegister.JOB_PUSH, 1),
            (HostRegister.DOORBELL, 1),
        ):
            self.write(register, value)
        self.rows.append((_WAIT, 0, limit))
        self._jobs.append(self._logged + 1)
        self._logged += 1
        for register in _RECORD:
            self.read(register)
        for lane in range(self.config.sips + 1):
            for engine in ENGINES:
                for cause in Cause:
                    self.read(counter_address(lane, engine, cause))
        self.write(HostRegister.ERROR_CAUSE, 0)
        self.write(HostRegister.OVERFLOW, 0)
        self.write(HostRegister.INTERRUPT, (1 << Interrupt.JOB_DONE) | (1 << Interrupt.ERROR))

    def finish(self):
        self.rows.append((_END, 0, 0))

    def _check_identity(self, log: list[int]):
        if log[0] != MAGIC:
            raise ScriptError(f"the ID register reads {log[0]:#010x}, which is not this chip")
        found = log[1] | log[2] << 32
        if found != self.config.fingerprint:
            raise ScriptError(f"the hardware's fingerprint {found:#018x} is not {self.config.fingerprint:#018x} of {self.config.name}")

    def results(self, log: list[int], status: dict[str, int]) -> tuple[list[JobResult], list[dict]]:
        """(result, counters) of every job; `status` holds the player's counts. Raises :class:`ScriptError` if the run went wrong."""
        if status["timed_out"]:
            done = sum(place <= len(log) for place in self._jobs)
            raise ScriptError(f"job {done} of {len(self._jobs)} did not end in time")
        if len(log) < self._logged:
            raise ScriptError(f"the run ended early: {len(log)} of {self._logged} values were read")
        if status["refused"]:
            raise ScriptError(f"{status['refused']} register accesses were answered with an error")
        self._check_identity(log)
        results, counters = [], []
        for place in self._jobs:
            status, cycles, total, cause, address, pc, low, high, overflow = log[place : place + len(_RECORD)]
            error = None
            if Status(status) is not Status.OK:
                error = ErrorInfo(Status(cause & 0xFF), cause >> 8 & 0xFF, Engine(cause >> 16 & 3), address, pc, low | high << 32)
            results.append(JobResult(Status(status), error, cycles, total, overflow))
            values = iter(log[place + len(_RECORD) :])
            counters.append({
                (lane, engine): {kind: next(values) for kind in Cause} for lane in range(self.config.sips + 1) for engine in ENGINES
            })
        return results, counters

