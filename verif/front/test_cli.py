"""The command line: every bad input ends in one line that says what and how to mend it, and in exit status 2."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gcu.examples import EXAMPLES
from sim.tools import ToolError, cxx, cxx_version, make_overrides
from verif.front.kit import gcu

GEMM = "gemm 4 4 4 --dtype int8 --on golden --config tiny"
RUN = "run digits --on golden --config tiny"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with every kind of file that a user may give by mistake."""
    folder = tmp_path_factory.mktemp("files")
    model = EXAMPLES["digits"].path.read_bytes()
    image = np.zeros((3, 1, 8, 8), np.uint8)
    (folder / "truncated.onnx").write_bytes(model[: len(model) // 2])
    (folder / "random.onnx").write_bytes(np.random.default_rng(1).bytes(5000))
    (folder / "empty.onnx").touch()
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Sin", ["x"], ["y"], name="wave")], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder / "sin.onnx")
    for name, text in {
        "banks": 'base = "tiny"\nl1_banks = 3', "syntax": "base = ", "key": "bankz = 3", "type": 'l1_banks = "8"', "float": "sips = 1.0",
        "base": "base = [1]", "timing": 'base = "tiny"\ndram_timing = "nosuch"', "name": 'name = "a/b"',
        "huge": "l2_bytes = 4611686018427387904", "deep": "x = " + "[" * 2000, "my chip": 'base = "tiny"',
    }.items():
        (folder / f"{name}.toml").write_text(text + "\n")
    (folder / "bytes.toml").write_bytes(b"\xff\xfe\0")
    np.savez(folder / "good.npz", image=image)
    np.savez(folder / "name.npz", picture=image)
    np.savez(folder / "shape.npz", image=image[:, :, :4])
    np.savez(folder / "dtype.npz", image=image.astype(np.float64))
    np.savez(folder / "object.npz", image=np.array([{}], object))
    np.savez(folder / "none.npz", image=image[:0])
    np.savez(folder / "labels.npz", image=image, labels=np.array(5))
    np.savez(folder / "words.npz", image=image, labels=np.array(["a", "b", "c"]))
    (folder / "garbage.npz").write_bytes(b"PK\x03\x04 garbage")
    good = (folder / "good.npz").read_bytes()
    (folder / "cut.npz").write_bytes(good[: len(good) // 2])
    np.save(folder / "a.npy", np.zeros((4, 4), np.int8))
    np.save(folder / "wide.npy", np.zeros((4, 4), np.int16))
    np.save(folder / "three.npy", np.zeros((3, 4), np.int8))
    np.save(folder / "object.npy", np.array([[{}]], object))
    (folder / "text.txt").write_text("text\n")
    return folder


#: Command line, and what its one line must hold: the thing, and what would do.
BAD = [
    ("run nosuch.onnx", "nosuch.onnx", "No such file"),
    ("run nosuch", "'nosuch'", "digits"),
    ("run .", ".: Is a directory"),
    ("run truncated.onnx", "truncated.onnx", "not an ONNX file, or a truncated one"),
    ("run random.onnx", "random.onnx", "not an ONNX file"),
    ("run empty.onnx", "empty.onnx", "without nodes"),
    ("run sin.onnx", "Sin 'wave'", "operators that run are Add, Conv"),
    ("verilog --config nosuch", "'nosuch'", "tiny, small, i20_slice, i10_slice, t20_slice", ".toml"),
    ("verilog --config missing.toml", "missing.toml", "No such file"),
    ("verilog --config banks.toml", "banks.toml", "l1_banks: 3 is not a power of two", "2 or 4 would do"),
    ("verilog --config syntax.toml", "syntax.toml", "line 1"),
    ("verilog --config key.toml", "'bankz' is not a parameter", "l1_banks"),
    ("verilog --config type.toml", "l1_banks: '8' is not an integer"),
    ("verilog --config float.toml", "sips: 1.0 is not an integer"),
    ("verilog --config base.toml", "base [1] is not one of tiny"),
    ("verilog --config timing.toml", "dram_timing", "'nosuch'", "P3200"),
    ("verilog --config name.toml", "name: 'a/b'", "letters, digits"),
    ("verilog --config huge.toml", "l2_bytes: 4611686018427387904 is not in 1024 to"),
    ("verilog --config deep.toml", "deep.toml", "nested"),
    ("verilog --config bytes.toml", "bytes.toml", "UTF-8"),
    ("verilog --config tiny -o text.txt", "-o text.txt", "not a folder"),
    ("verilog --config tiny -o text.txt/x", "-o text.txt/x", "not a folder"),
    (f"{RUN} --input missing.npz", "--input missing.npz", "No such file"),
    (f"{RUN} --input text.txt", "--input text.txt", "not an .npz file"),
    (f"{RUN} --input garbage.npz", "not an .npz file"),
    (f"{RUN} --input cut.npz", "not an .npz file"),
    (f"{RUN} --input a.npy", "--input a.npy", "not an .npz file"),
    (f"{RUN} --input object.npz", "--input object.npz", "not an .npz file"),
    (f"{RUN} --input name.npz", "no array 'image'", "it has picture"),
    (f"{RUN} --input shape.npz", "[3, 1, 4, 8] given", "[1, 1, 8, 8] needed"),
    (f"{RUN} --input dtype.npz", "image is float64", "uint8 needed"),
    (f"{RUN} --input none.npz", "no samples", "one or more"),
    (f"{RUN} --input labels.npz", "labels are int64 []", "[3] needed"),
    (f"{RUN} --input words.npz", "labels are <U1", "integers [3] needed"),
    (f"{RUN} --input good.npz --samples 4", "--samples: 4", "1 to 3"),
    (f"{RUN} --samples 0", "--samples: 0", "1 to 450"),
    (f"{RUN} --samples -1", "--samples: -1", "1 to 450"),
    (f"{RUN} --samples 100000", "--samples: 100000", "1 to 450"),
    (f"{RUN} --samples abc", "'--samples'", "valid integer", "gcu run --help"),
    (f"{RUN} --seed -1", "'--seed'", "gcu run --help"),
    ("run digits --on nosuch", "--on: 'nosuch'", "golden, verilator, icarus"),
    ("run digits --on ,", "--on: ','", "golden, verilator, icarus"),
    (f"{RUN} --inject output", "--inject: 'output'", "WHAT:BIT", "conv1"),
    (f"{RUN} --inject output:", "--inject: 'output:'", "WHAT:BIT"),
    (f"{RUN} --inject output:x", "BIT a number"),
    (f"{RUN} --inject output:²", "BIT a number"),
    (f"{RUN} --inject output:-1", "BIT a number"),
    (f"{RUN} --inject nosuch:0", "WHAT one of output, constants, conv1"),
    (f"{RUN} --inject output:80", "output has 80 bits", "no bit 80"),
    (f"{RUN} --inject output:0", "--inject", "--on golden,verilator"),
    (f"{RUN} --samples 1 --waves", "--waves", "verilator or icarus"),
    (f"{RUN} --samples 1 -o text.txt", "-o text.txt", "not a folder"),
    (f"{RUN} --samples 1 --json nosuch/x.json", "--json nosuch/x.json", "no folder nosuch"),
    (f"{RUN} --samples 1 --json .", "--json .", "name a file"),
    ("gemm 0 4 4 --dtype int8", "M: 0 is not in 1 to 65535"),
    ("gemm --dtype int8 -- 4 -3 4", "N: -3 is not in 1 to 65535"),
    ("gemm 4 4 70000 --dtype int8", "K: 70000 is not in 1 to 65535"),
    ("gemm 4 4 x --dtype int8", "K", "valid integer", "gcu gemm --help"),
    ("gemm 4 4 --dtype int8", "Missing argument", "K", "gcu gemm --help"),
    ("gemm 4 4 4", "Missing option", "--dtype", "gcu gemm --help"),
    ("gemm 500 500 500 --dtype fp32 --config tiny", "3000000 byte", "32768", "--memory hbm"),
    ("gemm 60000 60000 60000 --dtype fp32 --config tiny --memory hbm", "43200000000 byte", "33554432", "smaller"),
    ("gemm 4 4 4 --dtype nosuch", "--dtype: 'nosuch'", "fp32, tf32, fp16, bf16, int8"),
    ("gemm 4 4 4 --dtype int8 --out-dtype fp32", "--out-dtype: int8 gives int32, int8, not fp32"),
    ("gemm 4 4 4 --dtype bf16 --out-dtype tf32", "--out-dtype: bf16 gives bf16, fp32, fp16, not tf32"),
    ("gemm 4 4 4 --dtype int8 --scale 2", "--scale", "--out-dtype int8"),
    ("gemm 4 4 4 --dtype int8 --out-dtype int8 --scale 1e50", "--scale: 1e+50 is not a positive number"),
    ("gemm 4 4 4 --dtype fp16 --special 2", "--special: 2.0 is not a share, 0 to 1"),
    ("gemm 4 4 4 --dtype fp16 --tile 2x2x4", "--tile", "--memory hbm"),
    ("gemm 4 4 4 --dtype fp16 --memory hbm --tile 2x2", "--tile: '2x2' is not MxNxK, three sizes"),
    ("gemm 4 4 9 --dtype fp16 --memory hbm --tile 2x2x6", "a tile of 2 x 2 x 6", "multiple of the 4"),
    ("gemm 4 4 4 --dtype fp16 --memory hbm --tile 0x2x4", "a tile of 0 x 2 x 4", "1 or more"),
    ("gemm 400 400 400 --dtype fp16 --memory hbm --tile 400x400x400 --config tiny", "its tiles take", "32768 are there"),
    ("gemm 4 4 4 --dtype int8 --memory nosuch", "--memory: 'nosuch'", "ideal or hbm"),
    (f"{GEMM} --a wide.npy", "--a wide.npy: int16 [4, 4] given", "int8 [4, 4] needed"),
    (f"{GEMM} --b three.npy", "--b three.npy: int8 [3, 4] given", "int8 [4, 4] needed"),
    (f"{GEMM} --a object.npy", "--a object.npy", "not an .npy file"),
    (f"{GEMM} --a text.txt", "--a text.txt", "not an .npy file"),
    (f"{GEMM} --a good.npz", "--a good.npz", ".npy array is needed"),
    (f"{GEMM} --a missing.npy", "--a missing.npy", "No such file"),
    (f"{GEMM} --seed -1", "'--seed'", "gcu gemm --help"),
    (f"{GEMM} --waves", "--waves", "verilator or icarus"),
    (f"{GEMM} -o nosuch/c.npy", "-o nosuch/c.npy", "no folder nosuch"),
    (f"{GEMM} -o text.txt/c.npy", "-o text.txt/c.npy", "no folder text.txt"),
    (f"{GEMM} --json text.txt/c.json", "--json text.txt/c.json", "no folder text.txt"),
    ("nosuch", "No such command 'nosuch'", "gcu --help"),
    ("--nosuch", "No such option: --nosuch", "gcu --help"),
    ("verilog --nosuch", "No such option: --nosuch", "gcu verilog --help"),
    ("doctor extra", "extra", "gcu doctor --help"),
]


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[0])
def test_bad_input_is_one_line(files, monkeypatch, line):
    monkeypatch.chdir(files)
    command, *fragments = line
    answer = gcu(*command.split())
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith("gcu: ") and answer.err.count("\n") == 1 and answer.err.endswith("\n")
    for fragment in fragments:
        assert fragment in answer.err


def test_empty_backends():
    answer = gcu("run", "digits", "--on", "")
    assert answer.status == 2 and "golden, verilator, icarus" in answer.err and answer.err.count("\n") == 1


def test_format_that_the_configuration_lacks(tmp_path):
    file = tmp_path / "bare.toml"
    file.write_text('base = "tiny"\nformats = ["FP32"]\n')
    answer = gcu("gemm", 4, 4, 4, "--dtype", "int8", "--config", file, "--on", "golden")
    assert answer.status == 2 and "configuration bare has no int8; it has fp32" in answer.err


def test_as_a_program_of_its_own(files):
    """The same through the interpreter, with nothing caught by the tests' own process."""
    answer = subprocess.run(
        [sys.executable, "-m", "gcu.cli", "run", "nosuch.onnx"], cwd=files, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", "gcu: nosuch.onnx: No such file or directory\n")


def test_help_needs_no_command():
    answer = gcu()
    assert answer.status == 0 and "gemm" in answer.out and answer.err == ""


def test_file_name_becomes_a_configuration_name(files, monkeypatch):
    monkeypatch.chdir(files)
    answer = gcu(*"gemm 4 4 4 --dtype int8 --on golden --json - --config".split(), "my chip.toml")
    assert answer.status == 0 and answer.json["config"] == "my_chip"


def test_gemm_as_data(tmp_path):
    a, b = (np.random.default_rng(n).integers(-128, 128, shape, dtype=np.int8) for n, shape in enumerate(((3, 5), (5, 4))))
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    where = "--a", tmp_path / "a.npy", "--b", tmp_path / "b.npy", "-o", tmp_path / "result"
    for memory in ("ideal", "hbm"):
        answer = gcu("gemm", 3, 4, 5, "--dtype", "int8", *where, "--memory", memory, "--on", "golden", "--config", "tiny", "--json", "-")
        assert answer.status == 0
        report = answer.json
        assert [report[key] for key in ("m", "n", "k", "dtype", "config", "memory")] == [3, 4, 5, "int8", "tiny", memory]
        assert report["macs"] == 60 and report["peak_macs_per_cycle"] == 32
        assert report["bit_exact"] is False, "one back end alone proves nothing"
        np.testing.assert_array_equal(np.load(tmp_path / "result"), a.astype(np.int32) @ b.astype(np.int32))


def test_run_as_data(tmp_path):
    answer = gcu(*RUN.split(), "--samples", 2, "-o", tmp_path, "--json", "-")
    assert answer.status == 0
    report = answer.json
    assert report["samples"] == 2 and report["config"] == "tiny" and report["accuracy"] is not None
    to_file = gcu(*RUN.split(), "--samples", 2, "-o", tmp_path, "--json", tmp_path / "r.json")
    assert to_file.status == 0 and json.loads((tmp_path / "r.json").read_text())["outputs"] == report["outputs"]


def _tools(folder: Path, *names: str) -> str:
    folder.mkdir()
    for name in names:
        where = shutil.which(name)
        assert where, f"{name} is needed for this test"
        (folder / name).symlink_to(where)
    return str(folder)


def test_doctor_finds_everything():
    answer = gcu("doctor", "--json", "-")
    assert answer.status == 0, answer.err
    tools = {tool["name"]: tool for tool in answer.json["tools"]}
    assert tools["iverilog"]["version"] and tools["verilator"]["version"] and tools["amaranth"]["version"]


def test_doctor_names_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", _tools(tmp_path / "bin", "g++", "make", "perl"))
    answer = gcu("doctor", "--json", "-")
    assert answer.status == 1
    missing = [tool for tool in answer.json["tools"] if tool["required"] and not tool["version"]]
    assert [tool["name"] for tool in missing] == ["iverilog"]
    last = answer.err.splitlines()[-1]
    assert last == "gcu: FAILED: missing: iverilog (apt-get install iverilog)"


@pytest.mark.parametrize("names, used", [(("g++",), "g++"), (("g++", "clang++"), "clang++")], ids=["g++", "clang++"])
def test_compiler_is_clang_where_there_is_one(tmp_path, monkeypatch, names, used):
    for name in names:
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} 1.2\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (cxx(), cxx_version()) == (used, f"{used} 1.2")
    assert {f"CXX={used}", f"LINK={used}"} <= set(make_overrides())


def test_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"g\+\+ is not on PATH or does not run: apt-get install g\+\+"):
        cxx_version()


def test_missing_simulator_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", _tools(tmp_path / "bin", "g++", "make", "perl"))
    answer = gcu(*"gemm 4 4 4 --dtype int8 --config tiny --on golden,icarus".split())
    assert answer.status == 2
    assert answer.err == "gcu: icarus: iverilog is not on PATH: apt-get install iverilog\n"
