"""QDQ graphs on the golden chip: the documented formula bit for bit, ONNX's reference evaluator within a code."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from compiler.compile import compile_model
from rtl.config import PRESETS
from verif.compiler.kit import Builder, execute, run_model, scale_of
from verif.compiler.layers import random_conv
from verif.compiler.reference import convolve, fma, maximum_pool, requantise
from verif.compiler.test_qlinear import CODES, CONFIGS, along, check_reference, zero_of


def codes(rng: np.random.Generator, dtype, shape) -> np.ndarray:
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def kinds(model) -> list[str]:
    return [layer.kind for layer in compile_model(model, PRESETS["tiny"]).layers]


@pytest.mark.parametrize("seed", range(24))
def test_contraction(seed):
    """Conv, Gemm (both layouts), MatMul with and without a bias behind it; ReLU; scales per tensor and per channel: one kernel."""
    rng = np.random.default_rng(seed)
    kind, relu, bias = ("Conv", "Gemm", "GemmT", "MatMul")[seed % 4], rng.random() < 0.5, rng.random() < 0.7
    x_type, y_type = rng.choice(CODES, 2)
    b, conv = Builder(rng), random_conv(rng)
    if kind == "Conv":
        x_shape, w_shape, y_shape, axis = conv.x, conv.weights, conv.out, 0
    else:
        m, k, n = rng.integers(1, 30, 3).tolist()
        x_shape, w_shape, y_shape, axis = (m, k), (k, n), (m, n), 1
    weights = b.weights(w_shape)
    outputs, depth = w_shape[axis], np.prod(w_shape) // w_shape[axis]
    w_scale = rng.uniform(0.01, 0.1, outputs).astype(np.float32) if rng.random() < 0.5 else scale_of(rng)
    x_scale, y_scale = scale_of(rng), np.float32(scale_of(rng) * np.sqrt(depth) * 3)
    x_zero, y_zero = zero_of(rng, x_type), zero_of(rng, y_type)
    unit = (x_scale * w_scale).astype(np.float32)
    bias_codes = rng.integers(-(1 << 28) if seed % 3 == 0 else -5000, 5000, outputs, dtype=np.int32) if bias else None
    x = b.dequantise(b.input(x_shape, x_type, "x"), x_scale, x_type(x_zero))
    transposed = kind == "GemmT"
    zeros = np.zeros(outputs, np.int8) if w_scale.ndim else np.int8(0)
    w = b.dequantise(b.constant(weights.T if transposed else weights), w_scale, zeros, 0 if transposed else axis)
    # Per-tensor biases of one scale, and float biases that are rounded to the accumulators' unit.
    if bias and seed % 2:
        c = b.dequantise(b.constant(bias_codes), unit, np.zeros(outputs, np.int32) if unit.ndim else np.int32(0), 0)
    elif bias:
        c = b.constant((bias_codes * unit.astype(np.float64)).astype(np.float32))
        bias_codes = np.rint((bias_codes * unit.astype(np.float64)).astype(np.float32) / unit.astype(np.float64)).astype(np.int64)
    if kind == "Conv":
        y = b.node("Conv", x, w, *([c] if bias else []), **conv.attributes)
    elif kind == "MatMul":
        y = b.node("MatMul", x, w)
        y = b.node("Add", *((y, c) if seed % 2 else (c, y))) if bias else y
    else:
        y = b.node("Gemm", x, w, *([c] if bias else []), transB=int(transposed))
    y = b.node("Relu", y) if relu else y
    b.quantise(y, y_scale, y_type(y_zero), "y")
    model = b.model({"y": (y_shape, y_type)})
    sample = {"x": codes(rng, x_type, x_shape)}
    [found] = run_model(model, PRESETS[CONFIGS[seed // 4 % 2]], sample)
    centred = sample["x"].astype(np.int64) - x_zero
    if kind == "Conv":
        total = convolve(centred, weights.astype(np.int64), **conv.geometry, groups=conv.groups, bias=bias_codes)
        scale = along(unit / y_scale, 1, 4)
    else:
        total = centred @ weights.astype(np.int64) + (0 if bias_codes is None else bias_codes)
        scale = unit / y_scale
    np.testing.assert_array_equal(found["y"], requantise(total, scale, y_zero, y_type, relu))
    assert kinds(model) == ["contraction"]
    if kind != "Conv" or conv.auto_pad == "NOTSET" or max(conv.dilations) == 1:
        check_reference(model, sample, found)


@pytest.mark.parametrize("seed", range(16))
def test_add(seed):
    """round(x * (sx / so) + y * (sy / so) - (zx * sx + zy * sy) / so) + zo, in the order of the micro-program."""
    rng = np.random.default_rng(seed)
    x_type, y_type, z_type = rng.choice(CODES, 3)
    scales = [scale_of(rng) for _ in range(3)]
    zeros = [0 if rng.random() < 0.3 else zero_of(rng, dtype) for dtype in (x_type, y_type, z_type)]
    relu, shape = rng.random() < 0.5, (1, *rng.integers(1, 9, 3).tolist())
    b = Builder(rng)
    x = b.dequantise(b.input(shape, x_type, "x"), scales[0], x_type(zeros[0]))
    y = b.dequantise(b.input(shape, y_type, "y"), scales[1], y_type(zeros[1]))
    z = b.node("Add", x, y)
    b.quantise(b.node("Relu", z) if relu else z, scales[2], z_type(zeros[2]), "z")
    model = b.model({"z": (shape, z_type)})
    sample = {"x": codes(rng, x_type, shape), "y": codes(rng, y_type, shape)}
    [found] = run_model(model, PRESETS[CONFIGS[seed % 2]], sample)
    mx, my = scales[0] / scales[2], scales[1] / scales[2]
    total = fma(sample["y"].astype(np.float32), my, sample["x"].astype(np.float32) * mx)
    if zeros[0] or zeros[1]:
        total = total - (np.float32(zeros[0]) * mx + np.float32(zeros[1]) * my)
    np.testing.assert_array_equal(found["z"], requantise_float(total, zeros[2], z_type, relu))
    assert kinds(model) == ["map"]
    check_reference(model, sample, found)


def requantise_float(value: np.ndarray, zero: int, dtype, relu: bool = False) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.clip(np.rint(value).astype(np.int64) + zero, max(limits.min, zero) if relu else limits.min, limits.max).astype(dtype)


@pytest.mark.parametrize("seed", range(8))
def test_rescale(seed):
    """DequantizeLinear, perhaps ReLU, QuantizeLinear: a kernel only where it does something."""
    rng = np.random.default_rng(seed)
    x_type, y_type = rng.choice(CODES, 2)
    x_zero, y_zero, relu = zero_of(rng, x_type), zero_of(rng, y_type), seed % 2 == 1
    x_scale, y_scale = scale_of(rng), scale_of(rng)
    b = Builder(rng)
    value = b.dequantise(b.input((3, 50), x_type, "x"), x_scale, x_type(x_zero))
    b.quantise(b.node("Relu", value) if relu else value, y_scale, y_type(y_zero), "y")
    model = b.model({"y": ((3, 50), y_type)})
    sample = {"x": codes(rng, x_type, (3, 50))}
    [found] = run_model(model, PRESETS["tiny"], sample)
    centred = sample["x"].astype(np.int64) - x_zero
    wanted = requantise_float((np.maximum(centred, 0) if relu else centred).astype(np.float32) * (x_scale / y_scale), y_zero, y_type)
    np.testing.assert_array_equal(found["y"], wanted)
    check_reference(model, sample, found)


def test_transparent():
    """MaxPool, Flatten, Reshape, Squeeze, and a QuantizeLinear that changes nothing: exact, and no kernel but the pooling."""
    rng = np.random.default_rng(3)
    b = Builder(rng)
    scale, zero = scale_of(rng), np.uint8(7)
    value = b.dequantise(b.input((1, 5, 6, 8), np.uint8, "x"), scale, zero)
    value = b.node("MaxPool", value, kernel_shape=[2, 3], strides=[2, 1], pads=[1, 0, 0, 2])
    value = b.dequantise(b.quantise(value, scale, zero), scale, zero)
    value = b.node("Unsqueeze", b.node("Flatten", value), b.constant(np.array([0])))
    value = b.dequantise(b.quantise(value, scale, zero), scale, zero)
    value = b.node("Reshape", b.node("Squeeze", value, b.constant(np.array([0]))), b.constant(np.array([8, -1])))
    b.quantise(value, scale, zero, "y")
    model = b.model({"y": ((8, 15), np.uint8)})
    sample = {"x": codes(rng, np.uint8, (1, 5, 6, 8))}
    [found] = run_model(model, PRESETS["tiny"], sample)
    wanted = maximum_pool(sample["x"], (2, 3), (2, 1), (1, 0, 0, 2), (1, 1), (3, 8)).reshape(8, 15)
    np.testing.assert_array_equal(found["y"], wanted)
    assert kinds(model) == ["pool"]


def residual(rng: np.random.Generator):
    """Float input, a residual block with fan-out of every value, a pooling, a product; float output."""
    b = Builder(rng)
    s = [np.float32(0.03), np.float32(0.08), np.float32(0.1), np.float32(0.15), np.float32(0.4)]

    def weight(shape, axis):
        scale = (np.float32(0.4) / np.sqrt(np.prod(shape) / shape[axis]) / 127 * rng.uniform(1, 3, shape[axis])).astype(np.float32)
        return b.dequantise(b.constant(b.weights(shape)), scale, np.zeros(shape[axis], np.int8), axis)

    x = b.dequantise(b.quantise(b.input(("N", 3, 6, 6), np.float32, "x"), s[0], np.uint8(128)), s[0], np.uint8(128))
    first = b.node("Relu", b.node("Conv", x, weight((8, 3, 3, 3), 0), pads=[1, 1, 1, 1]))
    first = b.dequantise(b.quantise(first, s[1], np.uint8(0)), s[1], np.uint8(0))
    bias = b.constant(rng.standard_normal(8).astype(np.float32))
    second = b.node("Conv", first, weight((8, 4, 3, 3), 0), bias, pads=[1, 1, 1, 1], group=2)
    second = b.dequantise(b.quantise(second, s[2], np.int8(-3)), s[2], np.int8(-3))
    total = b.node("Relu", b.node("Add", first, second))
    total = b.dequantise(b.quantise(total, s[3], np.uint8(0)), s[3], np.uint8(0))
    pooled = b.node("Flatten", b.node("MaxPool", total, kernel_shape=[2, 2], strides=[2, 2]))
    pooled = b.dequantise(b.quantise(pooled, s[3], np.uint8(0)), s[3], np.uint8(0))
    scores = b.node("Add", b.node("MatMul", pooled, weight((72, 10), 1)), b.constant(rng.standard_normal((1, 10)).astype(np.float32)))
    b.dequantise(b.quantise(scores, s[4], np.int8(0), "codes"), s[4], np.int8(0))
    b.nodes[-1].output[0] = "scores"
    b.node("Relu", first, output="kept")
    return b.model({"scores": (("N", 10), np.float32), "codes": (("N", 10), np.int8), "kept": (("N", 8, 6, 6), np.float32)})


@pytest.mark.parametrize("seed", range(4))
def test_network(seed):
    rng = np.random.default_rng(seed)
    model = residual(rng)
    samples = [{"x": rng.standard_normal((1, 3, 6, 6)).astype(np.float32)} for _ in range(3)]
    runs = [execute(compile_model(model, PRESETS[name]), samples) for name in CONFIGS]
    for sample, *found in zip(samples, *runs, strict=True):
        wanted = ReferenceEvaluator(model).run(list(found[0]), sample)
        for name, value in zip(found[0], wanted, strict=True):
            np.testing.assert_array_equal(found[0][name], found[1][name])
            unit = {"scores": 0.4, "codes": 1, "kept": 0.08}[name]
            difference = np.abs(found[0][name].astype(float) - value.astype(float)) / unit
            assert value.std() > unit and difference.max() < 1.01 and (difference > 0.5).mean() < 0.05
        np.testing.assert_array_equal(found[0]["scores"], found[0]["codes"].astype(np.float32) * np.float32(0.4))


def test_shared_accumulators():
    """A convolution whose float result several nodes read, one of them through Identity, becomes memory once and stays right."""
    rng = np.random.default_rng(4)
    b = Builder(rng)
    scale, zero = np.float32(0.05), np.int8(4)
    x = b.dequantise(b.input((1, 4, 5, 5), np.int8, "x"), scale, zero)
    weights = b.weights((6, 4, 1, 1))
    y = b.node("Conv", x, b.dequantise(b.constant(weights), scale, np.int8(0)))
    same = b.node("Identity", y)
    b.quantise(b.node("Relu", y), np.float32(0.7), np.uint8(0), "a")
    b.quantise(same, np.float32(0.9), np.int8(0), "b")
    model = b.model({"a": ((1, 6, 5, 5), np.uint8), "b": ((1, 6, 5, 5), np.int8)})
    sample = {"x": codes(rng, np.int8, (1, 4, 5, 5))}
    [found] = run_model(model, PRESETS["tiny"], sample)
    real = convolve(sample["x"].astype(np.int64) - 4, weights.astype(np.int64)).astype(np.float32) * (scale * scale)
    np.testing.assert_array_equal(found["a"], requantise_float(np.maximum(real, 0) * (np.float32(1) / np.float32(0.7)), 0, np.uint8))
    np.testing.assert_array_equal(found["b"], requantise_float(real * (np.float32(1) / np.float32(0.9)), 0, np.int8))
    assert kinds(model).count("contraction") == 1


def test_quantised_constants():
    """Weights that the model quantises itself, per channel, and constants that are reshaped."""
    rng = np.random.default_rng(6)
    b = Builder(rng)
    real = rng.standard_normal((5, 3, 2, 2)).astype(np.float32)
    scale = (np.abs(real).max((1, 2, 3)) / 127).astype(np.float32)
    x = b.dequantise(b.input((1, 3, 4, 4), np.uint8, "x"), np.float32(0.05), np.uint8(3))
    reshaped = b.node("Reshape", b.constant(real.reshape(5, 12)), b.constant(np.array([5, 3, 2, 2])))
    quantised = b.node("QuantizeLinear", reshaped, b.constant(scale), b.constant(np.zeros(5, np.int8)), axis=0)
    weights = b.dequantise(quantised, scale, np.zeros(5, np.int8), 0)
    b.quantise(b.node("Conv", x, weights), np.float32(0.1), np.int8(0), "y")
    model = b.model({"y": ((1, 5, 3, 3), np.int8)})
    sample = {"x": codes(rng, np.uint8, (1, 3, 4, 4))}
    [found] = run_model(model, PRESETS["tiny"], sample)
    total = convolve(sample["x"].astype(np.int64) - 3, np.rint(real / along(scale, 0, 4)).astype(np.int64))
    unit = (np.float32(0.05) * scale).astype(np.float32)
    np.testing.assert_array_equal(found["y"], requantise(total, along(unit / np.float32(0.1), 1, 4), 0, np.int8))


def test_outputs_that_are_one_tensor():
    """The input itself, a reshape of it, and one result under two names."""
    rng = np.random.default_rng(2)
    b = Builder(rng)
    x = b.input((1, 3, 4, 5), np.int8, "x")
    b.node("Identity", x, output="same")
    b.node("Flatten", x, output="flat")
    pooled = b.node("MaxPool", x, kernel_shape=[2, 2], output="pooled")
    b.node("Identity", pooled, output="again")
    model = b.model({
        "same": ((1, 3, 4, 5), np.int8), "flat": ((1, 60), np.int8), "pooled": ((1, 3, 3, 4), np.int8), "again": ((1, 3, 3, 4), np.int8),
    })
    sample = {"x": codes(rng, np.int8, (1, 3, 4, 5))}
    [found] = run_model(model, PRESETS["tiny"], sample)
    wanted = maximum_pool(sample["x"], (2, 2), (1, 1), (0, 0, 0, 0), (1, 1), (3, 4))
    wanted = {"same": sample["x"], "flat": sample["x"].reshape(1, 60), "pooled": wanted, "again": wanted}
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)
