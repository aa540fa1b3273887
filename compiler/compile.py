"""The whole way from a model file to a program: import, lowering, memory plan, code."""

import builtins
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from compiler.assembler import Reg, assemble
from compiler.codegen import generate
from compiler.errors import CompileError
from compiler.graph import Contraction, Graph, Kernel, Map, Permute, Pool, Tensor
from compiler.lower import SUPPORTED, lower
from compiler.moves import Address
from compiler.onnx_import import Model, load
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import Space

__all__ = ["Binding", "Compiled", "Layer", "compile_graph", "compile_model"]

#: Everything that the host places lies at multiples of this.
ALIGN = 256
#: Padded loads have signed addresses.
REACH = 1 << 31

#: The numpy type of each format at the host; numpy has none of its own for BF16, so those are codes.
_DTYPES: dict[Any, np.dtype] = {
    Format.INT8: np.dtype(np.int8), Format.UINT8: np.dtype(np.uint8), Format.FP32: np.dtype(np.float32),
    Format.INT32: np.dtype(np.int32), Format.TF32: np.dtype(np.float32), Format.FP16: np.dtype(np.float16),
    Format.BF16: np.dtype(np.uint16),
}


@dataclass(frozen=True)
class Binding:
    """An input or output of the program: its address is argument `argument` of the job."""

    name: str
    tensor: Tensor
    argument: int

    @property
    def dtype(self) -> np.dtype:
        return _DTYPES[self.tensor.format]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def encode(self, value: np.ndarray) -> builtins.bytes:
        """Bytes of one sample; BF16 as codes or as `ml_dtypes.bfloat16`. Raises :class:`CompileError` for another shape or type."""
        value = np.asarray(value)
        if self.tensor.format is Format.BF16 and value.dtype == ml_dtypes.bfloat16:
            value = value.view(np.uint16)
        if value.dtype != self.dtype:
            raise CompileError(f"input {self.name}: {value.dtype} given, {self.dtype} needed")
        if value.shape != self.shape:
            raise CompileError(f"input {self.name}: shape {list(value.shape)} given, {list(self.shape)} needed")
        return self.tensor.encode(value)

    def decode(self, raw: builtins.bytes) -> np.ndarray:
        return self.tensor.decode(raw, self.dtype)

    @property
    def bytes(self) -> int:
        return self.tensor.bytes


@dataclass(frozen=True)
class Layer:
    """One kernel in the program: commands carry `tag`; its result lies at `address` after a run (None if it is an output)."""

    tag: int
    name: str
    kind: str
    nodes: tuple[str, ...]
    engine: str
    macs: int
    format: Format
    out: Tensor
    address: int | None

    @property
    def dtype(self) -> np.dtype:
        return _DTYPES[self.out.format]


@dataclass(frozen=True)
class Compiled:
    """A program with its constants, placed in L3 from `base` on; it runs one sample a job.

    `segments` are (address, bytes): image and constants. `end` is the first byte beyond the arena of activations.
    """

    name: str
    config: ChipConfig
    image: int
    segments: tuple[tuple[int, bytes], ...]
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    layers: tuple[Layer, ...]
    end: int
    instructions: int
    statistics: dict = field(default_factory=dict)


@dataclass
class _Memory:
    """L3 from `next` on: constants (each content once), then activations."""

    limit: int
    next: int
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def take(self, size: int, what: str) -> int:
        address = self.next
        self.next = -(-(address + size) // ALIGN) * ALIGN
        if self.next > self.limit:
            raise CompileError(f"{what}: {size} byte don't fit into the {self.limit} byte of L3")
        return address

    def constant(self, data: bytes) -> int:
        if data not in self._known:
            self._known[data] = address = self.take(len(data), "constants")
            self.segments.append((address, data))
        return self._known[data]


def compile_model(source: str | Path | Model, config: ChipConfig, *, base: int = 0) -> Compiled:
    """Compiles an ONNX model (a path, a model of the onnx package or an imported one) for SIP 0 of a chip.

    Raises :class:`CompileError`, in one line that names the node.
    """
    model = source if isinstance(source, Model) else load(source, SUPPORTED)
    graph = lower(model)
    if not graph.kernels:
        raise CompileError(f"{model.name}: nothing to compute")
    return compile_graph(graph, config, base=base)


def compile_graph(graph: Graph, config: ChipConfig, *, base: int = 0) -> Compiled:
    """Memory plan and code for kernels. `base` is a multiple of 256."""
    if base < 0 or base % ALIGN:
        raise CompileError(f"base {base:#x} is not a multiple of {ALIGN}")
    memory = _Memory(min(config.l3_bytes, REACH), base)
    arguments: dict[int, int] = {}
    for tensor in (*graph.inputs, *graph.outputs):
        if id(tensor.root) in arguments:
            raise CompileError(f"{graph.name}: {tensor.name} is an input or output twice, under one memory")
        arguments[id(tensor.root)] = len(arguments)
    if len(arguments) > 30:
        raise CompileError(f"{graph.name}: {len(arguments)} inputs and outputs are more than 30")
    places: dict[int, int] = {}

    def address(tensor: Tensor) -> Address:
        root = id(tensor.root)
        if root in arguments:
            return Address(Space.L3, 0, Reg(arguments[root]))
        return Address(Space.L3, places[root])

    # Activations first, then constants, then the image: its size is known last, and nothing in it depends on its own place.
    for kernel in graph.kernels:
        root = kernel.out.root
        if id(root) not in arguments and id(root) not in places:
            places[id(root)] = memory.take(root.bytes, root.name)
    program = generate(graph.kernels, config, address, memory.constant)
    layers = [
        Layer(tag, kernel.name, type(kernel).__name__.lower(), kernel.nodes, _engine(kernel), kernel.macs, kernel.x.format, kernel.out,
              places.get(id(kernel.out.root)))
        for tag, kernel in enumerate(graph.kernels, 1)
    ]
    image = assemble(config, {0: program}).to_bytes()
    place = memory.take(len(image), "the program")
    memory.segments.append((place, image))
    count = len(program.instructions)
    return Compiled(
        graph.name, config, place, tuple(memory.segments), _bindings(graph.inputs, arguments), _bindings(graph.outputs, arguments),
        tuple(layers), memory.next, count, {"constants": sum(len(data) for _, data in memory.segments[:-1]), "image": len(image)},
    )


def _bindings(tensors: list[Tensor], arguments: dict[int, int]) -> tuple[Binding, ...]:
    return tuple(Binding(tensor.name, tensor, arguments[id(tensor.root)]) for tensor in tensors)


def _engine(kernel: Kernel) -> str:
    match kernel:
        case Contraction():
            return "tensor" if kernel.lanes is None else "tensor+vector"
        case Pool() | Map():
            return "vector"
        case Permute():
            return "data"
    raise AssertionError(type(kernel).__name__)
