"""What flows between the three parts of the data engine: tasks (front end to mid end) and jobs (mid end to back end)."""

from amaranth import signed
from amaranth.lib import data, enum

from rtl.isa import Space, Status

__all__ = ["BYTES_BITS", "RANK", "SLOTS", "SLOT_BITS", "Job", "JobKind", "Task"]

#: Dimensions of a command.
RANK = 5

#: Commands between their start in the mid end and their `done`: one that walks, one that writes, and two whose writes are under way.
SLOTS = 4
SLOT_BITS = 2

#: A run of bytes is at most all of a 32-bit space, 2^32 byte.
BYTES_BITS = 33


class Task(data.Struct):
    """A checked command. The innermost dimensions that are dense on both sides are merged into one *row* of bytes, which has three
    parts: `head` bytes of fill, `body` bytes from the source, and the rest, fill again. Merged dimensions have size 1 here.

    With a status other than OK the command was refused: it has no effect, and only `tag`, `status` and `address` count.
    """

    status: Status
    address: 32  #: of the status
    tag: 16
    copy: 1  #: 0: every byte is fill, and the source is not used
    source: Space
    destination: Space
    source_base: 32  #: of the row at index 0; may be virtual, modulo 2^32
    destination_base: 32
    size: data.ArrayLayout(16, RANK)
    source_stride: data.ArrayLayout(signed(32), RANK)
    destination_stride: data.ArrayLayout(signed(32), RANK)
    #: Rows with an index outside `low` <= i < `low` + `count` in any dimension are all fill.
    low: data.ArrayLayout(16, RANK)
    count: data.ArrayLayout(16, RANK)
    head: BYTES_BITS
    body: BYTES_BITS
    row: BYTES_BITS
    fill: 32  #: the element, repeated to four bytes


class JobKind(enum.Enum, shape=2):
    COPY = 0
    FILL = 1
    NONE = 2  #: moves nothing; ends a command that was refused


class Job(data.Struct):
    """A contiguous move: `bytes` bytes from `source_address` to `destination_address`. All that the back end knows of a command."""

    kind: JobKind
    source: Space
    source_address: 32  #: in a FILL job, the four bytes that are repeated
    destination: Space
    destination_address: 32
    bytes: BYTES_BITS
    slot: SLOT_BITS  #: of the command in the ledger
    last: 1  #: ends its command
