"""What the data engine should do, in numpy and exact integers, written from the command's definition."""

import random

import numpy as np

from rtl.config import ChipConfig
from rtl.isa import DataCommand, DataOp, Space, Status, words_of

__all__ = ["RANK", "Memories", "encode", "make", "numbers"]

RANK = 5


def make(op, source, destination, *, size, src_base=0, dst_base=0, src_stride=(), dst_stride=(), element=0, fill=0, tag=0,
         offset=(), step=(), extent=()) -> dict:
    """A command; missing dimensions have size 1, stride 0, and in SLICE 0, 1, 1."""
    command = {
        "mode": {"op": op, "element": element, "source": source, "destination": destination},
        "tag": tag, "src_base": src_base & 0xFFFFFFFF, "dst_base": dst_base & 0xFFFFFFFF, "fill": fill,
    }
    lists = {
        "size": (size, 1), "src_stride": (src_stride, 0), "dst_stride": (dst_stride, 0),
        "offset": (offset, 0), "step": (step, 1), "extent": (extent, 1),
    }
    for name, (values, rest) in lists.items():
        for d in range(RANK):
            command[f"{name}{d}"] = int(values[d]) if d < len(values) else rest
    return command


def numbers(command: dict, name: str) -> list[int]:
    return [command[f"{name}{d}"] for d in range(RANK)]


def encode(command: dict) -> int:
    """The bits of a command, also of one with codes that no enum has."""
    mode = command["mode"]
    words = {**command, "mode": _int(mode["op"]) | mode["element"] << 4 | _int(mode["source"]) << 6 | _int(mode["destination"]) << 8}
    return sum((words[name] & 0xFFFFFFFF) << 32 * number for number, name in enumerate(words_of(DataCommand)))


class Memories:
    """The three spaces as arrays of bytes, and what a command does to them."""

    def __init__(self, config: ChipConfig, l3_bytes: int, rng: random.Random):
        self.config = config
        generator = np.random.default_rng(rng.getrandbits(32))
        sizes = {Space.L1: config.l1_bytes, Space.L2: config.l2_bytes, Space.L3: l3_bytes}
        self.space = {space: generator.integers(0, 256, size, dtype=np.uint8) for space, size in sizes.items()}
        self.window = (0, l3_bytes)

    def copy(self) -> "Memories":
        other = object.__new__(Memories)
        other.config, other.window = self.config, self.window
        other.space = {space: array.copy() for space, array in self.space.items()}
        return other

    # The rules, in their order

    def verdict(self, command: dict, cluster: bool = False) -> tuple[Status, int]:
        """Status and address of a command on a bus without errors."""
        mode = command["mode"]
        op, element = mode["op"], mode["element"]
        source, destination = mode["source"], mode["destination"]
        known = [o.value for o in DataOp]
        if _int(op) not in known:
            return Status.UNDEFINED_OPCODE, 0
        op = DataOp(_int(op))
        reads = op is not DataOp.FILL
        if element == 3 or _int(source) == 3 or _int(destination) == 3:
            return Status.UNSUPPORTED, 0
        if cluster and (_int(destination) == 0 or (reads and _int(source) == 0)):
            return Status.UNSUPPORTED, 0
        sizes = numbers(command, "size") + (numbers(command, "extent") if op is DataOp.SLICE else [])
        if not all(1 <= size <= 65535 for size in sizes):
            return Status.SIZE, 0
        if op is DataOp.SLICE and not all(-32768 <= step <= 32767 for step in numbers(command, "step")):
            return Status.SIZE, 0
        unit = 1 << element
        aligned = [command["dst_base"], *numbers(command, "dst_stride")]
        if reads:
            aligned += [command["src_base"], *numbers(command, "src_stride")]
        if any(value % unit for value in aligned):
            return Status.ALIGNMENT, 0
        if reads:
            base = command["src_base"]
            ranges = [(0, size - 1) for size in numbers(command, "size")]
            if op is DataOp.SLICE:
                base = base - (1 << 32) if base >> 31 else base
                ranges = self._inside(command)
            if all(ranges):
                fault = self._bound(base, ranges, numbers(command, "src_stride"), unit, Space(_int(source)))
                if fault is not None:
                    return Status.ADDRESS, fault
        ranges = [(0, size - 1) for size in numbers(command, "size")]
        fault = self._bound(command["dst_base"], ranges, numbers(command, "dst_stride"), unit, Space(_int(destination)))
        return (Status.OK, 0) if fault is None else (Status.ADDRESS, fault)

    @staticmethod
    def _inside(command: dict) -> list:
        """For each dimension the first and last index that lies in the source, or None; found by looking at every index."""
        found = []
        for size, offset, step, extent in zip(
            numbers(command, "size"), numbers(command, "offset"), numbers(command, "step"), numbers(command, "extent"), strict=True
        ):
            index = offset + np.arange(size, dtype=np.int64) * step
            hits = np.flatnonzero((index >= 0) & (index < extent))
            found.append((int(hits[0]), int(hits[-1])) if len(hits) else None)
        return found

    def _bound(self, base: int, ranges: list, strides: list[int], unit: int, space: Space) -> int | None:
        ends = [sorted((low * stride, high * stride)) for (low, high), stride in zip(ranges, strides, strict=True)]
        lowest = base + sum(low for low, _ in ends)
        highest = base + sum(high for _, high in ends) + unit - 1
        first, limit = {Space.L1: (0, self.config.l1_bytes), Space.L2: (0, self.config.l2_bytes), Space.L3: self.window}[space]
        if lowest < first:
            return lowest & 0xFFFFFFFF
        return highest & 0xFFFFFFFF if highest >= limit else None

    # The effect

    def run(self, command: dict):
        """Changes the memories as the command does; only for commands whose verdict is OK."""
        mode = command["mode"]
        op, unit = DataOp(_int(mode["op"])), 1 << mode["element"]
        destination = self.space[Space(_int(mode["destination"]))]
        sizes = numbers(command, "size")
        to = self._addresses(command["dst_base"], sizes, numbers(command, "dst_stride"))
        fill = np.frombuffer(command["fill"].to_bytes(4, "little"), np.uint8)[:unit]
        values = np.broadcast_to(fill, (to.size, unit)).copy()
        if op is not DataOp.FILL:
            source = self.space[Space(_int(mode["source"]))]
            inside = np.ones(sizes[::-1], bool)
            if op is DataOp.SLICE:
                for d in range(RANK):
                    index = command[f"offset{d}"] + np.arange(sizes[d], dtype=np.int64) * command[f"step{d}"]
                    axis = [1] * RANK
                    axis[RANK - 1 - d] = sizes[d]
                    inside &= ((index >= 0) & (index < command[f"extent{d}"])).reshape(axis)
            base = command["src_base"]
            base = base - (1 << 32) if op is DataOp.SLICE and base >> 31 else base
            at = self._addresses(base, sizes, numbers(command, "src_stride"))
            inside = inside.ravel()
            for byte in range(unit):
                values[inside, byte] = source[at[inside] + byte]
        for byte in range(unit):
            destination[to + byte] = values[:, byte]

    @staticmethod
    def _addresses(base: int, sizes: list[int], strides: list[int]) -> np.ndarray:
        total = np.full(sizes[::-1], base, np.int64)
        for d, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
            axis = [1] * RANK
            axis[RANK - 1 - d] = size
            total = total + (np.arange(size, dtype=np.int64) * stride).reshape(axis)
        return total.ravel()


def _int(value) -> int:
    return value if isinstance(value, int) else value.value
