"""What flows inside the host block."""

from amaranth.lib import data

from rtl.isa import ErrorRecord

__all__ = ["DOORBELL", "NO_SIP", "PUSH", "RESULT", "JobDescriptor"]

#: `ErrorRecord.sip` of what the host itself did wrong.
NO_SIP = 0xFF


class JobDescriptor(data.Struct):
    """A job as the host wrote it into the JOB registers, unchecked."""

    image: 32
    args: 32
    arg_count: 32
    mask: 32
    partition: 32


#: A write to JOB_PUSH.
PUSH = data.StructLayout({"valid": 1, "job": JobDescriptor})

#: A write to DOORBELL.
DOORBELL = data.StructLayout({"valid": 1, "count": 32})

#: One pulse at the end of a job. The record's status is OK for a good job; `cycles` and `total` as in JOB_CYCLES and JOB_TOTAL.
RESULT = data.StructLayout({"valid": 1, "record": ErrorRecord, "cycles": 32, "total": 32})
