"""Carry-save addition of many terms."""

from amaranth import C, Cat, Module, Signal, Value

__all__ = ["carries", "compress"]


def carries(m: Module, generate: Value, propagate: Value, name: str) -> tuple[Value, Value]:
    """For each place, whether a carry leaves the places up to it without one coming in, and whether one that comes in goes through.

    A prefix tree after Kogge and Stone: as many levels as the width has bits in its binary logarithm, and a fan-out of two.
    """
    width = len(generate)
    for level in range((width - 1).bit_length()):
        distance = 1 << level
        g, p = (Signal(width, name=f"{name}_{kind}{level}") for kind in ("generate", "propagate"))
        ones = C((1 << distance) - 1, distance)
        m.d.comb += [
            g.eq(generate | propagate & Cat(C(0, distance), generate[:-distance])), p.eq(propagate & Cat(ones, propagate[:-distance])),
        ]  # fmt: skip
        generate, propagate = g, p
    return generate, propagate


def compress(m: Module, rows: list[Value], width: int, name: str, ones: tuple = ()) -> tuple[Value, Value]:
    """Two numbers whose sum is that of `rows`, modulo 2^`width`: full adders in as few levels as three-to-two allows.

    The last rows of the list pass the fewest levels: late terms belong there. `ones` are single bits to add, one for each full adder
    at most: the lowest place of its carries is free.
    """
    rows, free = list(rows), list(ones)
    level = 0
    while len(rows) > 2:
        done = []
        groups, left = divmod(len(rows), 3)
        for group in range(groups):
            a, b, c = rows[3 * group : 3 * group + 3]
            half, sum_, carry = (Signal(width, name=f"{name}_{part}{level}_{group}") for part in ("half", "sum", "carry"))
            m.d.comb += [
                half.eq(a ^ b), sum_.eq(half ^ c), carry.eq(Cat(free.pop(0) if free else C(0, 1), (a & b) | (c & half))),
            ]  # fmt: skip
            done += [sum_, carry]
        rows = done + rows[len(rows) - left :] if left else done
        level += 1
    return rows[0], rows[1] if len(rows) > 1 else C(0, width)
