"""What the compiler refuses: one line that names the node and the reason, always a CompileError."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compiler.compile import compile_graph, compile_model
from compiler.errors import CompileError
from compiler.lower import SUPPORTED, lower
from compiler.onnx_import import load
from rtl.config import PRESETS
from verif.compiler.kit import Builder
from verif.compiler.models import second_model

TINY = PRESETS["tiny"]
DIGITS = Path("gcu/examples/digits/digits.onnx")


def refusal(source, config=TINY) -> str:
    with pytest.raises(CompileError) as caught:
        compile_model(source, config)
    message = str(caught.value)
    assert "\n" not in message
    return message


def one(op: str, shapes: dict[str, tuple], constants: list, attributes: dict, out: tuple, dtype=np.float32) -> onnx.ModelProto:
    """A model of one node: inputs by name and shape, then constants."""
    b = Builder(np.random.default_rng(1))
    inputs = [b.input(shape, dtype, name) for name, shape in shapes.items()]
    b.node(op, *inputs, *(b.constant(value) for value in constants), output="y", **attributes)
    return b.model({"y": (out, dtype)})


F = np.float32
X4 = {"x": (1, 4, 8, 8)}
W4 = np.ones((4, 4, 3, 3), F)


@pytest.mark.parametrize("model, words", [
    (one("Conv", {"x": (1, 4, 8)}, [np.ones((4, 4, 3), F)], {}, (1, 4, 6)), "Conv 'node_y': 1 spatial dimensions; 2 are supported"),
    (one("Conv", {"x": (2, 4, 8, 8)}, [W4], {}, (2, 4, 6, 6)), "x: a batch of 2"),
    (one("Conv", X4 | {"w": (1, 4, 3, 3)}, [], {}, (1, 1, 6, 6)), "Conv 'node_y': the weights must be a constant"),
    (one("Conv", X4, [W4], {"pads": [-1, 0, 0, 0]}, (1, 4, 5, 6)), "node_y): [ShapeInferenceError] Attribute pads"),
    (one("Gemm", {"x": (2, 3)}, [np.ones((3, 4), F)], {"alpha": 0.5}, (2, 4)), "alpha or beta other than 1"),
    (one("Transpose", {"x": (1, 2, 3, 4)}, [], {"perm": [0, 1, 3, 2]}, (1, 2, 4, 3)), "of 4 dimensions it has no kernel"),
    (one("Gemm", {"x": (4, 3)}, [np.ones((3, 4), F), np.ones((4, 1), F)], {}, (4, 4)), "bias of shape [4, 1] is not one value per output"),
    (one("MatMul", {"x": (2, 2, 3)}, [np.ones((2, 3, 4), F)], {}, (2, 2, 4)), "weights of 3 dimensions; a matrix is needed"),
    (one("MatMul", {"x": (1, 2, 5, 3)}, [np.ones((3, 4), F)], {}, (1, 2, 5, 4)), "last axis of a four-dimensional tensor"),
    (one("MatMul", {"x": (2, 3), "w": (3,)}, [], {}, (2,)), "takes matrices"),
    (one("MatMul", {"x": (2, 3), "w": (4, 3, 5)}, [], {}, (4, 2, 5)), "different numbers of matrices"),
    (one("Add", {"x": (1, 4, 8, 8), "z": (8,)}, [], {}, (1, 4, 8, 8)), "different shapes; broadcasting has no kernel"),
    (one("Add", {"x": (2, 4)}, [np.ones(4, F)], {}, (2, 4)), "a constant operand is only supported as the bias"),
    (one("MaxPool", {"x": (1, 4, 8)}, [], {"kernel_shape": [2]}, (1, 4, 7)), "1 spatial dimensions"),
    (one("MaxPool", X4, [], {"kernel_shape": [1, 1], "strides": [9, 9], "ceil_mode": 1}, (1, 4, 2, 2)), "window would lie in the padding"),
    (one("Relu", {"x": (1, 2, 3, 4, 5)}, [], {}, (1, 2, 3, 4, 5)), "x: 5 dimensions are more than 4"),
    (one("Relu", {"x": (2, 3)}, [], {}, (2, 3), np.float64), "x is float64; int8, uint8, float32, float16 and bfloat16 run on the chip"),
    (one("Relu", {"x": (2, 3)}, [], {}, (2, 3), np.int8), "Relu 'node_y': on integers without a scale"),
    (one("Reshape", {"x": (1, 2, 3, 4)}, [np.array([1, 4, 3, 2])], {}, (1, 4, 3, 2)), "between two channel-last orders"),
    (one("Relu", {"x": ("N", "K")}, [], {}, ("N", "K")), "the shape of x is not known: [1, ?]"),
    (one("Relu", {"x": (2, 0)}, [], {}, (2, 0)), "the shape of x is not known: [2, 0]"),
    (one("Relu", {"x": (1 << 16, 1 << 16)}, [], {}, (1 << 16, 1 << 16)), "too large"),
    (one("Conv", X4, [np.ones((4, 3, 3, 3), F)], {}, (1, 4, 6, 6)), "1 groups of weights of shape [4, 3, 3, 3] don't match 4 channels"),
])
def test_a_node_is_refused(model, words):
    assert words in refusal(model)


def test_all_refused_nodes_are_in_one_line():
    b = Builder(np.random.default_rng(1))
    x = b.input((1, 4, 8, 8), np.float32, "x")
    y = b.node("Softmax", b.node("Sigmoid", x))
    b.nodes.append(helper.make_node("Fancy", [y], ["y"], name="late", domain="my.domain"))
    message = refusal(b.model({"y": ((1, 4, 8, 8), np.float32)}))
    words = ("no kernel for Sigmoid 'node_sigmoid", "Softmax 'node_softmax", "my.domain.Fancy 'late'; the operators that run are Add, Conv")
    assert all(word in message for word in words)
    b = Builder(np.random.default_rng(1))
    x = b.input((1, 4, 8, 8), np.float32, "x")
    first = b.node("Add", x, b.input((8,), np.float32, "row"), output="first")
    b.node("Relu", first, output="behind")
    b.node("MaxPool", x, kernel_shape=[1, 1], strides=[9, 9], ceil_mode=1, output="other")
    message = refusal(b.model({"behind": ((1, 4, 8, 8), np.float32), "other": ((1, 4, 2, 2), np.float32)}))
    assert "Add 'node_first'" in message and "MaxPool 'node_other'" in message and "node_behind" not in message


def qdq(x_scale=0.1, w_scale=0.1, y_scale=0.1, w_zero=0, x_zero=0, axis=0, bias=None, weights=None) -> onnx.ModelProto:
    b = Builder(np.random.default_rng(1))
    x = b.dequantise(b.input((1, 4, 8, 8), np.uint8, "x"), x_scale, np.uint8(x_zero))
    weights = b.weights((4, 4, 3, 3)) if weights is None else weights
    zero = np.full(np.shape(w_scale), w_zero, weights.dtype)
    w = b.dequantise(b.constant(weights), w_scale, zero, axis)
    y = b.node("Conv", x, w, *([] if bias is None else [b.constant(np.asarray(bias, np.float32))]), output="conv")
    b.quantise(y, y_scale, np.int8(0), "y")
    return b.model({"y": ((1, 4, 6, 6), np.int8)})


@pytest.mark.parametrize("options, words", [
    ({"x_scale": 0}, "the scale 0.0 is not a positive number"),
    ({"x_scale": np.nan}, "the scale nan"),
    ({"w_scale": -1}, "the scale -1.0"),
    ({"y_scale": np.inf}, "the scale inf"),
    ({"x_scale": 1e-30, "w_scale": 1e-30}, "the scale of the accumulators 0.0"),
    ({"x_scale": 1e18, "w_scale": 1e18, "y_scale": 1e-18}, "the ratio of scales inf"),
    ({"w_scale": [0.1] * 4, "axis": 1}, "runs along axis 1; per output channel is axis 0"),
    ({"w_scale": [0.1] * 3}, "doesn't run along axis 0"),
    ({"w_zero": 100}, "beyond int8"),
    ({"weights": np.ones((4, 4, 3, 3), np.int32)}, "weights of int32"),
    ({"bias": [1e9] * 4}, "beyond the accumulators"),
    ({"bias": [np.nan] * 4}, "beyond the accumulators"),
])
def test_a_quantisation_is_refused(options, words):
    message = refusal(qdq(**options))
    assert words in message and "'node_" in message


def test_a_bias_along_the_wrong_axis_is_refused():
    """[8] and [1, 1, 8, 1] broadcast over the width and the height of a convolution, not over its eight channels."""
    for shape in ((8,), (1, 1, 8, 1), (8, 8)):
        b = Builder(np.random.default_rng(1))
        y = b.node("Conv", b.input((1, 4, 8, 8), np.float32, "x"), b.constant(np.ones((8, 4, 1, 1), F)))
        b.node("Add", y, b.constant(np.ones(shape, F)), output="y")
        assert "is not a bias per output channel" in refusal(b.model({"y": ((1, 8, 8, 8), F)}))


def test_files(tmp_path):
    assert "missing.onnx: No such file" in refusal(tmp_path / "missing.onnx")
    for name, data in (("empty", b""), ("text", b"no model at all\n" * 9), ("half", DIGITS.read_bytes()[:3000]), ("zeros", bytes(64))):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(data)
        assert f"{name}.onnx" in refusal(path)
    assert "directory" in refusal(tmp_path).lower()


def test_models():
    model = onnx.load(DIGITS)
    model.opset_import[0].version = 6
    assert "digits" in refusal(model)
    b = Builder(np.random.default_rng(1))
    b.node("Identity", b.constant(np.ones(3, F)), output="y")
    assert "output y is a constant" in refusal(b.model({"y": ((3,), F)}))
    b = Builder(np.random.default_rng(1))
    x = b.input((2, 3), np.float32, "x\nwith\na break")
    b.node("Sigmoid", x, output="y")
    b.nodes[-1].name = "a\nb"
    assert "Sigmoid" in refusal(b.model({"y": ((2, 3), F)}))
    b = Builder(np.random.default_rng(1))
    b.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, None))
    b.node("Relu", "x", output="y")
    model = b.model({"y": ((2, 3), F)})
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert "'shape' of 'type' is required" in refusal(model)


def test_memories_that_are_too_small():
    wide = one("Conv", {"x": (1, 900, 3, 3)}, [np.ones((1, 900, 3, 3), F)], {}, (1, 1, 1, 1))
    small = replace(TINY, name="cramped", l1_bytes=1024)
    compile_model(wide, small)
    pool = one("MaxPool", {"x": (1, 900, 3, 3)}, [], {"kernel_shape": [3, 3]}, (1, 900, 1, 1))
    assert "node_y: not even one output's window fits into the 1024 byte of L1" in refusal(pool, small)
    graph = lower(load(DIGITS, SUPPORTED))
    with pytest.raises(CompileError, match="don't fit into the 262144 byte of L3"):
        compile_graph(graph, replace(TINY, dram_rows=16), base=256 * 1020)
    with pytest.raises(CompileError, match="not a multiple of 256"):
        compile_graph(graph, TINY, base=100)
    large = one("Relu", {"x": (512, 512)}, [], {}, (512, 512))
    compile_model(large, replace(TINY, dram_rows=16))
    b = Builder(np.random.default_rng(1))
    b.node("Relu", b.node("Relu", b.input((512, 512), F, "x")), output="y")
    assert "1048576 byte don't fit" in refusal(b.model({"y": ((512, 512), F)}), replace(TINY, dram_rows=16))
    lacking = replace(TINY, formats=("INT8",))
    assert "no tensor format FP32" in refusal(wide, lacking)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_files(seed, tmp_path):
    """The digits' file, cut off or with bytes changed at random: a CompileError in one line, or a model that compiles."""
    rng = random.Random(seed)
    good = DIGITS.read_bytes()
    refused = 0
    for index in range(40):
        data = bytearray(good)
        if index % 4 == 0:
            del data[rng.randrange(len(data)) :]
        else:
            # Half of the damage goes to the graph's structure, which is a small part of the file.
            for _ in range(rng.choice((1, 1, 2, 8))):
                place = rng.randrange(len(data)) if index % 2 else rng.choice((rng.randrange(4000), len(data) - 1 - rng.randrange(2000)))
                data[place] = rng.choice((rng.randrange(256), data[place] ^ 1 << rng.randrange(8), 0, 0xFF))
        path = tmp_path / f"{index}.onnx"
        path.write_bytes(bytes(data))
        try:
            compile_model(path, TINY)
        except CompileError as error:
            assert "\n" not in str(error) and str(error).strip()
            refused += 1
    assert refused >= 10


def damage(model: onnx.ModelProto, rng: random.Random):
    """One change that leaves the file readable: a number, a name, a type, a node."""
    graph = model.graph
    node = rng.choice(graph.node)
    tensor = rng.choice(graph.initializer)
    number = rng.choice((-1, 0, 1, 2, 3, 7, 8, 255, 1 << 31, -(1 << 62)))
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    match rng.randrange(9):
        case 0 if node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i = number
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = number
        case 1:
            node.attribute.append(helper.make_attribute(rng.choice(("axis", "group", "strides", "block_size", "pads", "to")), [number] * 2))
        case 2 if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(("", "absent", *names))
        case 3:
            tensor.dims[:] = [number] * rng.randrange(3)
        case 4:
            tensor.data_type = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 21, 99))
        case 5:
            tensor.raw_data = bytes(rng.randrange(256) for _ in range(len(tensor.raw_data)))
        case 6:
            node.op_type = rng.choice((*SUPPORTED, "Constant", "If"))
        case 7:
            info = rng.choice((*graph.input, *graph.output)).type.tensor_type
            info.elem_type = rng.choice((0, 1, 2, 3, 7, 8, 9, 10, 16, 99))
            if rng.random() < 0.5:
                info.shape.dim[rng.randrange(len(info.shape.dim))].dim_value = number
        case 8 if node.input:
            del node.input[rng.randrange(len(node.input)) :]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_models(seed):
    """As above, with changes of the parsed model, of which more come through to the compiler's own checks."""
    rng = random.Random(seed)
    good = [onnx.load(DIGITS), second_model(1)]
    outcomes = set()
    for index in range(60):
        model = onnx.ModelProto()
        model.CopyFrom(good[index % 2])
        for _ in range(rng.choice((1, 1, 2))):
            damage(model, rng)
        try:
            compile_model(model, TINY)
            outcomes.add("compiles")
        except CompileError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")
    assert outcomes == {"compiles", "refused"}
