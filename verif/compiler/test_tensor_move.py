"""Chains of tensor operations: what the golden data engine makes of their commands against numpy, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.element import ELEMENTS, convert, encode
from compiler.errors import CompileError, NotFused
from compiler.tensor_move import plan
from compiler.tensor_ops import parse
from gcu.expected import expected
from rtl.formats import FLOATS
from rtl.isa import DataOp
from sim.golden import formats
from verif.compiler.tensors import CONVERTIBLE, chains, random_codes, run

SINGLE = ("slice", "deslice", "transpose", "pad", "mirror", "broadcast", "fill", "gather", "im2col", "convert")
#: What one command does together, always.
FUSED = [
    ("slice", "transpose"), ("transpose", "deslice"), ("slice", "convert"), ("convert", "transpose"), ("slice", "transpose", "convert"),
    ("convert", "transpose", "deslice"), ("im2col", "convert"), ("convert", "im2col"), ("gather", "transpose"),
    ("mirror", "transpose", "broadcast"),
    ("fill", "transpose", "convert"), ("slice", "mirror", "transpose", "convert"), ("mirror", "gather", "convert"),
]


def check(ops, shape, element, seed, planned):
    codes = random_codes(seed, shape, element)
    np.testing.assert_array_equal(run(planned, codes), expected(parse(ops), codes, element))


@pytest.mark.parametrize("names", [(name,) for name in SINGLE] + FUSED, ids=" ".join)
def test_one_pass(names):
    """Every operation, and every chain that the hardware fuses, is one pass and gives what numpy does."""

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(chains(names))
    def examine(chain):
        ops, shape, element, seed = chain
        planned = plan(parse(ops), shape, element)
        assert len(planned) == 1
        check(ops, shape, element, seed, planned)

    examine()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_slice_and_pad_of_one_value(data):
    ops, shape, element, seed = data.draw(chains(("slice", "pad", "convert")[: data.draw(st.integers(2, 3))]))
    for op in ops:
        op.update({"fill": 1} if op["op"] == "slice" else {"value": 1} if op["op"] == "pad" else {})
        op.pop("interior", None)
    size = next(op["size"] for op in ops if op["op"] == "slice")
    ops[1]["low"], ops[1]["high"] = [abs(n) for n in ops[1]["low"]], [abs(n) for n in ops[1]["high"]]
    assert len(size) == len(shape)
    check(ops, shape, element, seed, plan(parse(ops), shape, element))


def test_fill_along_a_broadcast_axis():
    """Nothing of the source changes along it, but it may end in fill on either side, or have gaps."""
    block = {"op": "deslice", "offset": [0, 0], "into": [3, 2], "value": 9}
    for op in (block, {"op": "pad", "low": [2, 0], "interior": [1, 0], "value": 9}):
        ops = [{"op": "broadcast", "shape": [2, 2]}, op]
        planned = plan(parse(ops), [2], ELEMENTS["int8"])
        assert len(planned) == 1
        check(ops, [2], ELEMENTS["int8"], 1, planned)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(chains())
def test_any_chain(chain):
    """In as many passes as it takes; without `passes` it is one or refused by name."""
    ops, shape, element, seed = chain
    operations = parse(ops)
    planned = plan(operations, shape, element, passes=True)
    assert [operation for one in planned for operation in one.operations] == operations
    check(ops, shape, element, seed, planned)
    if len(planned) == 1:
        assert plan(operations, shape, element) is not None
    else:
        with pytest.raises(NotFused, match=r"^op \d \(\w+\) doesn't fuse with what is before it: "):
            plan(operations, shape, element)


@pytest.mark.parametrize(("ops", "shape", "count"), [
    ([{"op": "mirror", "axes": [0]}], [70000], 2),  # two parts side by side are two dimensions, and what is left over
    ([{"op": "slice", "offset": [-5], "size": [70010], "fill": 9}], [70000], 3),
    ([{"op": "gather", "axis": 0, "indices": [n * 7 % 11 for n in range(70000)]}], [11], 3),
    ([{"op": "transpose", "axes": [1, 0]}], [2, 66000], 2),
    ([{"op": "fill", "shape": [3, 70001], "value": 77}], [1], 2),
    ([{"op": "slice", "offset": [0, 0], "size": [2, 65536], "stride": [1, 1]}], [2, 65537], 1),
    ([{"op": "deslice", "offset": [60000], "into": [131000], "value": 3}], [2], 4),
])
def test_sizes_beyond_a_field(ops, shape, count):
    """Several commands, one pass."""
    planned = plan(parse(ops), shape, ELEMENTS["int8"])
    assert len(planned) == 1 and len(planned[0].commands) == count
    check(ops, shape, ELEMENTS["int8"], 1, planned)


def test_what_runs_as_tiles_and_rows():
    def only(ops, shape=(6, 7, 8), element="fp16"):
        (one,) = plan(parse(ops), shape, ELEMENTS[element])
        (command,) = one.commands
        return command

    turned = only([{"op": "transpose", "axes": [2, 0, 1]}])
    assert turned.mode["op"] is DataOp.COPY and turned.mode["tile"] and turned.words["size0"] == 42 and turned.words["size1"] == 8
    assert only([{"op": "slice", "offset": [-1, 0, 2], "size": [3, 3, 3]}, {"op": "transpose", "axes": [2, 1, 0]}]).mode["tile"]
    rows = only([{"op": "transpose", "axes": [1, 0, 2]}])
    assert "tile" not in rows.mode and rows.words["size0"] == 8
    dense = only([{"op": "slice", "offset": [1, 0, 0], "size": [2, 7, 8]}])
    assert dense.mode["op"] is DataOp.COPY and [dense.words[f"size{d}"] for d in range(5)] == [112, 1, 1, 1, 1]


REFUSED = {
    "a rank of 6": ([{"op": "mirror", "axes": [0]}], [1] * 6, "a tensor of rank 6: the data engine moves rank 1 to 5"),
    "broadcast to rank 6": (
        [{"op": "broadcast", "shape": [1] * 6}], [1] * 5,
        "op 0 (broadcast): the result has rank 6; the data engine has 5 dimensions"),
    "a repeated axis": ([{"op": "transpose", "axes": [0, 0]}], [2, 2], "op 0 (transpose): axes [0, 0] repeat axis 0"),
    "a missing axis": (
        [{"op": "transpose", "axes": [0]}], [2, 2], "op 0 (transpose): 1 axes given, the tensor [2, 2] has rank 2"),
    "axis 2 of 2": ([{"op": "mirror", "axes": [2]}], [2, 2], "op 0 (mirror): axis 2 is not in 0 to 1"),
    "an index outside": (
        [{"op": "gather", "axis": 1, "indices": [0, 3]}], [2, 3],
        "op 0 (gather): index 3 at place 1 is outside of the tensor: axis 1 has 0 to 2"),
    "a negative index": (
        [{"op": "gather", "axis": 0, "indices": [-1]}], [2, 3],
        "op 0 (gather): index -1 at place 0 is outside of the tensor: axis 0 has 0 to 1"),
    "interior padding and tiles": (
        [{"op": "pad", "interior": [1, 0]}, {"op": "transpose", "axes": [1, 0]}], [2, 3],
        "op 1 (transpose) doesn't fuse with what is before it: interior padding doesn't fuse with a transposition"),
    "interior padding of a transposition": (
        [{"op": "transpose", "axes": [1, 0]}, {"op": "pad", "interior": [1, 0]}], [2, 3],
        "op 1 (pad) doesn't fuse with what is before it: interior padding doesn't fuse with a transposition"),
    "two values": (
        [{"op": "pad", "low": [1], "value": 1}, {"op": "pad", "low": [1], "value": 2}], [3],
        "op 1 (pad) doesn't fuse with what is before it: a command has one value of fill, and two different ones are needed"),
    "two conversions": (
        [{"op": "convert", "dtype": "fp16"}, {"op": "convert", "dtype": "fp32"}], [3],
        "op 1 (convert) doesn't fuse with what is before it: a command converts once"),
    "two gathers": (
        [{"op": "gather", "axis": 0, "indices": [1]}, {"op": "gather", "axis": 1, "indices": [1]}], [3, 3],
        "op 1 (gather) doesn't fuse with what is before it: a command has one list of indices"),
    "im2col and more": (
        [{"op": "im2col", "kernel": [1, 1]}, {"op": "transpose", "axes": [1, 0]}], [1, 3, 3, 2],
        "op 1 (transpose) doesn't fuse with what is before it: im2col fuses with a conversion alone"),
    "more interior than the field holds": (
        [{"op": "pad", "interior": [256]}], [3],
        "op 0 (pad): the hardware can't do it: 256 elements of fill between two others are more than 255"),
    "an unknown operation": ([{"op": "rotate"}], [3], "op 0: 'rotate' is not one of " + ", ".join(SINGLE)),
    "an unknown field": ([{"op": "mirror", "axis": 0}], [3], "op 0 (mirror): unknown field 'axis'; it has axes"),
    "a missing field": ([{"op": "mirror"}], [3], "op 0 (mirror): the field 'axes' is missing"),
    "a text for a list": ([{"op": "mirror", "axes": "0"}], [3], "op 0 (mirror): axes: '0' is not a list of integers"),
    "an unknown type": ([{"op": "convert", "dtype": "fp8"}], [3], "op 0 (convert): dtype: 'fp8' is not one of " + ", ".join(CONVERTIBLE)),
    "a block that sticks out": (
        [{"op": "deslice", "offset": [2], "into": [4]}], [3],
        "op 0 (deslice): axis 0: a block of 3 at 2 doesn't lie inside of the 4 of \"into\""),
    "a value that the type lacks": (
        [{"op": "pad", "low": [1], "value": 300}], [3], "op 0 (pad): 300 is not an integer of int8, -128 to 127"),
    "a window larger than its image": (
        [{"op": "im2col", "kernel": [5, 1]}], [1, 3, 3, 2], "op 0 (im2col): a window of 5 is larger than the padded 3 elements"),
    "no broadcast": ([{"op": "broadcast", "shape": [4]}], [3], "op 0 (broadcast): [3] can't be broadcast to [4]"),
    "no ops": ([], [3], "ops: a list of at least one operation is needed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    ops, shape, message = REFUSED[case]
    with pytest.raises(CompileError) as error:
        plan(parse(ops), shape, ELEMENTS["fp32" if "conversions" in case else "int8"])
    assert str(error.value) == message


def test_passes_name_what_no_pass_can_do():
    ops = [{"op": "mirror", "axes": [0]}, {"op": "pad", "interior": [300]}]
    with pytest.raises(CompileError, match=r"^op 1 \(pad\): the hardware can't do it: 300 elements"):
        plan(parse(ops), [3], ELEMENTS["int8"], passes=True)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(CONVERTIBLE, CONVERTIBLE)))
def test_single_values(source, target):
    """Fill values, converted one by one, are what the golden model's arrays are."""
    first, second = ELEMENTS[source], ELEMENTS[target]
    codes = random_codes(3, [300], first)
    if source == target == "fp32":
        wanted = codes
    else:
        wanted = formats.convert(codes, first.format, second.format)
    assert [convert(int(code), first, second) for code in codes] == wanted.tolist()


@pytest.mark.parametrize("name", [name for name in CONVERTIBLE if ELEMENTS[name].format in FLOATS])
@settings(max_examples=200, deadline=None, derandomize=True)
@given(value=st.floats())
def test_encoded_values(name, value):
    assert encode(value, ELEMENTS[name]) == formats.encode(value, ELEMENTS[name].format)
