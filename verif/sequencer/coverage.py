"""Coverage plan of the sequencer (`docs/sequencer.md`): every instruction of the programs that end well, every end of a job."""

from rtl.isa import COMMANDS, Engine, Instruction, Opcode, Status
from verif.common.coverage import Plan
from verif.sequencer.program import Step

__all__ = ["BLOCK", "SequencerCoverage"]

BLOCK = "sequencer"
#: Opcodes whose bit `reg` chooses a register, or another SIP.
_WITH_REG = (Opcode.ADD, Opcode.SUB, Opcode.MIN, Opcode.MAX, Opcode.LOOP, Opcode.RUN, Opcode.SIGNAL)
_WITH_ENGINE = (Opcode.SET, Opcode.SETR, Opcode.RUN)
_INSTRUCTION = {
    "cp_opcode": [opcode.name for opcode in Opcode],
    "cp_reg": [0, 1],
    "cp_engine": [engine.name for engine in COMMANDS],
    "cp_depth": list(range(9)),
    "cp_times": ["0", "1", "2", "more"],
    "cp_wait": ["none", "one event", "several"],
    "cp_signal": ["none", "one event", "several"],
}
_INSTRUCTION_CROSSES = {
    "cp_opcode_reg": (["cp_opcode", "cp_reg"], lambda opcode, reg: reg and Opcode[opcode] not in _WITH_REG),
    "cp_opcode_engine": (["cp_opcode", "cp_engine"], lambda opcode, engine: Opcode[opcode] not in _WITH_ENGINE),
    "cp_reg_times": (["cp_reg", "cp_times"], None),
}
#: What ends a part of a job: by the sequencer itself, by an engine, by another part.
_ENDS = (
    Status.OK, Status.UNDEFINED_OPCODE, Status.UNDEFINED_ENGINE, Status.UNDEFINED_FIELD, Status.LOOP_DEPTH, Status.BAD_MAGIC,
    Status.BAD_VERSION, Status.BAD_FINGERPRINT, Status.BAD_ENTRY, Status.FETCH_BUS, Status.EVENT_OVERFLOW, Status.WATCHDOG, Status.ABORTED,
)
_END = {
    "cp_end": [*(status.name for status in _ENDS), "an engine's"],
    "cp_before": ["first", "after a good job", "after a bad one"],
    "cp_arguments": ["none", "one", "some", "32"],
}
_END_CROSSES = {"cp_end_before": (["cp_end", "cp_before"], lambda end, before: before != "after a good job" and end != "OK")}


def _some(mask: int) -> str:
    return "several" if mask & (mask - 1) else "one event" if mask else "none"


class SequencerCoverage:
    """Samples the jobs of one sequencer."""

    def __init__(self):
        self._instruction = Plan(BLOCK, _INSTRUCTION, _INSTRUCTION_CROSSES)
        self._end = Plan(BLOCK, _END, _END_CROSSES)
        self._before = "first"

    def instruction(self, step: Step):
        i = Instruction.from_bits(step.instruction)
        opcode = Opcode(i.opcode)
        waits = opcode in (Opcode.RUN, Opcode.WAIT)
        signals = opcode in (Opcode.RUN, Opcode.SIGNAL)
        self._instruction.sample(
            cp_opcode=opcode.name, cp_reg=i.reg if opcode in _WITH_REG else 0,
            cp_engine=Engine(i.engine).name if opcode in _WITH_ENGINE else None, cp_depth=step.depth,
            cp_times=None if step.times is None else str(step.times) if step.times < 3 else "more",
            cp_wait=_some(i.imm & 0xFFFF) if waits else None, cp_signal=_some(i.imm >> 16) if signals else None,
        )

    def end(self, status: Status, engine: Engine, arguments: int):
        self._end.sample(
            cp_end="an engine's" if engine != Engine.SEQUENCER and status not in _ENDS else status.name, cp_before=self._before,
            cp_arguments="none" if not arguments else "one" if arguments == 1 else "32" if arguments == 32 else "some",
        )
        self._before = "after a good job" if status == Status.OK else "after a bad one"

    def export(self):
        self._end.export()
