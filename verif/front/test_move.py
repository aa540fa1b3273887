"""`gcu move`: files in, files out, spaces, both engines, several passes, what is refused; a few moves on the RTL."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from compiler.element import ELEMENTS
from compiler.tensor_move import plan
from compiler.tensor_ops import parse
from gcu import bench_move
from gcu import move as module
from gcu.bench_move import split
from gcu.errors import CheckFailed
from gcu.move_file import Spec
from rtl.config import PRESETS
from rtl.isa import Space
from verif.front.kit import gcu

PAD = {"op": "pad", "low": [1, 0], "value": 3}
TURN = {"op": "transpose", "axes": [1, 0]}
A = np.arange(12, dtype=np.int32).reshape(3, 4)


def run(tmp_path, spec, tensor=None, *more, on="golden", memory="ideal"):
    """The answer, and the array of the output file if it is there."""
    file, source, out = tmp_path / "spec.json", tmp_path / "in.npy", tmp_path / "out.npy"
    file.write_text(spec if isinstance(spec, str) else json.dumps(spec))
    if tensor is not None:
        np.save(source, tensor)
    arguments = ["move", file, *([source] if tensor is not None else []), "-o", out]
    answer = gcu(*arguments, "--on", on, "--config", "tiny", "--memory", memory, "--json", "-", *more)
    return answer, np.load(out) if out.exists() else None


@pytest.mark.parametrize("dst", ["L1", "L2", "L3"])
@pytest.mark.parametrize("src", ["L1", "L2", "L3"])
def test_spaces(tmp_path, src, dst):
    answer, result = run(tmp_path, {"src": src, "dst": dst, "ops": [PAD, TURN]}, A)
    assert answer.status == 0, answer.err
    np.testing.assert_array_equal(result, np.pad(A, ((1, 0), (0, 0)), constant_values=3).T)
    assert answer.json["passes"] == answer.json["descriptors"] == 1
    assert (answer.json["bytes_read"], answer.json["bytes_written"]) == (48, 64)
    assert answer.json["engine"] == ("SIP 0's engine" if "L1" in (src, dst) else "the cluster's engine")


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_types(tmp_path, dtype):
    values = A.astype(dtype)
    answer, result = run(tmp_path, {"src": "L3", "dst": "L1", "ops": [PAD]}, values)
    assert answer.status == 0, answer.err
    assert result.dtype == values.dtype
    np.testing.assert_array_equal(result, np.pad(values, ((1, 0), (0, 0)), constant_values=3))


def test_bf16_and_tf32(tmp_path):
    codes = np.array([0x3F80, 0x4000, 0x7FC1], np.uint16)
    for spec in ({"ops": [{"op": "convert", "dtype": "fp32"}]}, {"dtype": "bf16", "ops": [{"op": "convert", "dtype": "fp32"}]}):
        answer, result = run(tmp_path, {"src": "L3", "dst": "L1", **spec}, codes)
        assert answer.status == 0, answer.err
        assert result.dtype == np.float32 and result.view(np.uint32).tolist() == [0x3F800000, 0x40000000, 0x7FC00000]
    _, result = run(tmp_path, {"src": "L3", "dst": "L1", "dtype": "bf16", "ops": [{"op": "pad", "low": [1], "value": -2}]}, codes)
    assert result.tolist() == [0xC000, *codes.tolist()]
    _, result = run(tmp_path, {"src": "L3", "dst": "L1", "dtype": "tf32", "ops": [{"op": "convert", "dtype": "fp32"}]},
                    np.array([0x3F801FFF], np.uint32).view(np.float32))
    assert result.view(np.uint32).tolist() == [0x3F800000]


def test_fill_needs_no_input(tmp_path):
    answer, result = run(tmp_path, {"src": "L3", "dst": "L2", "ops": [{"op": "fill", "shape": [2, 3], "value": 1.5}]})
    assert answer.status == 0, answer.err
    np.testing.assert_array_equal(result, np.full((2, 3), 1.5, np.float32))


def test_several_passes(tmp_path):
    spec = {"src": "L1", "dst": "L1", "ops": [
        {"op": "pad", "low": [1, 0], "interior": [1, 0], "value": 1}, TURN,
        {"op": "gather", "axis": 0, "indices": [2, 0]}, {"op": "convert", "dtype": "int8"},
    ]}
    answer, _ = run(tmp_path, spec, A)
    assert answer.status == 2
    assert answer.err.endswith(
        "op 1 (transpose) doesn't fuse with what is before it: interior padding doesn't fuse with a transposition; "
        "--passes allows several\n"
    )
    answer, result = run(tmp_path, spec, A, "--passes")
    assert answer.status == 0, answer.err
    wide = np.full((6, 4), 1)
    wide[1::2] = A
    np.testing.assert_array_equal(result, wide.T[[2, 0]])
    assert result.dtype == np.int8 and answer.json["passes"] == 2


SPECS = {
    "not JSON": ("{", "spec.json: not JSON: "),
    "no object": ([], 'spec.json: an object with "src", "dst" and "ops" is needed'),
    "an unknown space": ({"src": "L4", "dst": "L1", "ops": [TURN]}, "src: 'L4' is not one of L1, L2, L3"),
    "no destination": ({"src": "L3", "ops": [TURN]}, "the field 'dst' is missing"),
    "an unknown field": ({"src": "L3", "dst": "L1", "op": [TURN]}, "unknown field 'op'; it has src, dst, ops, dtype"),
    "an unknown type": ({"src": "L3", "dst": "L1", "dtype": "fp64", "ops": [TURN]}, "dtype: 'fp64' is not one of "),
    "another type": ({"src": "L3", "dst": "L1", "dtype": "fp16", "ops": [TURN]}, "int32 given, but dtype fp16 is float16 in a file"),
    "a repeated axis": (
        {"src": "L3", "dst": "L1", "ops": [{"op": "transpose", "axes": [1, 1]}]}, "op 0 (transpose): axes [1, 1] repeat axis 1"),
    "an index outside": (
        {"src": "L3", "dst": "L1", "ops": [{"op": "gather", "axis": 0, "indices": [3]}]},
        "op 0 (gather): index 3 at place 0 is outside of the tensor: axis 0 has 0 to 2"),
    "more than L1 holds": (
        {"src": "L3", "dst": "L1", "ops": [{"op": "fill", "shape": [100, 100], "value": 1}]},
        "what lies in L1 takes 40192 byte, but tiny has room for 32768 there"),
}


@pytest.mark.parametrize("case", SPECS)
def test_refused_specs(tmp_path, case):
    spec, message = SPECS[case]
    answer, result = run(tmp_path, spec, A)
    assert answer.status == 2 and message in answer.err and answer.err.count("\n") == 1
    assert answer.out == "" and result is None


@pytest.mark.parametrize(("tensor", "message"), [
    (np.zeros((1,) * 6, np.int8), "a tensor of rank 6: the data engine moves rank 1 to 5"),
    (np.zeros((2, 2)), "float64 given; float16, float32, int16, int32, int8, uint16, uint32, uint8 can be moved"),
    (np.zeros((0, 2), np.int8), "the shape is [0, 2]; a tensor of rank 1 to 5 with at least one element is needed"),
    (np.array(1, np.int8), "the shape is []; a tensor of rank 1 to 5 with at least one element is needed"),
    (None, "IN.npy is missing; only a chain that starts with fill needs no input"),
])
def test_refused_tensors(tmp_path, tensor, message):
    answer, result = run(tmp_path, {"src": "L3", "dst": "L1", "ops": [{"op": "mirror", "axes": [0]}]}, tensor)
    assert answer.status == 2 and message in answer.err and answer.err.count("\n") == 1 and result is None


def test_a_wrong_result_is_found(tmp_path, monkeypatch):
    """The referee disagrees in one element, then a byte beside the result changes."""
    spec = {"src": "L3", "dst": "L3", "ops": [TURN]}
    honest = module.expected

    def lies(operations, codes, element):
        result = honest(operations, codes, element).copy()
        result[1, 2] ^= 1 << 16
        return result

    monkeypatch.setattr(module, "expected", lies)
    answer, _ = run(tmp_path, spec, A)
    assert answer.status == 1 and "OUT[1, 2]: golden has the code 0x9, numpy 0x10009; 1 of 12 differ" in answer.err
    monkeypatch.setattr(module, "expected", honest)
    run_honestly = module.execute

    def spills(workload, names, folder, **options):
        outcomes = run_honestly(workload, names, folder, **options)
        read = outcomes["golden"].reads[0]
        outcomes["golden"].reads[0] = read[:-1] + bytes([read[-1] ^ 1])
        return outcomes

    monkeypatch.setattr(module, "execute", spills)
    answer, _ = run(tmp_path, spec, A)
    assert answer.status == 1 and "golden wrote outside of the result: 1 of the 512 byte around it" in answer.err


def test_a_copy_of_many_descriptors():
    """As `gcu bench` measures them: the same bytes by more commands."""
    operations = parse([{"op": "mirror", "axes": []}])
    codes = np.arange(64, dtype=np.uint32)
    planned = [split(plan(operations, [64], ELEMENTS["fp32"])[0], 16)]
    report, _, result = module.perform(
        Spec(Space.L3, Space.L1, operations, None), codes, planned, PRESETS["tiny"], "ideal", ["golden"],
    )
    assert report["descriptors"] == 16 and report["passes"] == 1 and report["bytes_written"] == 256
    np.testing.assert_array_equal(result, codes)


@pytest.mark.parametrize("ops", [
    [{"op": "slice", "offset": [-1, 1], "size": [4, 3], "fill": 9}, TURN, {"op": "convert", "dtype": "fp16"}],
    [{"op": "gather", "axis": 0, "indices": [2, 0, 2]}],
], ids=["slice + transpose + convert", "gather"])
def test_on_icarus(tmp_path, ops):
    answer, _ = run(tmp_path, {"src": "L3", "dst": "L1", "ops": ops}, A, on="golden,icarus")
    assert answer.status == 0, answer.err
    report = answer.json
    assert report["cycles"] > 0 and report["bytes_per_cycle"] == report["bytes_written"] / report["cycles"]
    assert report["passes"] == 1 and sum(report["stalls"].values()) >= report["cycles"]


def test_the_moves_of_the_benchmark(monkeypatch):
    """Each one fits `small`, is one pass and gives numpy's bytes on the golden model; the figures follow from the cycles."""
    bars = tomllib.loads((Path(module.__file__).parent / "bars.toml").read_text())["move"]
    passes = []

    def timed(*arguments):
        report, outcomes, result = module.perform(*arguments)
        passes.append(report["passes"])
        return report | {"stalls": {"idle": 7, "busy": 900, "memory": 100}}, outcomes, result

    monkeypatch.setattr(bench_move, "perform", timed)
    monkeypatch.setattr(bench_move, "_given", lambda *_: 16.0)
    figures = list(bench_move.move_figures(bars, PRESETS["small"], ["golden"], "ideal"))
    assert passes == [1] * len(bars)
    assert figures[0] == ("L3 to L1: copy of 64 KiB, 1,000 cycles, 16.00 byte a cycle by gcu dram", 409.6, "% of that", 95, ">=")
    assert figures[3][1:3] == (51.2, "% of the bus")
    assert figures[-1][1:] == (15.62, "cycles each", 12, "<=")

    def fails(*arguments):
        raise CheckFailed("golden: job 1 ended with UNSUPPORTED")

    rows = parse([{"op": "slice", "offset": [1, 0], "size": [2, 16]}])
    reads = bench_move.reads_of(Spec(Space.L3, Space.L1, rows, ELEMENTS["fp32"]), [4, 64], 4)
    assert reads.atom.tolist() == [8, 9, 16, 17] and not reads.write.any()

    monkeypatch.setattr(bench_move, "perform", fails)
    name, *rest = next(bench_move.move_figures(bars, PRESETS["small"], ["golden"], "ideal"))
    assert name.endswith("can't run: golden: job 1 ended with UNSUPPORTED") and rest == [0.0, "", 1.0, ">="]
