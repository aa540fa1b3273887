"""QLinear operators on the golden chip: the contract's own formula bit for bit, ONNX's reference evaluator within a code."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from rtl.config import PRESETS
from verif.compiler.kit import Builder, run_model, scale_of
from verif.compiler.layers import random_conv
from verif.compiler.reference import convolve, maximum_pool, requantise

CONFIGS = ("tiny", "small")
CODES = (np.int8, np.uint8)


def check_reference(model, sample: dict, found: dict):
    """The evaluator multiplies by another rounding of the scales and rounds behind the zero point: a code apart now and then."""
    for name, wanted in zip(found, ReferenceEvaluator(model).run(list(found), sample), strict=True):
        difference = np.abs(found[name].astype(int) - wanted.astype(int))
        assert found[name].shape == wanted.shape and difference.max() <= 1 and (difference != 0).mean() < 0.02 + 1 / difference.size


def zero_of(rng: np.random.Generator, dtype) -> int:
    limits = np.iinfo(dtype)
    return int(rng.choice([0, limits.min, limits.max, rng.integers(limits.min, limits.max + 1)]))


def weight_zero(rng: np.random.Generator, weights: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and zero points, per tensor or per channel, whose difference fits into int8."""
    size = weights.shape[axis] if rng.random() < 0.5 else 1
    if weights.dtype == np.uint8:
        return weights, np.full(size, 128, np.uint8) if size > 1 else np.uint8(128)
    if rng.random() < 0.5:
        return weights, np.zeros(size, np.int8) if size > 1 else np.int8(0)
    zero = rng.integers(-30, 31, size, dtype=np.int8)
    return (weights // 2).astype(np.int8), zero if size > 1 else zero[0]


def along(value, axis: int, rank: int) -> np.ndarray:
    shape = [1] * rank
    shape[axis] = -1
    return np.asarray(value).reshape(shape)


@pytest.mark.parametrize("seed", range(48))
def test_conv(seed):
    rng = np.random.default_rng(seed)
    shape = random_conv(rng)
    x_type, y_type = rng.choice(CODES, 2)
    b = Builder(rng)
    weights, w_zero = weight_zero(rng, b.weights(shape.weights, rng.choice(CODES)), 0)
    x_scale, y_scale = scale_of(rng), np.float32(scale_of(rng) * np.sqrt(np.prod(shape.weights[1:])) * 3)
    per_channel = rng.random() < 0.5
    w_scale = rng.uniform(0.01, 0.1, shape.weights[0]).astype(np.float32) if per_channel else scale_of(rng)
    x_zero, y_zero = zero_of(rng, x_type), zero_of(rng, y_type)
    bias = rng.integers(-5000, 5000, shape.weights[0], dtype=np.int32) if rng.random() < 0.6 else None
    inputs = [
        b.input(shape.x, x_type, "x"), b.constant(x_scale), b.constant(x_type(x_zero)), b.constant(weights), b.constant(w_scale),
        b.constant(w_zero), b.constant(y_scale), b.constant(y_type(y_zero)),
    ]
    b.node("QLinearConv", *inputs, *([] if bias is None else [b.constant(bias)]), output="y", **shape.attributes)
    model = b.model({"y": (shape.out, y_type)})
    samples = [{"x": rng.integers(np.iinfo(x_type).min, np.iinfo(x_type).max + 1, shape.x, dtype=x_type)} for _ in range(2)]
    centred = weights.astype(np.int64) - along(w_zero, 0, 4).astype(np.int64)
    scale = ((x_scale * w_scale).astype(np.float32) / y_scale).astype(np.float32)
    for sample, found in zip(samples, run_model(model, PRESETS[CONFIGS[seed % 2]], *samples), strict=True):
        total = convolve(sample["x"].astype(np.int64) - x_zero, centred, **shape.geometry, groups=shape.groups, bias=bias)
        np.testing.assert_array_equal(found["y"], requantise(total, along(scale, 1, 4), y_zero, y_type))
        if shape.auto_pad == "NOTSET" or max(shape.dilations) == 1:
            check_reference(model, sample, found)


@pytest.mark.parametrize("seed", range(16))
def test_matmul(seed):
    rng = np.random.default_rng(seed)
    m, k, n = rng.integers(1, 40, 3).tolist()
    x_type, y_type = rng.choice(CODES, 2)
    lead = [(m,), (1, m), (2, m)][seed % 3]
    b = Builder(rng)
    weights, w_zero = weight_zero(rng, b.weights((k, n), rng.choice(CODES)), 1)
    x_scale, y_scale = scale_of(rng), np.float32(scale_of(rng) * np.sqrt(k) * 3)
    w_scale = rng.uniform(0.01, 0.1, n).astype(np.float32) if rng.random() < 0.5 else scale_of(rng)
    x_zero, y_zero = zero_of(rng, x_type), zero_of(rng, y_type)
    inputs = [
        b.input((*lead, k), x_type, "x"), b.constant(x_scale), b.constant(x_type(x_zero)), b.constant(weights), b.constant(w_scale),
        b.constant(w_zero), b.constant(y_scale), b.constant(y_type(y_zero)),
    ]
    b.node("QLinearMatMul", *inputs, output="y")
    model = b.model({"y": ((*lead, n), y_type)})
    sample = {"x": rng.integers(np.iinfo(x_type).min, np.iinfo(x_type).max + 1, (*lead, k), dtype=x_type)}
    [found] = run_model(model, PRESETS[CONFIGS[seed % 2]], sample)
    total = (sample["x"].astype(np.int64) - x_zero) @ (weights.astype(np.int64) - np.asarray(w_zero, np.int64))
    scale = ((x_scale * w_scale).astype(np.float32) / y_scale).astype(np.float32)
    np.testing.assert_array_equal(found["y"], requantise(total, scale, y_zero, y_type))
    check_reference(model, sample, found)


@pytest.mark.parametrize("seed", range(12))
def test_max_pool(seed):
    """Padding never wins, ceil_mode reaches beyond it, and codes stay codes."""
    rng = np.random.default_rng(seed)
    dtype, ceil = (np.int8, np.uint8, np.float32)[seed % 3], seed % 2
    while True:
        (h, w), kernel, strides = (rng.integers(*limits, 2).tolist() for limits in ((4, 13), (1, 5), (1, 4)))
        pads = [int(rng.integers(0, k)) for k in (*kernel, *kernel)]
        if seed < 6:
            pads = [0] * 4 if ceil else pads[:2] * 2
        rest = [size + pads[i] + pads[2 + i] - kernel[i] for i, size in enumerate((h, w))]
        out = [(r + ceil * (t - 1)) // t + 1 for r, t in zip(rest, strides, strict=True)]
        if all((out[i] - 1) * strides[i] < (h, w)[i] + pads[i] for i in range(2)):
            break
    shape = (1, int(rng.integers(1, 40)), h, w)
    models = []
    for kind in (dtype, np.float32):
        b = Builder(rng)
        b.node("MaxPool", b.input(shape, kind, "x"), output="y", kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=ceil)
        models.append(b.model({"y": ((1, shape[1], *out), kind)}))
    value = rng.integers(-100, 100, shape).astype(dtype)
    [found] = run_model(models[0], PRESETS[CONFIGS[seed // 3 % 2]], {"x": value})
    np.testing.assert_array_equal(found["y"], maximum_pool(value, kernel, strides, pads, (1, 1), out))
    # The evaluator can't pad integers, and gives another shape than shape inference for asymmetric pads, and for pads with ceil_mode.
    if seed < 6:
        np.testing.assert_array_equal(found["y"], ReferenceEvaluator(models[1]).run(None, {"x": value.astype(np.float32)})[0])


@pytest.mark.parametrize("flatten", (True, False))
def test_chain(flatten):
    """Convolution, pooling, a flattening that reorders the weights behind it, or a reshape that copies, and a product."""
    rng = np.random.default_rng(5)
    b = Builder(rng)
    weights, matrix = b.weights((6, 3, 3, 3)), b.weights((6 * 3 * 4 if flatten else 12, 10))
    scales = [scale_of(rng) for _ in range(5)]
    s1, s2 = np.float32(scales[2] * 12), np.float32(scales[4] * 60)
    x = b.input((1, 3, 7, 9), np.uint8, "x")
    zero = b.constant(np.int8(0))
    y = b.node(
        "QLinearConv", x, b.constant(scales[0]), b.constant(np.uint8(9)), b.constant(weights), b.constant(scales[1]), zero,
        b.constant(s1), b.constant(np.int8(-4)), pads=[1, 0, 0, 1],
    )
    y = b.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    shape = [1, 72] if flatten else [6, 12]
    y = b.node("Flatten", y) if flatten else b.node("Reshape", b.node("Identity", y), b.constant(np.array([6, 12])))
    if not flatten:
        y = b.node("Reshape", y, b.constant(np.array([1, 6, 3, 4])))
        y = b.node("Reshape", b.node("Flatten", y), b.constant(np.array([1, 72])))
        matrix, shape = b.weights((72, 10)), [1, 72]
    b.node(
        "QLinearMatMul", y, b.constant(s1), b.constant(np.int8(-4)), b.constant(matrix), b.constant(scales[3]), zero, b.constant(s2),
        b.constant(np.int8(3)), output="y",
    )
    model = b.model({"y": ((shape[0], 10), np.int8)})
    value = rng.integers(0, 256, (1, 3, 7, 9), dtype=np.uint8)
    [found] = run_model(model, PRESETS["tiny"], {"x": value})
    total = convolve(value.astype(np.int64) - 9, weights, pads=(1, 0, 0, 1))
    codes = requantise(total, (scales[0] * scales[1]).astype(np.float32) / s1, -4, np.int8)
    codes = maximum_pool(codes, (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (3, 4)).reshape(shape)
    total = (codes.astype(np.int64) + 4) @ matrix.astype(np.int64)
    np.testing.assert_array_equal(found["y"], requantise(total, (s1 * scales[3]).astype(np.float32) / s2, 3, np.int8))
