"""Operands that find mistakes: the corners of every format, random codes of chosen spread, cancellation and ties."""

import numpy as np

from rtl.formats import CONTAINER_BYTES, Format

__all__ = ["centred", "corners", "cross", "mixed", "random_codes"]

_WIDTHS = {Format.FP32: (8, 23), Format.TF32: (8, 10), Format.FP16: (5, 10), Format.BF16: (8, 7)}


def _type(format: Format) -> np.dtype:
    return np.dtype(f"u{CONTAINER_BYTES[format]}")


def corners(format: Format) -> np.ndarray:
    """Both signs of: zero, the ends of the subnormals, the smallest normals, one and its neighbours, the largest, infinity, NaNs."""
    e_bits, f_bits = _WIDTHS[format]
    one, infinity = (2 ** (e_bits - 1) - 1) << f_bits, (2**e_bits - 1) << f_bits
    half = 1 << (f_bits - 1)
    positive = [0, 1, 2, half, 2**f_bits - 1, 2**f_bits, 2**f_bits + 1, one - 1, one, one + 1, one + half, one + (3 << f_bits),
                infinity - 1, infinity - 2**f_bits, infinity, infinity + 1, infinity + half]  # fmt: skip
    codes = [code | sign << (e_bits + f_bits) for code in positive for sign in (0, 1)]
    if format is Format.TF32:  # the low 13 bits must not matter
        codes = [code << 13 for code in codes] + [code << 13 | 0x1555 for code in codes]
    return np.array(codes, _type(format))


def cross(*axes: np.ndarray) -> list[np.ndarray]:
    """Every combination of the elements of each axis, as flat arrays."""
    return [grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")]


def random_codes(rng: np.random.Generator, format: Format, shape) -> np.ndarray:
    """Uniform over the codes."""
    kind = _type(format)
    return rng.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)


def centred(rng: np.random.Generator, format: Format, shape, spread: int, centre: int = 0) -> np.ndarray:
    """Normal numbers with exponents within `spread` of `centre`, uniform; random sign and fraction."""
    e_bits, f_bits = _WIDTHS[format]
    bias = 2 ** (e_bits - 1) - 1
    exponent = np.clip(rng.integers(centre - spread, centre + spread, shape, endpoint=True) + bias, 0, 2 * bias)
    code = rng.integers(0, 2, shape) << (e_bits + f_bits) | exponent << f_bits | rng.integers(0, 2**f_bits, shape)
    return (code << (13 if format is Format.TF32 else 0)).astype(_type(format))


def mixed(rng: np.random.Generator, format: Format, shape) -> np.ndarray:
    """A third near one, a third anywhere, the rest corners and numbers with few significant bits."""
    few = centred(rng, format, shape, 6) & ~_type(format).type((1 << (_WIDTHS[format][1] - 3)) - 1)
    options = [centred(rng, format, shape, 8), random_codes(rng, format, shape), rng.choice(corners(format), shape), few]
    choice = rng.choice(4, shape, p=(0.34, 0.33, 0.13, 0.2))
    return np.choose(choice, options)
