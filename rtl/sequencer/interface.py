"""What flows into, out of and inside a sequencer."""

from amaranth.lib import data

from rtl.isa import Cause, Completion, Engine, Instruction, Status

__all__ = [
    "DONE",
    "ENDED",
    "SIGNALS",
    "EndRecord",
    "FetchedWord",
    "FinishedRun",
    "LaneCauses",
    "LaunchRequest",
    "QueuedRun",
    "RemoteSignal",
]


class LaunchRequest(data.Struct):
    """One sequencer's part of a job. `image` and `args` are byte addresses in L3, multiples of 64; `arg_count` is 0 to 32."""

    image: 32
    args: 32
    arg_count: 6


class EndRecord(data.Struct):
    """How a sequencer's part of a job ended: the fields of `rtl.isa.ErrorRecord` that the sequencer knows."""

    status: Status
    engine: Engine
    address: 32
    pc: 32
    command: 64


#: One pulse at the end of a sequencer's part of a job.
ENDED = data.StructLayout({"valid": 1, "record": EndRecord})

#: One pulse per command that an engine has finished.
DONE = data.StructLayout({"valid": 1, "completion": Completion})


class RemoteSignal(data.Struct):
    """Events for another sequencer; target `sips` is the cluster's own."""

    target: 5  #: 24 SIPs and the cluster
    events: 16


#: Events that arrive at a sequencer, one added to each.
SIGNALS = data.StructLayout({"valid": 1, "events": 16})


class LaneCauses(data.Struct):
    """What the engines of one sequencer do in this cycle, by `Engine`."""

    tensor: Cause
    vector: Cause
    data: Cause
    sequencer: Cause


class FetchedWord(data.Struct):
    """A 64-bit word of the open window. Status is OK, FETCH_BUS (the read failed) or BAD_ENTRY (outside of the window)."""

    data: 64
    status: Status


class QueuedRun(data.Struct):
    """A RUN: its byte address in L3, and the instruction."""

    pc: 32
    instruction: Instruction


class FinishedRun(data.Struct):
    completion: Completion
    run: QueuedRun
