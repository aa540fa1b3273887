"""Sum of the aligned terms. Combinational."""

from amaranth import C, Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.tensor.carry_save import carries, compress
from rtl.tensor.frame import Frame

__all__ = ["Total"]


class Total(wiring.Component):
    """`c` plus the terms, those of `negate` with a minus sign.

    Members
    -------
    terms, c
        In the frame. `c` has a sign of its own in INT32 only.
    negate
        Per term. Floating point: its sign differs from that of `c`.
    extend
        Per term: an INT8 sum that is negative; only the bits below `unit` - 11 hold it.
    magnitude, opposite
        Absolute value of the sum; it has the other sign than `c`.
    integer
        The sum of INT32, with one bit more.
    """

    def __init__(self, frame: Frame):
        self._frame = frame
        super().__init__({
            "terms": In(data.ArrayLayout(frame.top, frame.terms)), "c": In(frame.top + 1), "negate": In(frame.terms),
            "extend": In(frame.terms), "magnitude": Out(frame.top), "opposite": Out(1), "integer": Out(33),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        frame = self._frame
        width = frame.top + 1
        extension = frame.unit - 11
        rows = [self.c]
        for index in range(frame.terms):
            negate, extend = self.negate[index], self.extend[index]
            row = Signal(width, name=f"row{index}")
            m.d.comb += row.eq(
                Cat(self.terms[index], C(0, 1)) ^ Cat(negate.replicate(extension), (negate | extend).replicate(width - extension))
            )
            rows.append(row)
        # A complemented term lacks a one. The last of them is the carry into the adder; the others take places in the tree.
        count = Signal(range(frame.terms + 1))
        m.d.comb += count.eq(sum(self.negate[index] for index in range(frame.terms)))
        some = self.negate.any()
        x, y = compress(m, rows[::-1], width, "tree", tuple(count >= number for number in range(2, frame.terms + 1)))

        # x + y + some is the sum; if it is negative, ~(x + y) is its absolute value: one tree of carries gives both.
        half, both = Signal(width), Signal(width)
        m.d.comb += [half.eq(x ^ y), both.eq(x & y)]
        generate, propagate = carries(m, both[:-1], half[:-1], "carry")
        negative, carry_in = Signal(), Signal()
        signed = Signal(width)
        m.d.comb += [
            negative.eq(half[-1] ^ (generate[-1] | propagate[-1] & some)),
            carry_in.eq(some & ~negative),
            signed.eq(half ^ Cat(carry_in, generate | propagate & carry_in.replicate(width - 1))),
            self.opposite.eq(negative),
            self.magnitude.eq(signed[:-1] ^ negative.replicate(width - 1)),
            self.integer.eq(signed[-33:]),
        ]
        return m
