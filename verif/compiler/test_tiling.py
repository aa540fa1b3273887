"""Tilings: every plan fits into L1 and covers the layer once, and no bit depends on it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.compile import compile_graph, compile_model
from compiler.errors import CompileError
from compiler.graph import Contraction, Graph, Map, Permute, Pool, Tensor
from compiler.lower import SUPPORTED, lower
from compiler.micro import add_real
from compiler.onnx_import import load
from compiler.tiling import plan_contraction, plan_map, plan_pool
from rtl.config import PRESETS, ChipConfig
from rtl.formats import Format
from rtl.isa import Engine
from sim.golden.chip import GoldenChip
from sim.job import Job
from verif.compiler.kit import Builder, execute
from verif.compiler.layers import random_conv
from verif.compiler.reference import convolve

TINY = PRESETS["tiny"]


def cramped(l1_bytes: int) -> ChipConfig:
    return replace(TINY, name="cramped", l1_bytes=l1_bytes)


def contraction(conv, format: Format, bias: bool) -> Contraction:
    _, c, h, w = conv.x
    x = Tensor("x", h, w, c, format, conv.x, 1.0, 3 if format is Format.INT8 else 0)
    out = Tensor("out", *conv.out[2:], conv.out[1], Format.FP32 if format is Format.FP32 else Format.INT32, conv.out)
    dtype = np.float32 if format is Format.FP32 else np.int8
    rng = np.random.default_rng(1)
    weights = (rng.integers(-100, 100, conv.weights)).astype(dtype).transpose(2, 3, 1, 0)
    row = rng.integers(-99, 99, conv.out[1]).astype(np.float32 if format is Format.FP32 else np.int32) if bias else None
    return Contraction(
        "layer", ("layer",), x, out, np.ascontiguousarray(weights), row, stride=conv.strides, pads=conv.pads, dilation=conv.dilations,
        groups=conv.groups,
    )


def check_cover(kernel: Contraction, plan, lanes: int):
    """Each output once; its K ascending in (kh, kw, channel), in whole groups, first and last marked."""
    kh, kw, channels, outputs = kernel.weights.shape
    each = outputs // kernel.groups
    walks: dict[tuple, list] = {}
    for item in plan.items:
        walks.setdefault((item.group, item.n0, item.n1, item.tile), []).append(item)
    count = np.zeros((kernel.out.h, kernel.out.w, outputs), int)
    whole = [(i, j, c) for i in range(kh) for j in range(kw) for c in range(channels)]
    for (group, n0, n1, tile), items in walks.items():
        count[tile.oh0 : tile.oh1, tile.ow0 : tile.ow1, group * each + n0 : group * each + n1] += 1
        walk = []
        for index, item in enumerate(items):
            chunk = item.chunk
            assert (item.first, item.last) == (index == 0, index == len(items) - 1)
            assert chunk.c0 % lanes == 0 and (chunk.c1 % lanes == 0 or chunk.c1 == channels)
            walk += [
                (i, j, c) for i in range(chunk.kh0, chunk.kh1) for j in range(chunk.kw0, chunk.kw1) for c in range(chunk.c0, chunk.c1)
            ]
        assert walk == whole
    assert (count == 1).all()
    # A tile's chunks follow each other: there is one buffer for partial sums.
    assert all(item.first == before.last for before, item in pairwise(plan.items))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([1024, 2048, 4096, 32768]), st.sampled_from([Format.INT8, Format.FP32]), st.booleans())
def test_contraction_plans(seed, l1_bytes, format, bias):
    config = cramped(l1_bytes)
    kernel = contraction(random_conv(np.random.default_rng(seed)), format, bias)
    try:
        plan = plan_contraction(kernel, config)
    except CompileError as error:
        assert "don't fit" in str(error) or "not even one output" in str(error)
        return
    assert plan.bytes <= l1_bytes and all(size % 16 == 0 for size in (plan.weights, plan.inputs, plan.partial, plan.outputs))
    check_cover(kernel, plan, config.lanes(format))


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1024, 4096]))
def test_pool_and_map_plans(h, w, c, taps, stride, l1_bytes):
    config = cramped(l1_bytes)
    x = Tensor("x", (h - 1) * stride + taps, (w - 1) * stride + taps, c, Format.UINT8, ())
    out = Tensor("out", h, w, c, Format.UINT8, ())
    try:
        plan = plan_pool(Pool("pool", (), x, out, (taps, taps), (stride, stride)), config)
    except CompileError:
        assert 2 * c * (taps * taps + 1) > l1_bytes - 128
    else:
        count = np.zeros((h, w), int)
        for tile in plan.tiles:
            count[tile.oh0 : tile.oh1, tile.ow0 : tile.ow1] += 1
        assert (count == 1).all() and 2 * (plan.inputs + plan.outputs) <= l1_bytes
    plan = plan_map(Map("map", (), out, replace(out, format=Format.FP32), add_real(False), out), config, 32)
    assert plan.tiles[0][0] == 0 and plan.tiles[-1][1] == h * w * c and 32 + 2 * (plan.inputs + plan.outputs) <= l1_bytes
    assert all(a[1] == b[0] and a[1] % config.pe_columns == 0 for a, b in zip(plan.tiles, plan.tiles[1:], strict=False))


def test_bits_do_not_depend_on_the_tiling():
    """Random layers on a small, a tiny and cramped chips: the same bits, with cuts in rows, columns, N, K, taps and channels."""
    seen = set()
    for seed in range(24):
        rng = np.random.default_rng(seed)
        conv, format = random_conv(rng), (Format.FP32, Format.INT8)[seed % 2]
        value = rng.standard_normal(conv.x).astype(np.float32) if format is Format.FP32 else rng.integers(-128, 128, conv.x, dtype=np.int8)
        results = []
        for config in (PRESETS["small"], TINY, cramped(2048), cramped(1024)):
            kernel = contraction(conv, format, bias=True)
            try:
                plan = plan_contraction(kernel, config)
            except CompileError:
                continue
            first = plan.items[0]
            kh, kw, channels, outputs = kernel.weights.shape
            seen |= {
                name for name, cut in {
                    "rows": first.tile.rows < kernel.out.h, "columns": first.tile.columns < kernel.out.w,
                    "n": first.n1 < outputs // conv.groups, "kernel rows": first.chunk.kh1 < kh, "taps": first.chunk.kw1 < kw,
                    "channels": first.chunk.c1 < channels, "groups": conv.groups > 1,
                }.items() if cut
            }
            results.append(execute(compile_graph(Graph("g", [kernel], [kernel.x], [kernel.out]), config), [{"x": value}])[0]["out"])
        centred = value if format is Format.FP32 else value.astype(np.int64) - 3
        weights = np.ascontiguousarray(kernel.weights.transpose(3, 2, 0, 1))
        wanted = convolve(centred, weights, **conv.geometry, groups=conv.groups)
        if format is Format.FP32:
            wanted = convolve(value, weights, **conv.geometry, groups=conv.groups, bias=kernel.bias)
        else:
            total = weights.astype(np.int64).sum((1, 2, 3)) * 3 + kernel.bias
            wanted = wanted + total.reshape(1, -1, 1, 1)
        for result in results:
            np.testing.assert_array_equal(result, wanted.astype(result.dtype))
    assert seen == {"rows", "columns", "n", "kernel rows", "taps", "channels", "groups"}


@pytest.mark.parametrize("format, kind", [(Format.FP16, np.float16), (Format.TF32, np.float32)])
def test_half_formats(format, kind):
    """Products in the other operand formats keep their groups of four over K chunks; results are in the format of the output."""
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(shape).astype(kind) for shape in ((6, 90), (90, 9)))
    out = Format.FP16 if format is Format.FP16 else Format.FP32
    results = []
    for config in (PRESETS["small"], cramped(1024)):
        x, y = Tensor("a", 1, 6, 90, format, (6, 90)), Tensor("c", 1, 6, 9, out, (6, 9))
        compiled = compile_graph(Graph("gemm", [Contraction("gemm", ("gemm",), x, y, b[None, None])], [x], [y]), config)
        chip, raw = GoldenChip(config), a.tobytes()
        for address, data in (*compiled.segments, (compiled.end + 256, raw)):
            chip.l3[address : address + len(data)] = np.frombuffer(data, np.uint8)
        place = compiled.end + 4096
        chip.l3[compiled.end : compiled.end + 8] = np.array([compiled.end + 256, place], "<u4").view(np.uint8)
        assert chip.run(Job(compiled.image, compiled.end, 2)).error is None
        results.append(chip.l3[place : place + y.bytes].view(kind).reshape(6, 9).copy())
        chunks = len(plan_contraction(Contraction("gemm", (), x, y, b[None, None]), config).items)
    assert chunks > 1
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], a.astype(np.float64) @ b.astype(np.float64), rtol=0.01, atol=0.02)


def test_moves_beyond_the_size_field():
    """More than 65535 elements in one dimension, of any factorisation, from and to every kind of kernel."""
    rng = np.random.default_rng(4)
    config = replace(PRESETS["small"], name="wide", dram_rows=512)
    for count in (65536, 65537, 131073, 200003):
        x, y = Tensor("x", 1, 1, count, Format.UINT8, (count,)), Tensor("y", 1, 1, count, Format.UINT8, (count,))
        graph = Graph("copy", [Permute("copy", (), x, y, (count, 1, 1), (1, 0, 0), (1, 0, 0))], [x], [y])
        value = rng.integers(0, 256, count, dtype=np.uint8)
        np.testing.assert_array_equal(execute(compile_graph(graph, config), [{"x": value}])[0]["y"], value)
    b = Builder(rng)
    x = b.input((1, 300, 3, 250), np.float32, "x")
    b.node("Conv", x, b.constant(np.ones((2, 300, 2, 2), np.float32)), output="y", pads=[1, 1, 0, 1])
    model = b.model({"y": ((1, 2, 3, 251), np.float32)})
    value = rng.integers(-9, 9, (1, 300, 3, 250)).astype(np.float32)
    found = execute(compile_model(model, config), [{"x": value}])[0]["y"]
    np.testing.assert_array_equal(found, convolve(value, np.ones((2, 300, 2, 2), np.float32), pads=(1, 1, 0, 1)))


def test_plans_of_the_example_use_the_machine():
    """The cost model prefers wide tiles: 512 cubed stays near the array's peak, and the digits need few commands."""
    a, c = Tensor("a", 1, 512, 512, Format.INT8, (512, 512)), Tensor("c", 1, 512, 512, Format.INT32, (512, 512))
    small = PRESETS["small"]
    plan = plan_contraction(Contraction("gemm", (), a, c, np.zeros((1, 1, 512, 512), np.int8)), small)
    assert plan.cycles < 1.1 * 512**3 / small.macs_per_cycle(Format.INT8) and plan.bytes <= small.l1_bytes
    model = lower(load("gcu/examples/digits/digits.onnx", SUPPORTED))
    compiled = compile_graph(model, small)
    chip = GoldenChip(small)
    execute(compiled, [{"image": np.zeros((1, 1, 8, 8), np.uint8)}], chip)
    assert compiled.instructions < 500 and sum(entry.engine is Engine.TENSOR for entry in chip.trace) < 12
