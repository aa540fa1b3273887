"""Bytes: those of the waiting writes, and what comes back."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.common.bits import number_of
from rtl.common.sram import SramDual
from rtl.memory.address import Location
from rtl.memory.interface import CHECK_BITS, WORDS, Tag, fetched
from rtl.memory.schedule.entries import first

__all__ = ["ReadReturn", "WriteData"]


class WriteData(wiring.Component):
    """The bytes of the waiting writes and of those under way to the device: twice as many rows as writes may wait.

    Members
    -------
    enable
        Steps the SRAMs.
    write_latency
        WL: from WR on the bus to its bytes.
    free, free_slot
        There is a row to write to, and which.
    write, merge, slot, data, strobe, check
        Bytes of a new write to `slot` = `free_slot`, or, with `merge`, more bytes of one that waits in `slot`.
    issue, issue_slot
        The decision for a WR; the command is on the bus in the next clock, its bytes WL later.
    forward, forward_slot, busy
        Reads a row: `write_data` holds it in the next clock. Not while `busy`.
    write_data, write_check, write_mask
        To the device.
    empty
        No bytes are under way to it.
    """

    def __init__(self, depth: int):
        self.depth = depth
        self.slots = 2 * depth
        bits = (self.slots - 1).bit_length()
        super().__init__({
            "enable": In(1), "write_latency": In(6), "free": Out(1), "free_slot": Out(bits),
            "write": In(1), "merge": In(1), "slot": In(bits), "data": In(256), "strobe": In(32), "check": In(CHECK_BITS),
            "issue": In(1), "issue_slot": In(bits), "forward": In(1), "forward_slot": In(bits), "busy": Out(1),
            "write_data": Out(256), "write_check": Out(CHECK_BITS), "write_mask": Out(32), "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        bits = len(self.slot)
        m.submodules.bytes = stored = SramDual(self.slots, 256 + CHECK_BITS, granularity=8)
        m.submodules.strobes = strobes = SramDual(self.slots, 32, granularity=1)

        # Writes under way, in order: at most one in two of the 60 clocks of the longest WL.
        m.submodules.under_way = under_way = Memory(shape=bits, depth=32, init=[])
        enter, leave = under_way.write_port(), under_way.read_port(domain="comb")
        head, tail = Signal(5), Signal(5)
        due = Signal(63)
        m.d.sync += due.eq(Cat(due[1:], Const(0, 1)) | (self.issue << self.write_latency)[1:64])
        m.d.comb += [
            enter.addr.eq(tail), enter.data.eq(self.issue_slot), enter.en.eq(self.issue), leave.addr.eq(head), self.busy.eq(due[0]),
        ]
        m.d.sync += [tail.eq(tail + self.issue), head.eq(head + due[0])]
        m.d.comb += self.empty.eq(head == tail)

        used = Signal(self.slots)
        lowest = first(m, ~used, "lowest")
        m.d.comb += [
            self.free.eq(~used.all()),
            self.free_slot.eq(number_of(lowest)),
        ]
        m.d.sync += used.eq(
            (used | (lowest & (self.write & ~self.merge).replicate(self.slots))) & ~Mux(due[0], Const(1, self.slots) << leave.data, 0)
        )

        whole = self.write & ~self.merge & self.enable
        part = self.write & self.enable
        words = Cat(self.strobe.word_select(word, 8).any() for word in range(WORDS))
        m.d.comb += [
            stored.write.eq(Cat(self.strobe, words) & part.replicate(32 + WORDS)),
            stored.write_address.eq(self.slot), stored.write_data.eq(Cat(self.data, self.check)),
            strobes.write.eq((self.strobe & part.replicate(32)) | whole.replicate(32)),
            strobes.write_address.eq(self.slot), strobes.write_data.eq(self.strobe),
            Cat(self.write_data, self.write_check).eq(stored.read_data), self.write_mask.eq(~strobes.read_data),
        ]
        for sram in (stored, strobes):
            m.d.comb += [
                sram.read_enable.eq((due[0] | self.forward) & self.enable),
                sram.read_address.eq(Mux(due[0], leave.data, self.forward_slot)),
            ]
        return m


class ReadReturn(wiring.Component):
    """Names what the device returns, and lets forwarded atoms out in the clocks between.

    Members
    -------
    issue, location, tag
        The decision for a RD.
    read_data, read_check, read_valid
        From the device, in the order of the commands.
    forward, forward_location, forward_tag, busy
        `data`, `check` hold a forwarded atom in the next clock. Not while `busy`.
    data, check
        From the write buffer.
    masks
        Of the address map, which is its own inverse.
    fetched
        What comes back, one clock later.
    empty
        Nothing is on its way.
    """

    def __init__(self, atom_bits: int):
        super().__init__({
            "masks": In(15).array(4),
            "issue": In(1), "location": In(Location), "tag": In(Tag),
            "read_data": In(256), "read_check": In(CHECK_BITS), "read_valid": In(1),
            "forward": In(1), "forward_location": In(Location), "forward_tag": In(Tag), "busy": Out(1),
            "data": In(256), "check": In(CHECK_BITS), "fetched": Out(fetched(atom_bits)), "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # At most one in two of the RL + 3 clocks from a decision to its data, RL being 60 at most.
        named = data.StructLayout({"location": Location, "tag": Tag})
        m.submodules.under_way = under_way = Memory(shape=named, depth=64, init=[])
        enter, leave = under_way.write_port(), under_way.read_port(domain="comb")
        head, tail = Signal(6), Signal(6)
        m.d.sync += [tail.eq(tail + self.issue), head.eq(head + self.read_valid)]
        m.d.comb += [
            enter.addr.eq(tail), enter.data.location.eq(self.location), enter.data.tag.eq(self.tag), enter.en.eq(self.issue),
            leave.addr.eq(head),
        ]

        # The device returns an atom in every second clock at most, so a forwarded one waits for a clock at most.
        arrived, held = Signal(), Signal()
        forwarded = Signal(named)
        kept = Signal(256 + CHECK_BITS)
        out = self.fetched
        m.d.comb += [self.busy.eq(arrived | held), self.empty.eq((head == tail) & ~self.busy & ~out.valid)]
        m.d.sync += [arrived.eq(self.forward), out.valid.eq(self.read_valid | arrived | held)]
        with m.If(self.forward):
            m.d.sync += [forwarded.location.eq(self.forward_location), forwarded.tag.eq(self.forward_tag)]
        name = Signal(named)
        m.d.comb += name.eq(Mux(self.read_valid, leave.data, forwarded))
        place, bank = name.location, Cat(name.location.group, name.location.bank)
        plain = bank ^ Cat((place.row & mask).xor() for mask in self.masks)
        m.d.sync += [
            out.tag.eq(name.tag), out.atom.eq(Cat(place.column[0], plain[:2], place.column[1:], plain[2:], place.row)),
        ]
        with m.If(self.read_valid):
            m.d.sync += [out.data.eq(self.read_data), out.check.eq(self.read_check)]
        with m.Else():
            m.d.sync += [Cat(out.data, out.check).eq(Mux(held, kept, Cat(self.data, self.check)))]
        with m.If(arrived & self.read_valid):
            m.d.sync += [kept.eq(Cat(self.data, self.check)), held.eq(1)]
        with m.Elif(~self.read_valid):
            m.d.sync += held.eq(0)
        return m
