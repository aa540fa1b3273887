"""The whole way, from the command line to the bits: models and products on every back end, and what must be noticed."""

import json

import numpy as np
import onnx
import pytest

import sim.icarus.run
from rtl.chip import Compute
from rtl.config import PRESETS
from sim.bench.bench import Bench
from sim.verilog.emit import emit
from verif.common.fault import Fault
from verif.compiler.models import second_model
from verif.front.kit import Answer, gcu

TINY = PRESETS["tiny"]
#: Cycles of a product of 33 x 17 x 65 and of a digit on `tiny`: a little more than they take (1,577, 10,804 and 15,291).
GEMM_BUDGET = {"int8": 1600, "fp16": 2880, "fp32": 11_000, "tf32": 2900, "bf16": 2880}
DIGITS_BUDGET = 16_000


def good(answer: Answer) -> dict:
    """The report of a command that must end well."""
    assert answer.status == 0, answer.err
    return answer.json


#: Icarus starts slowly: in the quick tier it runs one integer and one floating-point format.
@pytest.mark.parametrize("dtype, simulators", [
    (dtype, "verilator,icarus" if dtype in ("int8", "fp16") else "verilator") for dtype in GEMM_BUDGET
] + [pytest.param(dtype, "verilator,icarus", marks=pytest.mark.long) for dtype in ("fp32", "tf32", "bf16")])
def test_product_on_every_back_end(dtype, simulators, tmp_path):
    """An odd shape with infinities, NaNs and subnormals among the operands."""
    results = {}
    for names in (f"golden,{simulators}", "golden"):
        file = tmp_path / f"{names}.npy"
        command = "gemm", 33, 17, 65, "--dtype", dtype, "--config", "tiny", "--special", 0.002, "--on", names, "-o", file, "--json", "-"
        report = good(gcu(*command))
        results[names] = np.load(file)
        if names == "golden":
            continue
        assert report["bit_exact"] is True
        rows = {row["name"]: row for row in report["backends"]}
        assert list(rows) == names.split(",") and all(row["version"] for row in rows.values())
        assert rows["golden"]["clocks"] is None
        timed = [rows[name] for name in simulators.split(",")]
        assert len({row["clocks"] for row in timed}) == len({tuple(row["cycles"]) for row in timed}) == 1
        assert report["cycles"] <= GEMM_BUDGET[dtype]
        assert report["utilisation"] == pytest.approx(33 * 17 * 65 / (report["peak_macs_per_cycle"] * report["cycles"]))
        causes = [sum(report["stalls"][engine].values()) for engine in ("tensor", "vector", "data")]
        assert len(set(causes)) == 1, "the causes of every engine add up to the same total"
    np.testing.assert_array_equal(*(result.view(np.uint8) for result in results.values()))


@pytest.mark.parametrize("simulators", ["verilator", pytest.param("verilator,icarus", marks=pytest.mark.long)])
def test_digits(simulators, tmp_path):
    run = "run", "digits", "--samples", 1, "--json", "-"
    report = good(gcu(*run, "--config", "tiny", "--on", f"golden,{simulators}", "-o", tmp_path / "tiny"))
    assert report["bit_exact"] is True and report["compared"] > 3000 * len(simulators.split(","))
    timed = [row for row in report["backends"] if row["name"] != "golden"]
    assert len({row["clocks"] for row in timed}) == 1 and len(timed) == len(simulators.split(","))
    assert report["cycles_per_sample"] <= DIGITS_BUDGET
    assert set(report["dram"]) == {f"{row['name']}.0" for row in timed} and report["records_lost"] == 0
    assert sum(layer["macs"] for layer in report["layers"]) == 231_680
    small = good(gcu(*run, "--config", "small", "--on", "golden", "-o", tmp_path / "small"))
    assert small["outputs"] == report["outputs"], "the bits don't depend on the shape of the array"


def test_injected_error_is_named(tmp_path):
    run = "run", "digits", "--samples", 1, "--config", "tiny", "-o", tmp_path, "--json", tmp_path / "r.json"
    answer = gcu(*run, "--inject", "output:0")
    assert answer.status == 1
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["bit_exact"] is False
    found = report["outputs"][next(iter(report["outputs"]))][0][0]
    wanted = (found & 0xFF ^ 1) - (0 if (found & 0xFF ^ 1) < 128 or found >= 128 else 256)
    last = answer.err.splitlines()[-1]
    assert last == (
        f"gcu: FAILED: layer dense, sample 0, index [0, 0]: verilator has {found}, golden {wanted} (1 of 10 values differ)"
    )
    answer = gcu(*run, "--inject", "conv2:1003")
    assert answer.status == 1 and "layer conv2, sample 0, index [" in answer.err.splitlines()[-1]


def test_generated_model(tmp_path):
    """Other shapes, strides, paddings and two outputs, on random inputs, two jobs back to back."""
    onnx.save(second_model(3), tmp_path / "second.onnx")
    run = "run", tmp_path / "second.onnx", "--samples", 2, "--config", "tiny", "-o", tmp_path, "--json", "-"
    report = good(gcu(*run))
    assert report["bit_exact"] is True and set(report["outputs"]) == {"scores", "map"}
    assert good(gcu(*run, "--on", "golden"))["outputs"] == report["outputs"]


def test_product_through_memory(tmp_path):
    report = good(gcu(*"gemm 33 17 65 --dtype int8 --config tiny --memory hbm --json -".split()))
    assert report["bit_exact"] is True and report["dram"]["verilator.0"]["refreshes"] >= 0


@pytest.mark.parametrize("port", ["memory__0__wdata", pytest.param("memory__0__araddr", marks=pytest.mark.long)])
def test_broken_chip_is_noticed(port, monkeypatch):
    """One inverted bit on the way to memory: of the data written, or of the addresses read."""
    monkeypatch.setattr("sim.bench.bench.Compute", lambda config: Fault(Compute(config), port, 12))
    text = emit(Bench(TINY, "ideal"), "bench").text
    monkeypatch.setattr(sim.icarus.run, "bench_design", lambda config, memory: text)
    answer = gcu(*"gemm 5 4 9 --dtype int8 --config tiny --on golden,icarus".split())
    assert answer.status == 1
    last = answer.err.splitlines()[-1]
    assert last.startswith("gcu: FAILED: ") and ("icarus has" in last or "icarus: job 0 ended with" in last)
