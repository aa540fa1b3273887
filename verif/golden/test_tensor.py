"""Golden tensor core against numpy and ONNX's reference evaluator: addressing, tiles, formats and command checks.

The operands are small integers, so every sum is exact in every format and any order; rounding is the business of the numerics' tests.
"""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from rtl.config import PRESETS
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import AlignMode, Engine, Status
from sim.golden import tensor
from verif.golden.kit import TINY, command_words, put, take

A, B, C, D = 0x100, 0x2000, 0x4000, 0x6000
FLOATING = (Format.FP32, Format.TF32, Format.FP16, Format.BF16)


def gemm(m, n, k, a_format=Format.FP32, d_format=None, lanes=None, /, **over):
    """Words of a dense product [m, k] x [k, n]."""
    integer = a_format in (Format.INT8, Format.UINT8)
    d_format = d_format or (Format.INT32 if integer else Format.FP32)
    element = CONTAINER_BYTES[a_format]
    mode = {"a_format": a_format, "d_format": d_format, **over.pop("mode", {})}
    fields = dict(
        mode=mode, kh=1, kw=1, channels=k, ow=m, oh=1, n=n, batch=1, a_base=A, a_c=(lanes or TINY.lanes(a_format)) * element,
        a_ow=k * element, b_base=B, b_k=n * element, c_base=C, c_ow=4 * n, d_base=D, d_ow=n * CONTAINER_BYTES[d_format],
    )
    return command_words(Engine.TENSOR, **{**fields, **over})


def operands(rng, m, n, k, a_format):
    low = 0 if a_format is Format.UINT8 else -8
    return rng.integers(low, 9, (m, k)), rng.integers(-8, 9, (k, n))


@pytest.fixture
def l1():
    return np.zeros(TINY.l1_bytes, np.uint8)


@pytest.mark.parametrize("a_format", (*FLOATING, Format.INT8, Format.UINT8))
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (7, 9, 13), (16, 4, 32)])
def test_product(l1, a_format, m, n, k):
    a, b = operands(np.random.default_rng(m), m, n, k, a_format)
    put(l1, A, a, a_format)
    put(l1, B, b, Format.INT8 if a_format is Format.UINT8 else a_format)
    assert tensor.run(TINY, gemm(m, n, k, a_format), l1).status is Status.OK
    d_format = Format.FP32 if a_format in FLOATING else Format.INT32
    np.testing.assert_array_equal(take(l1, D, (m, n), d_format), a @ b)


@pytest.mark.parametrize("d_format", (Format.FP32, Format.FP16, Format.BF16))
def test_destination_formats(l1, d_format):
    a, b = operands(np.random.default_rng(1), 5, 6, 4, Format.FP16)
    put(l1, A, a, Format.FP16)
    put(l1, B, b, Format.FP16)
    assert tensor.run(TINY, gemm(5, 6, 4, Format.FP16, d_format), l1).status is Status.OK
    expected = (a @ b).astype(np.float32).astype(take(l1, D, (5, 6), d_format).dtype)
    np.testing.assert_array_equal(take(l1, D, (5, 6), d_format), expected)


def test_uint8_beyond_127_is_positive(l1):
    put(l1, A, [[200, 255]], Format.UINT8)
    put(l1, B, [[1], [-1]], Format.INT8)
    tensor.run(TINY, gemm(1, 1, 2, Format.UINT8), l1)
    assert take(l1, D, (1,), Format.INT32) == -55


def test_accumulate_in_place_and_broadcast(l1):
    a, b = operands(np.random.default_rng(2), 6, 5, 8, Format.INT8)
    bias = np.arange(5) * 1000
    put(l1, A, a, Format.INT8)
    put(l1, B, b, Format.INT8)
    put(l1, C, bias, Format.INT32)
    # The first command adds a broadcast row; the second takes the first one's D as its C.
    tensor.run(TINY, gemm(6, 5, 8, Format.INT8, mode={"accumulate": 1}, c_ow=0), l1)
    tensor.run(TINY, gemm(6, 5, 8, Format.INT8, mode={"accumulate": 1}, c_base=D), l1)
    np.testing.assert_array_equal(take(l1, D, (6, 5), Format.INT32), 2 * (a @ b) + bias)


def test_batch(l1):
    rng = np.random.default_rng(3)
    a, b = rng.integers(-8, 9, (3, 4, 5)), rng.integers(-8, 9, (3, 5, 6))
    put(l1, A, a, Format.BF16)
    put(l1, B, b, Format.BF16)
    words = gemm(4, 6, 5, Format.BF16, batch=3, a_batch=40, b_batch=60, d_batch=96)
    assert tensor.run(TINY, words, l1).status is Status.OK
    np.testing.assert_array_equal(take(l1, D, (3, 4, 6), Format.FP32), a @ b)


def test_gaps_between_groups(l1):
    """a_c steps over what lies between two groups, and the last group may be short."""
    m, n, k = 3, 2, 10
    a, b = operands(np.random.default_rng(4), m, n, k, Format.INT8)
    spaced = np.full((m, 24), 77)
    spaced[:, :8], spaced[:, 20:22] = a[:, :8], a[:, 8:]
    put(l1, A, spaced, Format.INT8)
    put(l1, B, b, Format.INT8)
    assert tensor.run(TINY, gemm(m, n, k, Format.INT8, a_c=20, a_ow=24), l1).status is Status.OK
    np.testing.assert_array_equal(take(l1, D, (m, n), Format.INT32), a @ b)


@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("a_format", (Format.FP32, Format.INT8))
def test_convolution_is_onnx_conv(l1, a_format, stride):
    """NHWC, padded in memory, straight from the image without im2col; negative strides flip the kernel to a true convolution."""
    rng = np.random.default_rng(5)
    h, w, cin, cout, kernel = 7, 9, 5, 6, 3
    oh, ow = (h - kernel) // stride + 1, (w - kernel) // stride + 1
    image, weight = rng.integers(-4, 5, (h, w, cin)), rng.integers(-4, 5, (kernel, kernel, cin, cout))
    element = CONTAINER_BYTES[a_format]
    put(l1, A, image, a_format)
    put(l1, B, weight, a_format)
    words = gemm(
        1, cout, cin, a_format, kh=kernel, kw=kernel, oh=oh, ow=ow, a_kw=cin * element, a_kh=w * cin * element,
        a_ow=stride * cin * element, a_oh=stride * w * cin * element, d_ow=4 * cout, d_oh=4 * cout * ow,
    )
    assert tensor.run(TINY, words, l1).status is Status.OK
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], strides=[stride, stride])
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xw"]
    outputs = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "conv", inputs, outputs))
    feeds = {"x": image.transpose(2, 0, 1)[None].astype(np.float32), "w": weight.transpose(3, 2, 0, 1).astype(np.float32)}
    (expected,) = ReferenceEvaluator(model).run(None, feeds)
    d_format = Format.FP32 if a_format is Format.FP32 else Format.INT32
    np.testing.assert_array_equal(take(l1, D, (oh, ow, cout), d_format), expected[0].transpose(1, 2, 0))


def test_negative_strides_reverse_rows(l1):
    a, b = operands(np.random.default_rng(6), 5, 3, 4, Format.FP32)
    put(l1, A, a, Format.FP32)
    put(l1, B, b, Format.FP32)
    words = gemm(5, 3, 4, a_base=A + 4 * 16, a_ow=-16, b_base=B + 3 * 12, b_k=-12)
    assert tensor.run(TINY, words, l1).status is Status.OK
    np.testing.assert_array_equal(take(l1, D, (5, 3), Format.FP32), a[::-1] @ b[::-1])


def test_rows_for_the_vector_engine(l1):
    a, b = operands(np.random.default_rng(7), 3, 10, 4, Format.INT8)
    put(l1, A, a, Format.INT8)
    put(l1, B, b, Format.INT8)
    before = l1.copy()
    outcome = tensor.run(TINY, gemm(3, 10, 4, Format.INT8, mode={"to_vector": 1}, d_base=3), l1)
    assert outcome.status is Status.OK
    assert [rows.shape for rows in outcome.rows] == [(3, 4), (3, 4), (3, 2)]
    np.testing.assert_array_equal(np.concatenate(outcome.rows, axis=1).view(np.int32), a @ b)
    np.testing.assert_array_equal(l1, before)


def test_chunks_change_nothing(l1, monkeypatch):
    a, b = operands(np.random.default_rng(8), 20, 4, 8, Format.INT8)
    put(l1, A, a, Format.INT8)
    put(l1, B, b, Format.INT8)
    put(l1, C, np.arange(80), Format.INT32)
    monkeypatch.setattr(tensor, "_CHUNK", 70)
    words = gemm(1, 4, 8, Format.INT8, mode={"accumulate": 1}, ow=4, oh=5, a_ow=8, a_oh=32, c_ow=16, c_oh=64, d_ow=16, d_oh=64)
    assert tensor.run(TINY, words, l1).status is Status.OK
    np.testing.assert_array_equal(take(l1, D, (20, 4), Format.INT32), a @ b + np.arange(80).reshape(20, 4))


END = TINY.l1_bytes
TA, TB = {"transpose_a": 1}, {"transpose_b": 1}
BAD = {
    "A is INT32": (dict(mode={"a_format": Format.INT32}), Status.UNSUPPORTED, 0),
    "A is format 7": (dict(mode={"a_format": 7}), Status.UNSUPPORTED, 0),
    "D is TF32": (dict(mode={"d_format": Format.TF32}), Status.UNSUPPORTED, 0),
    "D is INT32 of a floating A": (dict(mode={"d_format": Format.INT32}), Status.UNSUPPORTED, 0),
    "D must be legal with to_vector too": (dict(mode={"d_format": Format.INT8, "to_vector": 1}), Status.UNSUPPORTED, 0),
    **{f"no {size}": ({size: 0}, Status.SIZE, 0) for size in ("kh", "kw", "channels", "ow", "oh", "n", "batch")},
    "65536 rows": (dict(ow=65536), Status.SIZE, 0),
    "K of 65536": (dict(kh=256, kw=256, channels=1), Status.SIZE, 0),
    "codes before sizes": (dict(mode={"d_format": Format.INT8}, n=0), Status.UNSUPPORTED, 0),
    "sizes before alignment": (dict(n=0, a_base=A + 1), Status.SIZE, 0),
    **{f"odd {word}": ({word: 2}, Status.ALIGNMENT, 0) for word in (
        "a_base", "a_c", "a_kw", "a_kh", "a_ow", "a_oh", "a_batch", "b_base", "b_k", "b_batch", "d_base", "d_ow", "d_oh", "d_batch")},
    **{f"odd {word}": (dict(mode={"accumulate": 1}, **{word: 2}), Status.ALIGNMENT, 0) for word in ("c_base", "c_ow", "c_oh", "c_batch")},
    "alignment before bounds": (dict(a_base=END, d_base=2), Status.ALIGNMENT, 0),
    "A beyond": (dict(a_base=END - 4 * 32 + 4), Status.ADDRESS, END + 3),
    "A below": (dict(a_ow=-32, a_base=4), Status.ADDRESS, 2**32 + 4 - 96),
    "A before B": (dict(a_base=END, b_base=END), Status.ADDRESS, END + 127),
    "B beyond": (dict(b_base=END), Status.ADDRESS, END + 4 * 8 * 3 - 1),
    "C beyond": (dict(mode={"accumulate": 1}, c_base=END), Status.ADDRESS, END + 4 * 4 * 3 - 1),
    "D beyond": (dict(d_base=0xFFFFFFFC), Status.ADDRESS, 0xFFFFFFFC + 4 * 4 * 3 - 1),
    # 8 channels of 4 rows, 40 byte apart; 3 columns of 8 rows, 36 byte apart.
    "transposed A beyond": (dict(mode=TA, a_base=END - 7 * 40 - 12, a_c=40), Status.ADDRESS, END + 3),
    "transposed A below": (dict(mode=TA, a_base=7 * 40 - 4, a_c=-40), Status.ADDRESS, 2**32 - 4),
    "transposed B beyond": (dict(mode=TB, b_base=END - 2 * 36 - 28, b_k=36), Status.ADDRESS, END + 3),
    "transposed B below": (dict(mode=TB, b_base=2 * 36 - 4, b_k=-36), Status.ADDRESS, 2**32 - 4),
    "transposed A, odd a_c": (dict(mode=TA, a_c=42), Status.ALIGNMENT, 0),
    "transposed B, odd b_k": (dict(mode=TB, b_k=38), Status.ALIGNMENT, 0),
    "transposed A before B": (dict(mode=TA | TB, a_base=END, b_base=END, a_c=4, b_k=4), Status.ADDRESS, END + 43),
    "products don't wrap": (dict(batch=2, a_batch=-(1 << 31)), Status.ADDRESS, 2**32 + A - (1 << 31)),
    "wide products don't wrap": (dict(ow=65535, d_ow=1 << 30), Status.ADDRESS, D + 65534 * (1 << 30) + 11),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_command(l1, case):
    over, status, address = BAD[case]
    before = l1.copy()
    outcome = tensor.run(TINY, gemm(4, 3, 8, **over), l1)
    if case == "wide products don't wrap":  # A fails first there, unless it stays in place
        outcome = tensor.run(TINY, gemm(4, 3, 8, **over, a_ow=0), l1)
    assert (outcome.status, outcome.address) == (status, address % 2**32)
    np.testing.assert_array_equal(l1, before)


@pytest.mark.parametrize("over", [
    dict(c_base=END + 1, c_ow=3), dict(mode={"to_vector": 1}, d_base=END + 1, d_ow=3), dict(mode={"skip_zero": 1}),
    dict(mode={"align": AlignMode.RZ24}), dict(a_base=END - 128), dict(mode=TA, a_ow=3, a_base=END - 7 * 40 - 16, a_c=40),
    dict(mode=TA, a_ow=1 << 30, a_c=-40, a_base=7 * 40), dict(mode=TB, b_k=36, b_base=END - 2 * 36 - 32),
    dict(mode={"reserved": 5}), dict(tag=0xFFFFFFFF),
])
def test_good_command(l1, over):
    assert tensor.run(TINY, gemm(4, 3, 8, **over), l1).status is Status.OK


def test_last_group_is_touched_only_where_it_exists(l1):
    end = END - 4 * 10
    assert tensor.run(TINY, gemm(1, 1, 10, Format.FP32, a_base=end), l1).status is Status.OK
    # Five elements in groups of four: the second group has one, and the first one reaches further where a_c is negative.
    narrow = gemm(1, 1, 5, Format.FP16, a_base=END - 10, a_c=8)
    assert tensor.run(TINY, narrow, l1).status is Status.OK
    back = gemm(1, 1, 5, Format.FP16, a_base=END - 6, a_c=-8)
    assert tensor.run(TINY, back, l1) == tensor.Outcome(Status.ADDRESS, END + 1)
    under = gemm(1, 1, 5, Format.FP16, a_base=6, a_c=-8)
    assert tensor.run(TINY, under, l1) == tensor.Outcome(Status.ADDRESS, 2**32 - 2)


def test_a_format_that_the_configuration_lacks():
    config = PRESETS["i10_slice"]
    l1 = np.zeros(config.l1_bytes, np.uint8)
    assert tensor.run(config, gemm(1, 1, 1, Format.TF32), l1).status is Status.UNSUPPORTED
    assert tensor.run(config, gemm(1, 1, 1, Format.UINT8, None, 4), l1).status is Status.OK
