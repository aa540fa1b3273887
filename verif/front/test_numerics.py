"""`gcu numerics`: files in, files out, refusals by line, differences by line; `gcu bench` and `gcu ppa`: what they refuse and report."""

import json

import numpy as np
import pytest

from gcu.bench import Figure
from gcu.vector_file import lines_of, read_vectors
from rtl.formats import Format
from sim.numerics.backends import Runner
from verif.front.kit import gcu
from verif.numerics import exact

FMA = "numerics --format fp32 --op fma"
ONE, TWO, THREE = "3f800000", "40000000", "40400000"


def run(tmp_path, line: str, text: str | bytes, *more, on="golden") -> tuple:
    vectors, out = tmp_path / "v.txt", tmp_path / "out.txt"
    vectors.write_bytes(text if isinstance(text, bytes) else text.encode())
    answer = gcu(*line.split(), "--vectors", vectors, "-o", out, "--on", on, *more)
    return answer, out.read_text().split() if out.exists() else None


@pytest.mark.parametrize(("line", "text", "results"), [
    (FMA, f"{ONE} {TWO} {ONE}\n{TWO} {TWO} bf800000\n", [THREE, THREE]),
    # What a TestFloat file holds behind the operands; capitals, tabs, several blanks, no line feed at the end.
    (FMA, f"{ONE} {TWO} {ONE} 40400000 01\n  3F800000\t40000000   3F800000\r\n{ONE} 7f800001 {ONE}", [THREE, THREE, "7fc00000"]),
    ("numerics --format fp16 --op dot", "3c00 4000 0000 0000 4000 3c00 0000 0000 3f800000\n", ["40a00000"]),
    ("numerics --format int8 --op dot", "ff " + "00 " * 7 + "ff " + "00 " * 7 + "ffffffff\n", ["00000000"]),
    ("numerics --format int8 --op dot --unsigned-a", "ff " + "00 " * 7 + "ff " + "00 " * 7 + "00000000\n", ["ffffff01"]),
    ("numerics --format bf16 --op convert", "3f808000\n3f818000\n7f800001\n7f7fffff\n", ["3f80", "3f82", "7fc0", "7f80"]),
    ("numerics --format fp32 --op convert", "ffc12345\n80000001\n", ["7fc00000", "80000001"]),
    ("numerics --format int8 --op convert --from tf32", "c3000000\n42ff8000\n7fc00000\n", ["80", "7f", "00"]),
    ("numerics --format fp32 --op convert --from tf32", "7f800001\n", ["7f800000"]),
    ("numerics --format int8 --op requant --mode tflite-double", "00000064 40000000 ff 05\n", ["1e"]),
    ("numerics --format int8 --op requant --mode onnx --unsigned-out", "00000064 3f800000 80\nffffff00 3f800000 80\n", ["e4", "00"]),
])
def test_lines(tmp_path, line, text, results):
    answer, found = run(tmp_path, line, text, "--json", "-", on="golden,verilator")
    assert answer.status == 0, answer.err
    assert found == results
    report = answer.json
    assert report["operations"] == len(results) and report["bit_exact"]
    assert [row["name"] for row in report["backends"]] == ["golden", "verilator"]


def test_compatibility_mode(tmp_path):
    """One plus 2^-24 and a little: the pair of width and rounding decides the bits, and is named in the report."""
    line = "3c00 0c00 0000 0000 3c00 0800 0000 0000 00000000\n"
    codes = [int(word, 16) for word in line.split()]
    for align, rounding in ((40, "rne"), (23, "rz"), (24, "rz"), (25, "rz")):
        answer, found = run(tmp_path, f"numerics --format fp16 --op dot --align {align} --round {rounding} --json -", line)
        expected = exact.dot(Format.FP16, codes[:4], codes[4:8], codes[8], align, rounding == "rz")
        assert found == [f"{expected:08x}"] and (answer.json["align"], answer.json["round"]) == (align, rounding)


@pytest.mark.parametrize(("text", "words"), [
    (f"{ONE} {ONE} {ONE}\n{ONE} {ONE}\n", ("line 2", "2 operands", "8, 8, 8 hexadecimal digits")),
    (f"{ONE} {ONE} 3f80000g\n", ("line 1", "c is '3f80000g'")),
    (f"{ONE} {ONE} {ONE}\n\n{ONE} {ONE} {ONE}\n", ("line 2", "0 operands")),
    (f"{ONE} {ONE} 0x3f8000\n", ("line 1", "0x3f8000")),
    (f"{ONE} {ONE} {ONE}0\n", ("line 1", f"{ONE}0")),
    ("", ("holds no vectors",)),
    (b"\xff\xfe\x00" * 3000, ("line 1", "longer than")),
    (b"\xff\xfe \xfd 1\n", ("line 1", "a is '\\xff\\xfe'")),
    (f"{ONE} {ONE} {ONE}\n" * 200_000 + "x\n", ("line 200001",)),
])
def test_bad_lines(tmp_path, text, words):
    """One line that names the place; what was there under the output's name before stays, and nothing else is left."""
    (tmp_path / "out.txt").write_text("before")
    answer, found = run(tmp_path, FMA, text)
    assert answer.status == 2 and len(answer.err.strip().splitlines()) == 1
    assert all(word in answer.err for word in words), answer.err
    assert found == ["before"] and sorted(path.name for path in tmp_path.iterdir()) == ["out.txt", "v.txt"]


@pytest.mark.parametrize(("line", "words"), [
    ("numerics --format fp16 --op fma", ("--format", "fma has fp32")),
    ("numerics --format fp32 --op dot", ("--format", "tf32, fp16, bf16, int8")),
    ("numerics --format fp32 --op sum", ("--op", "fma, dot, convert, requant")),
    ("numerics --format fp16 --op dot --align 30", ("--align 30", "40 with rne", "23, 24 or 25 with rz")),
    ("numerics --format fp16 --op dot --align 40 --round rz", ("--align 40 --round rz",)),
    ("numerics --format fp16 --op dot --align 24 --round rne", ("--align 24 --round rne",)),
    (f"{FMA} --align 40", ("--align", "belongs to dot")),
    (f"{FMA} --unsigned-a", ("--unsigned-a", "int8")),
    ("numerics --format int8 --op requant", ("--mode", "tflite-double, tflite-single, onnx")),
    ("numerics --format fp16 --op convert --from fp64", ("--from", "'fp64'")),
    (f"{FMA} --generate 5", ("--vectors", "--generate")),
    (f"{FMA} --vectors nosuch.txt", ("nosuch.txt", "No such file")),
    (f"{FMA} --generate 0", ("--generate: 0",)),
    ("numerics --format tf32 --op dot --config i10_slice", ("i10_slice has no tf32",)),
    ("numerics --format bf16 --op convert --from int32 --on verilator", ("rounds once", "--on golden")),
    ("ppa --block nosuch", ("--block", "pe, tensor, vector")),
    ("ppa --liberty nosuch.lib", ("nosuch.lib", "No such file")),
    ("bench --only nosuch", ("--only", "move, numerics, speed, dram, ppa")),
    ("bench --only ppa", ("--liberty",)),
])
def test_refusals(tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.txt").write_text(f"{ONE} {ONE} {ONE}\n")
    given = line.split()
    if given[0] == "numerics":
        given += ["-o", "out.txt"]
        if ("--generate" not in given and "--vectors" not in given) or given.count("5"):
            given += ["--vectors", "v.txt"]
    answer = gcu(*given)
    assert answer.status == 2 and all(word in answer.err for word in words), answer.err
    assert not (tmp_path / "out.txt").exists()


def test_a_difference_ends_with_its_line(tmp_path, monkeypatch):
    real = Runner.run

    def broken(self, operands):
        results = real(self, operands)
        if self.name == "verilator":
            results[operands[:, 0] == 0x3F800001] ^= 1
        return results

    monkeypatch.setattr(Runner, "run", broken)
    text = f"{ONE} {ONE} {ONE}\n" * 70_000 + f"3f800001 {ONE} {ONE}\n" * 2
    answer, found = run(tmp_path, FMA, text, on="golden,verilator")
    assert answer.status == 1 and found is None
    assert "line 70001: a=3f800001 b=3f800000 c=3f800000: verilator has 40000001, golden 40000000" in answer.err


def test_default_where_the_chip_lacks_the_operation(tmp_path):
    (tmp_path / "v.txt").write_text("01010000\n01010001\n7fffffff\n")
    given = "numerics --format bf16 --op convert --from int32".split()
    answer = gcu(*given, "--vectors", tmp_path / "v.txt", "-o", tmp_path / "out.txt")
    assert answer.status == 0 and "golden model runs alone" in answer.err
    # Half way between two numbers, and one above: what rounds twice would lose the one.
    assert (tmp_path / "out.txt").read_text().split() == ["4b80", "4b81", "4f00"]


def test_generated_vectors_run_on_all_back_ends(tmp_path):
    vectors, out = tmp_path / "v.txt", tmp_path / "out.txt"
    assert gcu(*FMA.split(), "--generate", 300, "--seed", 7, "-o", vectors).status == 0
    answer = gcu(*FMA.split(), "--vectors", vectors, "-o", out, "--on", "golden,verilator,icarus", "--json", tmp_path / "j.json")
    assert answer.status == 0, answer.err
    assert len(out.read_text().splitlines()) == 300 == json.loads((tmp_path / "j.json").read_text())["operations"]


def test_memory_does_not_grow(tmp_path):
    """A file of many blocks comes block by block."""
    block = np.arange(300_000, dtype=np.uint32).reshape(-1, 3)
    path = tmp_path / "v.txt"
    path.write_bytes(lines_of(block, (8, 8, 8)) * 5)
    with path.open("rb") as stream:
        sizes = [len(operands) for _, _, operands in read_vectors(stream, "v", [("a", 8), ("b", 8), ("c", 8)])]
    assert sum(sizes) == 500_000 and max(sizes) < 200_000


def test_figures_are_judged():
    assert Figure("g", "n", 5, "%", 5).ok and not Figure("g", "n", 4.99, "%", 5).ok
    assert Figure("g", "n", 5, "s", 5, "<=").ok and not Figure("g", "n", 5.01, "s", 5, "<=").ok and Figure("g", "n", 0, "").ok
