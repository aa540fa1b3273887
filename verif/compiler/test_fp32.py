"""FP32 models on the golden chip: bit for bit a chain of fused multiply-adds in ascending (kh, kw, channel)."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from rtl.config import PRESETS
from verif.compiler.kit import Builder, run_model
from verif.compiler.layers import random_conv
from verif.compiler.reference import convolve, fma, maximum_pool
from verif.compiler.test_qlinear import CONFIGS


def normal(rng: np.random.Generator, shape) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def close(model, sample: dict, found: dict):
    for name, wanted in zip(found, ReferenceEvaluator(model).run(list(found), sample), strict=True):
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-4)


def test_fma_reference():
    """The referee itself against exact fractions."""
    from fractions import Fraction

    rng = np.random.default_rng(1)
    a, b, c = (normal(rng, 300) * np.exp2(rng.integers(-12, 12, 300)).astype(np.float32) for _ in range(3))
    for x, y, z, found in zip(a, b, c, fma(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        around = [found, np.nextafter(found, np.float32(np.inf)), np.nextafter(found, np.float32(-np.inf))]
        assert min(around, key=lambda value: abs(Fraction(float(value)) - exact)) == found


@pytest.mark.parametrize("seed", range(16))
def test_conv(seed):
    rng = np.random.default_rng(seed)
    shape, relu = random_conv(rng), seed % 2
    weights, bias = normal(rng, shape.weights), normal(rng, shape.weights[0]) if seed % 3 else None
    b = Builder(rng)
    y = b.node(
        "Conv", b.input(shape.x, np.float32, "x"), b.constant(weights), *([] if bias is None else [b.constant(bias)]), **shape.attributes,
    )
    b.node("Relu" if relu else "Identity", y, output="y")
    model = b.model({"y": (shape.out, np.float32)})
    sample = {"x": normal(rng, shape.x)}
    [found] = run_model(model, PRESETS[CONFIGS[seed // 2 % 2]], sample)
    wanted = convolve(sample["x"], weights, **shape.geometry, groups=shape.groups, bias=bias)
    np.testing.assert_array_equal(found["y"], np.maximum(wanted, 0) if relu else wanted)
    if shape.auto_pad == "NOTSET" or max(shape.dilations) == 1:
        close(model, sample, found)


@pytest.mark.parametrize("transposed", (0, 1))
def test_gemm(transposed):
    rng = np.random.default_rng(transposed)
    weights, bias = normal(rng, (37, 21)), normal(rng, (1, 21))
    b = Builder(rng)
    x = b.input((5, 37), np.float32, "x")
    b.node("Gemm", x, b.constant(weights.T if transposed else weights), b.constant(bias), output="y", transB=transposed)
    b.node("Add", b.constant(bias[0]), b.node("MatMul", x, b.constant(weights)), output="z")
    model = b.model({"y": ((5, 21), np.float32), "z": ((5, 21), np.float32)})
    sample = {"x": normal(rng, (5, 37))}
    [found] = run_model(model, PRESETS["tiny"], sample)
    wanted = np.broadcast_to(bias, (5, 21))
    for k in range(37):
        wanted = fma(sample["x"][:, k : k + 1], weights[k], wanted)
    np.testing.assert_array_equal(found["y"], wanted)
    np.testing.assert_array_equal(found["z"], wanted)
    close(model, sample, found)


@pytest.mark.parametrize("name", CONFIGS)
def test_network(name):
    """Convolution, pooling, a sum of tensors that were flattened out of NHWC, a product behind it."""
    rng = np.random.default_rng(8)
    b = Builder(rng)
    one, two, matrix = normal(rng, (5, 3, 3, 3)), normal(rng, (5, 3, 1, 1)), normal(rng, (80, 7))
    channel = normal(rng, (5, 1, 1))
    x = b.input((1, 3, 10, 10), np.float32, "x")
    left = b.node("MaxPool", b.node("Relu", b.node("Conv", x, b.constant(one))), kernel_shape=[2, 2], strides=[2, 2])
    right = b.node("Add", b.node("Conv", x, b.constant(two), strides=[3, 3]), b.constant(channel))
    total = b.node("Add", b.node("Flatten", left), b.node("Flatten", right), output="total")
    b.node("MatMul", b.node("Relu", total), b.constant(matrix), output="y")
    model = b.model({"total": ((1, 80), np.float32), "y": ((1, 7), np.float32)})
    sample = {"x": normal(rng, (1, 3, 10, 10))}
    [found] = run_model(model, PRESETS[name], sample)
    pooled = maximum_pool(np.maximum(convolve(sample["x"], one), 0), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (4, 4))
    flat = (pooled + convolve(sample["x"], two, strides=(3, 3), bias=channel)).reshape(1, 80)
    np.testing.assert_array_equal(found["total"], flat)
    # The product walks K as the tensor lies in memory: channels innermost.
    order = np.arange(80).reshape(5, 16).T.reshape(-1)
    wanted = np.zeros((1, 7), np.float32)
    for k in order:
        wanted = fma(np.maximum(flat[:, k : k + 1], 0), matrix[k], wanted)
    np.testing.assert_array_equal(found["y"], wanted)
    close(model, sample, found)
