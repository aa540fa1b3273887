"""Passes over strips: who reads slots more than once walks them in this order."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.vector.slot import POINTER_BITS, STRIP

__all__ = ["Strip", "TapCounter"]


class Strip(wiring.Component):
    """For each strip, for each pass, for each slot. A pass takes eight steps even where the last strip has fewer slots.

    Members
    -------
    start : begins a command
    walked : pointer behind the last known slot; `ended`: there will be none after it
    pointer : slot of this step; `present`: it is known (else the step is empty, or must wait)
    take : the owner has used the slot; `last_pass`: the pass is the last of its strip
    turn : a pass ends with this step
    finished : the last slot had its last pass
    """

    start: In(1)
    walked: In(POINTER_BITS)
    ended: In(1)
    take: In(1)
    last_pass: In(1)
    pointer: Out(POINTER_BITS)
    present: Out(1)
    turn: Out(1)
    finished: Out(1)

    def elaborate(self, platform):
        m = Module()
        index = Signal(range(STRIP))
        which = Signal(POINTER_BITS - len(index))
        padding = Signal()  # behind the last slot, inside its strip
        known = (self.pointer != self.walked) & ~padding
        step = Signal()
        m.d.comb += [
            self.pointer.eq(Cat(index, which)),
            self.present.eq(known & ~self.finished),
            step.eq(self.take | (self.ended & ~known & ~self.finished)),
            self.turn.eq(step & index.all()),
        ]
        with m.If(self.start):
            m.d.sync += [index.eq(0), which.eq(0), padding.eq(0), self.finished.eq(0)]
        with m.Elif(step):
            m.d.sync += [index.eq(index + 1), padding.eq(~self.take & ~self.turn)]
            with m.If(self.turn & self.last_pass):
                m.d.sync += which.eq(which + 1)
            behind = Signal(POINTER_BITS)
            m.d.comb += behind.eq(self.pointer + 1)
            with m.If(self.take & self.last_pass & self.ended & (behind == self.walked)):
                m.d.sync += self.finished.eq(1)
        return m


class TapCounter(wiring.Component):
    """Counts the taps of a window: kh outer, kw inner. `step` goes on to the next tap and, behind the last, to the beginning again.

    It begins with the second tap where `skip_first` is set, which needs more than one tap.
    """

    skip_first: In(1)
    kh: In(16)
    kw: In(16)
    start: In(1)
    step: In(1)
    first: Out(1)
    end_of_row: Out(1)
    last: Out(1)

    def elaborate(self, platform):
        m = Module()
        row, column = Signal(16), Signal(16)
        m.d.comb += [
            self.first.eq((row == 0) & (column == 0)),
            self.end_of_row.eq(column == self.kw - 1),
            self.last.eq(self.end_of_row & (row == self.kh - 1)),
        ]
        with m.If(self.start | (self.step & self.last)):
            m.d.sync += [row.eq(self.skip_first & (self.kw == 1)), column.eq(self.skip_first & (self.kw != 1))]
        with m.Elif(self.step):
            m.d.sync += column.eq(column + 1)
            with m.If(self.end_of_row):
                m.d.sync += [column.eq(0), row.eq(row + 1)]
        return m
