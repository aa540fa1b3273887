"""Carry-save addition of many terms."""

from amaranth import C, Cat, Module, Signal, Value

__all__ = ["compress"]


def compress(m: Module, rows: list[Value], width: int, name: str) -> tuple[Value, Value]:
    """Two numbers whose sum is that of `rows`, modulo 2^`width`: full adders in as few levels as three-to-two allows.

    The last rows of the list pass the fewest levels: late terms belong there.
    """
    rows = list(rows)
    level = 0
    while len(rows) > 2:
        done = []
        groups, left = divmod(len(rows), 3)
        for group in range(groups):
            a, b, c = rows[3 * group : 3 * group + 3]
            half, sum_, carry = (Signal(width, name=f"{name}_{part}{level}_{group}") for part in ("half", "sum", "carry"))
            m.d.comb += [
                half.eq(a ^ b), sum_.eq(half ^ c), carry.eq(Cat(C(0, 1), (a & b) | (c & half))),
            ]  # fmt: skip
            done += [sum_, carry]
        rows = done + rows[len(rows) - left :] if left else done
        level += 1
    return rows[0], rows[1] if len(rows) > 1 else C(0, width)
