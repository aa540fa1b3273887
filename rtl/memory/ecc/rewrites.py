"""Atoms in which a single error was found: they wait to be written back."""

from amaranth import Array, Cat, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.interface import rewrite

__all__ = ["RewriteQueue"]


class RewriteQueue(wiring.Component):
    """A short queue without duplicates; latency one clock.

    What finds no room, or is inside already, is dropped: the error stays in the memory, and the next read or the scrubber finds it again.

    Members
    -------
    found, atom
        A single error was found there.
    output
        The oldest.
    """

    def __init__(self, atom_bits: int, depth: int = 4):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"the queue of rewrites has a power of two of entries from 2 up, not {depth}")
        self.atom_bits = atom_bits
        self.depth = depth
        super().__init__({
            "found": In(1), "atom": In(unsigned(atom_bits)), "output": Out(stream.Signature(rewrite(atom_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        atoms = Array(Signal(self.atom_bits, name=f"atom{number}") for number in range(self.depth))
        held = Signal(self.depth)
        head, tail = Signal(range(self.depth)), Signal(range(self.depth))
        inside = Cat(held[number] & (atom == self.atom) for number, atom in enumerate(atoms)).any()
        takes = self.found & ~inside & ~held.bit_select(tail, 1)
        leaves = self.output.valid & self.output.ready
        m.d.comb += [self.output.valid.eq(held.bit_select(head, 1)), self.output.payload.atom.eq(atoms[head])]
        m.d.sync += held.eq((held | (takes << tail)) & ~(leaves << head))
        with m.If(takes):
            m.d.sync += [atoms[tail].eq(self.atom), tail.eq(tail + 1)]
        with m.If(leaves):
            m.d.sync += head.eq(head + 1)
        return m
