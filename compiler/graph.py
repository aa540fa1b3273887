"""The compiler's own graph: tensors as they lie in memory, and kernels, each of which becomes commands of its own."""

from dataclasses import dataclass, field, replace

import numpy as np

from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import VectorOp, VectorSource

__all__ = ["Contraction", "Graph", "Kernel", "Lanes", "Map", "Permute", "Pool", "Tensor"]


@dataclass(eq=False)
class Tensor:
    """An activation of one sample: h x w x c elements, channels innermost (NHWC).

    `shape` is the shape that the model gives it. Codes of a quantised tensor mean scale * (code - zero). `order` lists, where the
    memory order isn't the model's, the model's flat index of each element in memory.
    """

    name: str
    h: int
    w: int
    c: int
    format: Format
    shape: tuple[int, ...]
    scale: float | None = None
    zero: int = 0
    order: np.ndarray | None = None
    #: The tensor whose memory this one names again.
    alias: "Tensor | None" = None

    @property
    def elements(self) -> int:
        return self.h * self.w * self.c

    @property
    def element_bytes(self) -> int:
        return CONTAINER_BYTES[self.format]

    @property
    def bytes(self) -> int:
        return self.elements * self.element_bytes

    @property
    def root(self) -> "Tensor":
        """The tensor that owns the memory."""
        return self if self.alias is None else self.alias.root

    def seen_as(self, scale: float, zero: int) -> "Tensor":
        """The same memory under another quantisation."""
        return replace(self, scale=scale, zero=zero, alias=self)

    def encode(self, value: np.ndarray) -> bytes:
        """Bytes in memory of a value in the model's shape."""
        value = np.ascontiguousarray(value)
        if len(self.shape) == 4:
            value = value.reshape(self.shape).transpose(0, 2, 3, 1)
        flat = value.reshape(-1)
        return (flat if self.order is None else flat[self.order]).tobytes()

    def decode(self, raw: bytes, dtype: np.dtype) -> np.ndarray:
        """The value in the model's shape."""
        flat = np.frombuffer(raw, dtype)
        if self.order is not None:
            natural = np.empty_like(flat)
            natural[self.order] = flat
            return natural.reshape(self.shape)
        if len(self.shape) == 4:
            n, c, h, w = self.shape
            return np.ascontiguousarray(flat.reshape(n, h, w, c).transpose(0, 3, 1, 2))
        return flat.reshape(self.shape)


@dataclass(frozen=True)
class Lanes:
    """A micro-program of the vector engine with its constants: scalars as 32-bit patterns, parameters as patterns per channel."""

    steps: tuple[tuple[VectorOp, int, VectorSource, VectorSource], ...]
    s0: int = 0
    s1: int = 0
    params: tuple[np.ndarray, ...] = ()


@dataclass(eq=False)
class Kernel:
    """One layer on the chip. `nodes` are the model's nodes that it stands for."""

    name: str
    nodes: tuple[str, ...]
    x: Tensor
    out: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.x,)

    @property
    def macs(self) -> int:
        return 0


@dataclass(eq=False)
class Contraction(Kernel):
    """Convolution or matrix product, then a micro-program. Without `lanes` the accumulators are the result.

    B is constant (`weights`: [kh, kw, channels of a group, outputs]), or an activation `y` of a plain product: K x N, or N x K with
    `transpose_b`; if it has several rows h, each multiplies the row h of x. With `transpose_a`, x is K x M.
    `bias` has the accumulator's format (INT32 or FP32); padding reads as `x.zero`. `tile` (rows, columns, channels of one command)
    forces the tiling of a plain product; neither it nor `skip_zero` changes a bit.
    """

    weights: np.ndarray = field(default_factory=lambda: np.zeros((1, 1, 1, 1), np.int8))
    bias: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    lanes: Lanes | None = None
    y: Tensor | None = None
    transpose_a: bool = False
    transpose_b: bool = False
    skip_zero: bool = False
    tile: tuple[int, int, int] | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.x,) if self.y is None else (self.x, self.y)

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """(kh, kw, channels of a group, outputs)."""
        if self.y is None:
            return self.weights.shape
        return (1, 1, self.y.c, self.y.w) if self.transpose_b else (1, 1, self.y.w, self.y.c)

    @property
    def batched(self) -> bool:
        """Every row h of the result has a B of its own."""
        return self.y is not None and self.y.h > 1

    @property
    def macs(self) -> int:
        kh, kw, channels, outputs = self.extent
        return self.out.h * self.out.w * kh * kw * channels * outputs


@dataclass(eq=False)
class Pool(Kernel):
    """Maximum over windows; padding never wins."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)


@dataclass(eq=False)
class Map(Kernel):
    """Elementwise work on one or two tensors of the same size; parameters of `lanes` are constants that all channels share."""

    lanes: Lanes = Lanes(())
    y: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.x,) if self.y is None else (self.x, self.y)


@dataclass(eq=False)
class Permute(Kernel):
    """Copies with other strides: element (i, j, k) of sizes `size` goes from byte sum(i * source) to sum(i * target)."""

    size: tuple[int, int, int] = (1, 1, 1)
    source: tuple[int, int, int] = (0, 0, 0)
    target: tuple[int, int, int] = (0, 0, 0)


@dataclass(eq=False)
class Graph:
    """Kernels in order, with the tensors that come from and go to the host."""

    name: str
    kernels: list[Kernel] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
