"""The testbench's own arithmetic against the referee of the numerics contract."""

import random

import pytest

from rtl.formats import Format
from verif.numerics import exact
from verif.tensor.referee import decode, dot, float_operand, fma

_BITS = {Format.TF32: (32, 23), Format.FP16: (16, 10), Format.BF16: (16, 7)}


def _code(rng: random.Random, format: Format) -> int:
    """Any bits; a class's edge; or near one, so that sums cancel and round."""
    bits, fraction = _BITS[format]
    top = 1 << bits - 1
    kind = rng.randrange(4)
    if kind == 0:
        return rng.getrandbits(bits)
    if kind == 1:
        infinity = top - (1 << fraction)
        edges = (0, 1, 1 << fraction - 1, (1 << fraction) - 1, 1 << fraction, infinity - 1, infinity, infinity + 1)
        return rng.choice(edges) | rng.getrandbits(1) * top
    one = (1 << bits - 2) - (1 << fraction)
    return one + (rng.randint(-14, 14) << fraction if kind == 2 else 0) + rng.getrandbits(fraction) | rng.getrandbits(1) * top


@pytest.mark.parametrize("format", _BITS)
def test_dot(format, seed):
    rng = random.Random(seed)
    for _ in range(8000):
        count = rng.randint(1, 4)
        a, b = ([_code(rng, format) for _ in range(count)] for _ in range(2))
        c, window, toward_zero = float_operand(rng), rng.choice((23, 24, 25, 40, 48)), bool(rng.getrandbits(1))
        got = dot(format, [decode(x, format) for x in a], [decode(x, format) for x in b], c, window, toward_zero)
        due = exact.dot(format, a, b, c, window, toward_zero)
        assert got == due, f"{format.name} {a} {b} {c:#x}, F = {window}: {got:08x}, not {due:08x}"


def test_fma(seed):
    rng = random.Random(seed)
    for _ in range(4000):
        a, b, c = (float_operand(rng) for _ in range(3))
        assert fma(a, b, c) == exact.fma(a, b, c), f"{a:#x} * {b:#x} + {c:#x}"
