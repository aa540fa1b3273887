"""Requantisation of INT32 accumulators, in the three roundings of `docs/numerics.md`.

A function takes int32 arrays (they broadcast) and returns int32 without zero point and clamp; :func:`finish` does those.
"""

import numpy as np

__all__ = ["finish", "requantise_double", "requantise_onnx", "requantise_single"]

_LOW, _HIGH = -(1 << 31), (1 << 31) - 1


def _int32(value) -> np.ndarray:
    return np.clip(value, _LOW, _HIGH).astype(np.int32)


def _operands(*values) -> list[np.ndarray]:
    return [np.asarray(value).astype(np.int64) for value in values]


def requantise_double(acc, multiplier, shift) -> np.ndarray:
    """`tflite-double`: acc * multiplier / 2^31 * 2^shift with up to two roundings (Conv, DepthwiseConv, Add of LiteRT).

    s = acc * 2^shift, saturated to int32, for shift > 0, else acc. t = s * multiplier / 2^31 to nearest, ties up; -2^31 times -2^31
    gives 2^31 - 1. For shift < 0 then t / 2^-shift to nearest, ties away from zero. A shift outside -31 to 31 counts as the
    nearer of the two: to the left this changes nothing, to the right the result is -1, 0 or 1.
    """
    acc, multiplier, shift = _operands(acc, multiplier, shift)
    left, right = np.clip(shift, 0, 31), np.clip(-shift, 0, 31)
    scaled = np.clip(acc << left, _LOW, _HIGH)
    product = scaled * multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    # Division toward zero, by a shift of the magnitude.
    high = np.minimum(np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31)), _HIGH)
    half = (1 << right) >> 1
    return _int32(np.where(high >= 0, (high + half) >> right, -((half - high) >> right)))


def requantise_single(acc, multiplier, shift) -> np.ndarray:
    """`tflite-single`: (acc * multiplier + 2^(30 - shift)) >> (31 - shift), one rounding, ties up (FullyConnected of LiteRT).

    In 64 bits, which can't overflow; the result is the low 32 bits, as in LiteRT, whose multipliers and shifts never need more. A
    shift outside -31 to 30 (a right shift outside 1 to 62) counts as the nearer of the two.
    """
    acc, multiplier, shift = _operands(acc, multiplier, shift)
    right = 31 - np.clip(shift, -31, 30)
    return ((acc * multiplier + (np.int64(1) << (right - 1))) >> right).astype(np.int32)


def requantise_onnx(acc, scale) -> np.ndarray:
    """`onnx`: float32(float32(acc) * scale) to the nearest-even integer, saturated to int32; NaN gives 0.

    `scale` is numpy float32 (a Python float is rounded to it).
    """
    acc = np.asarray(acc).astype(np.int32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        product = acc.astype(np.float32) * np.asarray(scale, np.float32)
    whole = np.rint(np.where(np.isnan(product), np.float32(0), product).astype(np.float64))
    return _int32(np.clip(whole, _LOW, _HIGH).astype(np.int64))


def finish(value, zero, low: int, high: int) -> np.ndarray:
    """value + zero, clamped to low .. high, as int32. The sum is exact."""
    value, zero = _operands(value, zero)
    return np.clip(value + zero, low, high).astype(np.int32)
