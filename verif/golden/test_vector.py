"""Golden vector engine against numpy, Python integers and ONNX's reference evaluator: loads, taps, micro-programs, stores, checks."""

import math
from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from compiler.assembler import micro_ops
from rtl.formats import CONTAINER_BYTES, FLOATS, Format
from rtl.isa import Engine, Status, VectorOp, VectorSource
from sim.golden import vector
from sim.golden.outcome import Outcome
from verif.golden.kit import NUMPY, TINY, command_words, put, take

X, Y, P, Z = 0x100, 0x2000, 0x3000, 0x4000
V0, V1, V2, V3 = VectorSource.V0, VectorSource.V1, VectorSource.V2, VectorSource.V3
P0, P1, P3, S0, S1, ZERO = VectorSource.P0, VectorSource.P1, VectorSource.P3, VectorSource.S0, VectorSource.S1, VectorSource.ZERO
SPECIAL = [0, 1, -1, 2, 7, 100, 127, 128, -128, -129, 255, 256, 2**30, 2**31 - 1, -(2**31), -(2**31) + 1]


def elementwise(rows, columns, *steps, x=Format.INT32, y=Format.INT32, z=None, **over):
    """Words of a command on dense [rows, columns] tensors at X, Y and Z; steps are (op, dst, a, b)."""
    z = z or x
    mode = {"x_format": x, "y_format": y, "z_format": z, "ops": len(steps), **over.pop("mode", {})}
    fields = dict(
        mode=mode, n=columns, ow=rows, oh=1, kw=1, kh=1, x_base=X, x_ow=columns * CONTAINER_BYTES[x],
        y_base=Y, y_ow=columns * CONTAINER_BYTES[y],
        z_base=Z, z_ow=columns * CONTAINER_BYTES[z], p_base=P, p_stride=4 * columns, **micro_ops(*steps),
    )
    return command_words(Engine.VECTOR, **{**fields, **over})


@pytest.fixture
def l1():
    return np.zeros(TINY.l1_bytes, np.uint8)


def pairs():
    """Every pair of special integers, as two rows of numbers."""
    a, b = np.meshgrid(np.array(SPECIAL), np.array(SPECIAL))
    return a.reshape(-1), b.reshape(-1)


def wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def saturate(value: int) -> int:
    return max(-(2**31), min(2**31 - 1, value))


INTEGER_OPERATIONS = {
    VectorOp.NOP: lambda a, b, d: d,
    VectorOp.MOV: lambda a, b, d: a,
    VectorOp.IADD: lambda a, b, d: wrap(a + b),
    VectorOp.ISUB: lambda a, b, d: wrap(a - b),
    VectorOp.IADDS: lambda a, b, d: saturate(a + b),
    VectorOp.IMUL: lambda a, b, d: wrap(a * b),
    VectorOp.IMAX: lambda a, b, d: max(a, b),
    VectorOp.IMIN: lambda a, b, d: min(a, b),
    VectorOp.SHL: lambda a, b, d: wrap(a << b % 32),
    VectorOp.SHR: lambda a, b, d: a >> b % 32,
}


@pytest.mark.parametrize("op", INTEGER_OPERATIONS)
def test_integer_operation(l1, op):
    a, b = pairs()
    put(l1, X, a, Format.INT32)
    put(l1, Y, b, Format.INT32)
    # V2 = S0 is the old value of the destination.
    words = elementwise(1, len(a), (VectorOp.MOV, 2, S0), (op, 2, V0, V1), (VectorOp.MOV, 0, V2), mode={"y_enable": 1}, s0=-77)
    assert vector.run(TINY, words, l1) == Outcome()
    wanted = [INTEGER_OPERATIONS[op](int(i), int(j), -77) for i, j in zip(a, b, strict=True)]
    np.testing.assert_array_equal(take(l1, Z, (len(a),), Format.INT32), wanted)


FLOAT_OPERATIONS = {
    VectorOp.FADD: lambda a, b, d: a + b,
    VectorOp.FSUB: lambda a, b, d: a - b,
    VectorOp.FMUL: lambda a, b, d: a * b,
    VectorOp.FMA: lambda a, b, d: a * b + d,
    VectorOp.FMAX: max,
    VectorOp.FMIN: min,
}


@pytest.mark.parametrize("op", FLOAT_OPERATIONS)
def test_float_operation(l1, op):
    """Numbers of few bits, so that the results are exact; rounding is the numerics' own test."""
    rng = np.random.default_rng(1)
    a, b, d = (rng.integers(-999, 1000, 100) / 8 for _ in range(3))
    put(l1, X, a, Format.FP32)
    put(l1, Y, b, Format.FP32)
    put(l1, P, d, Format.FP32)
    words = elementwise(
        1, 100, (VectorOp.MOV, 3, P0), (op, 3, V0, V1), (VectorOp.MOV, 0, V3), x=Format.FP32, y=Format.FP32,
        mode={"y_enable": 1, "params": 1},
    )
    assert vector.run(TINY, words, l1) == Outcome()
    exact = [FLOAT_OPERATIONS[op](*(float(v) for v in (i, j, k)[: 2 if op in (VectorOp.FMAX, VectorOp.FMIN) else 3]))
             for i, j, k in zip(a, b, d, strict=True)]
    np.testing.assert_array_equal(take(l1, Z, (100,), Format.FP32), exact)


def test_conversions(l1):
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 3e9, -3e9, np.inf, -np.inf, np.nan, 1e-40, 16777217.0], np.float32)
    put(l1, X, values, Format.FP32)
    assert vector.run(TINY, elementwise(1, 12, (VectorOp.FTOI, 0, V0), x=Format.FP32, z=Format.INT32), l1) == Outcome()
    wanted = [0, 2, 2, 0, -2, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 0, 0, 16777216]
    np.testing.assert_array_equal(take(l1, Z, (12,), Format.INT32), wanted)
    numbers = np.array([0, -1, 16777217, 16777219, 2**31 - 1, -(2**31)])
    put(l1, X, numbers, Format.INT32)
    assert vector.run(TINY, elementwise(1, 6, (VectorOp.ITOF, 0, V0), z=Format.FP32), l1) == Outcome()
    np.testing.assert_array_equal(take(l1, Z, (6,), Format.FP32), numbers.astype(np.float32))


def _nearest_away(value: Fraction) -> int:
    return int(math.copysign(1, value)) * math.floor(abs(value) + Fraction(1, 2))


def scale_double(acc: int, multiplier: int, shift: int) -> int:
    """`tflite-double` by exact integers."""
    product = saturate(acc << max(shift, 0)) * multiplier
    high = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(high) // 2**31 * (1 if high >= 0 else -1)
    return _nearest_away(Fraction(high, 2 ** max(-shift, 0)))


@pytest.mark.parametrize("op", (VectorOp.REQD, VectorOp.REQS))
def test_requantise(l1, op):
    """Per-column multipliers and shifts as the compiler uses them; then a zero point and a saturating store."""
    rng = np.random.default_rng(2)
    rows, n = 40, 12
    acc = rng.integers(-(2**20), 2**20, (rows, n))
    multiplier, shift = rng.integers(2**30, 2**31, n), rng.integers(-20, 3, n)
    shift[0] = 0
    # Only the low byte of the shift counts.
    put(l1, X, acc, Format.INT32)
    put(l1, P, np.stack([multiplier, (shift & 0xFF) | 0x5A00]), Format.INT32)
    words = elementwise(
        rows, n, (VectorOp.MOV, 2, P1), (op, 2, V0, P0), (VectorOp.IADDS, 0, V2, S1), z=Format.INT8, mode={"params": 2}, s1=-3,
    )
    assert vector.run(TINY, words, l1) == Outcome()
    exact = scale_double if op is VectorOp.REQD else lambda a, m, s: (a * m + (1 << (30 - s))) >> (31 - s)
    wanted = [[max(-128, min(127, exact(int(acc[r, c]), int(multiplier[c]), int(shift[c])) - 3)) for c in range(n)] for r in range(rows)]
    np.testing.assert_array_equal(take(l1, Z, (rows, n), Format.INT8), wanted)


@pytest.mark.parametrize(("x", "z"), [(x, z) for x in Format for z in Format if (x in FLOATS) == (z in FLOATS)])
def test_load_and_store(l1, x, z):
    """Without a micro-program a command moves numbers of one kind from format to format."""
    values = np.array([0, 1, -1, 2, 100, 127, -128]) if z in FLOATS or x is not Format.UINT8 else np.array([0, 1, 200, 255, 2, 3, 4])
    put(l1, X, values, x)
    assert vector.run(TINY, elementwise(1, len(values), x=x, z=z), l1) == Outcome()
    wanted = values.astype(NUMPY[x]).astype(np.float64)
    if z not in FLOATS:
        info = np.iinfo(NUMPY[z])
        wanted = np.clip(wanted, info.min, info.max)
    np.testing.assert_array_equal(take(l1, Z, (len(values),), z).astype(np.float64), wanted)


def test_tf32_ignores_the_low_bits_and_rounds_on_store(l1):
    put(l1, X, np.array([0x7F800001, 0x3F801FFF], np.uint32).view(np.int32), Format.INT32)
    vector.run(TINY, elementwise(1, 2, x=Format.TF32, z=Format.FP32), l1)
    np.testing.assert_array_equal(take(l1, Z, (2,), Format.FP32), [np.inf, 1.0])
    vector.run(TINY, elementwise(1, 2, x=Format.FP32, z=Format.TF32, x_base=X + 4, n=1), l1)
    assert take(l1, Z, (1,), Format.INT32)[0] == 0x3F802000


@pytest.mark.parametrize("reduce", (VectorOp.FMAX, VectorOp.IMAX, VectorOp.FADD, VectorOp.IMIN, VectorOp.FMIN, VectorOp.IADD))
def test_pooling(l1, reduce):
    rng = np.random.default_rng(3)
    h, w, c, kernel, stride = 9, 8, 7, (3, 2), 2
    oh, ow = (h - kernel[0]) // stride + 1, (w - kernel[1]) // stride + 1
    floating = reduce.name.startswith("F")
    x = Format.BF16 if floating else Format.INT8
    image = rng.integers(-50, 51, (h, w, c))
    put(l1, X, image, x)
    e = CONTAINER_BYTES[x]
    z = Format.FP32 if floating else Format.INT32
    words = elementwise(
        1, c, x=x, z=z, mode={"reduce": reduce}, kh=kernel[0], kw=kernel[1], oh=oh, ow=ow, x_kw=c * e, x_kh=w * c * e,
        x_ow=stride * c * e, x_oh=stride * w * c * e, z_ow=4 * c, z_oh=4 * c * ow,
    )
    assert vector.run(TINY, words, l1) == Outcome()
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel, (0, 1))[::stride, ::stride]
    function = {"MAX": np.max, "MIN": np.min, "ADD": np.sum}[reduce.name[1:]]
    np.testing.assert_array_equal(take(l1, Z, (oh, ow, c), z), function(windows, axis=(3, 4)))


def test_max_pooling_is_onnx_maxpool(l1):
    rng = np.random.default_rng(4)
    image = rng.standard_normal((8, 8, 5)).astype(np.float32)
    put(l1, X, image, Format.FP32)
    words = elementwise(
        1, 5, x=Format.FP32, mode={"reduce": VectorOp.FMAX}, kh=2, kw=2, oh=4, ow=4, x_kw=20, x_kh=160, x_ow=40, x_oh=320,
        z_ow=20, z_oh=80,
    )
    assert vector.run(TINY, words, l1) == Outcome()
    node = onnx.helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "pool", info[:1], info[1:]))
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": image.transpose(2, 0, 1)[None]})
    np.testing.assert_array_equal(take(l1, Z, (4, 4, 5), Format.FP32), wanted[0].transpose(1, 2, 0))


def test_taps_are_added_in_order(l1):
    """kh outside, kw inside: 2^24 + 1 - 2^24 + 1 is 1 in FP32 in that order alone."""
    put(l1, X, [2.0**24, 1.0, -(2.0**24), 1.0], Format.FP32)
    words = elementwise(1, 1, x=Format.FP32, mode={"reduce": VectorOp.FADD}, kh=2, kw=2, x_kw=4, x_kh=8)
    assert vector.run(TINY, words, l1) == Outcome()
    assert take(l1, Z, (1,), Format.FP32) == 1.0
    swapped = elementwise(1, 1, x=Format.FP32, mode={"reduce": VectorOp.FADD}, kh=2, kw=2, x_kw=8, x_kh=4)
    assert vector.run(TINY, swapped, l1) == Outcome()
    assert take(l1, Z, (1,), Format.FP32) == 2.0


def test_y_broadcast_in_place_and_scalars(l1):
    x, y = np.arange(24).reshape(2, 3, 4), np.array([10, 20, 30, 40])
    put(l1, X, x, Format.INT32)
    put(l1, Y, y, Format.INT32)
    words = elementwise(
        3, 4, (VectorOp.IMUL, 0, V0, S0), (VectorOp.IADD, 0, V0, V1), (VectorOp.IMAX, 0, V0, ZERO), oh=2, mode={"y_enable": 1},
        s0=-2, x_oh=48, y_ow=0, z_base=X, z_oh=48,
    )
    assert vector.run(TINY, words, l1) == Outcome()
    np.testing.assert_array_equal(take(l1, X, (2, 3, 4), Format.INT32), np.maximum(y - 2 * x, 0))


def test_four_parameters_and_eight_operations(l1):
    parameters = np.array([[1, 2, 3], [10, 20, 30], [100, 200, 300], [1000, 2000, 3000]])
    put(l1, P, parameters, Format.INT32)
    put(l1, X, [[5, 6, 7], [8, 9, 10]], Format.INT32)
    sources = [VectorSource(VectorSource.P0.value + i) for i in range(4)] * 2
    steps = [(VectorOp.IADD, 0, V0, source) for source in sources]
    assert vector.run(TINY, elementwise(2, 3, *steps, mode={"params": 4}), l1) == Outcome()
    np.testing.assert_array_equal(take(l1, Z, (2, 3), Format.INT32), np.array([[5, 6, 7], [8, 9, 10]]) + 2 * parameters.sum(axis=0))


def test_rows_of_a_batch(l1):
    rows = np.arange(24, dtype=np.uint32).reshape(6, 4)
    words = elementwise(6, 4, mode={"from_tensor": 1}, z=Format.INT32)
    assert vector.run(TINY, words, l1, [rows[:2], rows[2:4], rows[4:]]) == Outcome()
    np.testing.assert_array_equal(take(l1, Z, (6, 4), Format.INT32), rows)


def test_rows_of_the_tensor_core(l1):
    """Tiles of pe_columns columns: 4, 4 and 2."""
    rows = np.arange(30, dtype=np.uint32).reshape(3, 10)
    blocks = [rows[:, :4], rows[:, 4:8], rows[:, 8:]]
    words = elementwise(
        3, 10, (VectorOp.IADD, 0, V0, S0), mode={"from_tensor": 1}, x=Format.INT8, z=Format.INT32, s0=5, x_base=END, x_ow=7,
    )
    assert vector.run(TINY, words, l1, blocks) == Outcome()
    np.testing.assert_array_equal(take(l1, Z, (3, 10), Format.INT32), rows + 5)
    with pytest.raises(ValueError, match=r"rows \(3 x 4, 3 x 4\) don't fit 3 x 10"):
        vector.run(TINY, words, l1, blocks[:2])


END = TINY.l1_bytes
BAD = {
    "micro-operation 20": (dict(mode={"ops": 1}, ops01=20), Status.UNDEFINED_OPCODE, 0),
    "micro-operation 63 is the last of eight": (dict(mode={"ops": 8}, ops67=63 << 16), Status.UNDEFINED_OPCODE, 0),
    "source 11": (dict(mode={"ops": 2}, ops01=(1 | 11 << 8) << 16), Status.UNDEFINED_FIELD, 0),
    "source 15 of b": (dict(mode={"ops": 5}, ops45=0xF << 12), Status.UNDEFINED_FIELD, 0),
    "operations before sources": (dict(mode={"ops": 2}, ops01=11 << 8 | 40 << 16), Status.UNDEFINED_OPCODE, 0),
    "no reduction": (dict(kh=2), Status.UNDEFINED_OPCODE, 0),
    "a reduction by FMUL": (dict(kw=2, mode={"reduce": VectorOp.FMUL}), Status.UNDEFINED_OPCODE, 0),
    "a reduction by 50": (dict(kw=2, mode={"reduce": 50}), Status.UNDEFINED_OPCODE, 0),
    **{f"{which} 7": (dict(mode={which: 7}), Status.UNSUPPORTED, 0) for which in ("x_format", "y_format", "z_format")},
    "taps of the tensor core": (dict(kw=2, mode={"reduce": VectorOp.IADD, "from_tensor": 1}), Status.UNSUPPORTED, 0),
    **{f"no {size}": ({size: 0}, Status.SIZE, 0) for size in ("kh", "kw", "ow", "oh", "n")},
    "65536 columns": (dict(n=65536), Status.SIZE, 0),
    "five parameters": (dict(mode={"params": 5}), Status.SIZE, 0),
    "nine operations": (dict(mode={"ops": 9}), Status.SIZE, 0),
    "format before size": (dict(mode={"x_format": 7}, n=0), Status.UNSUPPORTED, 0),
    **{f"odd {word}": ({word: 2}, Status.ALIGNMENT, 0) for word in ("x_base", "x_kw", "x_kh", "x_ow", "x_oh", "z_base", "z_ow", "z_oh")},
    **{f"odd {word}": ({word: 2, "mode": {"y_enable": 1}}, Status.ALIGNMENT, 0) for word in ("y_base", "y_ow", "y_oh")},
    **{f"odd {word}": ({word: 2, "mode": {"params": 1}}, Status.ALIGNMENT, 0) for word in ("p_base", "p_stride")},
    "x beyond": (dict(x_base=END - 4), Status.ADDRESS, END + 19),
    "x below": (dict(x_ow=-X - 4), Status.ADDRESS, 2**32 - 4),
    "y beyond": (dict(y_base=END, mode={"y_enable": 1}), Status.ADDRESS, END + 23),
    "P beyond": (dict(p_base=END - 12, p_stride=8, mode={"params": 2}), Status.ADDRESS, END + 7),
    "z beyond": (dict(z_base=END - 20), Status.ADDRESS, END + 3),
    "x before y": (dict(x_base=END, y_base=END + 400, mode={"y_enable": 1}), Status.ADDRESS, END + 23),
    "products don't wrap": (dict(oh=65535, x_oh=1 << 30), Status.ADDRESS, X + (65534 << 30) + 23),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_command(l1, case):
    over, status, address = BAD[case]
    before = l1.copy()
    outcome = vector.run(TINY, elementwise(2, 3, **over), l1)
    assert (outcome.status, outcome.address) == (status, address % 2**32)
    np.testing.assert_array_equal(l1, before)


@pytest.mark.parametrize("over", [
    dict(y_base=END + 1, y_ow=3), dict(p_base=END + 1, p_stride=3), dict(mode={"reduce": 50}), dict(mode={"ops": 0}, ops01=0xFFFF),
    dict(mode={"reserved": 1}), dict(mode={"ops": 1}, ops01=0xFFFF << 16), dict(x_base=END - 24), dict(z_ow=0, oh=65535),
])
def test_good_command(l1, over):
    assert vector.run(TINY, elementwise(2, 3, **over), l1) == Outcome()
