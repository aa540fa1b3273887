"""Merging of dense dimensions: the innermost part of a command that is contiguous on both sides becomes one row."""

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.job import BYTES_BITS, RANK

__all__ = ["Merge"]


class Merge(wiring.Component):
    """Grows a row from one element, dimension by dimension from 0 up, as long as each stride (of the source too, with `copy`) is
    the row so far. A dimension that SLICE clips is the last to be merged: the row then has a head of fill, a body and a tail of fill.

    Members
    -------
    start
        Not before the last `done`; the operands are held until then.
    element
        log2 of the element's bytes.
    size, low, count, source_stride, destination_stride, copy
        As in :class:`rtl.data_engine.job.Task`, of the whole command. Without `copy`, `low` and `count` don't count.
    done
        High from the end until the next `start`. Takes a cycle a dimension, and for each merged one as many more as its size has bits.
    head, body, row
        Bytes of the row's head of fill, of its body and of all of it.
    merged
        Bit d: dimension d is part of the row.
    """

    start: In(1)
    copy: In(1)
    element: In(2)
    size: In(data.ArrayLayout(16, RANK))
    source_stride: In(data.ArrayLayout(signed(32), RANK))
    destination_stride: In(data.ArrayLayout(signed(32), RANK))
    low: In(data.ArrayLayout(16, RANK))
    count: In(data.ArrayLayout(16, RANK))
    done: Out(1)
    head: Out(BYTES_BITS)
    body: Out(BYTES_BITS)
    row: Out(BYTES_BITS)
    merged: Out(RANK)

    def elaborate(self, platform):
        m = Module()
        dimension = Signal(range(RANK + 1))

        def pick(members):
            return Array(members[d] for d in range(RANK))[dimension]

        size = pick(self.size)
        clipped = Signal()
        dense = Signal()
        m.d.comb += [
            clipped.eq(self.copy & ((pick(self.low) != 0) | (pick(self.count) != size))),
            dense.eq((pick(self.destination_stride) == self.row) & (~self.copy | (pick(self.source_stride) == self.row))),
        ]

        # Three products of the row so far, shift and add: sizes are small, and a bit a cycle hides behind the command before.
        shifted = Signal(BYTES_BITS)
        factors = Signal(data.StructLayout({"low": 16, "count": 16, "size": 16}))
        stop = Signal()

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        dimension.eq(0), self.merged.eq(0), self.done.eq(0),
                        self.head.eq(0), self.body.eq(1 << self.element), self.row.eq(1 << self.element),
                    ]
                    m.next = "LOOK"
            with m.State("LOOK"):
                with m.If(dimension == RANK):
                    m.d.sync += self.done.eq(1)
                    m.next = "IDLE"
                with m.Elif((size == 1) & ~clipped):
                    m.d.sync += dimension.eq(dimension + 1)
                with m.Elif(dense):
                    m.d.sync += [
                        shifted.eq(self.row), self.row.eq(0), self.body.eq(0), self.head.eq(0),
                        factors.size.eq(size),
                        factors.low.eq(Mux(self.copy, pick(self.low), 0)),
                        factors.count.eq(Mux(self.copy, pick(self.count), size)),
                        self.merged.bit_select(dimension, 1).eq(1),
                        stop.eq(clipped),
                    ]
                    m.next = "MULTIPLY"
                with m.Else():
                    m.d.sync += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("MULTIPLY"):
                for factor, product in ((factors.low, self.head), (factors.count, self.body), (factors.size, self.row)):
                    m.d.sync += factor.eq(factor >> 1)
                    with m.If(factor[0]):
                        m.d.sync += product.eq(product + shifted)
                m.d.sync += shifted.eq(shifted << 1)
                with m.If(factors.size[1:] == 0):
                    m.d.sync += [dimension.eq(dimension + 1), self.done.eq(stop)]
                    m.next = "LOOK"
                    with m.If(stop):
                        m.next = "IDLE"
        return m
