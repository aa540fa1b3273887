"""Small bit-level helpers that several datapaths share."""

from amaranth import Cat, Module, Mux, Signal, Value

__all__ = ["leading_zeros"]


def leading_zeros(m: Module, value: Value) -> Value:
    """Number of zeros above the highest one of `value`, combinational, as a tree of depth log2; undefined if `value` is 0.

    The tree works on the next power of two of bits; each node keeps its count and whether it holds a one.
    """
    width = 1 << (len(value) - 1).bit_length()
    # Padding goes below, where it can't change the count of a value that is not zero.
    padded = Cat(0 if width == len(value) else Value.cast(0).replicate(width - len(value)), value)[-width:]
    counts = [Value.cast(0)[:0]] * width
    some = [padded[width - 1 - i] for i in range(width)]  # from the top
    while len(some) > 1:
        next_counts, next_some = [], []
        for i in range(0, len(some), 2):
            count = Signal(len(counts[i]) + 1)
            any_one = Signal()
            m.d.comb += [
                any_one.eq(some[i] | some[i + 1]),
                count.eq(Cat(Mux(some[i], counts[i], counts[i + 1]), ~some[i])),
            ]
            next_counts.append(count)
            next_some.append(any_one)
        counts, some = next_counts, next_some
    return counts[0]
