"""What the data engine should do, in numpy and exact integers, written from the command's definition."""

import random

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import DataCommand, DataOp, Space, Status, words_of
from verif.data_engine.convert import convert

__all__ = ["MODE_BITS", "RANK", "Memories", "element_bytes", "encode", "make", "numbers", "owner"]

RANK = 5

#: Bits of the mode word: first bit and width of each member.
_MODE = {
    "op": (0, 4), "element": (4, 2), "source": (6, 2), "destination": (8, 2), "tile": (10, 1), "gather": (11, 1), "index": (12, 2),
    "share3": (14, 2), "share4": (16, 2), "convert": (18, 1), "source_format": (19, 3), "destination_format": (22, 3), "reserved": (25, 7),
}
#: Bits of each member of the mode word.
MODE_BITS = {name: width for name, (_, width) in _MODE.items()}

_BYTES = {0: 4, 1: 4, 2: 2, 3: 2, 4: 1, 5: 4, 6: 1}


def make(op, source, destination, *, size, src_base=0, dst_base=0, src_stride=(), dst_stride=(), element=0, fill=0, tag=0,
         offset=(), step=(), extent=(), gaps=(), phase=(), index_base=0, **mode) -> dict:
    """A command; missing dimensions have size 1, stride 0, and in SLICE 0, 1, 1. `mode` holds further members of the mode word."""
    command = {
        "mode": {**dict.fromkeys(_MODE, 0), "op": op, "element": element, "source": source, "destination": destination, **mode},
        "tag": tag, "src_base": src_base & 0xFFFFFFFF, "dst_base": dst_base & 0xFFFFFFFF, "fill": fill, "index_base": index_base,
    }
    lists = {
        "size": (size, 1), "src_stride": (src_stride, 0), "dst_stride": (dst_stride, 0),
        "offset": (offset, 0), "step": (step, 1), "extent": (extent, 1), "gaps": (gaps, 0), "phase": (phase, 0),
    }
    for name, (values, rest) in lists.items():
        for d in range(RANK):
            command[f"{name}{d}"] = int(values[d]) if d < len(values) else rest
    return command


def numbers(command: dict, name: str) -> list[int]:
    return [command[f"{name}{d}"] for d in range(RANK)]


def encode(command: dict) -> int:
    """The bits of a command, also of one with codes that no enum has."""
    mode = sum((_int(command["mode"][name]) & (1 << width) - 1) << first for name, (first, width) in _MODE.items())
    bytes_of_interior = b"".join(bytes((command[f"gaps{d}"], command[f"phase{d}"])) for d in range(RANK)) + bytes(2)
    interior = {f"interior{name}": int.from_bytes(bytes_of_interior[4 * n:4 * n + 4], "little") for n, name in enumerate(("01", "23", "4"))}
    words = {**command, "mode": mode, **interior}
    return sum((words[name] & 0xFFFFFFFF) << 32 * number for number, name in enumerate(words_of(DataCommand)))


def element_bytes(command: dict) -> tuple[int, int]:
    """Of the source and of the destination; only for codes that exist."""
    mode = command["mode"]
    if mode["convert"]:
        return _BYTES[_int(mode["source_format"])], _BYTES[_int(mode["destination_format"])]
    return 1 << mode["element"], 1 << mode["element"]


def owner(command: dict, d: int) -> int:
    """The coordinate that dimension d moves."""
    share = command["mode"].get(f"share{d}", 0)
    return share - 1 if share else d


class Memories:
    """The three spaces as arrays of bytes, and what a command does to them."""

    def __init__(self, config: ChipConfig, l3_bytes: int, rng: random.Random):
        self.config = config
        generator = np.random.default_rng(rng.getrandbits(32))
        sizes = {Space.L1: config.l1_bytes, Space.L2: config.l2_bytes, Space.L3: l3_bytes}
        self.space = {space: generator.integers(0, 256, size, dtype=np.uint8) for space, size in sizes.items()}
        self.window = (0, l3_bytes)
        #: What the window allows.
        self.read = self.write = True

    def copy(self) -> "Memories":
        other = object.__new__(Memories)
        other.__dict__.update(self.__dict__)
        other.space = {space: array.copy() for space, array in self.space.items()}
        return other

    # The rules, in their order

    def verdict(self, command: dict, cluster: bool = False) -> tuple[Status, int]:
        """Status and address of a command on a bus without errors, before it runs: a bad index shows only in :meth:`run`."""
        mode = {name: _int(value) for name, value in command["mode"].items()}
        if mode["op"] not in [o.value for o in DataOp]:
            return Status.UNDEFINED_OPCODE, 0
        op = DataOp(mode["op"])
        reads, slicing, gathers = op is not DataOp.FILL, op is DataOp.SLICE, bool(mode["gather"])
        if not self._supported(command, mode, op, cluster):
            return Status.UNSUPPORTED, 0
        owned = {owner(command, d) for d in range(RANK) if owner(command, d) == d}
        stepped = [d for d in range(RANK) if not (gathers and d == RANK - 1)]
        if not all(1 <= size <= 65535 for size in numbers(command, "size")):
            return Status.SIZE, 0
        if slicing:
            for k in owned:
                most = 2**31 - 1 if gathers and k == RANK - 1 else 65535
                if not 1 <= command[f"extent{k}"] & 0xFFFFFFFF <= most or (k in stepped and not -65536 <= command[f"offset{k}"] <= 65535):
                    return Status.SIZE, 0
            for d in stepped:
                if not -32768 <= command[f"step{d}"] <= 32767 or command[f"phase{d}"] > command[f"gaps{d}"]:
                    return Status.SIZE, 0
        unit_in, unit_out = element_bytes(command)
        aligned_in = [command["src_base"], *(command[f"src_stride{k}"] for k in range(RANK) if not slicing or k in owned)] if reads else []
        aligned_out = [command["dst_base"], *numbers(command, "dst_stride")]
        if any(value % unit_out for value in aligned_out) or any(value % unit_in for value in aligned_in):
            return Status.ALIGNMENT, 0
        if gathers and command["index_base"] % 4:
            return Status.ALIGNMENT, 0
        checks = []
        if reads:
            ranges = [command[f"extent{k}"] if k in owned else 1 for k in range(RANK)] if slicing else numbers(command, "size")
            strides = [command[f"src_stride{k}"] for k in range(RANK)]
            checks.append((command["src_base"], ranges, strides, unit_in, mode["source"], self.read))
        if gathers:
            checks.append((command["index_base"], [command["size4"]], [4], 4, mode["index"], self.read))
        target = (command["dst_base"], numbers(command, "size"), numbers(command, "dst_stride"), unit_out, mode["destination"], self.write)
        checks.append(target)
        for base, ranges, strides, unit, space, allowed in checks:
            fault = self._bound(base, ranges, strides, unit, Space(space), allowed)
            if fault is not None:
                return Status.ADDRESS, fault
        lowest, highest = self._box(*target[:4])
        elements = 1
        for size in numbers(command, "size"):
            elements *= size
        return (Status.SIZE, 0) if elements * unit_out > highest - lowest + 1 else (Status.OK, 0)

    @staticmethod
    def _supported(command: dict, mode: dict, op: DataOp, cluster: bool) -> bool:
        reads, slicing = op is not DataOp.FILL, op is DataOp.SLICE
        if mode["reserved"]:
            return False
        if (mode["source_format"] == 7 or mode["destination_format"] == 7) if mode["convert"] else mode["element"] == 3:
            return False
        used = [mode["destination"]] + [mode["source"]] * reads + [mode["index"]] * mode["gather"]
        if 3 in (*used, mode["source"]) or (cluster and 0 in used):
            return False
        if not slicing and (mode["gather"] or mode["share3"] or mode["share4"]):
            return False
        if not reads and (mode["convert"] or mode["tile"]):
            return False
        if mode["gather"] and mode["share4"]:
            return False
        if mode["tile"]:
            unit_in, unit_out = element_bytes(command)
            if command["dst_stride0"] != unit_out or command["src_stride1"] != unit_in:
                return False
            gaps = numbers(command, "gaps")[:4 if mode["gather"] else 5]
            if slicing and (command["step0"] != 1 or command["step1"] != 1 or any(gaps)):
                return False
        return True

    @staticmethod
    def _box(base: int, sizes: list[int], strides: list[int], unit: int) -> tuple[int, int]:
        ends = [(size - 1) * stride for size, stride in zip(sizes, strides, strict=True)]
        return base + sum(min(end, 0) for end in ends), base + sum(max(end, 0) for end in ends) + unit - 1

    def _bound(self, base: int, sizes: list[int], strides: list[int], unit: int, space: Space, allowed: bool) -> int | None:
        lowest, highest = self._box(base, sizes, strides, unit)
        first, limit = {Space.L1: (0, self.config.l1_bytes), Space.L2: (0, self.config.l2_bytes), Space.L3: self.window}[space]
        if lowest < first or (space is Space.L3 and not allowed):
            return lowest & 0xFFFFFFFF
        return highest & 0xFFFFFFFF if highest >= limit else None

    # The effect

    def run(self, command: dict) -> tuple[Status, int]:
        """Changes the memories as the command does; only for commands whose verdict is OK. Returns how it ends."""
        mode = command["mode"]
        op = DataOp(_int(mode["op"]))
        unit_in, unit_out = element_bytes(command)
        destination = self.space[Space(_int(mode["destination"]))]
        sizes = numbers(command, "size")
        to = self._sum(command["dst_base"], sizes, [np.arange(size) * stride for size, stride in zip(
            sizes, numbers(command, "dst_stride"), strict=True)]).ravel()
        fill = np.frombuffer((command["fill"] & 0xFFFFFFFF).to_bytes(4, "little"), np.uint8)[:unit_out]
        values = np.broadcast_to(fill, (to.size, unit_out)).copy()
        end = (Status.OK, 0)
        if op is not DataOp.FILL:
            source = self.space[Space(_int(mode["source"]))]
            if op is DataOp.COPY:
                at = self._sum(command["src_base"], sizes, [np.arange(size) * stride for size, stride in zip(
                    sizes, numbers(command, "src_stride"), strict=True)])
                inside = np.ones(sizes[::-1], bool)
            else:
                at, inside, end = self._coordinates(command, sizes)
            at, inside = at.ravel(), inside.ravel()
            found = np.zeros((int(inside.sum()), unit_in), np.uint8)
            for byte in range(unit_in):
                found[:, byte] = source[at[inside] + byte]
            if mode["convert"]:
                found = convert(found, Format(_int(mode["source_format"])), Format(_int(mode["destination_format"])))
            values[inside] = found
        for byte in range(unit_out):
            destination[to + byte] = values[:, byte]
        return end

    def _coordinates(self, command: dict, sizes: list[int]) -> tuple[np.ndarray, np.ndarray, tuple[Status, int]]:
        """Address of each element's source, whether it has one, and how the command ends."""
        end = (Status.OK, 0)
        terms: list[list] = [[None] * RANK for _ in range(RANK)]
        inside = np.ones(sizes[::-1], bool)
        for d, size in enumerate(sizes):
            place = command[f"phase{d}"] + np.arange(size, dtype=np.int64)
            count = command[f"gaps{d}"] + 1
            listed = command["mode"]["gather"] and d == RANK - 1
            if listed:
                space = self.space[Space(_int(command["mode"]["index"]))]
                entries = space[command["index_base"]:command["index_base"] + 4 * size].copy().view("<i4").astype(np.int64)
                bad = np.flatnonzero((entries < 0) | (entries >= command["extent4"]))
                if len(bad):
                    end = (Status.INDEX, command["index_base"] + 4 * int(bad[0]))
                terms[d][d] = entries
                continue
            inside &= self._along(d, place % count == 0)
            terms[owner(command, d)][d] = place // count * command[f"step{d}"]
        at = np.full(sizes[::-1], command["src_base"], np.int64)
        for k in range(RANK):
            if owner(command, k) != k:
                continue
            listed = command["mode"]["gather"] and k == RANK - 1
            j = self._sum(0 if listed else command[f"offset{k}"], sizes, terms[k])
            inside &= (j >= 0) & (j < command[f"extent{k}"])
            at += j * command[f"src_stride{k}"]
        return at, inside, end

    @staticmethod
    def _along(d: int, values: np.ndarray) -> np.ndarray:
        axis = [1] * RANK
        axis[RANK - 1 - d] = len(values)
        return values.reshape(axis)

    @classmethod
    def _sum(cls, base: int, sizes: list[int], terms: list) -> np.ndarray:
        total = np.full(sizes[::-1], base, np.int64)
        for d, term in enumerate(terms):
            if term is not None:
                total = total + cls._along(d, np.asarray(term, np.int64))
        return total


def _int(value) -> int:
    return value if isinstance(value, int) else value.value
