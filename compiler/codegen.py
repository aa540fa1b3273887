"""Kernels to the program of one SIP. Every kernel streams tiles, each engine one tile ahead of the next.

Buffers are guarded by counting events: a load takes one from "free" and adds one to "ready", whoever reads the buffer for the last time
adds one to "free". The last command of a kernel is a store that waits for all of its work, and the data engine works in order: what
the next kernel loads finds L1 free and its input in L3, without a fence.
"""

from collections.abc import Callable, Sequence

from compiler.assembler import Program
from compiler.contraction import emit_contraction
from compiler.emit import IN_FREE, OUT_FREE, W_FREE, Emitter
from compiler.graph import Contraction, Kernel, Map, Permute, Pool, Tensor
from compiler.moves import Address, Dimension, move
from compiler.vector_kernels import emit_map, emit_pool
from rtl.config import ChipConfig

__all__ = ["generate"]


def emit_permute(emit: Emitter, kernel: Permute, tag: int):
    """Appends the move of a permutation, from L3 to L3."""
    dimensions = [Dimension(*d) for d in zip(kernel.size, kernel.source, kernel.target, strict=True)]
    move(emit.program, emit.address(kernel.x), emit.address(kernel.out), dimensions, kernel.x.element_bytes, tag)


_KERNELS = {Contraction: emit_contraction, Pool: emit_pool, Map: emit_map, Permute: emit_permute}


def generate(
    kernels: Sequence[Kernel], config: ChipConfig, address: Callable[[Tensor], Address], constants: Callable[[bytes], int],
) -> Program:
    """The program of kernels in order; the commands of the first one carry the tag 1. `address` and `constants` are those of
    :class:`compiler.emit.Emitter`. Raises :class:`CompileError`.
    """
    emit = Emitter(config, address, constants)
    for _ in range(2):
        emit.program.signal(IN_FREE, W_FREE, OUT_FREE)
    for tag, kernel in enumerate(kernels, 1):
        _KERNELS[type(kernel)](emit, kernel, tag)
    emit.program.end()
    return emit.program
