"""What the code of all kernels is made of: L1 buffers in turns, loads, stores, constants and vector commands."""

from collections.abc import Callable
from dataclasses import dataclass

from compiler.assembler import Program, micro_ops
from compiler.graph import Lanes, Tensor
from compiler.moves import Address, Dimension, move
from compiler.tiling import Rectangle
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import Engine, Space, VectorMode, VectorOp, VectorSource

__all__ = ["IN_FREE", "IN_READY", "OUT_FREE", "OUT_READY", "P_READY", "W_FREE", "W_READY", "Buffers", "Emitter"]

#: Events: two input buffers, two weight buffers, two output buffers. A weight buffer has two readers, each with an event of its own:
#: the tensor core, and the vector engine for the parameters, which it reads before the first accumulators reach it.
IN_FREE, IN_READY, W_FREE, W_READY, OUT_FREE, OUT_READY, P_READY = range(7)


@dataclass
class Buffers:
    """Two buffers of `size` byte from `base` on that writers and readers take turns in."""

    base: int
    size: int
    turn: int = 1

    def next(self) -> int:
        """Address of the buffer whose turn comes."""
        self.turn ^= 1
        return self.current

    @property
    def current(self) -> int:
        return self.base + self.turn * self.size

    @property
    def end(self) -> int:
        return self.base + 2 * self.size


class Emitter:
    """Appends commands to the program of one SIP.

    `address` gives a tensor's place in L3; `constants` takes bytes that the program needs beside its code, and gives their place.
    """

    def __init__(self, config: ChipConfig, address: Callable[[Tensor], Address], constants: Callable[[bytes], int]):
        self.config = config
        self.program = Program()
        self.address = address
        self._constants = constants

    def load(self, tensor: Tensor, l1: int, rows, columns, channels, fill: int, tag: int, wait, signal):
        """The window rows x columns x channels (each [first, end), perhaps outside) of an activation, dense, to L1."""
        (r0, r1), (q0, q1), (c0, c1) = rows, columns, channels
        e, w, c = tensor.element_bytes, tensor.w, tensor.c
        count, width = c1 - c0, q1 - q0
        dimensions = [
            Dimension(count, e, e), Dimension(width, c * e, count * e, q0, w),
            Dimension(r1 - r0, w * c * e, width * count * e, r0, tensor.h),
        ]
        source = self.address(tensor) + ((r0 * w + q0) * c + c0) * e
        move(self.program, source, Address(Space.L1, l1), dimensions, e, tag, fill=fill, wait=wait, signal=signal)

    def store(self, tensor: Tensor, l1: int, tile: Rectangle, n0: int, n1: int, tag: int):
        """Columns [n0, n1) of a tile of results, dense in L1, to their places."""
        e, n, count = tensor.element_bytes, tensor.c, n1 - n0
        dimensions = [
            Dimension(count, e, e), Dimension(tile.columns, count * e, n * e),
            Dimension(tile.rows, tile.columns * count * e, tensor.w * n * e),
        ]
        target = self.address(tensor) + ((tile.oh0 * tensor.w + tile.ow0) * n + n0) * e
        move(self.program, Address(Space.L1, l1), target, dimensions, e, tag, wait=[OUT_READY], signal=[OUT_FREE])

    def constant(self, data: bytes, l1: int, tag: int, wait=(), signal=()):
        """A constant to L1, dense, in whole words."""
        padded = data + bytes(-len(data) % 4)
        source = Address(Space.L3, self._constants(padded))
        move(self.program, source, Address(Space.L1, l1), [Dimension(len(padded) // 4, 4, 4)], 4, tag, wait=wait, signal=signal)

    def vector(
        self, lanes: Lanes, z_format: Format, tag: int, *, wait, signal, x_format: Format, y_format: Format | None = None,
        from_tensor: bool = False, reduce: VectorOp = VectorOp.NOP, kh: int = 1, kw: int = 1, **words: int,
    ):
        """One vector command; `words` are sizes, bases and strides by name."""
        used = {source for _, _, *sources in lanes.steps for source in sources}
        scalars = {"s0": (VectorSource.S0, lanes.s0), "s1": (VectorSource.S1, lanes.s1)}
        words |= {word: value for word, (source, value) in scalars.items() if source in used}
        if not lanes.params:
            words.pop("p_base", None)
            words.pop("p_stride", None)
        mode = VectorMode.const({
            "x_format": x_format, "y_format": y_format or Format.FP32, "z_format": z_format, "y_enable": int(y_format is not None),
            "from_tensor": int(from_tensor), "params": len(lanes.params), "ops": len(lanes.steps), "reduce": reduce,
        })
        self.program.set(Engine.VECTOR, mode=mode, tag=tag, kh=kh, kw=kw, **micro_ops(*lanes.steps), **words)
        self.program.run(Engine.VECTOR, wait=wait, signal=signal)
