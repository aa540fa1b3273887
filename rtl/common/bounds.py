"""The bounds unit: does an operand's box of bytes lie inside its window? Fed while the previous command runs."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Bounds", "BoundsResult", "BoundsTerm"]


class BoundsTerm(data.Struct):
    """One dimension of an operand. `base`, `low`, `limit` and `tail` are sampled with the last term only."""

    size: 16  #: indices 0 to size - 1; not 0
    stride: signed(32)  #: bytes
    #: The index doesn't begin at 0 but at size - 1, so the product moves both ends: for a range that starts inside a dimension.
    shift: 1
    first: 1
    last: 1
    base: signed(34)  #: byte address of index 0; unsigned 32 bit, or signed where it is virtual
    tail: 18  #: bytes from the highest index's address to the operand's last byte (element size - 1 for a plain operand)
    low: 32  #: first byte of the window
    limit: 33  #: first byte beyond the window


class BoundsResult(data.Struct):
    valid: 1
    fault: 1
    #: With `fault`: the lowest byte if that lies below the window, else the highest, modulo 2^32.
    address: 32
    #: Lowest and highest byte, modulo 2^32; right where there is no fault.
    lowest: 32
    highest: 32


class Bounds(wiring.Component):
    """Adds up lowest and highest offset of a strided box, exactly, one dimension a cycle.

    Members
    -------
    term, valid
        A new term may come each cycle; it is always taken.
    result
        Valid for one cycle, 3 cycles after the last term of an operand.
    """

    term: In(BoundsTerm)
    valid: In(1)
    result: Out(BoundsResult)

    def elaborate(self, platform):
        m = Module()

        # Stage 1: the product. 16 x 32 bit, the only multiplier of the unit.
        product = Signal(signed(49))
        term = Signal(BoundsTerm)
        term_valid = Signal()
        m.d.sync += [product.eq((self.term.size - 1)[:16] * self.term.stride), term.eq(self.term), term_valid.eq(self.valid)]

        # Stage 2: sums. Ten products of 48 bit, plus a base: 52 bit and a sign.
        lowest, highest = Signal(signed(53)), Signal(signed(53))
        held = Signal(data.StructLayout({"low": 32, "limit": 33}))
        summed = Signal()
        base = Mux(term.last, term.base, 0)
        tail = Mux(term.last, term.tail, 0)
        negative = product < 0
        with m.If(term_valid):
            m.d.sync += [
                lowest.eq(Mux(term.first, 0, lowest) + Mux(negative | term.shift, product, 0) + base),
                highest.eq(Mux(term.first, 0, highest) + Mux(negative & ~term.shift, 0, product) + base + tail),
                held.low.eq(term.low),
                held.limit.eq(term.limit),
            ]
        m.d.sync += summed.eq(term_valid & term.last)

        # Stage 3: the verdict.
        below = lowest < held.low
        m.d.sync += [
            self.result.valid.eq(summed),
            self.result.fault.eq(below | (highest >= held.limit)),
            self.result.address.eq(Mux(below, lowest, highest)[:32]),
            self.result.lowest.eq(lowest[:32]),
            self.result.highest.eq(highest[:32]),
        ]
        return m
