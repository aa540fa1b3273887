"""Small bit-level helpers that several datapaths share."""

from amaranth import C, Cat, Module, Mux, Signal, Value

__all__ = ["leading_zeros", "number_of"]

#: Bits of the widest vector that simulators handle without a loop.
_WORD = 64


def leading_zeros(m: Module, value: Value) -> Value:
    """Number of zeros above the highest one of `value`, combinational, as a tree of depth log2; undefined if `value` is 0.

    The tree works on the next power of two of bits. A node stands at the highest bit of its block, so that a level is a few operations on
    whole vectors, which simulators run as such; what lies between the nodes is not used. Wider values are cut to vectors of a machine word.
    """
    if len(value) > _WORD:
        half = 1 << ((len(value) - 1).bit_length() - 1)
        high, low = value[-half:], value[:-half]
        places = Signal(range(half))
        m.d.comb += places.eq(Mux(high.any(), leading_zeros(m, high), leading_zeros(m, low)))
        return Cat(places, ~high.any())
    width = 1 << (len(value) - 1).bit_length()
    # Padding goes below, where it can't change the count of a value that is not zero.
    some: Value = Cat(C(0, width - len(value)), value)
    counts: list[Value] = []
    for level in range(width.bit_length() - 1):
        distance = 1 << level

        def lower(vector, distance=distance):
            """The other block of each pair."""
            return Cat(C(0, distance), vector[:-distance])

        following = [Signal(width) for _ in range(level + 1)]
        pairs = zip(following[:-1], counts, strict=True)
        m.d.comb += [*(new.eq((some & old) | (~some & lower(old))) for new, old in pairs), following[-1].eq(~some)]
        any_one = Signal(width)
        m.d.comb += any_one.eq(some | lower(some))
        some, counts = any_one, following
    return Cat(count[-1] for count in counts)


def number_of(one: Value) -> Value:
    """Place of the bit that is set in the one-hot `one`, an OR tree for each bit of it; 0 if none is."""
    places = range(len(one))
    return Cat(Cat(one[place] for place in places if place >> bit & 1).any() for bit in range((len(one) - 1).bit_length()))
