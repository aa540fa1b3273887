"""One micro-operation of the vector engine on arrays of 32-bit lanes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rtl.formats import Format
from rtl.isa import VectorOp
from sim.golden import float32, requant
from sim.golden.formats import convert

__all__ = ["operate"]

Lanes = np.ndarray

_LEAST, _MOST = -(1 << 31), (1 << 31) - 1


def _signed(lanes: Lanes) -> np.ndarray:
    return lanes.view(np.int32)


def _bits(numbers: np.ndarray) -> Lanes:
    return np.ascontiguousarray(numbers, np.int32).view(np.uint32)


def _saturating_add(a: Lanes, b: Lanes) -> Lanes:
    return _bits(np.clip(_signed(a).astype(np.int64) + _signed(b), _LEAST, _MOST))


def _scale(function: Callable[..., np.ndarray]) -> Callable[[Lanes, Lanes, Lanes], Lanes]:
    """Requantisation with the shift in the low byte of the destination."""

    def operation(a: Lanes, b: Lanes, destination: Lanes) -> Lanes:
        shift = (destination & 0xFF).astype(np.uint8).view(np.int8).astype(np.int32)
        return _bits(function(_signed(a), _signed(b), shift))

    return operation


_OPERATIONS: dict[Any, Callable[[Lanes, Lanes, Lanes], Lanes]] = {
    VectorOp.NOP: lambda a, b, d: d,
    VectorOp.MOV: lambda a, b, d: a,
    VectorOp.FADD: lambda a, b, d: float32.add(a, b),
    VectorOp.FSUB: lambda a, b, d: float32.sub(a, b),
    VectorOp.FMUL: lambda a, b, d: float32.mul(a, b),
    VectorOp.FMA: lambda a, b, d: float32.fma(a, b, d),
    VectorOp.FMAX: lambda a, b, d: float32.maximum(a, b),
    VectorOp.FMIN: lambda a, b, d: float32.minimum(a, b),
    VectorOp.IADD: lambda a, b, d: a + b,
    VectorOp.ISUB: lambda a, b, d: a - b,
    VectorOp.IADDS: lambda a, b, d: _saturating_add(a, b),
    VectorOp.IMUL: lambda a, b, d: a * b,
    VectorOp.IMAX: lambda a, b, d: _bits(np.maximum(_signed(a), _signed(b))),
    VectorOp.IMIN: lambda a, b, d: _bits(np.minimum(_signed(a), _signed(b))),
    VectorOp.SHL: lambda a, b, d: a << (b & 31),
    VectorOp.SHR: lambda a, b, d: _bits(_signed(a) >> _signed(b & 31)),
    VectorOp.ITOF: lambda a, b, d: convert(a, Format.INT32, Format.FP32),
    VectorOp.FTOI: lambda a, b, d: convert(a, Format.FP32, Format.INT32),
    VectorOp.REQD: _scale(requant.requantise_double),
    VectorOp.REQS: _scale(requant.requantise_single),
}


def operate(op: VectorOp, a: Lanes, b: Lanes, destination: Lanes) -> Lanes:
    """`destination = a op b` on uint32 arrays of one shape; `destination` is also the old value where the operation reads it."""
    a, b, destination = (np.ascontiguousarray(lanes, np.uint32) for lanes in (a, b, destination))
    return np.ascontiguousarray(_OPERATIONS[op](a, b, destination)).astype(np.uint32, copy=False)
