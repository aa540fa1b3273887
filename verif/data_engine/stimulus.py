"""Random commands for the data engine: good ones that touch every shape, and hostile ones that break one rule each."""

import random

import numpy as np

from rtl.formats import Format
from rtl.isa import DataOp, Space, Status
from verif.data_engine.model import MODE_BITS, RANK, Memories, element_bytes, make, numbers

__all__ = ["HOSTILE", "KINDS", "Stimulus"]

#: Ways to break a command, and the status that each asks for.
HOSTILE = {
    "op": Status.UNDEFINED_OPCODE, "element": Status.UNSUPPORTED, "source": Status.UNSUPPORTED, "destination": Status.UNSUPPORTED,
    "reserved": Status.UNSUPPORTED, "format": Status.UNSUPPORTED, "share": Status.UNSUPPORTED, "gather": Status.UNSUPPORTED,
    "tile": Status.UNSUPPORTED, "index": Status.UNSUPPORTED,
    "size_zero": Status.SIZE, "size_large": Status.SIZE, "extent": Status.SIZE, "step": Status.SIZE, "offset": Status.SIZE,
    "phase": Status.SIZE, "overlap": Status.SIZE,
    "src_base": Status.ALIGNMENT, "dst_base": Status.ALIGNMENT, "src_stride": Status.ALIGNMENT, "dst_stride": Status.ALIGNMENT,
    "list_crooked": Status.ALIGNMENT,
    "src_below": Status.ADDRESS, "src_beyond": Status.ADDRESS, "dst_below": Status.ADDRESS, "dst_beyond": Status.ADDRESS,
    "src_far": Status.ADDRESS, "dst_far": Status.ADDRESS, "list_beyond": Status.ADDRESS, "table_far": Status.ADDRESS,
}

#: Kinds of commands that are drawn.
KINDS = ("copy", "transpose", "fill", "slice", "slice_transpose", "gaps", "window", "gather")


def box(rng: random.Random, sizes: list[int], unit: int, first: int | None = None) -> tuple[list[int], int, int]:
    """Strides of a tensor whose elements don't overlap, and the lowest and highest offset of its bytes.

    Dimensions nest in a random order, with random gaps and signs; dense ones are likely. Dimension `first` is dense.
    """
    order = list(range(RANK))
    if rng.random() < 0.3:
        rng.shuffle(order)
    if first is not None:
        order.sort(key=lambda d: d != first)
    strides, reach = [0] * RANK, unit
    dense = rng.random() < 0.6
    for d in order:
        strides[d] = reach + (0 if d == first or (dense and rng.random() < 0.8) else rng.randrange(4)) * unit
        reach += strides[d] * (sizes[d] - 1)
        if not dense and d != first and rng.random() < 0.2:
            strides[d] = -strides[d]
    return strides, *span(strides, sizes, unit)


def span(strides: list[int], sizes: list[int], unit: int) -> tuple[int, int]:
    """Lowest and highest byte offset."""
    ends = [stride * (size - 1) for stride, size in zip(strides, sizes, strict=True)]
    return sum(min(end, 0) for end in ends), sum(max(end, 0) for end in ends) + unit - 1


class Stimulus:
    """Draws commands that are legal on `memories` and move up to about `most` bytes.

    Sources come from the lower half of a space's window and destinations from the upper half, or the other way round, so that a
    command never overlaps itself while commands read what others wrote. Lists of indices are written by :meth:`command` itself into
    `memories` and `actual`, in a ring in front of the halves: no more than a few dozen may wait to be run. Without `actual`, nothing
    gathers.
    """

    def __init__(self, rng: random.Random, memories: Memories, actual: Memories | None, cluster: bool = False, most: int = 2000):
        self._rng = rng
        self._memories = memories
        self._actual = actual
        self._spaces = [Space.L2, Space.L3] if cluster else list(Space)
        self._most = most
        #: Bytes at the beginning of each space's window that hold lists of indices and nothing else.
        self._lists = 0 if actual is None else 2048
        self._kinds = KINDS if actual is not None else tuple(kind for kind in KINDS if kind != "gather")
        self._next_list = 0

    def command(self, kind: str | None = None, *, element: int | None = None, convert: bool | None = None) -> dict:
        """One legal command; draws until it fits. `element` is log2 of its bytes where nothing is converted."""
        # The retry must not change what is asked for, or the large shapes would drop out.
        rng = self._rng
        wanted = kind or rng.choice(self._kinds)
        converts = wanted != "fill" and element is None and (rng.random() < 0.25 if convert is None else convert)
        mode = {"element": rng.randrange(3) if element is None else element}
        if converts:
            mode.update(convert=1, source_format=rng.choice(list(Format)), destination_format=rng.choice(list(Format)))
        while True:
            command = self._draw(wanted, dict(mode))
            if command is not None and self._memories.verdict(command)[0] is Status.OK:
                return command

    def _draw(self, kind: str, mode: dict) -> dict | None:
        rng = self._rng
        source, destination = rng.choice(self._spaces), rng.choice(self._spaces)
        unit_in, unit_out = element_bytes({"mode": {"convert": 0, **mode}})
        tile = kind.endswith("transpose")
        mode["tile"] = int(tile)
        sizes = self._sizes(max(unit_in, unit_out), wide=tile)
        swap = rng.random() < 0.5
        dst_stride, *reach = box(rng, sizes, unit_out, first=0 if tile else None)
        dst_base = self._place(destination, reach, unit_out, upper=not swap)
        # Words that aren't used may hold anything.
        fields = {
            "size": sizes, "dst_base": dst_base, "dst_stride": dst_stride, "fill": rng.getrandbits(32), "tag": rng.getrandbits(32),
            "index_base": rng.getrandbits(32),
        }
        loose = {name: [rng.getrandbits(31) for _ in range(RANK)] for name in ("offset", "step", "extent")}
        if kind == "fill":
            fields.update(src_base=rng.getrandbits(32), src_stride=[rng.getrandbits(31) for _ in range(RANK)], **loose)
        elif kind in ("copy", "transpose"):
            fields.update(self._copy_source(source, sizes, unit_in, [s * unit_in // unit_out for s in dst_stride], swap, tile), **loose)
        else:
            fields.update(self._slice_source(kind, source, sizes, unit_in, swap, tile))
            if kind == "gather":
                fields.update(index=rng.choice(self._spaces))
        if dst_base is None or fields["src_base"] is None:
            return None
        op = {"fill": DataOp.FILL, "copy": DataOp.COPY, "transpose": DataOp.COPY}.get(kind, DataOp.SLICE)
        command = make(op, source, destination, **fields, **mode)
        if kind == "gather":
            self._list(command)
        return command

    def _list(self, command: dict):
        """Writes the list of a gather; some have entries that name no row."""
        rng = self._rng
        count, rows = command["size4"], command["extent4"]
        entries = [rng.randrange(rows) for _ in range(count)]
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            entries[rng.randrange(count)] = rng.choice([-1, rows, rows + 1, 2**31 - 1, -(2**31)])
        if self._next_list + 4 * count > self._lists:
            self._next_list = 0
        space = Space(command["mode"]["index"])
        command["index_base"] = self._whole(space)[0] + self._next_list
        assert self._actual is not None
        for memories in (self._memories, self._actual):
            place = memories.space[space][command["index_base"]:]
            place[:4 * count] = np.array(entries, "<i4").view(np.uint8)
        self._next_list += 4 * count

    def _sizes(self, unit: int, wide: bool = False) -> list[int]:
        rng = self._rng
        rank = rng.choice([2, 2, 3, 4, 5] if wide else [1, 1, 2, 2, 3, 4, 5])
        budget = max(self._most // unit, 1)
        if rng.random() < (0.4 if wide else 0.7):
            budget = min(budget, 100)
        sizes = [1] * RANK
        places = list(range(rank)) if wide or rng.random() < 0.7 else sorted(rng.sample(range(RANK), rank))
        for d in places:
            most = budget if rng.random() < 0.4 else min(budget, 40 if wide and d < 2 else 8)
            sizes[d] = rng.randint(1, max(most, 1))
            budget //= sizes[d]
        return sizes

    def _whole(self, space: Space) -> tuple[int, int]:
        return {Space.L3: self._memories.window}.get(space, (0, len(self._memories.space[space])))

    def _region(self, space: Space, upper: bool) -> tuple[int, int]:
        first, limit = self._whole(space)
        first += self._lists
        middle = (first + limit) // 2
        return (middle, limit) if upper else (first, middle)

    def _place(self, space: Space, reach: list[int], unit: int, upper: bool) -> int | None:
        """A base for which the box of offsets `reach` lies in the region; near an end of it often."""
        first, limit = self._region(space, upper)
        least, most = -(-(first - reach[0]) // unit), (limit - 1 - reach[1]) // unit
        if least > most:
            return None
        return unit * self._rng.choice([least, most, self._rng.randint(least, most), self._rng.randint(least, min(most, least + 300))])

    def _copy_source(self, space: Space, sizes: list[int], unit: int, like: list[int], upper: bool, tile: bool) -> dict:
        rng = self._rng
        style = rng.random()
        if tile:
            strides = box(rng, sizes, unit, first=1)[0]
            if style < 0.3:
                strides[rng.choice([0, 2, 3, 4])] *= rng.choice([-1, 0])
        elif style < 0.3:
            strides = list(like)
        elif style < 0.7:
            strides = box(rng, sizes, unit)[0]
        else:
            # Anything goes for a source: broadcasts, overlaps, mirrors.
            strides = [rng.choice([0, unit, -unit, unit * rng.randint(-40, 40)]) for _ in sizes]
        return {"src_stride": strides, "src_base": self._place(space, list(span(strides, sizes, unit)), unit, upper)}

    def _slice_source(self, kind: str, space: Space, sizes: list[int], unit: int, upper: bool, tile: bool) -> dict:
        """A source tensor of `extent`, and indices that reach beyond it."""
        rng = self._rng
        fields: dict = {"gaps": [0] * RANK, "phase": [0] * RANK}
        shifted = rng.random() < 0.25
        extent = [max(1, size + rng.randint(-min(size, 6), 6)) if rng.random() < 0.8 else rng.randint(1, 5) for size in sizes]
        step = [1 if rng.random() < 0.6 else rng.choice([-1, 2, -2, 3, -3, 0, 7, rng.randint(-30, 30)]) for _ in sizes]
        if shifted:
            extent, step = list(sizes), [1] * RANK
        if tile:
            step[:2] = [1, 1]
        offset = []
        for d in range(RANK):
            style = rng.random()
            if shifted:
                offset.append(rng.choice([0, 0, rng.randint(-2, 2)]))
            elif style < 0.45:
                offset.append(0 if step[d] >= 0 else extent[d] - 1)
            elif style < 0.95:
                offset.append(rng.randint(-4, 4) if step[d] >= 0 else extent[d] - 1 + rng.randint(-4, 4))
            else:
                offset.append(rng.choice([-65536, 65535, rng.randint(-65536, 65535)]))
        if kind == "gaps":
            for d in range(RANK):
                if rng.random() < 0.6:
                    fields["gaps"][d] = rng.choice([1, 1, 2, 3, rng.randint(0, 255)])
                    fields["phase"][d] = rng.randint(0, fields["gaps"][d])
        free = [1] * RANK
        if kind == "window" or (kind == "slice_transpose" and rng.random() < 0.2):
            fields["share3"], fields["share4"] = rng.choice([(2, 3), (1, 2), (1, 0), (0, 2), (3, 3)])
            for d in (3, 4):
                if fields[f"share{d}"]:
                    free[d] = 0
                    step[d] = rng.choice([1, 2, 3, -1])
        strides, *reach = box(rng, [n if used else 1 for n, used in zip(extent, free, strict=True)], unit, first=1 if tile else None)
        origin = self._place(space, reach, unit, upper)
        for d in range(RANK):
            if not free[d]:
                offset[d], extent[d], strides[d] = rng.getrandbits(31), rng.getrandbits(31), rng.getrandbits(31)
        if kind == "gather":
            offset[4], step[4] = rng.getrandbits(31), rng.getrandbits(31)
            fields["gaps"][4], fields["phase"][4] = rng.randrange(256), rng.randrange(256)
            fields["gather"] = 1
        return {"extent": extent, "step": step, "offset": offset, "src_base": origin, "src_stride": strides, **fields}

    def hostile(self, rule: str) -> dict:
        """A command that breaks `rule` of :data:`HOSTILE` and often later ones too; what it asks for is up to the model."""
        rng = self._rng
        sliced = {
            "extent": "slice", "step": "slice", "offset": "slice", "phase": "gaps", "share": "fill", "gather": "copy", "tile": "transpose",
        }
        while True:
            kind = sliced.get(rule)
            if rule in ("index", "list_crooked", "list_beyond", "table_far"):
                kind = "gather"
            elif rule.startswith("src"):
                kind = rng.choice(["copy", "slice"])
            command = self.command(kind, element=rng.choice([1, 2]) if HOSTILE[rule] is Status.ALIGNMENT else None,
                                   convert=True if rule == "format" else False if rule == "element" else None)
            d = rng.randrange(RANK)
            self._break(rule, command, d)
            if rng.random() < 0.3 and HOSTILE[rule] is not Status.ADDRESS and rule != "overlap":
                command["dst_base"] ^= 0x80000001
            if self._memories.verdict(command)[0] is HOSTILE[rule]:
                return command

    def mixture(self) -> dict:
        """A refused command with up to four things wrong, or with random words."""
        rng = self._rng
        while True:
            command = self.command()
            for _ in range(rng.randint(1, 4)):
                if rng.random() < 0.5 and self._sound(command["mode"]):
                    rule = rng.choice(list(HOSTILE))
                    if min(element_bytes(command)) > 1 or HOSTILE[rule] is not Status.ALIGNMENT:
                        self._break(rule, command, rng.randrange(RANK))
                else:
                    word = rng.choice([name for name in command if name not in ("mode", "tag")])
                    small = word.startswith(("gaps", "phase"))
                    command[word] = rng.getrandbits(8) if small else rng.choice([
                        rng.getrandbits(32), 1 << rng.randrange(32), (1 << 32) - 1, 0, (command[word] + rng.randint(-2, 2)) & 0xFFFFFFFF])
            # One change after another may lead out of the word.
            for word, value in command.items():
                if word.startswith(("offset", "step", "src_stride", "dst_stride")):
                    command[word] = (value + (1 << 31)) % (1 << 32) - (1 << 31)
                elif word.startswith(("src_base", "dst_base", "index_base", "size", "extent")):
                    command[word] = value % (1 << 32)
            if rng.random() < 0.1:
                command["mode"] = {name: rng.getrandbits(7) for name in command["mode"]}
                command["mode"] = {name: value & (1 << MODE_BITS[name]) - 1 for name, value in command["mode"].items()}
            if self._memories.verdict(command)[0] is not Status.OK:
                return command

    @staticmethod
    def _sound(mode: dict) -> bool:
        """Its elements and spaces exist."""
        codes = {name: getattr(value, "value", value) for name, value in mode.items()}
        spaces = (codes["source"], codes["destination"], codes["index"])
        return codes["element"] < 3 and 7 not in (codes["source_format"], codes["destination_format"]) and 3 not in spaces

    def _break(self, rule: str, command: dict, d: int):
        rng = self._rng
        mode = command["mode"]
        unit = dict(zip(("src", "dst"), element_bytes(command), strict=True))
        side = rule[:3]
        if rule in ("op", "element", "source", "destination", "index"):
            mode[rule] = rng.choice([0, *range(4, 16)]) if rule == "op" else 3
        elif rule == "reserved":
            mode[rule] = 1 << rng.randrange(7)
        elif rule == "format":
            mode[rng.choice(["source_format", "destination_format"])] = 7
        elif rule == "share":
            mode[rng.choice(["share3", "share4", "convert", "tile", "gather"])] = 1
        elif rule == "gather":
            mode[rng.choice(["share3", "share4", "gather"])] = 1
        elif rule == "tile":
            command[rng.choice(["dst_stride0", "src_stride1"])] += rng.choice([-4, 4, 8, 1 << 16])
        elif rule == "size_zero":
            command[f"size{d}"] = rng.choice([0, 0x10000, 0x80000000])
        elif rule == "size_large":
            command[f"size{d}"] = rng.choice([0x10001, 0xFFFFFFFF, 0x80000001])
        elif rule == "extent":
            command[f"extent{d}"] = rng.choice([0, 0x10000, 0xFFFFFFFF])
        elif rule == "step":
            command[f"step{d}"] = rng.choice([32768, -32769, 0x10001 << 12, -(1 << 31)])
        elif rule == "offset":
            command[f"offset{d}"] = rng.choice([65536, -65537, 1 << 30, -(1 << 31)])
        elif rule == "phase":
            command[f"phase{d}"] = command[f"gaps{d}"] + 1 & 255
        elif rule == "overlap":
            command[f"size{d}"] = rng.randint(2, 65535)
            command[f"dst_stride{d}"] = rng.choice([0, unit["dst"], -unit["dst"]])
        elif rule == "list_crooked":
            command["index_base"] += rng.randint(1, 3)
        elif rule == "list_beyond":
            first, limit = self._whole(Space(mode["index"]))
            command["index_base"] = rng.choice([limit, limit - 4 * command["size4"] + 4, (first - 4) & 0xFFFFFFFC, 0xFFFFFFFC])
        elif rule == "table_far":
            command["extent4"] = rng.choice([2**31 - 1, 65537, 1 << 20, 1 << 16])
            command["src_stride4"] = unit["src"] * rng.choice([1, -1, 64, 1 << 20, -(1 << 29)])
        elif rule.endswith("_base"):
            command[rule] ^= rng.randint(1, unit[side] - 1)
        elif rule.endswith("_stride"):
            command[f"{rule}{d}"] += rng.randint(1, unit[side] - 1)
        elif rule.endswith(("_below", "_beyond")):
            # By one element, at either end.
            command[f"{side}_base"] = (command[f"{side}_base"] + unit[side] * rng.choice([-1, 1]) * rng.choice([1, 1 << 13])) & 0xFFFFFFFF
            if rng.random() < 0.8:
                self._to_the_edge(command, side, unit[side], below=rule.endswith("below"))
        else:
            # The products need more than 32 bits.
            command[f"extent{d}" if side == "src" and mode["op"] is DataOp.SLICE else f"size{d}"] = rng.choice([65535, 40000])
            command[f"{side}_stride{d}"] = rng.choice([-(1 << 31), (1 << 31) - unit[side], 1 << 30, 1 << 16])

    def _to_the_edge(self, command: dict, side: str, unit: int, below: bool):
        """Moves a box so that exactly one element lies outside its window."""
        mode = command["mode"]
        space = mode["source" if side == "src" else "destination"]
        if side == "src" and (mode["share3"] or mode["share4"]):
            return
        sizes = "extent" if side == "src" and mode["op"] is DataOp.SLICE else "size"
        lowest, highest = span(numbers(command, f"{side}_stride"), numbers(command, sizes), unit)
        first, limit = self._whole(space)
        base = first - lowest - unit if below else limit - highest + unit - 1
        if base >= 0:
            command[f"{side}_base"] = base
