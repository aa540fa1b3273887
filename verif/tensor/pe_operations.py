"""Operations for one PE: the corners of every format and random streams, with what exact arithmetic makes of them."""

import random
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import AlignMode
from verif.numerics import exact
from verif.numerics.operands import centred, corners, mixed
from verif.tensor.referee import float_operand, float_operations

__all__ = ["Operation", "byte_operations", "dot_operations", "float_corners", "pack_lanes", "single_operations"]

#: Fraction bits of the sum in the compatibility modes.
_WINDOW = {AlignMode.RZ23: 23, AlignMode.RZ24: 24, AlignMode.RZ25: 25}


class Operation(NamedTuple):
    """One operation of a PE. `lanes` is a mask of those that take part; `a` and `b` have all of them."""

    format: Format
    align: AlignMode
    lanes: int
    a: tuple[int, ...]
    b: tuple[int, ...]
    c: int

    def due(self, config: ChipConfig) -> tuple[int, int]:
        """(result, overflow) by exact arithmetic."""
        taken = [lane for lane in range(config.lanes(self.format)) if self.lanes >> lane & 1]
        a, b = [self.a[lane] for lane in taken], [self.b[lane] for lane in taken]
        if self.format in (Format.INT8, Format.UINT8):
            total = self.c - (self.c >> 31 << 32)
            for x, y in zip(a, b, strict=True):
                total += (x - (x >> 7 << 8) * (self.format is Format.INT8)) * (y - (y >> 7 << 8))
            return total & 0xFFFFFFFF, int(not -(2**31) <= total < 2**31)
        if self.format is Format.FP32:
            return exact.correctly_rounded(Format.FP32, a, b, self.c), 0
        window = _WINDOW.get(self.align, config.align)
        return exact.dot(self.format, a, b, self.c, window, self.align is not AlignMode.OWN), 0


def pack_lanes(format: Format, codes: tuple[int, ...], bits: int, noise: random.Random) -> int:
    """The lanes of an operand, lane 0 lowest, with noise above."""
    size = 8 * CONTAINER_BYTES[format]
    value = noise.getrandbits(bits) >> len(codes) * size << len(codes) * size
    return value | sum(code << lane * size for lane, code in enumerate(codes))


def _mask(rng: random.Random) -> int:
    """Half of the time all lanes take part; a first few of them, as at the end of K; or any."""
    return rng.choice((0xFF, 0xFF, (1 << rng.randrange(9)) - 1, rng.getrandbits(8)))


def single_operations(rng: random.Random, count: int) -> Iterator[Operation]:
    """FP32: all pairs of classes, cancellation, ties, subnormals. Other lanes and `align` don't matter."""
    for a, b, c in float_operations(rng, count):
        lanes = rng.getrandbits(8) | (rng.random() < 0.95)
        yield Operation(Format.FP32, rng.choice(list(AlignMode)), lanes, (a,), (b,), c)


def byte_operations(config: ChipConfig, rng: random.Random, count: int) -> Iterator[Operation]:
    """INT8 and UINT8: extreme bytes and any; accumulators anywhere, and so near the ends of int32 that the sum leaves it."""
    size = config.lanes(Format.INT8)

    def some() -> tuple[int, ...]:
        ends = rng.random() < 0.3
        if rng.random() < 0.1:
            return (rng.choice((0x80, 0x7F, 0xFF)),) * size
        return tuple(rng.choice((0, 1, 0x7F, 0x80, 0x81, 0xFF)) if ends else rng.getrandbits(8) for _ in range(size))

    for _ in range(count):
        near = rng.choice((0x7FFFFFFF, 0x80000000)) + rng.randint(-300_000, 300_000)
        c = rng.choice((0, near, near, 0x7FFFFFFF, 0x80000000, rng.getrandbits(32))) & 0xFFFFFFFF
        yield Operation(rng.choice((Format.INT8, Format.UINT8)), rng.choice(list(AlignMode)), _mask(rng), some(), some(), c)


def float_corners(format: Format, rng: random.Random) -> Iterator[Operation]:
    """Every pair of classes as one product, among others of every class or zeros, with an accumulator of every class."""
    # TF32's second half are the same codes with low bits that must not matter.
    classes = [int(code) for code in corners(format)[:34]]
    ignored = 0x1FFF if format is Format.TF32 else 0
    accumulators = [int(code) for code in corners(Format.FP32)]
    for x in classes:
        for y in classes:
            others = rng.choice((classes, classes[:28], classes[:2]))
            a, b = ([rng.choice(others) for _ in range(4)] for _ in range(2))
            lane = rng.randrange(4)
            a[lane], b[lane] = x | rng.getrandbits(13) & ignored, y | rng.getrandbits(13) & ignored
            yield Operation(format, rng.choice(list(AlignMode)), _mask(rng), tuple(a), tuple(b), rng.choice(accumulators))


def dot_operations(config: ChipConfig, format: Format, rng: random.Random, count: int) -> Iterator[Operation]:
    """Sums of four products: exponents near and far, cancelling pairs, terms at the edge of the window, ties, results below the least
    normal number, anything; in every alignment mode.
    """
    numpy_rng = np.random.default_rng(rng.getrandbits(32))
    minus = 1 << (8 * CONTAINER_BYTES[format] - 1)
    low = -12 if format is Format.FP16 else -72

    def four(spread: int, centre: int = 0) -> list[int]:
        return [int(code) for code in centred(numpy_rng, format, 4, spread, centre)]

    for _ in range(count):
        align = rng.choice(list(AlignMode))
        window = _WINDOW.get(align, config.align)
        kind = rng.randrange(7)
        a, b = four(14), four(14)
        c = int(centred(numpy_rng, Format.FP32, 1, 28)[0])
        if kind == 0:  # two products cancel but for a bit
            one, other = rng.sample(range(4), 2)
            a[one], b[one] = a[other] ^ minus, b[other] ^ rng.choice((0, 0, minus >> 7, 1 << 13 if minus >> 31 else 1))
            c = rng.choice((c, 0, float_operand(rng)))
        elif kind == 1:  # bits around the lower end of the window of a large accumulator
            a, b = four(3, -(window // 4)), four(3, -(window // 4))
            c = int(centred(numpy_rng, Format.FP32, 1, 3, window // 2)[0])
        elif kind == 2:  # the accumulator around the lower end of the window of a large product
            a[0], b[0] = four(1, 8)[0], four(1, 8)[0]
            c = int(centred(numpy_rng, Format.FP32, 1, 4, 16 - window)[0])
        elif kind == 3:  # ties: powers of two half a unit below a short accumulator
            a, b = ([code & ~(minus - 1 >> (6 if format is Format.FP16 else 9)) for code in codes] for codes in (four(6, -6), four(6, -6)))
            c = int(centred(numpy_rng, Format.FP32, 1, 2)[0]) & (0xFFFFFF00 | rng.getrandbits(8) & rng.getrandbits(8))
        elif kind == 4:  # results that are subnormal or vanish
            a, b = four(8, low), four(8, low)
            c = rng.choice((0, 0x80000000, rng.getrandbits(24), 0x80000001))
        elif kind == 5:
            a, b = ([int(code) for code in mixed(numpy_rng, format, 4)] for _ in range(2))
            c = float_operand(rng)
        yield Operation(format, align, _mask(rng), tuple(a), tuple(b), c)
