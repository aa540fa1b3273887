"""The order of one class of identifiers in the return buffer."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Lane"]


class Lane(wiring.Component):
    """A queue of slots, as two linked lists that take turns: odd and even ones.

    The links lie in an SRAM that all lanes share and that takes a clock to read. Since a list is due in every second clock only, its new
    head is there in time, and a lane moves by a slot a clock.

    Parameters
    ----------
    slots
        Slots of the buffer; one lane may hold them all.

    Members
    -------
    push, slot, whole
        Appends `slot`; `whole` if it waits for no data.
    linked, link_from
        `push` makes a link from slot `link_from` to `slot`, to be written to the SRAM at this clock edge.
    here, head
        The first slot has its data.
    pop
        Removes it.
    more, strand
        With `pop`: the link of `head` is to be read, and comes with `load` of the same strand in the next clock.
    load, load_strand, link, link_here
        The link, and whether its slot has its data, those that come in this clock included.
    returned, returned_slot
        Data come.
    """

    def __init__(self, slots: int):
        self.slots = slots
        bits = (slots - 1).bit_length()
        super().__init__({
            "push": In(1), "slot": In(bits), "whole": In(1), "linked": Out(1), "link_from": Out(bits),
            "here": Out(1), "head": Out(bits), "pop": In(1), "more": Out(1), "strand": Out(1),
            "load": In(1), "load_strand": In(1), "link": In(bits), "link_here": In(1),
            "returned": In(1), "returned_slot": In(bits),
        })

    def elaborate(self, platform):
        m = Module()
        level = Signal(range(self.slots + 1))
        target, direct = Signal(), Signal()
        heads = [Signal(self.head.shape(), name=f"head{k}") for k in range(2)]
        tails = [Signal(self.head.shape(), name=f"tail{k}") for k in range(2)]
        here = [Signal(name=f"here{k}") for k in range(2)]
        m.d.comb += [
            # Slots go to the lists in turn, so the one behind the last goes where the parity says.
            target.eq(self.strand ^ level[0]),
            # Its list is empty, or will be after this clock: the slot is its head.
            direct.eq((level < 2) | ((level == 2) & self.pop)),
            self.linked.eq(self.push & ~direct), self.link_from.eq(Mux(target, tails[1], tails[0])),
            self.here.eq(Mux(self.strand, here[1], here[0]) & (level != 0)), self.head.eq(Mux(self.strand, heads[1], heads[0])),
            self.more.eq(level > 2),
        ]
        m.d.sync += [level.eq(level + self.push - self.pop), self.strand.eq(self.strand ^ self.pop)]
        for k in range(2):
            # What an empty list says counts for nothing; `direct` begins it anew.
            with m.If(self.push & direct & (target == k)):
                m.d.sync += [heads[k].eq(self.slot), here[k].eq(self.whole)]
            with m.Elif(self.load & (self.load_strand == k)):
                m.d.sync += [heads[k].eq(self.link), here[k].eq(self.link_here)]
            with m.Elif(self.pop & (self.strand == k)):
                m.d.sync += here[k].eq(0)
            with m.Elif(self.returned & (self.returned_slot == heads[k])):
                m.d.sync += here[k].eq(1)
            with m.If(self.push & (target == k)):
                m.d.sync += tails[k].eq(self.slot)
        return m
