"""Operands and results of `gcu gemm`: formats by name, files, random numbers with special values among them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gcu.errors import BadInput
from gcu.npy import read_npy
from rtl.formats import FLOATS, Format
from sim.golden.formats import dtype_of, encode

__all__ = ["DTYPES", "OUTPUTS", "STORED", "Operand", "load", "random"]

#: Operand formats by name.
DTYPES = {name: Format[name.upper()] for name in ("fp32", "tf32", "fp16", "bf16", "int8")}

#: Formats that C may have, the usual one first. INT8 goes through the vector engine.
_REAL = (Format.FP32, Format.FP16, Format.BF16)
OUTPUTS = {
    Format.FP32: _REAL, Format.TF32: _REAL, Format.FP16: (Format.FP16, Format.FP32, Format.BF16),
    Format.BF16: (Format.BF16, Format.FP32, Format.FP16), Format.INT8: (Format.INT32, Format.INT8),
}

#: The type of a format in an .npy file.
STORED = {
    Format.FP32: np.float32, Format.TF32: np.float32, Format.FP16: np.float16, Format.BF16: np.uint16, Format.INT8: np.int8,
    Format.INT32: np.int32,
}


@dataclass(frozen=True)
class Operand:
    """A matrix as it lies in memory: codes of `format`, transposed or not."""

    name: str
    format: Format
    rows: int
    columns: int
    transposed: bool

    @property
    def shape(self) -> tuple[int, int]:
        """As it is stored."""
        return (self.columns, self.rows) if self.transposed else (self.rows, self.columns)


def random(rng: np.random.Generator, operand: Operand, special: float) -> np.ndarray:
    """The matrix as it is stored; its elements depend on the seed and not on the order of storage.

    Integers over their whole range, floats of all magnitudes around one, rounded to the format. A share `special` of the elements are
    instead subnormals, zeros, infinities and NaNs of both signs (of integers: the ends of the range)."""
    format, shape = operand.format, (operand.rows, operand.columns)
    if format is Format.INT8:
        values = rng.integers(-128, 128, shape, dtype=np.int8).view(np.uint8)
        strange = rng.choice(np.array([-128, -127, 127, 0], np.int8).view(np.uint8), shape) if special else values
    else:
        values = encode(rng.standard_normal(shape) * np.exp2(rng.integers(-4, 5, shape)), format)
        strange = _strange(rng, format, shape) if special else values
    if special:
        values = np.where(rng.random(shape) < special, strange, values)
    return np.ascontiguousarray(values.T if operand.transposed else values)


def _strange(rng: np.random.Generator, format: Format, shape) -> np.ndarray:
    """Half subnormals, the rest zeros, infinities and NaNs; what TF32 ignores is random."""
    layout = FLOATS[format]
    low = layout.container - 1 - layout.exponent - layout.fraction
    top = ((1 << layout.exponent) - 1) << layout.fraction
    kind = rng.choice(4, shape, p=(0.5, 0.25, 0.15, 0.1))
    fraction = rng.integers(1, 1 << layout.fraction, shape)
    magnitude = np.choose(kind, [fraction, 0, top, top | fraction])
    sign = rng.integers(0, 2, shape) << (layout.container - 1 - low)
    return ((sign | magnitude) << low | rng.integers(0, 1 << low, shape)).astype(dtype_of(format))


def load(path: Path, operand: Operand) -> np.ndarray:
    """Codes from an .npy file. Raises :class:`BadInput`."""
    option, wanted = f"--{operand.name}", np.dtype(STORED[operand.format])
    value = read_npy(path, f"{option} {path}")
    if value.dtype != wanted or value.shape != operand.shape:
        raise BadInput(f"{option} {path}: {value.dtype} {list(value.shape)} given, {wanted} {list(operand.shape)} needed")
    return np.ascontiguousarray(value).view(dtype_of(operand.format))
