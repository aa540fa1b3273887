"""Micro-programs of the vector engine for the meanings that lowering knows. Constants are 32-bit patterns."""

import numpy as np

from compiler.graph import Lanes, Tensor
from rtl.formats import Format
from rtl.isa import VectorOp as Op
from rtl.isa import VectorSource as Source

__all__ = [
    "add_real", "dequantise", "finish_float", "finish_integer", "quantise", "relu_real", "rescale", "sum_codes",
]

V0, V1, P0, P1, P2, S0, S1, ZERO = (
    Source.V0, Source.V1, Source.P0, Source.P1, Source.P2, Source.S0, Source.S1, Source.ZERO,
)


def _float(value) -> int:
    return int(np.float32(value).view(np.uint32))


def _int(value: int) -> int:
    return value & 0xFFFFFFFF


def _floor(out: Tensor, relu: bool) -> int | None:
    """The lowest code of the result, where saturation to the format alone doesn't give it."""
    least = 0 if out.format is Format.UINT8 else -128
    return out.zero if relu and out.zero > least else None


def _end(out: Tensor, relu: bool) -> tuple[list, int, int]:
    """FTOI, zero point from S0 and floor from S1, each only where it does something; the two scalars."""
    steps = [(Op.FTOI, 0, V0, ZERO)]
    if out.zero:
        steps.append((Op.IADDS, 0, V0, S0))
    floor = _floor(out, relu)
    if floor is not None:
        steps.append((Op.IMAX, 0, V0, S1))
    return steps, _int(out.zero), _int(floor or 0)


def finish_integer(scale: np.ndarray | None, out: Tensor, relu: bool) -> Lanes:
    """Accumulators times `scale` per channel (FP32 accumulators: times 1 / out.scale) to codes of `out`: the `onnx` rule."""
    steps, zero, floor = _end(out, relu)
    if scale is None:
        start = [(Op.FMUL, 0, V0, P0)]
        return Lanes((*start, *steps), zero, floor, (np.array([_float(np.float32(1) / np.float32(out.scale))], np.uint32),))
    start = [(Op.ITOF, 0, V0, ZERO), (Op.FMUL, 0, V0, P0)]
    return Lanes((*start, *steps), zero, floor, (scale.astype(np.float32).view(np.uint32),))


def finish_float(scale: np.ndarray | None, relu: bool) -> Lanes | None:
    """Accumulators to FP32; None where they are the result as they stand."""
    steps = []
    params = ()
    if scale is not None:
        steps += [(Op.ITOF, 0, V0, ZERO), (Op.FMUL, 0, V0, P0)]
        params = (scale.astype(np.float32).view(np.uint32),)
    if relu:
        steps.append((Op.FMAX, 0, V0, ZERO))
    return Lanes(tuple(steps), params=params) if steps else None


def sum_codes(x: Tensor, y: Tensor, out: Tensor, relu: bool) -> Lanes:
    """round(x * (sx / so) + y * (sy / so) - (zx * sx + zy * sy) / so) + zo, with one rounding for the second product and its sum.

    ONNX divides the float sum by `so`; the products with rounded ratios differ from that in rare cases by one code.
    """
    mx, my = np.float32(x.scale) / np.float32(out.scale), np.float32(y.scale) / np.float32(out.scale)
    steps = [(Op.ITOF, 0, V0, ZERO), (Op.ITOF, 1, V1, ZERO), (Op.FMUL, 0, V0, S0), (Op.FMA, 0, V1, S1)]
    constants = []

    def constant(pattern: int) -> Source:
        constants.append(np.array([pattern], np.uint32))
        return (P0, P1, P2)[len(constants) - 1]

    if x.zero or y.zero:
        steps.append((Op.FADD, 0, V0, constant(_float(-(np.float32(x.zero) * mx + np.float32(y.zero) * my)))))
    steps.append((Op.FTOI, 0, V0, ZERO))
    if out.zero:
        steps.append((Op.IADDS, 0, V0, constant(_int(out.zero))))
    floor = _floor(out, relu)
    if floor is not None:
        steps.append((Op.IMAX, 0, V0, constant(_int(floor))))
    return Lanes(tuple(steps), _float(mx), _float(my), tuple(constants))


def rescale(x: Tensor, out: Tensor, relu: bool) -> Lanes:
    """round(max(x - zx, 0 if relu) * (sx / so)) + zo."""
    steps, constants = [], ()
    if x.zero:
        steps.append((Op.ISUB, 0, V0, P0))
        constants = (np.array([_int(x.zero)], np.uint32),)
    if relu:
        steps.append((Op.IMAX, 0, V0, ZERO))
    steps += [(Op.ITOF, 0, V0, ZERO), (Op.FMUL, 0, V0, S0), (Op.FTOI, 0, V0, ZERO)]
    if out.zero:
        steps.append((Op.IADDS, 0, V0, S1))
    return Lanes(tuple(steps), _float(np.float32(x.scale) / np.float32(out.scale)), _int(out.zero), constants)


def quantise(out: Tensor) -> Lanes:
    """FP32 to codes: round(x * (1 / so)) + zo."""
    steps = [(Op.FMUL, 0, V0, S0), (Op.FTOI, 0, V0, ZERO)]
    if out.zero:
        steps.append((Op.IADDS, 0, V0, S1))
    return Lanes(tuple(steps), _float(np.float32(1) / np.float32(out.scale)), _int(out.zero))


def dequantise(scale: float, zero: int, relu: bool) -> Lanes:
    """(x - zx) * sx in FP32."""
    steps = [(Op.ISUB, 0, V0, S1)] if zero else []
    if relu:
        steps.append((Op.IMAX, 0, V0, ZERO))
    steps += [(Op.ITOF, 0, V0, ZERO), (Op.FMUL, 0, V0, S0)]
    return Lanes(tuple(steps), _float(scale), _int(zero))


def relu_real() -> Lanes:
    return Lanes(((Op.FMAX, 0, V0, ZERO),))


def add_real(relu: bool) -> Lanes:
    steps = [(Op.FADD, 0, V0, V1)]
    if relu:
        steps.append((Op.FMAX, 0, V0, ZERO))
    return Lanes(tuple(steps))
