# amaranth: UnusedElaboratable=no
"""One arithmetic operation of the chip, as `gcu numerics` runs it: its operands, the golden model of it, and the unit that computes it."""

from dataclasses import dataclass

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format, lanes_of
from rtl.isa import AlignMode, VectorOp
from sim.golden import dot, float32, formats, requant
from sim.numerics.units import LANE_STEPS, ElementMode, ElementUnit, LaneMode, LaneUnit, StreamUnit

__all__ = ["ALIGN_MODES", "Convert", "Dot", "Fma", "Operation", "Requantise"]

ALIGN_MODES = {23: AlignMode.RZ23, 24: AlignMode.RZ24, 25: AlignMode.RZ25}
_ONE = 0x3F800000


class Operation:
    """Operands and results are columns of codes, uint32, in the low bits.

    Attributes
    ----------
    fields : tuple of (name, hexadecimal digits)
        The operands of a line.
    digits : int
        Of the result.
    hardware : str or None
        What the chip lacks for it, if it does.
    """

    fields: tuple[tuple[str, int], ...]
    digits: int
    hardware: str | None = None

    def golden(self, operands: np.ndarray) -> np.ndarray:
        """Results (uint32) of operands [operations, fields]."""
        raise NotImplementedError

    def unit(self, config: ChipConfig) -> StreamUnit:
        """The hardware that computes it."""
        raise NotImplementedError

    def mode(self) -> int:
        """The unit's mode."""
        raise NotImplementedError

    def words(self, operands: np.ndarray, unit: StreamUnit) -> np.ndarray:
        """The unit's operands [operations, words]."""
        raise NotImplementedError


def _digits(format: Format) -> int:
    return 2 * CONTAINER_BYTES[format]


def _codes(column: np.ndarray, format: Format) -> np.ndarray:
    return column.astype(formats.dtype_of(format))


@dataclass(frozen=True)
class Dot(Operation):
    """c plus a group of products, in one processing element."""

    format: Format
    lanes: int
    align: int = 40
    toward_zero: bool = False

    @classmethod
    def of(cls, format: Format, config: ChipConfig, toward_zero: bool = False, align: int | None = None) -> "Dot":
        return cls(format, lanes_of(format, config.int8_lanes), align if align is not None else config.align, toward_zero)

    @property
    def fields(self):
        digits = _digits(self.format)
        return (*((f"{side}{lane}", digits) for side in "ab" for lane in range(self.lanes)), ("c", 8))

    digits = 8

    def golden(self, operands):
        codes = _codes(operands[:, :-1], self.format)
        a, b = codes[:, : self.lanes], codes[:, self.lanes :]
        return dot.dot(self.format, a, b, operands[:, -1], align=self.align, toward_zero=self.toward_zero)

    def unit(self, config):
        return ElementUnit(config)

    def mode(self):
        align = ALIGN_MODES[self.align] if self.toward_zero else AlignMode.OWN
        return ElementMode.const({"operand": self.format, "align": align}).as_value().value

    def words(self, operands, unit):
        dtype = formats.dtype_of(self.format)
        side = 4 * (unit.words // 2)
        packed = np.zeros((len(operands), 4 * unit.words), np.uint8)
        used = self.lanes * dtype.itemsize
        for index in range(2):
            lanes = np.ascontiguousarray(operands[:, index * self.lanes : (index + 1) * self.lanes].astype(dtype))
            packed[:, index * side : index * side + used] = lanes.view(np.uint8)
        packed[:, 2 * side :] = np.ascontiguousarray(operands[:, -1:]).view(np.uint8)
        return packed.view(np.uint32)


@dataclass(frozen=True)
class Fma(Dot):
    """a * b + c of FP32, in one processing element."""

    format: Format = Format.FP32
    lanes: int = 1

    fields = (("a", 8), ("b", 8), ("c", 8))

    def golden(self, operands):
        return float32.fma(*(np.ascontiguousarray(operands[:, column]) for column in range(3)))


class _Lane(Operation):
    """Load, a micro-program, store: what a lane of the vector engine does with an element."""

    load: Format
    store: Format

    def steps(self) -> dict[int, VectorOp]:
        raise NotImplementedError

    def unit(self, config):
        return LaneUnit()

    def mode(self):
        steps = self.steps()
        ops = [steps.get(step, VectorOp.MOV) for step in range(LANE_STEPS)]
        return LaneMode.const({"load": self.load, "store": self.store, "ops": ops}).as_value().value


@dataclass(frozen=True)
class Convert(_Lane):
    """Between number formats."""

    source: Format
    target: Format

    @property
    def fields(self):
        return (("a", _digits(self.source)),)

    @property
    def digits(self):
        return _digits(self.target)

    @property
    def load(self):
        return self.source

    @property
    def store(self):
        return self.target

    @property
    def hardware(self):
        if self.source is Format.INT32 and self.target in (Format.TF32, Format.FP16, Format.BF16):
            return f"the vector engine has no step from int32 to {self.target.name.lower()} that rounds once (its way leads through fp32)"
        return None

    def golden(self, operands):
        return formats.convert(_codes(operands[:, 0], self.source), self.source, self.target).astype(np.uint32)

    def steps(self):
        from_integer, to_integer = (format in (Format.INT8, Format.INT32) for format in (self.source, self.target))
        if from_integer != to_integer:
            return {0: VectorOp.ITOF if from_integer else VectorOp.FTOI}
        # FP32 to FP32 is no conversion for load and store: a product with one makes its NaN canonical.
        return {0: VectorOp.FMUL} if self.source is self.target is Format.FP32 else {}

    def words(self, operands, unit):
        packed = np.zeros((len(operands), unit.words), np.uint32)
        packed[:, 0], packed[:, 1] = operands[:, 0], _ONE
        return packed


@dataclass(frozen=True)
class Requantise(_Lane):
    """INT32 accumulators to INT8 or UINT8; `rule` is tflite-double, tflite-single or onnx. The zero point is in the result's format."""

    rule: str
    unsigned: bool = False

    digits = 2

    @property
    def fields(self):
        if self.rule == "onnx":
            return (("acc", 8), ("scale", 8), ("zero", 2))
        return (("acc", 8), ("multiplier", 8), ("shift", 2), ("zero", 2))

    load = Format.INT32

    @property
    def store(self):
        return Format.UINT8 if self.unsigned else Format.INT8

    def _zero(self, operands: np.ndarray) -> np.ndarray:
        code = operands[:, -1].astype(np.uint8)
        return (code if self.unsigned else code.view(np.int8)).astype(np.int32)

    def golden(self, operands):
        acc, factor = np.ascontiguousarray(operands[:, 0]).view(np.int32), np.ascontiguousarray(operands[:, 1])
        if self.rule == "onnx":
            value = requant.requantise_onnx(acc, factor.view(np.float32))
        else:
            scaled = requant.requantise_double if self.rule == "tflite-double" else requant.requantise_single
            value = scaled(acc, factor.view(np.int32), operands[:, 2].astype(np.uint8).view(np.int8))
        low, high = formats.integer_range(self.store)
        return (requant.finish(value, self._zero(operands), low, high) & 0xFF).astype(np.uint32)

    def steps(self):
        if self.rule == "onnx":
            return {0: VectorOp.ITOF, 1: VectorOp.FMUL, 2: VectorOp.FTOI, 3: VectorOp.IADDS}
        return {0: VectorOp.REQD if self.rule == "tflite-double" else VectorOp.REQS, 3: VectorOp.IADDS}

    def words(self, operands, unit):
        packed = np.zeros((len(operands), unit.words), np.uint32)
        packed[:, 0], packed[:, 1], packed[:, 3] = operands[:, 0], operands[:, 1], self._zero(operands).view(np.uint32)
        if self.rule != "onnx":
            packed[:, 2] = operands[:, 2]
        return packed
