"""Code of a contraction: weights and inputs stream in, the tensor core multiplies, the vector engine finishes, results stream out."""

from dataclasses import dataclass

import numpy as np

from compiler.emit import IN_FREE, IN_READY, OUT_FREE, OUT_READY, P_READY, W_FREE, W_READY, Buffers, Emitter
from compiler.graph import Contraction, Tensor
from compiler.tiling import Item, plan_contraction, span
from rtl.formats import Format
from rtl.isa import Engine, TensorMode

__all__ = ["emit_contraction"]


@dataclass(frozen=True)
class _Place:
    """Where an item's operands lie in L1, and which of them it is the first or the last to use."""

    weights: int
    inputs: int
    new_weights: bool
    new_inputs: bool
    last_weights: bool
    last_inputs: bool


def emit_contraction(emit: Emitter, kernel: Contraction, tag: int):
    """Appends the commands of a contraction. Loads run one item ahead of the computation."""
    plan = plan_contraction(kernel, emit.config)
    weights = Buffers(0, plan.weights)
    inputs = Buffers(weights.end, plan.inputs)
    partial = inputs.end
    outputs = Buffers(partial + plan.partial, plan.outputs)
    per_group, channels = kernel.extent[3] // kernel.groups, kernel.extent[2]
    items: tuple[Item | None, ...] = (None, *plan.items, None)

    def load(index: int) -> _Place | None:
        before, item, after = items[index - 1 : index + 2] if items[index] else (None, None, None)
        if item is None:
            return None
        new_weights = before is None or before.weight_key != item.weight_key
        new_inputs = before is None or before.input_key != item.input_key
        if new_weights:
            _load_weights(emit, kernel, item, weights.next(), tag)
        if new_inputs:
            first = item.group * channels
            part = (first + item.chunk.c0, first + item.chunk.c1)
            box = (*_window(kernel, item), part)
            if kernel.transpose_a:
                box = ((item.tile.oh0, item.tile.oh1), part, (item.tile.ow0, item.tile.ow1))
            emit.load(kernel.x, inputs.next(), *box, _padding(kernel.x), tag, [IN_FREE], [IN_READY])
        return _Place(
            weights.current, inputs.current, new_weights, new_inputs,
            after is None or after.weight_key != item.weight_key, after is None or after.input_key != item.input_key,
        )

    place = load(1)
    for index, item in enumerate(plan.items, 1):
        following = load(index + 1)
        out = outputs.next() if item.last else partial
        _multiply(emit, kernel, item, place, partial, out, tag)
        if item.last:
            if kernel.lanes is not None:
                _finish(emit, kernel, item, place, out, tag)
            base = item.group * per_group
            emit.store(kernel.out, out, item.tile, base + item.n0, base + item.n1, tag)
        place = following


def _load_weights(emit: Emitter, kernel: Contraction, item: Item, place: int, tag: int):
    """B of an item to L1, with the bias and the parameters behind it."""
    ready = [W_READY] + [P_READY] * (item.last and _has_params(kernel))
    constants = _weights(kernel, item) + _rows(kernel, item)
    if kernel.y is None:
        emit.constant(constants, place, tag, [W_FREE], ready)
        return
    depth, columns = (item.chunk.c0, item.chunk.c1), (item.n0, item.n1)
    matrix = (item.tile.oh0, item.tile.oh0 + 1) if kernel.batched else (0, 1)
    box = (columns, depth) if kernel.transpose_b else (depth, columns)
    emit.load(kernel.y, place, matrix, *box, 0, tag, [W_FREE], [] if constants else ready)
    if constants:
        emit.constant(constants, place + _weight_bytes(kernel, item), tag, [], ready)


def _window(kernel: Contraction, item: Item) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns [first, end) of the input that an item reads."""
    tile, chunk = item.tile, item.chunk
    r0 = tile.oh0 * kernel.stride[0] - kernel.pads[0] + chunk.kh0 * kernel.dilation[0]
    q0 = tile.ow0 * kernel.stride[1] - kernel.pads[1] + chunk.kw0 * kernel.dilation[1]
    rows = span(tile.rows, kernel.stride[0], chunk.kh1 - chunk.kh0, kernel.dilation[0])
    columns = span(tile.columns, kernel.stride[1], chunk.kw1 - chunk.kw0, kernel.dilation[1])
    return (r0, r0 + rows), (q0, q0 + columns)


def _multiply(emit: Emitter, kernel: Contraction, item: Item, place: _Place, partial: int, out: int, tag: int):
    """The tensor command of an item: to `partial` (sums), to the vector engine, or to `out`."""
    chunk, tile, x = item.chunk, item.tile, kernel.x
    e, count = x.element_bytes, item.n1 - item.n0
    _, (q0, q1) = _window(kernel, item)
    pixel = chunk.channels * e
    row = (q1 - q0) * pixel
    to_vector = item.last and kernel.lanes is not None
    direct = item.last and kernel.lanes is None
    result = kernel.out.format if direct else _accumulator(x.format)
    has_c = not item.first or kernel.bias is not None
    mode = {
        "a_format": x.format, "d_format": result, "accumulate": int(has_c), "to_vector": int(to_vector),
        "transpose_a": int(kernel.transpose_a), "transpose_b": int(kernel.transpose_b), "skip_zero": int(kernel.skip_zero),
    }
    words = dict(
        mode=TensorMode.const(mode), tag=tag, kh=chunk.kh1 - chunk.kh0, kw=chunk.kw1 - chunk.kw0, channels=chunk.channels,
        ow=tile.columns, oh=tile.rows, n=count, batch=1,
        a_base=place.inputs, a_c=emit.config.lanes(x.format) * e, a_kw=kernel.dilation[1] * pixel, a_kh=kernel.dilation[0] * row,
        a_ow=kernel.stride[1] * pixel, a_oh=kernel.stride[0] * row, b_base=place.weights, b_k=count * e,
    )
    if kernel.transpose_a:
        words |= dict(a_c=tile.columns * e, a_kw=0, a_kh=0, a_ow=0, a_oh=0)
    if kernel.transpose_b:
        words["b_k"] = chunk.depth * e
    if has_c:
        words["c_base"] = place.weights + _weight_bytes(kernel, item) if item.first else partial
        words |= dict(c_ow=0, c_oh=0) if item.first else dict(c_ow=4 * count, c_oh=4 * count * tile.columns)
    if not to_vector:
        size = kernel.out.element_bytes if direct else 4
        words |= dict(d_base=out, d_ow=size * count, d_oh=size * count * tile.columns)
    # The vector engine reads its parameters behind the weights, so it is the last user of their buffer.
    wait = [W_READY] * place.new_weights + [IN_READY] * place.new_inputs + [OUT_FREE] * direct
    signal = [IN_FREE] * place.last_inputs + [W_FREE] * (place.last_weights and not to_vector) + [OUT_READY] * direct
    emit.program.set(Engine.TENSOR, **words)
    emit.program.run(Engine.TENSOR, wait=wait, signal=signal)


def _finish(emit: Emitter, kernel: Contraction, item: Item, place: _Place, out: int, tag: int):
    """The vector command that takes an item's accumulators."""
    count, tile, e = item.n1 - item.n0, item.tile, kernel.out.element_bytes
    has_bias = item.first and kernel.bias is not None
    emit.vector(
        kernel.lanes, kernel.out.format, tag, n=count, oh=tile.rows, ow=tile.columns, z_base=out, z_ow=count * e,
        z_oh=tile.columns * count * e, p_base=place.weights + _weight_bytes(kernel, item) + 4 * count * has_bias, p_stride=4 * count,
        from_tensor=True, x_format=_accumulator(kernel.x.format),
        wait=[OUT_FREE] + [P_READY] * (place.new_weights and _has_params(kernel)),
        signal=[OUT_READY] + [W_FREE] * place.last_weights,
    )


def _has_params(kernel: Contraction) -> bool:
    return kernel.lanes is not None and bool(kernel.lanes.params)


def _accumulator(format: Format) -> Format:
    return Format.INT32 if format in (Format.INT8, Format.UINT8) else Format.FP32


def _padding(x: Tensor) -> int:
    """The pattern of a real zero."""
    return x.zero & 0xFF if x.format in (Format.INT8, Format.UINT8) else 0


def _weight_bytes(kernel: Contraction, item: Item) -> int:
    size = item.chunk.depth * (item.n1 - item.n0) * kernel.x.element_bytes
    return -(-size // 4) * 4


def _weights(kernel: Contraction, item: Item) -> bytes:
    """Constant weights of an item as K x N rows, in whole words."""
    if kernel.y is not None:
        return b""
    c = item.chunk
    data = np.ascontiguousarray(kernel.weights[c.kh0 : c.kh1, c.kw0 : c.kw1, c.c0 : c.c1, _columns(kernel, item)]).tobytes()
    return data + bytes(-len(data) % 4)


def _rows(kernel: Contraction, item: Item) -> bytes:
    """The bias with the first chunk, the parameters of the micro-program with the last."""
    data, columns = b"", _columns(kernel, item)
    if item.first and kernel.bias is not None:
        data += np.ascontiguousarray(kernel.bias[columns]).tobytes()
    if item.last and kernel.lanes is not None:
        for parameter in kernel.lanes.params:
            values = parameter[columns] if parameter.size > 1 else np.repeat(parameter, item.n1 - item.n0)
            data += values.astype("<u4").tobytes()
    return data


def _columns(kernel: Contraction, item: Item) -> slice:
    base = item.group * (kernel.extent[3] // kernel.groups)
    return slice(base + item.n0, base + item.n1)
