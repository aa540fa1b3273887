"""Conversion of whole arrays of elements, by the exact referee, one distinct element at a time."""

from functools import cache

import numpy as np

from rtl.formats import Format
from verif.numerics import exact

__all__ = ["convert"]

_BYTES = {Format.FP32: 4, Format.TF32: 4, Format.FP16: 2, Format.BF16: 2, Format.INT8: 1, Format.INT32: 4, Format.UINT8: 1}


@cache
def _one(code: int, source: Format, target: Format) -> int:
    # FP32 to FP32 is no conversion: a NaN keeps its bits.
    return code if source is target is Format.FP32 else exact.convert(code, source, target)


def convert(elements: np.ndarray, source: Format, target: Format) -> np.ndarray:
    """`elements` as rows of the bytes of `source`; the result as rows of the bytes of `target`."""
    codes = [int.from_bytes(bytes(row), "little") for row in elements]
    out = b"".join(_one(code, source, target).to_bytes(_BYTES[target], "little") for code in codes)
    return np.frombuffer(out, np.uint8).reshape(len(codes), _BYTES[target])
