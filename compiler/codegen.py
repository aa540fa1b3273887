"""Kernels to commands. Every kernel streams tiles: load, tensor core, vector engine, store, each engine one tile ahead of the next.

Buffers are guarded by counting events: a load takes one from "free" and adds one to "ready", whoever reads the buffer for the last time
adds one to "free". All counts are back at their start when a kernel ends, behind a fence.
"""

from dataclasses import dataclass

import numpy as np

from compiler.assembler import Program, micro_ops
from compiler.graph import Contraction, Kernel, Lanes, Map, Permute, Pool, Tensor
from compiler.moves import Address, Dimension, move
from compiler.tiling import Item, Rectangle, aligned, plan_contraction, plan_pool, span
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import Engine, Space, TensorMode, VectorMode, VectorOp, VectorSource

__all__ = ["CodeGenerator"]

#: Events: two input buffers, two weight buffers, two output buffers.
IN_FREE, IN_READY, W_FREE, W_READY, OUT_FREE, OUT_READY = range(6)

_FILL = {Format.UINT8: 0, Format.INT8: 0x80, Format.FP32: 0xFF800000}


@dataclass
class _Buffers:
    """Two buffers of `size` byte that loads and readers take turns in."""

    base: int
    size: int
    turn: int = 0

    def next(self) -> int:
        self.turn ^= 1
        return self.current

    @property
    def current(self) -> int:
        return self.base + self.turn * self.size

    @staticmethod
    def at(base: int, size: int) -> "_Buffers":
        return _Buffers(base, size, 1)


class CodeGenerator:
    """Writes the program of one SIP. `address` gives a tensor's place in L3; `constants` collects what the program needs beside code."""

    def __init__(self, config: ChipConfig, address, constants):
        self.config = config
        self.program = Program()
        self._address = address
        self._constants = constants
        self.program.signal(IN_FREE, W_FREE, OUT_FREE)
        self.program.signal(IN_FREE, W_FREE, OUT_FREE)

    def kernel(self, kernel: Kernel, tag: int):
        """Appends the commands of one kernel; all of them carry `tag`."""
        match kernel:
            case Contraction():
                self._contraction(kernel, tag)
            case Pool():
                self._pool(kernel, tag)
            case Map():
                self._map(kernel, tag)
            case Permute():
                self._permute(kernel, tag)
        self.program.fence()

    def finish(self) -> Program:
        self.program.end()
        return self.program

    # Moves

    def _load(self, tensor: Tensor, l1: int, rows, columns, channels, fill: int, tag: int, wait, signal):
        """The window rows x columns x channels (each [first, end), perhaps outside) of an activation, dense, to L1."""
        (r0, r1), (q0, q1), (c0, c1) = rows, columns, channels
        e, w, c = tensor.element_bytes, tensor.w, tensor.c
        source = self._address(tensor) + ((r0 * w + q0) * c + c0) * e
        count, width = c1 - c0, q1 - q0
        if count == c:
            inner = [Dimension(width * c, e, e, q0 * c, w * c)]
        else:
            inner = [Dimension(count, e, e), Dimension(width, c * e, count * e, q0, w)]
        outer = Dimension(r1 - r0, w * c * e, width * count * e, r0, tensor.h)
        move(self.program, source, Address(Space.L1, l1), [*inner, outer], e, tag, fill=fill, wait=wait, signal=signal)

    def _store(self, tensor: Tensor, l1: int, tile: Rectangle, n0: int, n1: int, tag: int):
        e, n = tensor.element_bytes, tensor.c
        target = self._address(tensor) + ((tile.oh0 * tensor.w + tile.ow0) * n + n0) * e
        count = n1 - n0
        dims = [
            Dimension(count, e, e), Dimension(tile.columns, count * e, n * e),
            Dimension(tile.rows, tile.columns * count * e, tensor.w * n * e),
        ]
        move(self.program, Address(Space.L1, l1), target, dims, e, tag, wait=[OUT_READY], signal=[OUT_FREE])

    def _copy_in(self, data: bytes, l1: int, tag: int, wait, signal):
        """A constant to L1, dense."""
        padded = data + bytes(-len(data) % 4)
        source = Address(Space.L3, self._constants(padded))
        move(self.program, source, Address(Space.L1, l1), [Dimension(len(padded) // 4, 4, 4)], 4, tag, wait=wait, signal=signal)

    # Contraction

    def _contraction(self, kernel: Contraction, tag: int):
        plan = plan_contraction(kernel, self.config)
        weights = _Buffers.at(0, plan.weights)
        inputs = _Buffers.at(2 * plan.weights, plan.inputs)
        partial = inputs.base + 2 * plan.inputs
        outputs = _Buffers.at(partial + plan.partial, plan.outputs)
        items = plan.items
        places: list[tuple[int, int]] = []

        def load(index: int):
            item, before = items[index], items[index - 1] if index else None
            if before is None or before.weight_key != item.weight_key:
                self._copy_in(_package(kernel, item), weights.next(), tag, [W_FREE], [W_READY])
            if before is None or before.input_key != item.input_key:
                rows, columns = self._window(kernel, item)
                channels = kernel.weights.shape[2]
                first = item.group * channels
                self._load(
                    kernel.x, inputs.next(), rows, columns, (first + item.chunk.c0, first + item.chunk.c1),
                    _fill_of(kernel.x), tag, [IN_FREE], [IN_READY],
                )
            places.append((weights.current, inputs.current))

        load(0)
        for index, item in enumerate(items):
            after = items[index + 1] if index + 1 < len(items) else None
            before = items[index - 1] if index else None
            if after is not None:
                load(index + 1)
            wait = []
            if before is None or before.weight_key != item.weight_key:
                wait.append(W_READY)
            if before is None or before.input_key != item.input_key:
                wait.append(IN_READY)
            free_in = [IN_FREE] if after is None or after.input_key != item.input_key else []
            free_w = [W_FREE] if after is None or after.weight_key != item.weight_key else []
            out = outputs.next() if item.last else 0
            direct = item.last and kernel.lanes is None
            vector = item.last and kernel.lanes is not None
            if direct:
                wait.append(OUT_FREE)
            signal = free_in + ([] if vector else free_w) + ([OUT_READY] if direct else [])
            self._tensor(kernel, item, places[index], partial, out, tag, wait, signal)
            if vector:
                rows = item.tile.rows
                count = item.n1 - item.n0
                params = places[index][0] + _params_offset(kernel, item)
                self._vector(
                    kernel.lanes, kernel.out.format, tag, n=count, oh=rows, ow=item.tile.columns, z_base=out,
                    z_ow=count * kernel.out.element_bytes, z_oh=item.tile.columns * count * kernel.out.element_bytes,
                    p_base=params, p_stride=4 * count, from_tensor=True, x_format=_accumulator(kernel.x.format),
                    wait=[OUT_FREE], signal=[OUT_READY, *free_w],
                )
            if item.last:
                base = item.group * (kernel.weights.shape[3] // kernel.groups)
                self._store(kernel.out, out, item.tile, base + item.n0, base + item.n1, tag)

    def _window(self, kernel: Contraction, item: Item):
        """Rows and columns of the input that an item reads."""
        tile, chunk = item.tile, item.chunk
        r0 = tile.oh0 * kernel.stride[0] - kernel.pads[0] + chunk.kh0 * kernel.dilation[0]
        q0 = tile.ow0 * kernel.stride[1] - kernel.pads[1] + chunk.kw0 * kernel.dilation[1]
        rows = span(tile.rows, kernel.stride[0], chunk.kh1 - chunk.kh0, kernel.dilation[0])
        columns = span(tile.columns, kernel.stride[1], chunk.kw1 - chunk.kw0, kernel.dilation[1])
        return (r0, r0 + rows), (q0, q0 + columns)

    def _tensor(self, kernel: Contraction, item: Item, place, partial: int, out: int, tag: int, wait, signal):
        chunk, tile, x = item.chunk, item.tile, kernel.x
        e, channels, count = x.element_bytes, chunk.c1 - chunk.c0, item.n1 - item.n0
        _, columns = self._window(kernel, item)
        row = (columns[1] - columns[0]) * channels * e
        has_c = not item.first or kernel.bias is not None
        to_vector = item.last and kernel.lanes is not None
        result = _accumulator(x.format)
        mode = {"a_format": x.format, "d_format": result, "accumulate": int(has_c), "to_vector": int(to_vector)}
        words = dict(
            mode=TensorMode.const(mode), tag=tag, kh=chunk.kh1 - chunk.kh0, kw=chunk.kw1 - chunk.kw0, channels=channels,
            ow=tile.columns, oh=tile.rows, n=count,
            a_base=place[1], a_c=self.config.lanes(x.format) * e, a_kw=kernel.dilation[1] * channels * e,
            a_kh=kernel.dilation[0] * row, a_ow=kernel.stride[1] * channels * e, a_oh=kernel.stride[0] * row,
            b_base=place[0], b_k=count * e, batch=1, a_batch=0, b_batch=0, c_batch=0, d_batch=0,
        )
        if item.first and has_c:
            words |= dict(c_base=place[0] + _bias_offset(kernel, item), c_ow=0, c_oh=0)
        elif has_c:
            words |= dict(c_base=partial, c_ow=4 * count, c_oh=4 * count * tile.columns)
        if not to_vector:
            words |= dict(d_base=out if item.last else partial, d_ow=4 * count, d_oh=4 * count * tile.columns)
        self.program.set(Engine.TENSOR, **words)
        self.program.run(Engine.TENSOR, wait=wait, signal=signal)

    # Vector engine

    def _vector(
        self, lanes: Lanes, z_format: Format, tag: int, *, n, oh, ow, z_base, z_ow, z_oh, x_format, wait, signal, p_base=0, p_stride=0,
        from_tensor=False, reduce=VectorOp.NOP, y_format=Format.FP32, y_enable=False, **others,
    ):
        mode = VectorMode.const({
            "x_format": x_format, "y_format": y_format, "z_format": z_format, "y_enable": int(y_enable), "from_tensor": int(from_tensor),
            "params": len(lanes.params), "ops": len(lanes.steps), "reduce": reduce,
        })
        words = dict(kw=1, kh=1) | others
        if lanes.params:
            words |= dict(p_base=p_base, p_stride=p_stride)
        used = {source for _, _, a, b in lanes.steps for source in (a, b)}
        if VectorSource.S0 in used:
            words["s0"] = lanes.s0
        if VectorSource.S1 in used:
            words["s1"] = lanes.s1
        self.program.set(
            Engine.VECTOR, mode=mode, tag=tag, n=n, oh=oh, ow=ow, z_base=z_base, z_ow=z_ow, z_oh=z_oh, **micro_ops(*lanes.steps), **words,
        )
        self.program.run(Engine.VECTOR, wait=wait, signal=signal)

    def _pool(self, kernel: Pool, tag: int):
        tiles, input_bytes, output_bytes = plan_pool(kernel, self.config)
        inputs, outputs = _Buffers.at(0, input_bytes), _Buffers.at(2 * input_bytes, output_bytes)
        x, e = kernel.x, kernel.x.element_bytes
        places = []

        def load(tile: Rectangle):
            r0 = tile.oh0 * kernel.stride[0] - kernel.pads[0]
            q0 = tile.ow0 * kernel.stride[1] - kernel.pads[1]
            rows = span(tile.rows, kernel.stride[0], kernel.kernel[0], kernel.dilation[0])
            columns = span(tile.columns, kernel.stride[1], kernel.kernel[1], kernel.dilation[1])
            place = inputs.next()
            self._load(x, place, (r0, r0 + rows), (q0, q0 + columns), (0, x.c), _FILL[x.format], tag, [IN_FREE], [IN_READY])
            places.append((place, columns))

        load(tiles[0])
        for index, tile in enumerate(tiles):
            if index + 1 < len(tiles):
                load(tiles[index + 1])
            place, columns = places[index]
            out = outputs.next()
            row = columns * x.c * e
            self._vector(
                Lanes(()), x.format, tag, n=x.c, oh=tile.rows, ow=tile.columns, z_base=out, z_ow=x.c * e, z_oh=tile.columns * x.c * e,
                x_format=x.format, kh=kernel.kernel[0], kw=kernel.kernel[1], x_base=place, x_kw=kernel.dilation[1] * x.c * e,
                x_kh=kernel.dilation[0] * row, x_ow=kernel.stride[1] * x.c * e, x_oh=kernel.stride[0] * row,
                reduce=VectorOp.FMAX if x.format is Format.FP32 else VectorOp.IMAX,
                wait=[IN_READY, OUT_FREE], signal=[IN_FREE, OUT_READY],
            )
            self._store(kernel.out, out, tile, 0, x.c, tag)

    def _map(self, kernel: Map, tag: int):
        """The tensors as rows of `columns` elements; what is left over is a command of its own."""
        columns = self.config.pe_columns
        params = b"".join(np.repeat(p, columns).astype("<u4").tobytes() for p in kernel.lanes.params)
        sides = [(side, side.element_bytes) for side in kernel.inputs]
        each = sum(e for _, e in sides)
        room = (self.config.l1_bytes - aligned(len(params)) - 8 * 16) // (2 * (each + kernel.out.element_bytes))
        step = min(room // columns * columns, 32768, -(-kernel.out.elements // columns) * columns)
        inputs = _Buffers.at(aligned(len(params)), aligned(step * sides[0][1]) + (aligned(step * sides[1][1]) if len(sides) > 1 else 0))
        outputs = _Buffers.at(inputs.base + 2 * inputs.size, aligned(step * kernel.out.element_bytes))
        second = aligned(step * sides[0][1])
        tiles = [(first, min(step, kernel.out.elements - first)) for first in range(0, kernel.out.elements, step)]
        if params:
            self._copy_in(params, 0, tag, [], [])
        places = []

        def load(first: int, count: int):
            place = inputs.next()
            for index, (side, e) in enumerate(sides):
                target = Address(Space.L1, place + index * second)
                move(
                    self.program, self._address(side) + first * e, target, [Dimension(count, e, e)], e, tag,
                    wait=[IN_FREE] * (index == 0), signal=[IN_READY] * (index == len(sides) - 1),
                )
            places.append(place)

        load(*tiles[0])
        for index, (first, count) in enumerate(tiles):
            if index + 1 < len(tiles):
                load(*tiles[index + 1])
            place, out = places[index], outputs.next()
            parts = [(0, columns, count // columns)] * (count >= columns) + [(count // columns * columns, count % columns, 1)] * (
                count % columns > 0
            )
            for part, (start, n, rows) in enumerate(parts):
                y = {}
                if len(sides) > 1:
                    y = dict(y_enable=True, y_format=kernel.y.format, y_base=place + second + start * sides[1][1],
                             y_ow=columns * sides[1][1], y_oh=0)
                self._vector(
                    kernel.lanes, kernel.out.format, tag, n=n, oh=1, ow=rows, z_base=out + start * kernel.out.element_bytes,
                    z_ow=columns * kernel.out.element_bytes, z_oh=0, x_format=kernel.x.format, x_base=place + start * sides[0][1],
                    x_ow=columns * sides[0][1], x_oh=0, x_kw=0, x_kh=0, p_base=0, p_stride=4 * columns,
                    wait=[IN_READY, OUT_FREE] * (part == 0), signal=[IN_FREE, OUT_READY] * (part == len(parts) - 1), **y,
                )
            e = kernel.out.element_bytes
            move(
                self.program, Address(Space.L1, out), self._address(kernel.out) + first * e, [Dimension(count, e, e)], e, tag,
                wait=[OUT_READY], signal=[OUT_FREE],
            )

    def _permute(self, kernel: Permute, tag: int):
        dims = [Dimension(*d) for d in zip(kernel.size, kernel.source, kernel.target, strict=True)]
        move(self.program, self._address(kernel.x), self._address(kernel.out), dims, kernel.x.element_bytes, tag)


def _accumulator(format: Format) -> Format:
    return Format.FP32 if format is Format.FP32 else Format.INT32


def _fill_of(x: Tensor) -> int:
    """The pattern of zero: what padding means."""
    return 0 if x.format is Format.FP32 else x.zero & 0xFF


def _weight_bytes(kernel: Contraction, item: Item) -> int:
    size = item.chunk.depth * (item.n1 - item.n0) * kernel.x.element_bytes
    return -(-size // 4) * 4


def _bias_offset(kernel: Contraction, item: Item) -> int:
    return _weight_bytes(kernel, item)


def _params_offset(kernel: Contraction, item: Item) -> int:
    has_bias = item.first and kernel.bias is not None
    return _weight_bytes(kernel, item) + 4 * (item.n1 - item.n0) * has_bias


def _package(kernel: Contraction, item: Item) -> bytes:
    """Weights of an item as K x N rows, the bias with the first chunk, the parameters of the micro-program with the last."""
    c = item.chunk
    per_group = kernel.weights.shape[3] // kernel.groups
    n0, n1 = item.group * per_group + item.n0, item.group * per_group + item.n1
    block = kernel.weights[c.kh0 : c.kh1, c.kw0 : c.kw1, c.c0 : c.c1, n0:n1]
    data = np.ascontiguousarray(block).tobytes()
    data += bytes(-len(data) % 4)
    if item.first and kernel.bias is not None:
        data += np.ascontiguousarray(kernel.bias[n0:n1]).tobytes()
    if item.last and kernel.lanes is not None:
        for parameter in kernel.lanes.params:
            values = parameter[n0:n1] if parameter.size > 1 else np.repeat(parameter, n1 - n0)
            data += values.astype("<u4").tobytes()
    return data
