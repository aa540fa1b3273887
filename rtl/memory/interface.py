"""What flows between the parts of a memory controller. Each part is written against this page alone.

    ports ─┐                                            ┌─ row, column, write data ─► DFI
           ├─► arbiter ─ request ─► guard ─ coded ─► scheduler
  service ─┘                          ▲                 └─ fetched ◄─ read data ◄──── DFI
    ▲ ▲                               │                       │
    └─┴────────── returned ───────────┴──────── decoder ◄─────┘

**Atoms.** Everything below the ports is in atoms: 32 bytes at byte address 32 * `atom` of the channel.

**Order.** The arbiter's output is the one point of ordering: what has passed it is seen by every read that passes later. Guard and
scheduler keep the order of accesses to the same atom and none besides. A write is answered (B) once it has passed the arbiter.

**Clock.** The ports step in every clock; from the arbiter's output on, everything steps in the clocks of `enable`, below one
`EnableInserter`. The streams between the two sides have FIFOs.

**Nothing that comes back waits.** `fetched` and `returned` have no `ready`: a read holds its place in its source's buffer, named by
its tag, before it is offered to the arbiter.

Latency, in clocks of an idle controller, from AR's handshake to the first beat's `rvalid`: port and arbiter 3, guard 1, scheduler 3 to
the ACT on the row bus, 1 since an ACT counts from its second clock, tRCDRD, RL + 2 of the device, decoder 1, port 2.
"""

from amaranth import unsigned
from amaranth.lib import data, enum

__all__ = [
    "CHECK_BITS", "MAX_PORTS", "SLOT_BITS", "WORDS", "BusCause", "Injection", "Source", "Tag", "coded_request", "errors", "fetched",
    "request", "returned", "rewrite", "verdict",
]

#: 64-bit words of an atom, each with 8 check bits: SECDED (72, 64).
WORDS = 4
CHECK_BITS = 8 * WORDS

#: AXI ports of one controller.
MAX_PORTS = 4

#: Slots of a source's return buffer, 256 at most: more than a scheduler of 192 entries and the device's pipe can hold.
SLOT_BITS = 8


class Source(enum.Enum, shape=3):
    """Who asked for a read."""

    PORT0 = 0
    PORT1 = 1
    PORT2 = 2
    PORT3 = 3
    GUARD = 4  #: read-modify-write, correction and scrubbing
    SERVICE = 5  #: fill and self-test


class Tag(data.Struct):
    """Names a read that is under way. The scheduler carries it and never looks inside."""

    slot: SLOT_BITS
    source: Source


def request(atom_bits: int) -> data.StructLayout:
    """One atom to read or to write, from the arbiter.

    `tag` counts for a read, `data` and `strobe` (bytes to write) for a write. `urgent` is the higher of the two classes of service.
    """
    return data.StructLayout({
        "write": 1, "urgent": 1, "atom": unsigned(atom_bits), "tag": Tag, "data": 256, "strobe": 32,
    })


def coded_request(atom_bits: int) -> data.StructLayout:
    """A request behind the guard: a write has its check bits. With ECC every strobe of a write is set."""
    return data.StructLayout({**dict(request(atom_bits).members), "check": CHECK_BITS})


def rewrite(atom_bits: int) -> data.StructLayout:
    """An atom that the guard is to read, correct and write back."""
    return data.StructLayout({"atom": unsigned(atom_bits)})


def fetched(atom_bits: int) -> data.StructLayout:
    """An atom from the device, or forwarded from a pending write, as stored: one `valid` clock, never stalled."""
    return data.StructLayout({"valid": 1, "tag": Tag, "atom": unsigned(atom_bits), "data": 256, "check": CHECK_BITS})


def returned() -> data.StructLayout:
    """An atom behind the decoder, corrected: one `valid` clock, never stalled. `bad` marks words with an error that can't be corrected."""
    return data.StructLayout({"valid": 1, "tag": Tag, "data": 256, "bad": WORDS})


def verdict(atom_bits: int) -> data.StructLayout:
    """What guard and service learn besides `returned`, in the same clock: where the atom lies, and the words that were corrected."""
    return data.StructLayout({"atom": unsigned(atom_bits), "corrected": WORDS})


def errors(atom_bits: int) -> data.StructLayout:
    """Words of an atom that were corrected, and that could not be, to be counted: for one clock, zero in all others."""
    return data.StructLayout({"atom": unsigned(atom_bits), "single": range(WORDS + 1), "double": range(WORDS + 1)})


class Injection(data.Struct):
    """Bits of word `word` to invert in the next write of a requester, while `armed`."""

    armed: 1
    word: range(WORDS)
    data: 64
    check: 8


class BusCause(enum.Enum, shape=4):
    """What the data bus did with a clock: exactly one for each clock, so that they add up to the time.

    It is seen from the column bus: a column command makes its clock and the one after busy. A clock without a command has the first cause
    that holds, in this order.
    """

    READ = 0
    WRITE = 1
    #: The controller is not started, or is stopped.
    STOPPED = 2
    #: Nothing waits.
    EMPTY = 3
    #: Every bank that something waits for is being refreshed or is held for its refresh.
    REFRESH = 4
    #: An access to an open row waits for RD to WR or WR to RD alone.
    TURNAROUND = 5
    #: It waits for tCCD_L of its bank group alone.
    GROUP = 6
    #: It is legal and stays behind: the other direction has the bus.
    DIRECTION = 7
    #: Rows are being closed or opened: tRP, tRAS, tRC, tRCD, tRTP, tWR.
    ROW = 8
    #: A row command is legal within its bank and waits for tRRD, tFAW or the row bus.
    ACTIVATE = 9
