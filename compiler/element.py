"""Element types of tensors that the data engine moves, and single values of them: for what fills a pad or surrounds a block."""

import math
import struct
from dataclasses import dataclass

from compiler.errors import CompileError
from rtl.formats import CANONICAL_NAN, CONTAINER_BYTES, FLOATS, Format

__all__ = ["ELEMENTS", "Element", "convert", "encode"]

_SIGNED = (Format.INT8, Format.INT32)


@dataclass(frozen=True)
class Element:
    """A type by name. `format` is None for integers that the chip moves but can't convert."""

    name: str
    bytes: int
    format: Format | None
    signed: bool

    @property
    def floating(self) -> bool:
        return self.format in FLOATS

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest integer."""
        bits = 8 * self.bytes
        return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if self.signed else (0, (1 << bits) - 1)


ELEMENTS = {
    **{format.name.lower(): Element(format.name.lower(), CONTAINER_BYTES[format], format, format in _SIGNED) for format in Format},
    "int16": Element("int16", 2, None, True), "uint16": Element("uint16", 2, None, False), "uint32": Element("uint32", 4, None, False),
}


def encode(value: int | float, element: Element) -> int:
    """Code of a number: rounded to nearest even where the type is floating; an integer must be in the type's range, else
    :class:`CompileError`."""
    if not element.floating:
        low, high = element.range
        if not math.isfinite(value) or value != int(value) or not low <= value <= high:
            raise CompileError(f"{value} is not an integer of {element.name}, {low} to {high}")
        return int(value) & (1 << 8 * element.bytes) - 1
    assert element.format is not None
    return _round(float(value), element.format)


def convert(code: int, source: Element, target: Element) -> int:
    """Code of a value in another type, by the rules of `docs/numerics.md`: one rounding, saturating to integers, NaN to 0 or canonical."""
    if source.format is target.format is Format.FP32:
        return code
    assert target.format is not None
    value = _value(code, source)
    if target.floating:
        return _round(value, target.format)
    low, high = target.range
    whole = 0 if math.isnan(value) else int(min(max(value, low), high)) if math.isinf(value) else min(max(round(value), low), high)
    return whole & (1 << 8 * target.bytes) - 1


def _value(code: int, element: Element) -> float:
    """Exact: every value of every format is one of binary64."""
    raw = code.to_bytes(4, "little")
    match element.format:
        case Format.FP32:
            return struct.unpack("<f", raw)[0]
        case Format.TF32:
            return struct.unpack("<f", (code & 0xFFFFE000).to_bytes(4, "little"))[0]
        case Format.FP16:
            return struct.unpack("<e", raw[:2])[0]
        case Format.BF16:
            return struct.unpack("<f", raw[2:] + raw[:2])[0]
    return float(int.from_bytes(raw[: element.bytes], "little", signed=element.signed))


def _round(value: float, format: Format) -> int:
    layout = FLOATS[format]
    if math.isnan(value):
        return CANONICAL_NAN[format]
    shift = layout.container - 1 - layout.exponent - layout.fraction
    sign = int(math.copysign(1, value) < 0) << (layout.exponent + layout.fraction)
    infinite = ((1 << layout.exponent) - 1) << layout.fraction
    if math.isinf(value):
        return (sign | infinite) << shift
    # Units in the last place; a carry out of the fraction steps into the exponent by itself.
    exponent = max(math.frexp(value)[1] - 1, 1 - layout.bias)
    whole = round(math.ldexp(abs(value), layout.fraction - exponent)) if value else 0
    code = ((exponent + layout.bias - 1) << layout.fraction) + whole if whole else 0
    return (sign | min(code, infinite)) << shift
