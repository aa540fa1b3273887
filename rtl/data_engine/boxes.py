"""Arithmetic of the checks: boxes of bytes, products of steps and strides, the number of elements, by one multiplier."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from rtl.data_engine.job import RANK

__all__ = ["Boxes", "Product", "Term"]

#: The largest product is 31 x 32 bit; five of them, a base and a sign.
_SUM_BITS = 68
#: More elements than any space has bytes, so where the count saturates doesn't matter.
_COUNT_BITS = 34


class Product(enum.Enum, shape=3):
    """What a product of a :class:`Term` is for."""

    SOURCE = 0  #: a dimension of the source's box
    SOURCE_HIGH = 1  #: the same, of the upper half of a table's size: it weighs 2^16
    DESTINATION = 2  #: a dimension of the destination's box
    BASE = 3  #: part of the source's address at index 0
    STEP = 4  #: the step of dimension `dimension`
    COUNT = 5  #: the number of elements, so far, times `factor`; not within 3 cycles of another one


class Term(data.Struct):
    """A product factor * stride."""

    product: Product
    dimension: range(RANK)
    factor: signed(18)
    stride: signed(32)


class Boxes(wiring.Component):
    """Adds up what the terms of one command say.

    Members
    -------
    start
        Begins anew from `source_base` and `destination_base`; not together with a term, nor within 3 cycles of the last one.
    term, valid
        A new term may come each cycle. It counts 3 cycles later.
    source_low, source_high, destination_low, destination_high
        Address of the first byte of the lowest and of the highest element; exact.
    base, step
        Modulo 2^32.
    count
        Elements; saturates.
    """

    def __init__(self):
        super().__init__({
            "start": In(1), "source_base": In(32), "destination_base": In(32),
            "term": In(Term), "valid": In(1),
            "source_low": Out(signed(_SUM_BITS)), "source_high": Out(signed(_SUM_BITS)),
            "destination_low": Out(signed(_SUM_BITS)), "destination_high": Out(signed(_SUM_BITS)),
            "base": Out(32), "step": Out(data.ArrayLayout(signed(32), RANK)), "count": Out(_COUNT_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        counting = self.term.product == Product.COUNT

        # Operands, product, sums: a stage each.
        factor, stride = Signal(signed(18)), Signal(signed(_COUNT_BITS + 1))
        kinds = [Signal(data.StructLayout({"valid": 1, "product": Product, "dimension": range(RANK)}), name=f"kind{n}") for n in range(2)]
        m.d.sync += [
            factor.eq(self.term.factor), stride.eq(Mux(counting, self.count, self.term.stride)),
            kinds[0].valid.eq(self.valid), kinds[0].product.eq(self.term.product), kinds[0].dimension.eq(self.term.dimension),
            kinds[1].eq(kinds[0]),
        ]
        product = Signal(signed(18 + _COUNT_BITS + 1))
        m.d.sync += product.eq(factor * stride)

        kind = kinds[1]
        weighed = Mux(kind.product == Product.SOURCE_HIGH, product << 16, product)
        with m.If(self.start):
            m.d.sync += [
                self.source_low.eq(self.source_base), self.source_high.eq(self.source_base),
                self.destination_low.eq(self.destination_base), self.destination_high.eq(self.destination_base),
                self.base.eq(self.source_base), self.count.eq(1),
            ]
        with m.Elif(kind.valid):
            with m.Switch(kind.product):
                with m.Case(Product.SOURCE, Product.SOURCE_HIGH):
                    with m.If(product < 0):
                        m.d.sync += self.source_low.eq(self.source_low + weighed)
                    with m.Else():
                        m.d.sync += self.source_high.eq(self.source_high + weighed)
                with m.Case(Product.DESTINATION):
                    with m.If(product < 0):
                        m.d.sync += self.destination_low.eq(self.destination_low + product)
                    with m.Else():
                        m.d.sync += self.destination_high.eq(self.destination_high + product)
                with m.Case(Product.BASE):
                    m.d.sync += self.base.eq(self.base + product[:32])
                with m.Case(Product.STEP):
                    m.d.sync += self.step[kind.dimension].eq(product[:32])
                with m.Case(Product.COUNT):
                    m.d.sync += self.count.eq(Mux(product[_COUNT_BITS:].any(), (1 << _COUNT_BITS) - 1, product[:_COUNT_BITS]))
        return m
