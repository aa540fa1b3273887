"""What a recorded run leaves: its record, a view for each viewer, and the picture of the whole."""

from collections.abc import Sequence
from pathlib import Path

from gcu.waves.gtkwave import save_gtkwave
from gcu.waves.overview import draw_overview
from gcu.waves.record import RunRecord
from gcu.waves.surfer import save_surfer
from gcu.waves.view import run_view
from gcu.waves.waveform import Waveform
from rtl.config import ChipConfig

__all__ = ["save_views", "show_waves"]


def save_views(file: Path, waveform: Waveform, config: ChipConfig, tags: dict[int, str]) -> list[Path]:
    """The views for GTKWave and Surfer, beside the waveform."""
    groups = run_view(waveform, config, tags)
    return [save_gtkwave(file, waveform, groups), save_surfer(file, groups)]


def show_waves(files: Sequence[Path], folder: Path, config: ChipConfig, tags: dict[int, str], title: str) -> dict:
    """Paths of the waveforms, of their views and of the picture of the first, for the report of a run."""
    RunRecord(folder, config, title, tags, tuple(files)).save()
    views: list[Path] = []
    for number, file in enumerate(files):
        waveform = Waveform(file)
        views += save_views(file, waveform, config, tags)
        if number == 0:
            picture = draw_overview(waveform, config, folder / "waves.png", tags, title)
    return {"waves": [str(file) for file in files], "views": [str(view) for view in views], "wave_picture": str(picture)}
