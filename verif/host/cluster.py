"""Sequencers as the host block sees them: they take launches, issue and end commands, and end well or badly after random times."""

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import cocotb
from amaranth.lib import data
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.config import ChipConfig
from rtl.isa import Cause, Engine, Status
from rtl.sequencer.interface import ENDED, EndRecord, LaneCauses, LaunchRequest
from verif.common.streams import pack, unpack

__all__ = ["ClusterModel", "Part", "Seen"]


@dataclass
class Part:
    """What one sequencer does with its next launch: cycles to its end, and the record of that; `None` waits to be cancelled."""

    cycles: int | None
    record: dict = field(default_factory=lambda: {"status": Status.OK})


@dataclass
class Seen:
    """One job as the sequencers saw it."""

    launches: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    partition: int = 0
    began: int = 0
    ended: int = 0
    first_issue: int | None = None
    last_completion: int | None = None
    #: The first failure: sequencer and record, the lowest sequencer of that cycle.
    failure: tuple[int, dict] | None = None
    #: Sequencers that failed in that cycle.
    failed_at_once: int = 0
    cancelled: set[int] = field(default_factory=set)
    #: Cycles by (sequencer, engine, cause).
    causes: Counter = field(default_factory=Counter)

    @property
    def cycles(self) -> int:
        """JOB_CYCLES: from the first issue to the last completion after it."""
        if self.first_issue is None or self.last_completion is None:
            return 0
        return self.last_completion - self.first_issue

    @property
    def total(self) -> int:
        """JOB_TOTAL: from the launch to the cycle in which the dispatcher has seen the last end."""
        return self.ended + 2 - self.began


class ClusterModel:
    """All sequencers. `plan[i]` holds what sequencer i does with its next launches; a launch without a plan ends well at once.

    `jobs` are the jobs seen, the running one last; `ended` is called with each when it has ended.
    """

    def __init__(self, dut, config: ChipConfig, rng: random.Random, ended: Callable[[Seen], None]):
        self.dut, self.rng = dut, rng
        self.count = config.sips + 1
        self.plan: list[deque[Part]] = [deque() for _ in range(self.count)]
        self.jobs: list[Seen] = []
        self.active = False
        self._ended = ended
        #: Sequencer to [cycles left or None, record, commands in flight].
        self._running: dict[int, list] = {}
        self._layout = data.ArrayLayout(LaneCauses, self.count)
        cocotb.start_soon(self._run())

    def fail(self, records: dict[int, dict]):
        """Ends these running sequencers in one and the same cycle."""
        for number, record in records.items():
            self._running[number][:2] = [1, record]

    async def _run(self):
        dut, rng, now = self.dut, self.rng, 0
        running = self._running
        pulsed = set()
        causes = [dict.fromkeys((engine.name.lower() for engine in Engine), Cause.IDLE) for _ in range(self.count)]
        while True:
            await FallingEdge(dut.clk)
            now += 1
            issue = completion = 0
            ended, ready = {}, {}
            for number in range(self.count):
                ready[number] = number not in running and rng.random() < 0.5
                getattr(dut, f"launch__{number}__ready").value = int(ready[number])
                if number in running:
                    part = running[number]
                    if part[2] < 2 and rng.random() < 0.1:
                        issue |= 1 << number
                        part[2] += 1
                    elif part[2] and rng.random() < 0.1:
                        completion |= 1 << number
                        part[2] -= 1
                    if part[0] is not None:
                        part[0] -= 1
                        if part[0] <= 0:
                            ended[number] = part[1]
                            del running[number]
                if number in ended or number in pulsed:
                    record = EndRecord.const(ended.get(number, {"status": Status.OK}))
                    getattr(dut, f"ended__{number}").value = pack(ENDED, {"valid": int(number in ended), "record": record})
            pulsed = set(ended)
            # Causes come in runs, as they do from engines.
            if rng.random() < 0.6:
                lane = rng.randrange(self.count)
                causes[lane] = {engine.name.lower(): rng.choice(list(Cause)) for engine in Engine}
                dut.causes.value = pack(self._layout, causes)
            dut.issue.value, dut.completion.value = issue, completion
            await ReadOnly()
            was_active, self.active = self.active, bool(int(dut.running.value))
            if self.active and not was_active:
                self.jobs.append(Seen(began=now))
            if not self.active:
                if was_active:
                    self._ended(self.jobs[-1])
                assert not running, "the job ended before its parts"
                assert not any(int(getattr(dut, f"launch__{number}__valid").value) for number in range(self.count))
                continue
            job = self.jobs[-1]
            for number, lane in enumerate(causes):
                for engine in Engine:
                    job.causes[number, engine, lane[engine.name.lower()]] += 1
            job.partition = int(dut.partition.value)
            if issue and job.first_issue is None:
                job.first_issue = now
            elif completion and job.first_issue is not None:
                job.last_completion = now
            if ended:
                job.ended = now
            failed = [number for number in sorted(ended) if ended[number]["status"] != Status.OK]
            if failed and job.failure is None:
                job.failure, job.failed_at_once = (failed[0], ended[failed[0]]), len(failed)
            for number in range(self.count):
                if ready[number] and int(getattr(dut, f"launch__{number}__valid").value):
                    request = unpack(LaunchRequest, int(getattr(dut, f"launch__{number}__payload").value))
                    assert number not in job.launches, "a sequencer was launched twice"
                    job.launches[number] = (request.image, request.args, request.arg_count)
                    plan = self.plan[number].popleft() if self.plan[number] else Part(rng.randrange(1, 60))
                    running[number] = [plan.cycles, plan.record, 0]
                cancelled = int(dut.cancel.value) >> number & 1
                assert not cancelled or number in running or number in ended or number not in job.launches, "cancelled after its end"
                if cancelled and number in running and number not in job.cancelled:
                    job.cancelled.add(number)
                    running[number][:2] = [rng.randrange(1, 30), {"status": Status.ABORTED}]
