"""How one axis of a tensor is walked by one dimension of a data-engine command."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.errors import NotFused

__all__ = ["LIMIT", "Walk", "cut", "fit", "merge"]

#: The greatest size of a dimension, and what a larger one is cut into.
LIMIT, _PART = 65535, 32768
_GAPS = 255


@dataclass(frozen=True)
class Walk:
    """`size` elements, `target` byte apart, that come from every `count` + 1-th of them on, starting at element -`phase`: the source's
    elements `offset`, `offset` + 1, ... of `extent`, `stride` byte apart, the first one of all at `base`. Without `extent` all are inside.
    With `entries`, element i is number `entries[i]` of `extent`.
    """

    size: int
    stride: int
    target: int
    base: int = 0
    extent: int | None = None
    offset: int = 0
    count: int = 0
    phase: int = 0
    entries: np.ndarray | None = None

    @property
    def plain(self) -> bool:
        """Every element comes from the source, in steps of `stride`."""
        return self.extent is None

    @property
    def inside(self) -> int:
        """How many elements come from the source."""
        return self.size if self.plain or self.entries is not None else min(self.size, self.extent or 0)


def fit(places: np.ndarray, pitch: int, target: int, elements: int, listed: bool) -> Walk:
    """The walk along an axis that takes the `places` of a source axis with so many `elements`, `pitch` byte apart; negative ones are
    fill, but not all are. Raises :class:`NotFused` where there is none."""
    size = len(places)
    real = np.flatnonzero(places >= 0)
    if listed:
        if len(real) < size:
            raise NotFused("what a gather picks can't be filled along the gathered axis")
        return Walk(size, pitch, target, extent=elements, entries=places.astype(np.int32))
    first, taken = int(real[0]), places[real]
    apart = int(real[1]) - first if len(real) > 1 else 1
    step = int(taken[1] - taken[0]) if len(real) > 1 else 0
    if not (np.diff(real) == apart).all() or not (np.diff(taken) == step).all():
        raise NotFused("the elements along an axis don't lie at equal distances, which a command needs")
    stride, base = step * pitch, int(taken[0]) * pitch
    if len(real) == size:
        return Walk(size, stride, target, base)
    if apart > _GAPS + 1:
        raise NotFused(f"{apart - 1} elements of fill between two others are more than {_GAPS}")
    phase = -first % apart
    return Walk(size, stride, target, base, len(real), -((first + phase) // apart), apart - 1, phase)


def merge(walks: Sequence[Walk]) -> list[Walk]:
    """From the innermost outwards: single elements go into the base of the first one, dense neighbours join."""
    result: list[Walk] = []
    base = 0
    for walk in walks:
        base += walk.base
        walk = replace(walk, base=0)
        if walk.plain and walk.size == 1:
            continue
        inner = result[-1] if result else None
        if (
            inner is not None and inner.plain and walk.plain and walk.stride == inner.size * inner.stride
            and walk.target == inner.size * inner.target and walk.size * inner.size <= LIMIT
        ):
            result[-1] = replace(inner, size=inner.size * walk.size)
        else:
            result.append(walk)
    result = result or [replace(walks[0], size=1, base=0)]
    return [replace(result[0], base=base), *result[1:]]


def cut(walks: Sequence[Walk], rank: int) -> Iterator[tuple[int, int, list[Walk]]]:
    """(offset in the source, in the target, walks) of each command: plain sizes beyond the field become two dimensions where there is
    room for them, and pieces where there isn't."""
    index = next((i for i, walk in enumerate(walks) if walk.size > LIMIT), None)
    if index is None:
        yield 0, 0, list(walks)
        return
    walk = walks[index]
    assert walk.plain
    before, after = walks[:index], walks[index + 1 :]
    count, rest = divmod(walk.size, _PART)
    part, whole = replace(walk, size=_PART), replace(walk, size=count, stride=walk.stride * _PART, target=walk.target * _PART, base=0)
    pieces: list[tuple[int, list[Walk]]] = []
    if count > 1 and len(walks) < rank:
        pieces.append((0, [*before, part, whole, *after]))
    else:
        pieces += [(n * _PART, [*before, part, *after]) for n in range(count)]
    if rest:
        pieces.append((count * _PART, [*before, replace(walk, size=rest), *after]))
    for start, piece in pieces:
        for source, target, walked in cut(piece, rank):
            yield source + start * walk.stride, target + start * walk.target, walked
