"""Models in FP16 and BF16, and products of activations, on the golden chip: bit for bit the operations of the tensor core in order.

The referee adds the products of four channels at a time to an FP32 accumulator, exactly, aligned and rounded as the numerics say; what
the vector engine does in between is FP32 arithmetic rounded to the tensor's format.
"""

import ml_dtypes
import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from compiler.compile import compile_model
from compiler.errors import CompileError
from compiler.graph import Contraction, Permute
from compiler.lower import SUPPORTED, lower
from compiler.onnx_import import load
from rtl.config import PRESETS
from rtl.formats import Format
from rtl.isa import Engine, TensorMode
from sim.golden.chip import GoldenChip
from verif.compiler.kit import Builder, execute, run_model
from verif.compiler.layers import random_conv
from verif.compiler.reference import padded
from verif.numerics import exact

BF16 = ml_dtypes.bfloat16
FORMATS = {np.dtype(np.float32): Format.FP32, np.dtype(np.float16): Format.FP16, np.dtype(BF16): Format.BF16}
KINDS = [np.float16, BF16]
by_kind = pytest.mark.parametrize("kind", KINDS, ids=["float16", "bfloat16"])
by_any = pytest.mark.parametrize("kind", [np.float32, *KINDS], ids=["float32", "float16", "bfloat16"])


def codes(value: np.ndarray) -> np.ndarray:
    return value.view(f"u{value.itemsize}")


def multiply(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """One tap: A [M, K] x B [K, N] onto C [M, N], all but C codes of `a.dtype`'s format; uint32 codes of FP32."""
    format, lanes = FORMATS[a.dtype], 1 if a.dtype == np.float32 else 4
    left, right, result = codes(a).tolist(), codes(b).T.tolist(), c.astype(object)
    for m, n in np.ndindex(result.shape):
        for k in range(0, len(right[n]), lanes):
            x, y = left[m][k : k + lanes], right[n][k : k + lanes]
            result[m, n] = exact.fma(*x, *y, result[m, n]) if lanes == 1 else exact.dot(format, x, y, result[m, n])
    return result.astype(np.uint32)


def rounded(sums: np.ndarray, kind) -> np.ndarray:
    return sums.view(np.float32).astype(kind)


def product(a: np.ndarray, b: np.ndarray, bias=None) -> np.ndarray:
    """A x B, plus a row, in A's format."""
    shape = a.shape[0], b.shape[1]
    start = np.broadcast_to(np.zeros(shape[1], np.float32) if bias is None else bias.astype(np.float32), shape)
    return rounded(multiply(np.ascontiguousarray(a), np.ascontiguousarray(b), np.ascontiguousarray(start).view(np.uint32)), a.dtype)


def convolve(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, conv) -> np.ndarray:
    """Sums [1, outputs, oh, ow] of a convolution as FP32."""
    (sh, sw), (dh, dw), (_, outputs, oh, ow) = conv.strides, conv.dilations, conv.out
    image = padded(x, conv.pads, np.zeros((), x.dtype))
    each, channels = outputs // conv.groups, weights.shape[1]
    sums = np.repeat(bias.astype(np.float32).view(np.uint32)[None], oh * ow, 0)
    for i in range(weights.shape[2]):
        for j in range(weights.shape[3]):
            tap = image[0, :, i * dh :: sh, j * dw :: sw][:, :oh, :ow].reshape(image.shape[1], -1).T
            for group in range(conv.groups):
                mine = slice(group * each, (group + 1) * each)
                part = np.ascontiguousarray(tap[:, group * channels : (group + 1) * channels])
                sums[:, mine] = multiply(part, np.ascontiguousarray(weights[mine, :, i, j].T), sums[:, mine])
    return sums.view(np.float32).T.reshape(1, outputs, oh, ow)


def draw(rng: np.random.Generator, shape, kind) -> np.ndarray:
    return (rng.standard_normal(shape) * np.exp2(rng.integers(-3, 4, shape))).astype(kind)


def check(found: np.ndarray, wanted: np.ndarray):
    assert found.dtype == (np.uint16 if wanted.dtype == BF16 else wanted.dtype)
    np.testing.assert_array_equal(codes(found), codes(np.ascontiguousarray(wanted)))


@by_kind
@pytest.mark.parametrize("seed", range(4))
def test_conv_relu_pool(kind, seed):
    rng = np.random.default_rng([seed, 7])
    conv = random_conv(rng, size=(7, 6))
    weights, bias = draw(rng, conv.weights, kind), draw(rng, conv.weights[0], kind)
    b = Builder(rng, opset=22)
    y = b.node("Conv", b.input(conv.x, kind, "x"), b.constant(weights), b.constant(bias), **conv.attributes)
    b.node("MaxPool", b.node("Relu", y), kernel_shape=[1, 1], output="y")
    model = b.model({"y": (conv.out, kind)})
    x = draw(rng, conv.x, kind)
    wanted = np.maximum(convolve(x, weights, bias, conv), np.float32(0)).astype(kind)
    for name in ("tiny", "i20_slice"):
        [found] = run_model(model, PRESETS[name], {"x": x})
        check(found["y"], wanted)


@by_kind
def test_network(kind):
    """A residual sum and a product behind a Flatten; each tensor is rounded to the model's format."""
    rng = np.random.default_rng(5)
    b = Builder(rng)
    one, matrix, bias = draw(rng, (6, 6), kind), draw(rng, (6, 5), kind), draw(rng, 5, kind)
    x = b.input((3, 6), kind, "x")
    total = b.node("Add", b.node("MatMul", x, b.constant(one)), x, output="total")
    b.node("Gemm", b.node("Relu", total), b.constant(matrix), b.constant(bias), output="y")
    model = b.model({"total": ((3, 6), kind), "y": ((3, 5), kind)})
    value = draw(rng, (3, 6), kind)
    [found] = run_model(model, PRESETS["tiny"], {"x": value})
    wanted = (product(value, one).astype(np.float32) + value.astype(np.float32)).astype(kind)
    check(found["total"], wanted)
    check(found["y"], product(np.maximum(wanted, np.zeros((), kind)), matrix, bias))
    if kind is np.float16:
        reference = ReferenceEvaluator(model).run(None, {"x": value})
        np.testing.assert_allclose(found["y"].astype(float), reference[1].astype(float), rtol=0.03, atol=0.3)


@by_any
@pytest.mark.parametrize("flip_a, flip_b", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm_of_activations(kind, flip_a, flip_b):
    """Stored either way, with a bias; the hardware transposes: no copy is made."""
    rng = np.random.default_rng([flip_a, flip_b])
    m, n, k = 7, 9, 14
    a, w, bias = draw(rng, (m, k), kind), draw(rng, (k, n), kind), draw(rng, n, kind)
    b = Builder(rng)
    shapes = ((k, m) if flip_a else (m, k)), ((n, k) if flip_b else (k, n))
    left, right = (b.input(shape, kind, name) for shape, name in zip(shapes, "ab", strict=True))
    b.node("Relu", b.node("Gemm", left, right, b.constant(bias), transA=flip_a, transB=flip_b), output="y")
    model = b.model({"y": ((m, n), kind)})
    assert [type(kernel) for kernel in lower(load(model, SUPPORTED)).kernels] == [Contraction]
    sample = {"a": np.ascontiguousarray(a.T) if flip_a else a, "b": np.ascontiguousarray(w.T) if flip_b else w}
    compiled = compile_model(model, PRESETS["tiny"])
    chip = GoldenChip(compiled.config)
    found = execute(compiled, [sample, sample], chip)
    wanted = product(a, w, bias)
    wanted = np.maximum(wanted, np.zeros((), kind))
    for each in found:
        check(each["y"], wanted)
    modes = [TensorMode.from_bits(entry.words[0]) for entry in chip.trace if entry.engine is Engine.TENSOR]
    assert modes and all((int(mode.transpose_a), int(mode.transpose_b)) == (flip_a, flip_b) for mode in modes)


@by_any
@pytest.mark.parametrize("constant", (False, True))
def test_transpose_is_read_as_it_lies(constant, kind):
    """Transposed operands of a product cost no copy; whatever else reads one gets its own."""
    rng = np.random.default_rng(9)
    a, w = draw(rng, (6, 10), kind), draw(rng, (6, 4), kind)
    b = Builder(rng)
    right = b.constant(w) if constant else b.input((6, 4), kind, "b")
    turned = b.node("Transpose", b.input((6, 10), kind, "a"))
    b.node("MatMul", turned, right, output="y")
    b.node("Relu", turned, output="z")
    model = b.model({"y": ((10, 4), kind), "z": ((10, 6), kind)})
    assert sorted(type(kernel).__name__ for kernel in lower(load(model, SUPPORTED)).kernels) == ["Contraction", "Map", "Permute"]
    sample = {"a": a} | ({} if constant else {"b": w})
    [found] = run_model(model, PRESETS["tiny"], sample)
    check(found["y"], product(a.T, w))
    check(found["z"], np.maximum(a.T, np.zeros((), kind)))


@by_any
def test_attention(kind):
    """Rows of matrices: Q x K^T, then x V, each row with its own operands."""
    rng = np.random.default_rng(11)
    heads, tokens, width = 3, 5, 6
    q, k, v = (draw(rng, (heads, tokens, width), kind) for _ in range(3))
    b = Builder(rng)
    inputs = [b.input((heads, tokens, width), kind, name) for name in "qkv"]
    scores = b.node("MatMul", inputs[0], b.node("Transpose", inputs[1], perm=[0, 2, 1]), output="scores")
    b.node("MatMul", scores, inputs[2], output="y")
    b.node("Transpose", scores, perm=[2, 0, 1], output="turned")
    shapes = {"scores": (heads, tokens, tokens), "y": (heads, tokens, width), "turned": (tokens, heads, tokens)}
    model = b.model({name: (shape, kind) for name, shape in shapes.items()})
    kernels = lower(load(model, SUPPORTED)).kernels
    assert [type(kernel) for kernel in kernels] == [Contraction, Contraction, Permute]
    [found] = run_model(model, PRESETS["tiny"], {"q": q, "k": k, "v": v})
    wanted = np.stack([product(q[i], k[i].T) for i in range(heads)])
    check(found["scores"], wanted)
    check(found["y"], np.stack([product(wanted[i], v[i]) for i in range(heads)]))
    check(found["turned"], wanted.transpose(2, 0, 1))


@by_any
def test_transposed_rows_of_matrices(kind):
    """Both operands transposed, three matrices, cut into tiles by a small L1."""
    rng = np.random.default_rng(12)
    a, w = draw(rng, (3, 9, 17), kind), draw(rng, (3, 7, 9), kind)
    b = Builder(rng)
    sides = [b.node("Transpose", b.input(value.shape, kind, name), perm=[0, 2, 1]) for name, value in (("a", a), ("b", w))]
    b.node("MatMul", *sides, output="y")
    model = b.model({"y": ((3, 17, 7), kind)})
    [found] = run_model(model, PRESETS["tiny"], {"a": a, "b": w})
    check(found["y"], np.stack([product(a[i].T, w[i].T) for i in range(3)]))


def test_transposed_codes():
    """Codes of a quantised tensor are copied, and keep their scale."""
    rng = np.random.default_rng(13)
    b = Builder(rng)
    x = b.dequantise(b.input((4, 6), np.int8, "x"), 0.5, np.int8(3))
    b.quantise(b.node("Transpose", x), 0.5, np.int8(3), "y")
    model = b.model({"y": ((6, 4), np.int8)})
    value = rng.integers(-128, 128, (4, 6), dtype=np.int8)
    [found] = run_model(model, PRESETS["tiny"], {"x": value})
    np.testing.assert_array_equal(found["y"], value.T)


def test_only_float32_is_quantised():
    b = Builder(np.random.default_rng(1))
    b.node("QuantizeLinear", b.input((2, 3), np.float16, "x"), b.constant(np.float16(1)), b.constant(np.int8(0)), output="y")
    with pytest.raises(CompileError, match="x is float16; only float32 is quantised"):
        compile_model(b.model({"y": ((2, 3), np.int8)}), PRESETS["tiny"])


def test_inputs_in_bfloat16():
    """The host gives BF16 as codes, or as the numpy type of ml_dtypes."""
    b = Builder(np.random.default_rng(1))
    b.node("Relu", b.input((2, 3), BF16, "x"), output="y")
    compiled = compile_model(b.model({"y": ((2, 3), BF16)}), PRESETS["tiny"])
    value = np.array([[1, -2, 3], [np.inf, -0.0, 2**-130]], BF16)
    for given in (value, value.view(np.uint16)):
        [found] = execute(compiled, [{"x": given}])
        np.testing.assert_array_equal(found["y"], np.maximum(value, BF16(0)).view(np.uint16))
    with pytest.raises(CompileError, match="float32 given, uint16 needed"):
        compiled.inputs[0].encode(value.astype(np.float32))
