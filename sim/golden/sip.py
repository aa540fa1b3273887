"""A SIP, or the cluster's own part: a sequencer and the engines that run its commands, in order per engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from rtl.config import ChipConfig
from rtl.isa import COMMANDS, Engine, Space, Status
from sim.golden import data_engine, tensor, vector
from sim.golden.command import decode
from sim.golden.outcome import Fault
from sim.golden.sequencer import Events, Queued, Sequencer
from sim.job import ErrorInfo

__all__ = ["Executed", "JobError", "Sip"]


@dataclass(frozen=True)
class Executed:
    """One command that was executed. `macs` is the number of products of a tensor command, else 0; `overflow` its sticky flag."""

    sip: int
    engine: Engine
    tag: int
    words: tuple[int, ...]
    macs: int = 0
    overflow: bool = False


class JobError(Exception):
    """Ends a job with the record of its first error."""

    def __init__(self, info: ErrorInfo):
        super().__init__(str(info))
        self.info = info


@dataclass
class _Started:
    """A command whose events are taken and whose checks are passed."""

    queued: Queued
    command: SimpleNamespace


class Sip:
    """One sequencer with its engines, for one job.

    Parameters
    ----------
    config, index
        The chip, and the number of this SIP; `config.sips` is the cluster.
    base, program, arguments, events
        As in :class:`Sequencer`.
    spaces, window
        Bytes of each space (the cluster has no L1), and the job's window of L3.
    record
        Called with every command that was executed.
    """

    def __init__(
        self, config: ChipConfig, index: int, base: int, program: Sequence[int] | np.ndarray, arguments: Sequence[int],
        events: Sequence[Events], spaces: Mapping[Space, np.ndarray], window: tuple[int, ...], record: Callable[[Executed], None],
    ):
        self.config = config
        self.index = index
        self.events = events
        self.spaces = spaces
        self.window = window
        self.record = record
        self.current: dict[Engine, _Started | None] = dict.fromkeys(COMMANDS)
        self.sequencer = Sequencer(config, index, base, program, arguments, events, self.idle)

    @property
    def ended(self) -> bool:
        return self.sequencer.ended

    def idle(self, engine: Engine) -> bool:
        """No command of the engine is queued or runs."""
        return not self.sequencer.queues[engine] and self.current[engine] is None

    def error(self, fault: Fault, queued: Queued | None = None) -> JobError:
        """The record of a fault: of a queued command, or of the instruction at the program counter."""
        if queued is None:
            engine, pc, command = Engine.SEQUENCER, self.sequencer.pc, self.sequencer.instruction
        else:
            engine, pc, command = queued.engine, queued.pc, queued.instruction
        return JobError(ErrorInfo(fault.status, self.index, engine, fault.address, pc % 2**32, command))

    def stuck(self) -> JobError:
        """The record of a SIP that can't go on."""
        return self.error(Fault(Status.WATCHDOG))

    def run_sequencer(self) -> bool:
        """Runs instructions until one has to wait; says whether any ran."""
        moved = False
        try:
            while self.sequencer.step():
                moved = True
                if self.ended:
                    break
        except Fault as fault:
            raise self.error(fault) from None
        return moved

    def run_engines(self) -> bool:
        """Lets each engine do at most one command; says whether any moved."""
        moved = False
        for engine in COMMANDS:
            moved |= self._start(engine)
            moved |= self._finish(engine)
        return moved

    def _start(self, engine: Engine) -> bool:
        """Takes the command at the head of the queue, once all its events are there, and checks it."""
        queue = self.sequencer.queues[engine]
        if self.current[engine] is not None or not queue or not self.events[self.index].take(queue[0].wait):
            return False
        queued = queue.popleft()
        command = decode(COMMANDS[engine], queued.words)
        try:
            match engine:
                case Engine.TENSOR:
                    tensor.check(self.config, command)
                case Engine.VECTOR:
                    vector.check(self.config, command)
                case Engine.DATA:
                    data_engine.check(self.config, command, self.window, cluster=self.index == self.config.sips)
        except Fault as fault:
            raise self.error(fault, queued) from None
        self.current[engine] = _Started(queued, command)
        return True

    def _finish(self, engine: Engine) -> bool:
        """Executes the started command of an engine, unless it is one half of a pair whose other half is missing."""
        started = self.current[engine]
        if started is None:
            return False
        command, overflow = started.command, False
        match engine:
            case Engine.TENSOR:
                partner = self.current[Engine.VECTOR]
                if not command.mode.to_vector:
                    overflow = tensor.execute(self.config, command, self.spaces[Space.L1]).overflow
                elif partner is None or not vector.accepts(self.config, partner.command, command):
                    return False
                else:
                    outcome = tensor.execute(self.config, command, self.spaces[Space.L1])
                    vector.execute(self.config, partner.command, self.spaces[Space.L1], outcome.rows)
                    self._complete(Engine.TENSOR, tensor.macs(command), outcome.overflow)
                    self._complete(Engine.VECTOR)
                    return True
            case Engine.VECTOR:
                if command.mode.from_tensor:
                    return False
                vector.execute(self.config, command, self.spaces[Space.L1])
            case Engine.DATA:
                try:
                    data_engine.execute(command, self.spaces)
                except Fault as fault:
                    raise self.error(fault, started.queued) from None
        self._complete(engine, tensor.macs(command) if engine is Engine.TENSOR else 0, overflow)
        return True

    def _complete(self, engine: Engine, macs: int = 0, overflow: bool = False):
        started = self.current[engine]
        self.current[engine] = None
        self.record(Executed(self.index, engine, started.command.tag, started.queued.words, macs, overflow))
        try:
            self.events[started.queued.target].signal(started.queued.signal)
        except Fault as fault:
            raise self.error(fault, started.queued) from None
