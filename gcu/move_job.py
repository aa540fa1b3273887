"""The workload of `gcu move`: what has to lie in L1 or L2 is brought there by a job of its own, and the result is fetched by another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compiler.assembler import Program, assemble
from compiler.moves import Address, Dimension
from compiler.moves import move as copy
from compiler.tensor_move import Pass, Place, emit
from gcu.errors import BadInput
from gcu.move_file import Spec
from rtl.config import ChipConfig
from rtl.isa import Space
from sim.job import Job
from sim.workload import Segment, Workload

__all__ = ["MEASURED", "TAGS", "Where", "check_room", "workload"]

#: The number of the job that is measured, of three.
MEASURED = 1
_LINE = 256

#: Names of the commands' tags.
TAGS = {1: "staging", 2: "move"}


@dataclass(frozen=True)
class Where:
    """Which engine runs the move, and what surrounds the result in memory: `guard` byte of the value `mark` on both sides."""

    engine: str
    lane: int
    guard: int = _LINE
    mark: int = 0xA5


class _Room:
    """Hands out places of each space, one behind the other, each with a line of room on both sides."""

    def __init__(self) -> None:
        self.used = dict.fromkeys(Space, 0)

    def take(self, space: Space, size: int) -> Place:
        address = self.used[space] + (_LINE if space is Space.L3 else 0)
        self.used[space] = -(-(address + size) // _LINE) * _LINE + (_LINE if space is Space.L3 else 0)
        return Place(space, address)


@dataclass(frozen=True)
class _Layout:
    """Where the input, the lists and the results of all passes lie."""

    tensors: list[Place]
    entries: list[Place | None]
    room: _Room


def _layout(spec: Spec, planned: Sequence[Pass]) -> _Layout:
    room = _Room()
    tensors, entries = [room.take(spec.source, planned[0].source_bytes)], []
    for each in planned:
        entries.append(None if each.entries is None else room.take(tensors[-1].space, 4 * len(each.entries)))
        tensors.append(room.take(spec.target, each.target_bytes))
    return _Layout(tensors, entries, room)


def _capacity(config: ChipConfig) -> dict[Space, int]:
    # An image of some hundred descriptors, and copies of what lies in L1 and L2, have their place in L3 too.
    return dict(zip(Space, (config.l1_bytes, config.l2_bytes, config.l3_bytes // 2), strict=True))


def check_room(spec: Spec, planned: Sequence[Pass], config: ChipConfig):
    """Raises :class:`BadInput` for tensors that don't fit where they are to lie."""
    used = _layout(spec, planned).room.used
    for space, capacity in _capacity(config).items():
        if used[space] > capacity:
            raise BadInput(f"what lies in {space.name} takes {used[space]} byte, but {config.name} has room for {capacity} there")


def _stage(programs: Sequence[Program], number: int, source: Place, target: Place, size: int, element: int):
    copy(
        programs[number], Address(source.space, source.address), Address(target.space, target.address),
        [Dimension(size // element, element, element)], element, tag=1,
    )


def workload(spec: Spec, codes: np.ndarray, planned: Sequence[Pass], config: ChipConfig, memory: str) -> tuple[Workload, Where]:
    """Three jobs: load, move, store; and where to look at the result, which is the first of what is read back."""
    layout = _layout(spec, planned)
    room, last = layout.room, layout.tensors[-1]
    on_cluster = Space.L1 not in (spec.source, spec.target)
    sequencer = config.sips if on_cluster else 0
    where = Where("the cluster's engine" if on_cluster else "SIP 0's engine", sequencer)
    programs = [Program() for _ in range(3)]
    segments = []
    parts = [(layout.tensors[0], codes.tobytes(), codes.itemsize)] + [
        (place, each.entries.tobytes(), 4)
        for place, each in zip(layout.entries, planned, strict=True) if place is not None and each.entries is not None
    ]
    for place, data, element in parts:
        home = place if place.space is Space.L3 else room.take(Space.L3, len(data))
        segments.append(Segment(home.address, data))
        if home is not place:
            _stage(programs, 0, home, place, len(data), element)
    for number, each in enumerate(planned):
        emit(programs[MEASURED], each, layout.tensors[number], layout.tensors[number + 1], layout.entries[number], tag=2)
    size = planned[-1].target_bytes
    result = last if last.space is Space.L3 else room.take(Space.L3, size)
    if result is not last:
        _stage(programs, 2, last, result, size, planned[-1].tensor.element.bytes)
    around = (result.address - where.guard, size + 2 * where.guard)
    segments.append(Segment(around[0], bytes([where.mark]) * around[1]))
    jobs = []
    for program in programs:
        program.end()
        image = assemble(config, {sequencer: program}).to_bytes()
        place = room.take(Space.L3, len(image))
        segments.append(Segment(place.address, image))
        jobs.append(Job(place.address, 0, 0, 1 << sequencer))
    return Workload(config, tuple(segments), tuple(jobs), (around,), memory, recorded_jobs=3), where
