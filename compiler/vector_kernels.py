"""Code of the kernels that the vector engine runs alone: pooling and elementwise work."""

import numpy as np

from compiler.emit import IN_FREE, IN_READY, OUT_FREE, OUT_READY, Buffers, Emitter
from compiler.graph import Lanes, Map, Pool
from compiler.moves import Address, Dimension, move
from compiler.tiling import Rectangle, aligned, plan_map, plan_pool, span
from rtl.formats import FLOATS, Format
from rtl.isa import Space, VectorOp

__all__ = ["emit_map", "emit_pool"]

#: What never wins a maximum.
_LEAST = {Format.UINT8: 0, Format.INT8: 0x80, Format.FP32: 0xFF800000, Format.FP16: 0xFC00, Format.BF16: 0xFF80}


def emit_pool(emit: Emitter, kernel: Pool, tag: int):
    """Appends the commands of a pooling: rectangles of outputs, each with the window of inputs that it needs."""
    plan = plan_pool(kernel, emit.config)
    inputs = Buffers(0, plan.inputs)
    outputs = Buffers(inputs.end, plan.outputs)
    x, pixel = kernel.x, kernel.x.c * kernel.x.element_bytes
    (sh, sw), (dh, dw), (kh, kw) = kernel.stride, kernel.dilation, kernel.kernel

    def load(tile: Rectangle) -> int:
        r0, q0 = tile.oh0 * sh - kernel.pads[0], tile.ow0 * sw - kernel.pads[1]
        rows, columns = (r0, r0 + span(tile.rows, sh, kh, dh)), (q0, q0 + span(tile.columns, sw, kw, dw))
        emit.load(x, inputs.next(), rows, columns, (0, x.c), _LEAST[x.format], tag, [IN_FREE], [IN_READY])
        return inputs.current

    place = load(plan.tiles[0])
    for index, tile in enumerate(plan.tiles):
        following = load(plan.tiles[index + 1]) if index + 1 < len(plan.tiles) else 0
        row, out = span(tile.columns, sw, kw, dw) * pixel, outputs.next()
        emit.vector(
            Lanes(()), x.format, tag, n=x.c, oh=tile.rows, ow=tile.columns, z_base=out, z_ow=pixel, z_oh=tile.columns * pixel,
            x_format=x.format, kh=kh, kw=kw, x_base=place, x_kw=dw * pixel, x_kh=dh * row, x_ow=sw * pixel, x_oh=sh * row,
            reduce=VectorOp.FMAX if x.format in FLOATS else VectorOp.IMAX,
            wait=[IN_READY, OUT_FREE], signal=[IN_FREE, OUT_READY],
        )
        emit.store(kernel.out, out, tile, 0, x.c, tag)
        place = following


def emit_map(emit: Emitter, kernel: Map, tag: int):
    """Appends the commands of elementwise work: runs of elements as rows of `pe_columns`; what is left over is a command of its own."""
    columns, e = emit.config.pe_columns, kernel.out.element_bytes
    params = b"".join(np.repeat(p, columns).astype("<u4").tobytes() for p in kernel.lanes.params)
    plan = plan_map(kernel, emit.config, aligned(len(params)))
    inputs = Buffers(aligned(len(params)), plan.inputs)
    outputs = Buffers(inputs.end, plan.outputs)
    # The second operand lies behind the first, in the same buffer.
    longest = plan.tiles[0][1] - plan.tiles[0][0]
    starts = (0, aligned(longest * kernel.x.element_bytes))
    if params:
        # Ready with the first input: the data engine works in order.
        emit.constant(params, 0, tag)

    def load(first: int, end: int) -> int:
        place = inputs.next()
        for index, (side, start) in enumerate(zip(kernel.inputs, starts, strict=False)):
            size = side.element_bytes
            move(
                emit.program, emit.address(side) + first * size, Address(Space.L1, place + start), [Dimension(end - first, size, size)],
                size, tag, wait=[IN_FREE] * (index == 0), signal=[IN_READY] * (index == len(kernel.inputs) - 1),
            )
        return place

    place = load(*plan.tiles[0])
    for index, (first, end) in enumerate(plan.tiles):
        following = load(*plan.tiles[index + 1]) if index + 1 < len(plan.tiles) else 0
        out, (rows, rest) = outputs.next(), divmod(end - first, columns)
        parts = [part for part in ((0, columns, rows), (rows * columns, rest, 1)) if part[1] and part[2]]
        for number, (start, n, ow) in enumerate(parts):
            operands: dict[str, int] = {}
            for name, side, place_of in zip("xy", kernel.inputs, starts, strict=False):
                size = side.element_bytes
                operands |= {f"{name}_base": place + place_of + start * size, f"{name}_ow": columns * size, f"{name}_oh": 0}
            emit.vector(
                kernel.lanes, kernel.out.format, tag, n=n, oh=1, ow=ow, z_base=out + start * e, z_ow=columns * e, z_oh=0,
                x_format=kernel.x.format, y_format=None if kernel.y is None else kernel.y.format, x_kw=0, x_kh=0, p_base=0,
                p_stride=4 * columns, wait=[IN_READY, OUT_FREE] * (number == 0), signal=[IN_FREE, OUT_READY] * (number == len(parts) - 1),
                **operands,
            )
        move(
            emit.program, Address(Space.L1, out), emit.address(kernel.out) + first * e, [Dimension(end - first, e, e)], e, tag,
            wait=[OUT_READY], signal=[OUT_FREE],
        )
        place = following
