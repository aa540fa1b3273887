"""Random commands for the data engine: good ones that touch every shape, and hostile ones that break one rule each."""

import random

from rtl.isa import DataOp, Space, Status
from verif.data_engine.model import RANK, Memories, make, numbers

__all__ = ["HOSTILE", "Stimulus"]

#: Ways to break a command, and the status that each asks for.
HOSTILE = {
    "op": Status.UNDEFINED_OPCODE, "element": Status.UNSUPPORTED, "source": Status.UNSUPPORTED, "destination": Status.UNSUPPORTED,
    "size_zero": Status.SIZE, "size_large": Status.SIZE, "extent": Status.SIZE, "step": Status.SIZE,
    "src_base": Status.ALIGNMENT, "dst_base": Status.ALIGNMENT, "src_stride": Status.ALIGNMENT, "dst_stride": Status.ALIGNMENT,
    "src_below": Status.ADDRESS, "src_beyond": Status.ADDRESS, "dst_below": Status.ADDRESS, "dst_beyond": Status.ADDRESS,
    "src_far": Status.ADDRESS, "dst_far": Status.ADDRESS,
}


def box(rng: random.Random, sizes: list[int], unit: int) -> tuple[list[int], int, int]:
    """Strides of a tensor whose elements don't overlap, and the lowest and highest offset of its bytes.

    Dimensions nest in a random order, with random gaps and signs; dense ones are likely.
    """
    order = list(range(RANK))
    if rng.random() < 0.3:
        rng.shuffle(order)
    dense = rng.random() < 0.6
    strides, reach = [0] * RANK, unit
    for d in order:
        strides[d] = reach + (0 if dense and rng.random() < 0.8 else rng.randrange(4)) * unit
        reach += strides[d] * (sizes[d] - 1)
        if not dense and rng.random() < 0.2:
            strides[d] = -strides[d]
    return strides, *span(strides, sizes, unit)


def span(strides: list[int], sizes: list[int], unit: int) -> tuple[int, int]:
    """Lowest and highest byte offset."""
    ends = [stride * (size - 1) for stride, size in zip(strides, sizes, strict=True)]
    return sum(min(end, 0) for end in ends), sum(max(end, 0) for end in ends) + unit - 1


class Stimulus:
    """Draws commands that are legal on `memories` and move up to about `most` bytes.

    Sources come from the lower half of a space's window and destinations from the upper half, or the other way round, so that a
    command never overlaps itself while commands read what others wrote.
    """

    def __init__(self, rng: random.Random, memories: Memories, cluster: bool = False, most: int = 2000):
        self._rng = rng
        self._memories = memories
        self._spaces = [Space.L2, Space.L3] if cluster else list(Space)
        self._most = most

    def command(self, op: DataOp | None = None, *, element: int | None = None) -> dict:
        """One legal command; draws until it fits."""
        rng = self._rng
        while True:
            # The retry must not change what is asked for, or the large shapes would drop out.
            wanted = op or rng.choice(list(DataOp))
            width = rng.randrange(3) if element is None else element
            unit = 1 << width
            sizes = self._sizes(unit)
            swap = rng.random() < 0.5
            source, destination = rng.choice(self._spaces), rng.choice(self._spaces)
            dst_stride, *reach = box(rng, sizes, unit)
            dst_base = self._place(destination, reach, unit, upper=not swap)
            fields = {"size": sizes, "dst_base": dst_base, "dst_stride": dst_stride, "element": width,
                      "fill": rng.getrandbits(32), "tag": rng.getrandbits(32)}
            if wanted is DataOp.COPY:
                fields.update(self._copy_source(source, sizes, unit, dst_stride, upper=swap))
            elif wanted is DataOp.SLICE:
                fields.update(self._slice_source(source, sizes, unit, dst_stride, upper=swap))
            else:
                # Ignored words may hold anything.
                fields.update(src_base=rng.getrandbits(32), src_stride=[rng.getrandbits(31) for _ in range(RANK)])
            if dst_base is None or fields["src_base"] is None:
                continue
            command = make(wanted, source, destination, **fields)
            if wanted is not DataOp.SLICE:
                for name in ("offset", "step", "extent"):
                    for d in range(RANK):
                        command[f"{name}{d}"] = rng.getrandbits(31)
            assert self._memories.verdict(command)[0] is Status.OK, command
            return command

    def _sizes(self, unit: int) -> list[int]:
        rng = self._rng
        rank = rng.choice([1, 1, 2, 2, 3, 4, 5])
        budget = max(self._most // unit, 1)
        if rng.random() < 0.7:
            budget = min(budget, 100)
        sizes = [1] * RANK
        places = list(range(rank)) if rng.random() < 0.7 else sorted(rng.sample(range(RANK), rank))
        for d in places:
            sizes[d] = rng.randint(1, max(budget, 1)) if rng.random() < 0.4 else rng.randint(1, max(min(budget, 8), 1))
            budget //= sizes[d]
        return sizes

    def _region(self, space: Space, upper: bool) -> tuple[int, int]:
        whole = {Space.L3: self._memories.window}.get(space, (0, len(self._memories.space[space])))
        middle = (whole[0] + whole[1]) // 2
        return (middle, whole[1]) if upper else (whole[0], middle)

    def _place(self, space: Space, reach: list[int], unit: int, upper: bool) -> int | None:
        """A base for which the box of offsets `reach` lies in the region; near an end of it often."""
        first, limit = self._region(space, upper)
        least, most = -(-(first - reach[0]) // unit), (limit - 1 - reach[1]) // unit
        if least > most:
            return None
        return unit * self._rng.choice([least, most, self._rng.randint(least, most), self._rng.randint(least, min(most, least + 300))])

    def _copy_source(self, space: Space, sizes: list[int], unit: int, dst_stride: list[int], upper: bool) -> dict:
        rng = self._rng
        style = rng.random()
        if style < 0.3:
            strides = list(dst_stride)
        elif style < 0.7:
            strides = box(rng, sizes, unit)[0]
        else:
            # Anything goes for a source: broadcasts, overlaps.
            strides = [rng.choice([0, unit, -unit, unit * rng.randint(-40, 40)]) for _ in sizes]
        return {"src_stride": strides, "src_base": self._place(space, list(span(strides, sizes, unit)), unit, upper)}

    def _slice_source(self, space: Space, sizes: list[int], unit: int, dst_stride: list[int], upper: bool) -> dict:
        """A source tensor of `extent`, and a window of indices that reaches beyond it."""
        rng = self._rng
        if rng.random() < 0.25:
            # The same shape, shifted in some dimensions: those inside merge, those outside must not.
            offset = [rng.choice([0, 0, rng.randint(-2, 2)]) for _ in sizes]
            origin = self._place(space, list(span(dst_stride, sizes, unit)), unit, upper)
            base = None if origin is None else origin + sum(o * s for o, s in zip(offset, dst_stride, strict=True))
            return {"extent": sizes, "step": [1] * RANK, "offset": offset, "src_base": base, "src_stride": dst_stride}
        extent = [max(1, size + rng.randint(-min(size, 6), 6)) if rng.random() < 0.8 else rng.randint(1, 5) for size in sizes]
        step = [1 if rng.random() < 0.6 else rng.choice([-1, 2, -2, 3, -3, 0, 7, rng.randint(-30, 30)]) for _ in sizes]
        offset = []
        for d in range(RANK):
            style = rng.random()
            if style < 0.45:
                offset.append(0 if step[d] >= 0 else extent[d] - 1)
            elif style < 0.95:
                offset.append(rng.randint(-4, 4) if step[d] >= 0 else extent[d] - 1 + rng.randint(-4, 4))
            else:
                offset.append(rng.randint(-100000, 100000))
        strides, *reach = box(rng, extent, unit)
        origin = self._place(space, reach, unit, upper)
        base = None if origin is None else origin + sum(o * s for o, s in zip(offset, strides, strict=True))
        if base is not None and not -(1 << 31) <= base < 1 << 31:
            base = None
        return {
            "extent": extent, "step": step, "offset": offset, "src_base": base,
            "src_stride": [s * t for s, t in zip(strides, step, strict=True)],
        }

    def hostile(self, rule: str) -> dict:
        """A command that breaks `rule` of :data:`HOSTILE` and often later ones too; what it asks for is up to the model."""
        rng = self._rng
        while True:
            op = {"extent": DataOp.SLICE, "step": DataOp.SLICE}.get(rule)
            if rule.startswith("src"):
                op = rng.choice([DataOp.COPY, DataOp.SLICE])
            command = self.command(op, element=rng.choice([1, 2]) if HOSTILE[rule] is Status.ALIGNMENT else None)
            d = rng.randrange(RANK)
            self._break(rule, command, d)
            if rng.random() < 0.3 and HOSTILE[rule] is not Status.ADDRESS:
                command["dst_base"] ^= 0x80000001
            if self._memories.verdict(command)[0] is HOSTILE[rule]:
                return command

    def _break(self, rule: str, command: dict, d: int):
        rng = self._rng
        unit = 1 << command["mode"]["element"]
        side = rule[:3]
        if rule in ("op", "element", "source", "destination"):
            command["mode"][rule] = rng.choice([0, *range(4, 16)]) if rule == "op" else 3
        elif rule == "size_zero":
            command[f"size{d}"] = rng.choice([0, 0x10000, 0x80000000])
        elif rule == "size_large":
            command[f"size{d}"] = rng.choice([0x10001, 0xFFFFFFFF, 0x80000001])
        elif rule == "extent":
            command[f"extent{d}"] = rng.choice([0, 0x10000, 0xFFFFFFFF])
        elif rule == "step":
            command[f"step{d}"] = rng.choice([32768, -32769, 0x10001 << 12, -(1 << 31)])
        elif rule.endswith("_base"):
            command[rule] ^= rng.randint(1, unit - 1)
        elif rule.endswith("_stride"):
            command[f"{rule}{d}"] += rng.randint(1, unit - 1)
        elif rule.endswith(("_below", "_beyond")):
            # By one element, at either end.
            command[f"{side}_base"] = (command[f"{side}_base"] + unit * rng.choice([-1, 1]) * rng.choice([1, 1 << 13])) & 0xFFFFFFFF
            if rng.random() < 0.8:
                self._to_the_edge(command, side, below=rule.endswith("below"))
        else:
            # The products need more than 32 bits.
            command[f"size{d}"] = rng.choice([65535, 40000])
            command[f"{side}_stride{d}"] = rng.choice([-(1 << 31), (1 << 31) - unit, 1 << 30, 1 << 16])

    def _to_the_edge(self, command: dict, side: str, below: bool):
        """Moves a box so that exactly one element lies outside its window."""
        mode = command["mode"]
        unit = 1 << mode["element"]
        space = mode["source" if side == "src" else "destination"]
        if side == "src" and mode["op"] is DataOp.SLICE:
            return
        lowest, highest = span(numbers(command, f"{side}_stride"), numbers(command, "size"), unit)
        first, limit = self._region(space, False)[0], self._region(space, True)[1]
        base = first - lowest - unit if below else limit - highest + unit - 1
        if base >= 0:
            command[f"{side}_base"] = base
