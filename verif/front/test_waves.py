"""Waveforms of a run: what is recorded, the view for GTKWave and the picture agree with the run's own counters."""

import io
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from amaranth.lib import data

from gcu.waves.filter import main as filter_values
from gcu.waves.readings import Lanes, from_name
from gcu.waves.view import run_view
from gcu.waves.waveform import UNKNOWN, Waveform
from rtl.config import PRESETS
from rtl.formats import Format
from rtl.isa import Cause, DataCommand, DataOp, Space
from verif.compiler.models import second_model
from verif.front.kit import gcu

TINY = PRESETS["tiny"]
#: Translations of every view; one with DRAM has those of its commands too.
CHIP_NAMES = {"causes", "tags", "registers"}


def check_view(view: Path, waveform: Waveform, names: set[str]):
    """Every signal that the view names is in the waveform, with that width; the translation files are these, and each translates."""
    text = view.read_text()
    named = re.findall(r"^\+\{[^}]+\} ([\w.]+)(?:\[(\d+):0\])?$", text, re.MULTILINE)
    assert len(named) > 20
    for name, high in named:
        assert name in waveform.signals, name
        assert waveform.width(name) == int(high or 0) + 1, name
    translations = {Path(path) for path in re.findall(r"^\^\d+ (.+)$", text, re.MULTILINE)}
    assert names == {path.stem.removeprefix(f"{view.stem}_") for path in translations}
    for path in translations:
        rows = [line.split(" ", 1) for line in path.read_text().splitlines()]
        assert rows and all(int(code, 16) >= 0 and name for code, name in rows)
    causes = view.parent / f"{view.stem}_causes.txt"
    assert causes.read_text().splitlines()[Cause.BUSY.value] == f"{Cause.BUSY.value:x} BUSY"


@pytest.mark.parametrize("back_end", [pytest.param("icarus", marks=pytest.mark.long), "verilator"])
def test_first_job_alone(back_end, tmp_path):
    onnx.save(second_model(3), tmp_path / "second.onnx")
    run = "run", tmp_path / "second.onnx", "--samples", 3, "--on", f"golden,{back_end}", "--config", "tiny", "-o", tmp_path, "--waves"
    (tmp_path / "stale.fst").write_bytes(b"of another run")
    answer = gcu(*run, "--json", "-")
    assert answer.status == 0, answer.err
    report = answer.json
    assert len(report["waves"]) == 1 and len(report["views"]) == 2
    waveform = Waveform(Path(report["waves"][0]))
    row = next(row for row in report["backends"] if row["name"] == back_end)
    first, *_ = row["cycles"]
    assert first < len(waveform.edges) < row["clocks"] / 2, "the other two jobs are not in the file"
    active = int((waveform.by_clock("probe_3.cause") > Cause.IDLE.value).sum())
    assert first <= active < first + 500, "the sequencer works or waits all through its job"
    tags = set(waveform.by_clock("probe_0.tag").tolist())
    assert {layer["tag"] for layer in report["layers"] if layer["engine"].startswith("tensor")} <= tags
    check_view(Path(report["views"][0]), waveform, {*CHIP_NAMES, "row", "column"})
    picture = Path(report["wave_picture"]).read_bytes()
    assert picture[:4] == b"\x89PNG" and len(picture) > 10_000


def test_signals_agree_with_the_counters():
    """The tensor core works in the second of the three recorded jobs alone, so that its counters are those of the whole file."""
    answer = gcu(*"gemm 5 4 9 --dtype int8 --config tiny --on golden,icarus --waves --json -".split())
    assert answer.status == 0, answer.err
    report = answer.json
    waveform = Waveform(Path(report["waves"][0]))
    causes = waveform.by_clock("probe_0.cause")
    for cause in Cause:
        if cause is not Cause.IDLE:
            assert int((causes == cause.value).sum()) == report["stalls"]["tensor"][cause.name.lower()], cause
    moved = sum(int(waveform.by_clock(f"probe_2.{port}").clip(0).sum()) for port in ("read", "write"))
    assert moved == 5 * 9 + 9 * 4 + 4 * 5 * 4, "bytes of A, B and C"
    check_view(Path(report["views"][0]), waveform, CHIP_NAMES)
    with pytest.raises(KeyError, match=r"icarus\.fst has no signal probe_99\.cause"):
        waveform.by_clock("probe_99.cause")
    with pytest.raises(KeyError, match="no signal probe_"):
        run_view(waveform, PRESETS["i20_slice"], {})


def test_a_move_is_recorded(tmp_path):
    """The measured job's cycles are those in which the engine has its tag; the cause of each comes with it."""
    (tmp_path / "spec.json").write_text('{"src": "L3", "dst": "L1", "ops": [{"op": "transpose", "axes": [1, 0]}]}')
    np.save(tmp_path / "in.npy", np.arange(40 * 24, dtype=np.int32).reshape(40, 24))
    files = tmp_path / "spec.json", tmp_path / "in.npy", "-o", tmp_path / "out.npy"
    answer = gcu("move", *files, *"--config tiny --on golden,icarus --waves --json -".split())
    assert answer.status == 0, answer.err
    assert (np.load(tmp_path / "out.npy") == np.arange(40 * 24).reshape(40, 24).T).all()
    report = answer.json
    waveform = Waveform(Path(report["waves"][0]))
    tags, causes = waveform.by_clock("probe_2.tag"), waveform.by_clock("probe_2.cause")
    assert int(((tags == 2) & (causes == Cause.BUSY.value)).sum()) == report["stalls"]["busy"]
    assert int(waveform.by_clock("probe_2.read")[tags == 2].clip(0).sum()) == report["bytes_read"]
    check_view(Path(report["views"][0]), waveform, {*CHIP_NAMES, "row", "column"})
    assert Path(report["wave_picture"]).stat().st_size > 10_000


def test_readings():
    assert from_name("fp16x4+1").text(0x3E00_C000_0001_7C00 << 1 | 1) == "inf 5.96e-08 -2 1.5"
    assert from_name("int8x2+0").text(0x80FF) == "-1 -128"
    assert from_name("bf16x1+0").text(0x3FC0) == "1.5" and Lanes(Format.BF16, 1).name == "bf16x1+0"
    assert from_name("row").text(1) == "ACT" and from_name("column").text(7) == "7" and from_name("hex").text(UNKNOWN) == "x"
    command = data.Layout.cast(DataCommand).const({
        "mode": {"op": DataOp.COPY, "element": 1, "source": Space.L3, "destination": Space.L1}, "tag": 3, "size0": 8, "size1": 5,
        **{f"size{k}": 1 for k in (2, 3, 4)},
    })
    assert from_name("data").text(command.as_value().value) == "#3 COPY L3 to L1 5x8 of 2"
    for name in ("fp16", "fp17x1+0", "fp16x+1"):
        with pytest.raises(KeyError):
            from_name(name)


def test_filter(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("3e00\nxxxx\nc000\n"))
    assert filter_values(["fp16x1+0"]) == 0 and capsys.readouterr().out.split() == ["1.5", "xxxx", "-2"]
    assert filter_values(["nosuch"]) == 2 and filter_values([]) == 2


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """One model twice: as it is, and with a bit of its constants inverted."""
    folder = tmp_path_factory.mktemp("runs")
    onnx.save(second_model(3), folder / "second.onnx")
    run = "run", folder / "second.onnx", "--on", "golden,verilator", "--config", "tiny", "--waves"
    assert gcu(*run, "-o", folder / "good").status == 0
    answer = gcu(*run, "-o", folder / "bad", "--inject", "constants:seed=5")
    assert answer.status == 1 and "FAILED" in answer.err
    return folder


def test_pictures(runs):
    for window in ([], ["--from", 500, "--to", 620]):
        answer = gcu("waves", runs / "good", "--png", runs / "picture.png", *window, "--json", "-")
        assert answer.status == 0, answer.err
        assert (runs / "picture.png").read_bytes()[:4] == b"\x89PNG" and answer.json["clocks"] > 500
    commands = Path(answer.json["views"][1])
    names = [line.split()[1] for line in commands.read_text().splitlines() if line.startswith("variable_add")]
    assert commands.suffix == ".sucl" and set(names) <= set(Waveform(Path(answer.json["waves"][0])).signals)
    assert "0 IDLE" in (runs / "good" / ".surfer" / "mappings" / "minigcu_causes").read_text()


def test_runs_part(runs):
    """The first difference is the read of the wrong bit from the memory: one bit, and nothing before it."""
    answer = gcu("waves", runs / "good", "--diff", runs / "bad", "--png", runs / "diff.png", "--json", "-")
    assert answer.status == 1 and f"part in clock {answer.json['clock']:,}" in answer.err
    assert (runs / "diff.png").read_bytes()[:4] == b"\x89PNG"
    found = {each["signal"]: int(each["first"], 16) ^ int(each["second"], 16) for each in answer.json["differences"]}
    data = [bits for name, bits in found.items() if name.endswith("read_data")]
    assert data and all(bits.bit_count() == 1 for bits in data) and all("read" in name or "storage" in name for name in found)
    same = gcu("waves", runs / "good", "--diff", runs / "good", "--json", "-")
    assert same.status == 0 and same.json["clock"] is None and same.json["signals"] > 300


@pytest.mark.parametrize("arguments, parts", [
    (["nosuch"], ["RUN", "no such folder"]),
    ([""], ["holds no run.json", "--waves"]),
    (["good", "--from", 5, "--to", 5], ["--from 5 --to 5", "clocks that were recorded"]),
    (["good", "--from", 5, "--diff", "good"], ["leave them out with --diff"]),
    (["good", "--png", "nosuch/w.png"], ["--png", "there is no folder"]),
])
def test_refused(runs, arguments, parts):
    answer = gcu("waves", *(runs / each if each in ("nosuch", "", "good", "nosuch/w.png") else each for each in arguments))
    assert answer.status == 2 and len(answer.err.splitlines()) == 1
    assert all(part in answer.err for part in parts), answer.err


def test_damaged_record(runs):
    copy = runs / "copy"
    copy.mkdir()
    record = {"config": {}, "title": "", "tags": {}, "waves": ["a.fst"]}
    for text, part in (("{", "run.json can't be read"), (json.dumps(record), "a.fst is missing")):
        (copy / "run.json").write_text(text)
        answer = gcu("waves", copy)
        assert answer.status == 2 and part in answer.err


def test_trace_for_perfetto(runs):
    events = json.loads((runs / "good" / "trace.json").read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    lanes = {event["args"]["name"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
    assert {"tensor core", "vector engine", "data engine", "sequencer", "bank 3 of group 2"} <= lanes
    assert all(event["dur"] >= 1 and event["ts"] >= 0 for event in slices)
    rows = [event for event in slices if event["name"].startswith("row ")]
    commands = (runs / "good" / "dram_trace.txt").read_text().split()
    assert sum(event["args"]["reads"] for event in rows) == commands.count("RD") > 0
    assert sum(event["args"]["writes"] for event in rows) == commands.count("WR") > 0
