"""A job and its result, as every back end takes and returns them."""

from dataclasses import dataclass

from rtl.isa import Engine, Status

__all__ = ["ErrorInfo", "Job", "JobResult"]


@dataclass(frozen=True)
class Job:
    """What the host writes into the JOB registers (`rtl.isa.HostRegister`). Addresses are byte addresses in L3.

    `mask` has one bit per SIP; bit `sips` is the cluster's own sequencer. `args` lie in L3 as 32-bit little-endian words
    and become r0, r1, ... of every sequencer of the job.
    """

    image: int
    args: int
    arg_count: int
    mask: int = 1
    partition: int = 0


@dataclass(frozen=True)
class ErrorInfo:
    """The error record (`rtl.isa.ErrorRecord`) of a job that failed."""

    status: Status
    sip: int
    engine: Engine
    address: int
    pc: int
    command: int

    def __str__(self) -> str:
        unit = f"SIP {self.sip} {self.engine.name.lower()}"
        return f"{self.status.name} in {unit}, address {self.address:#x}, pc {self.pc:#x}, command {self.command:#018x}"


@dataclass(frozen=True)
class JobResult:
    """How a job ended. `cycles` is JOB_CYCLES and `total` JOB_TOTAL; both are None on the golden model, which has no time.
    `overflow` is the register OVERFLOW at its end, a bit per SIP."""

    status: Status
    error: ErrorInfo | None = None
    cycles: int | None = None
    total: int | None = None
    overflow: int = 0
