"""Reports add up what runs covered, also where their configurations have other bins."""

from pathlib import Path

import pytest

from verif.common.coverage import FILE, Report


def export(folder: Path, bins: dict[str, int]) -> Path:
    """What a run of a block leaves, with one point, and a point of another block."""
    folder.mkdir()
    items = "".join(f'<bin{number} bin="{name}" hits="{hits}"/>' for number, (name, hits) in enumerate(bins.items()))
    other = "<other><point><bin0 bin='a' hits='9'/></point></other>"
    (folder / FILE).write_text(f"<top><block><point>{items}</point></block>{other}</top>")
    return folder


def test_runs_are_added_up(tmp_path):
    report = Report("block", [export(tmp_path / "1", {"a": 1, "b": 0}), export(tmp_path / "2", {"a": 2, "c": 0, "d": 4})])
    assert report.points == {"point": {"a": 3, "b": 0, "c": 0, "d": 4}}
    assert report.holes("point") == ["b", "c"] and report.share() == 0.5
    report.require(0.5)
    report.require(but=lambda bin: bin in "bc")
    with pytest.raises(AssertionError, match=r"(?s)2 of 4 bins.*b, c"):
        report.require()
    with pytest.raises(AssertionError, match="0 of 0 bins"):
        report.require(but=lambda bin: True)
    assert Report.blocks(tmp_path / "1" / FILE) == ["block", "other"]
    assert "b, c" in str(report)
