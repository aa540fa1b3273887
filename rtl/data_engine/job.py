"""What flows between the parts of the data engine: tasks to the mid end, blocks to the back end, runs inside it."""

from amaranth import signed
from amaranth.lib import data, enum

from rtl.formats import Format
from rtl.isa import Space, Status

__all__ = ["BYTES_BITS", "RANK", "SLOTS", "SLOT_BITS", "Box", "Conversion", "ReadBlock", "Run", "RunKind", "Segment", "Task", "WriteBlock"]

#: Dimensions of a command.
RANK = 5

#: Commands between their start in the mid end and their `done`: enough short ones to cover the way to L3 and back.
SLOTS = 16
SLOT_BITS = 4

#: A row is at most 65535 elements of 4 byte.
BYTES_BITS = 18

_SIZE = 16
_EACH = RANK


class Box(data.Struct):
    """The bytes that an operand lies in, `low` to `high`, both included."""

    space: Space
    low: 32
    high: 32


class Conversion(data.Struct):
    """What happens to elements on the way. Without `enable` bytes stay as they are, and the rest is 0."""

    enable: 1
    source: Format
    destination: Format


class Task(data.Struct):
    """A checked command; `rtl.isa.DataCommand` has the meaning of what isn't explained here.

    With a status other than OK the command was refused: it has no effect, and only `tag`, `status` and `address` count.
    """

    status: Status
    address: 32  #: of the status
    tag: 16
    reads: 1  #: not FILL
    slices: 1  #: SLICE
    tile: 1
    gather: 1
    source_box: Box
    list_box: Box  #: with `gather`; its low end is where the list begins
    destination_box: Box
    source_element: 2  #: log2 of the bytes
    destination_element: 2
    conversion: Conversion
    source_base: 32  #: address of index 0 of all dimensions (with `gather`, of list entry 0): may be virtual, modulo 2^32
    destination_base: 32
    size: data.ArrayLayout(_SIZE, _EACH)
    source_step: data.ArrayLayout(signed(32), _EACH)  #: bytes to the next source element, of dimension d
    destination_stride: data.ArrayLayout(signed(32), _EACH)
    row_in: 1  #: dimension 0 is dense in the source
    row_out: 1  #: dimension 0 is dense in the destination
    single: 1  #: dimension 0 has gaps, or steps over source elements: every element is a block
    fill: 32  #: the element, repeated to four bytes
    #: Coordinates: where they begin, what a step of dimension d adds, how many there are; which one dimensions 3 and 4 move.
    start: data.ArrayLayout(signed(17), _EACH)
    step: data.ArrayLayout(signed(16), _EACH)
    extent: data.ArrayLayout(_SIZE, _EACH)
    share3: 2
    share4: 2
    gaps: data.ArrayLayout(8, _EACH)
    phase: data.ArrayLayout(8, _EACH)
    table: 31  #: rows that a list entry may name
    pitch: 32  #: bytes from one to the next


class ReadBlock(data.Struct):
    """What to read for a block: after `skip` places, `lines` runs of `bytes` bytes, `pitch` bytes apart. With `index`, a part of a list."""

    space: Space
    address: 32
    pitch: 32
    skip: _SIZE
    lines: _SIZE
    bytes: BYTES_BITS
    index: 1
    slot: SLOT_BITS


class Segment(data.Struct):
    """How the bytes of a block are reshaped: with `tile`, `lines` lines of `bytes` bytes are transposed; else it is one line."""

    tile: 1
    lines: 10
    bytes: BYTES_BITS
    element: 2  #: log2 of a source element's bytes
    result: 2  #: log2 of a destination element's bytes
    conversion: Conversion


class WriteBlock(data.Struct):
    """Where a block goes: columns, `pitch` bytes apart: `before` of fill, then `inside`, then `after` of fill. A column inside
    has `head` bytes of fill, `body` from the source and `tail` of fill; the others have as many, all fill. `last` ends the command;
    a block without columns ends one that was refused.
    """

    space: Space
    address: 32
    pitch: 32
    before: _SIZE
    inside: _SIZE
    after: _SIZE
    head: BYTES_BITS
    body: BYTES_BITS
    tail: BYTES_BITS
    fill: 32
    slot: SLOT_BITS
    last: 1


class RunKind(enum.Enum, shape=2):
    COPY = 0
    FILL = 1
    INDEX = 2  #: a part of a gather's list: it goes to the mid end


def Run(bits: int) -> data.StructLayout:
    """`bytes` (of `bits` bits) contiguous bytes of one side; FILL repeats `pattern`. `last` ends a command, with 0 bytes a refused one."""
    return data.StructLayout({
        "space": Space, "address": 32, "bytes": bits, "kind": RunKind, "pattern": 32, "slot": SLOT_BITS, "last": 1,
    })
