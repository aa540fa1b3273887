"""Helpers of the compiler's tests: a model on the golden chip, and a builder of ONNX graphs."""

from collections.abc import Sequence

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compiler.compile import Compiled, compile_model
from rtl.config import ChipConfig
from rtl.isa import Status
from sim.golden.chip import GoldenChip
from sim.job import Job

__all__ = ["Builder", "execute", "run_model", "scale_of"]

ALIGN = 256
_ELEMENT = {
    np.dtype(np.int8): TensorProto.INT8, np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float16): TensorProto.FLOAT16, np.dtype(np.int32): TensorProto.INT32, np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(ml_dtypes.bfloat16): TensorProto.BFLOAT16,
}


def scale_of(rng: np.random.Generator) -> np.float32:
    """A scale with a full significand."""
    return np.float32(rng.uniform(0.01, 0.1))


class Builder:
    """Collects the nodes and constants of a model; every method returns the name of what it made."""

    def __init__(self, rng: np.random.Generator, opset: int = 21):
        self.rng = rng
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def name(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    def input(self, shape: Sequence, dtype, name: str | None = None) -> str:
        name = name or self.name("input")
        self.inputs.append(helper.make_tensor_value_info(name, _ELEMENT[np.dtype(dtype)], shape))
        return name

    def constant(self, value) -> str:
        name = self.name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op: str, *inputs: str, output: str | None = None, **attributes) -> str:
        output = output or self.name(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def weights(self, shape: Sequence[int], dtype=np.int8) -> np.ndarray:
        limits = np.iinfo(dtype)
        return self.rng.integers(limits.min, limits.max + 1, shape, dtype=dtype)

    def quantise(self, value: str, scale, zero, output: str | None = None) -> str:
        return self.node("QuantizeLinear", value, self.constant(np.float32(scale)), self.constant(zero), output=output)

    def dequantise(self, codes: str, scale, zero, axis: int | None = None) -> str:
        attributes = {} if axis is None else {"axis": axis}
        return self.node("DequantizeLinear", codes, self.constant(np.float32(scale)), self.constant(zero), **attributes)

    def model(self, outputs: dict[str, tuple[Sequence, type]], name: str = "generated") -> onnx.ModelProto:
        infos = [helper.make_tensor_value_info(key, _ELEMENT[np.dtype(dtype)], shape) for key, (shape, dtype) in outputs.items()]
        graph = helper.make_graph(self.nodes, name, self.inputs, infos, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)


def execute(compiled: Compiled, samples: Sequence[dict[str, np.ndarray]], chip: GoldenChip | None = None) -> list[dict[str, np.ndarray]]:
    """Runs samples as jobs, one after the other on one chip; the outputs of each by name."""
    chip = chip or GoldenChip(compiled.config)
    for address, data in compiled.segments:
        chip.l3[address : address + len(data)] = np.frombuffer(data, np.uint8)
    bindings = sorted((*compiled.inputs, *compiled.outputs), key=lambda binding: binding.argument)
    places, end = [], compiled.end + ALIGN
    for binding in bindings:
        places.append(end)
        end = -(-(end + binding.bytes) // ALIGN) * ALIGN
    chip.l3[compiled.end : compiled.end + 4 * len(places)] = np.array(places, "<u4").view(np.uint8)
    results = []
    for sample in samples:
        for binding in compiled.inputs:
            place = places[binding.argument]
            chip.l3[place : place + binding.bytes] = np.frombuffer(binding.encode(sample[binding.name]), np.uint8)
        result = chip.run(Job(compiled.image, compiled.end, len(places)))
        assert result.status is Status.OK, result.error
        results.append({
            b.name: b.decode(chip.l3[places[b.argument] : places[b.argument] + b.bytes].tobytes()) for b in compiled.outputs
        })
    return results


def run_model(model: onnx.ModelProto, config: ChipConfig, *samples: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Compiles and runs on the golden chip."""
    return execute(compile_model(model, config), samples)
