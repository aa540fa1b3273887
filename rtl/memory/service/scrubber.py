"""The scrubber: walks over the memory and has every atom read and corrected."""

from amaranth import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.interface import rewrite

__all__ = ["Scrubber"]


class Scrubber(wiring.Component):
    """Offers one atom of the range after the other, and begins again behind the last.

    Members
    -------
    enable
        Low: starts over at `first`. What is offered stays until it is taken.
    interval
        Clocks from the clock in which an atom is taken to the next offer, besides one.
    first, last
        The range; may change at any time.
    output
        To the guard.
    """

    def __init__(self, atom_bits: int):
        self.atom_bits = atom_bits
        super().__init__({
            "enable": In(1), "interval": In(32), "first": In(unsigned(atom_bits)), "last": In(unsigned(atom_bits)),
            "output": Out(stream.Signature(rewrite(atom_bits))),
        })

    def elaborate(self, platform):
        m = Module()
        left, following = Signal(32), Signal(unsigned(self.atom_bits))
        within = Signal()
        m.d.comb += within.eq((following >= self.first) & (following <= self.last))
        with m.If(self.output.valid):
            with m.If(self.output.ready):
                m.d.sync += [self.output.valid.eq(0), left.eq(self.interval), following.eq(following + 1)]
                with m.If(following == self.last):
                    m.d.sync += following.eq(self.first)
        with m.Elif(~self.enable):
            m.d.sync += [left.eq(self.interval), following.eq(self.first)]
        with m.Elif(~within):
            m.d.sync += following.eq(self.first)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Else():
            m.d.sync += [self.output.valid.eq(1), self.output.payload.atom.eq(following)]
        return m
