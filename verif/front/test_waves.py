"""Waveforms of a run: what is recorded, the view for GTKWave and the picture agree with the run's own counters."""

import re
from pathlib import Path

import onnx
import pytest

from gcu.views import save_view
from gcu.waveform import Waveform
from rtl.config import PRESETS
from rtl.isa import Cause
from verif.compiler.models import second_model
from verif.front.kit import gcu

TINY = PRESETS["tiny"]


def check_view(view: Path, waveform: Waveform):
    """Every signal that the view names is in the waveform, with that width; every translation file exists and translates."""
    text = view.read_text()
    named = re.findall(r"^([\w.]+)(?:\[(\d+):0\])?$", text, re.MULTILINE)
    assert len(named) > 20
    for name, high in named:
        assert name in waveform.signals, name
        assert waveform.width(name) == int(high or 0) + 1, name
    translations = {Path(path) for path in re.findall(r"^\^\d+ (.+)$", text, re.MULTILINE)}
    assert {path.stem.removeprefix(f"{view.stem}_") for path in translations} == {"causes", "tags", "registers"}
    for path in translations:
        rows = [line.split(" ", 1) for line in path.read_text().splitlines()]
        assert rows and all(int(code, 16) >= 0 and name for code, name in rows)
    causes = view.parent / f"{view.stem}_causes.txt"
    assert causes.read_text().splitlines()[Cause.BUSY.value] == f"{Cause.BUSY.value:x} BUSY"


@pytest.mark.parametrize("back_end", ["icarus", "verilator"])
def test_first_job_alone(back_end, tmp_path):
    onnx.save(second_model(3), tmp_path / "second.onnx")
    run = "run", tmp_path / "second.onnx", "--samples", 3, "--on", f"golden,{back_end}", "--config", "tiny", "-o", tmp_path, "--waves"
    (tmp_path / "stale.fst").write_bytes(b"of another run")
    answer = gcu(*run, "--json", "-")
    assert answer.status == 0, answer.err
    report = answer.json
    assert len(report["waves"]) == len(report["views"]) == 1
    waveform = Waveform(Path(report["waves"][0]))
    row = next(row for row in report["backends"] if row["name"] == back_end)
    first, *_ = row["cycles"]
    assert first < len(waveform.edges) < row["clocks"] / 2, "the other two jobs are not in the file"
    active = int((waveform.by_clock("probe_3.cause") > Cause.IDLE.value).sum())
    assert first <= active < first + 500, "the sequencer works or waits all through its job"
    tags = set(waveform.by_clock("probe_0.tag").tolist())
    assert {layer["tag"] for layer in report["layers"] if layer["engine"].startswith("tensor")} <= tags
    check_view(Path(report["views"][0]), waveform)
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
    check_view(Path(report["views"][0]), waveform)
    with pytest.raises(KeyError, match=r"icarus\.fst has no signal probe_99\.cause"):
        waveform.by_clock("probe_99.cause")
    with pytest.raises(KeyError, match="no signal probe_"):
        save_view(Path(report["waves"][0]), PRESETS["i20_slice"])
