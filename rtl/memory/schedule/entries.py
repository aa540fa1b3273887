"""Tables of requests in the order of their age, kept as vectors: one bit of a field for all entries in one signal."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert
from amaranth.lib import data

from rtl.memory.address import Location
from rtl.memory.interface import Tag

__all__ = ["Entries", "cat", "first", "located_request", "pick", "waiting_read"]


def waiting_read() -> data.StructLayout:
    """A read in its bank's queue."""
    return data.StructLayout({"column": 5, "row": 15, "tag": Tag})


def located_request() -> data.StructLayout:
    """A request with its place in the device."""
    return data.StructLayout({
        "write": 1, "urgent": 1, "location": Location, "tag": Tag, "data": 256, "strobe": 32, "check": 32,
    })


def cat(bits) -> Value:
    """A vector of single bits, first one lowest."""
    return Cat(*bits)


def first(m: Module, value: Value, name: str) -> Signal:
    """The lowest one of `value` alone."""
    one = Signal(len(value), name=name)
    m.d.comb += one.eq(value & (~value + 1))
    return one


def pick(one: Value, values) -> Value:
    """The value whose bit of the one-hot `one` is set, 0 if none is."""
    result = None
    for index, value in enumerate(values):
        term = Value.cast(value) & one[index].replicate(len(Value.cast(value)))
        result = term if result is None else result | term
    return result


class Entries:
    """`depth` entries, the oldest at 0, without gaps: one may leave from any place and one be added in each clock.

    Parameters
    ----------
    m
        Where the logic goes.
    name
        Of the table.
    depth
        Entries.
    fields
        Width of each field by name. A field may be changed in place by `changes` of :meth:`step`.
    """

    def __init__(self, m: Module, name: str, depth: int, fields: dict[str, int]):
        self.m = m
        self.name = name
        self.depth = depth
        self.valid = Signal(depth, name=f"{name}_valid")
        self.fields = {
            field: [Signal(depth, name=f"{name}_{field}{bit}") for bit in range(width)] for field, width in fields.items()
        }

    def signal(self, value: Value, name: str) -> Signal:
        """A vector over all entries with a name, so that it is worked out once."""
        result = Signal(self.depth, name=f"{self.name}_{name}")
        self.m.d.comb += result.eq(value)
        return result

    def same(self, name: str, **values: Value) -> Signal:
        """The entries whose fields have these values."""
        found = self.valid
        for field, value in values.items():
            for bit, part in zip(self.fields[field], value, strict=True):
                found = found & ~(bit ^ part.replicate(self.depth))
        return self.signal(found, name)

    def members(self, field: str, name: str) -> list[Signal]:
        """For each value of the field, the entries that have it."""
        parts = [self.valid]
        for bit in reversed(self.fields[field]):
            parts = [part & side for part in parts for side in (~bit, bit)]
            parts = [self.signal(part, f"{name}_{len(parts)}_{index}") for index, part in enumerate(parts)]
        return parts

    def select(self, field: str, flags: Value) -> Value:
        """For each entry, the bit of `flags` that its field names."""
        level: list[Value] = [flags[index].replicate(self.depth) for index in range(len(flags))]
        for number, bit in enumerate(self.fields[field]):
            level = [
                self.signal((low & ~bit) | (high & bit), f"select_{field}{number}_{index}")
                for index, (low, high) in enumerate(zip(level[::2], level[1::2], strict=True))
            ]
        return level[0]

    def value(self, field: str, one: Value) -> Value:
        """The field of the entry whose bit of `one` is set."""
        return Cat(*((bit & one).any() for bit in self.fields[field]))

    def step(self, remove: Value, push: Value, values: dict[str, Value], changes: dict[str, Value] | None = None):
        """Takes the entry of the one-hot `remove` out, if a bit is set, and adds an entry of `values` behind the youngest.

        `changes` are vectors that replace one-bit fields of the entries that stay.
        """
        m = self.m
        some = Signal(name=f"{self.name}_leaves")
        keep, left, tail = (Signal(self.depth, name=f"{self.name}_{part}") for part in ("keep", "left", "tail"))
        m.d.comb += [
            some.eq(remove.any()),
            # The entries below the one that leaves stay in their places, the others move up by one.
            keep.eq((remove - 1) | (~some).replicate(self.depth)),
            left.eq(Mux(some, self.valid >> 1, self.valid)),
            tail.eq(Cat(push, (left & push.replicate(self.depth))[:-1]) & ~left),
        ]
        m.d.sync += [
            self.valid.eq(left | tail),
            Assert((remove & ~self.valid) == 0, "what leaves is there"), Assert(~push | ~left[-1], "there is room for what comes"),
        ]
        for field, bits in self.fields.items():
            for index, bit in enumerate(bits):
                now = bit
                if changes and field in changes:
                    now = self.signal(changes[field], f"{field}_changed")
                added = Value.cast(values[field])[index]
                m.d.sync += bit.eq((now & keep) | ((now >> 1) & ~keep & left) | (tail & added.replicate(self.depth)))


