"""`gcu waves`: the waveform of a run, with a ready view; as a picture; compared with that of another run."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gcu.errors import BadInput, CheckFailed
from gcu.output import check_writable, console, progress, table, write_json
from gcu.waves.diff import Parting, common_names, compare
from gcu.waves.overview import draw_overview
from gcu.waves.panel import LONGEST, draw_panel, rows_of
from gcu.waves.readings import Hexadecimal, Reading
from gcu.waves.record import RunRecord
from gcu.waves.show import save_views
from gcu.waves.view import Group, Trace, run_view
from gcu.waves.waveform import Waveform

__all__ = ["waves"]

#: Clocks before and after the first difference that the picture shows, and differences that are printed.
_BEFORE, _AFTER = 24, 40
_PRINTED = 20


@dataclass(frozen=True)
class _Opened:
    record: RunRecord
    waveform: Waveform
    groups: list[Group]

    @classmethod
    def open(cls, run: Path) -> "_Opened":
        record = RunRecord.load(run)
        try:
            waveform = Waveform(record.waves[0])
            return cls(record, waveform, run_view(waveform, record.config, record.tags))
        except (KeyError, OSError, RuntimeError, ValueError) as error:
            reason = error.args[0] if error.args else error
            raise BadInput(f"RUN {run}: {record.waves[0].name} can't be read: {reason}") from None

    def readings(self) -> dict[str, Reading]:
        """By full name."""
        return {trace.name: trace.reading for group in self.groups for trace in group.traces}


def waves(
    run: Path, *, open_viewer: bool = False, png: Path | None = None, begin: int | None = None, end: int | None = None,
    other: Path | None = None, json_to: str | None = None,
) -> dict:
    """Raises :class:`BadInput`; :class:`CheckFailed` where a comparison finds a difference."""
    check_writable("--png", png)
    check_writable("--json", json_to)
    opened = _Opened.open(run)
    if other is not None:
        if begin is not None or end is not None:
            raise BadInput("--from, --to: a comparison shows the clocks around the first difference; leave them out with --diff")
        return _diff(opened, _Opened.open(other), png, json_to)
    window = _window(opened.waveform, begin, end)
    out = console(json_to)
    report: dict = {"title": opened.record.title, "clocks": len(opened.waveform.edges), "waves": [], "views": []}
    for number, file in enumerate(opened.record.waves):
        waveform = opened.waveform if number == 0 else Waveform(file)
        report["waves"].append(str(file))
        report["views"] += [str(view) for view in save_views(file, waveform, opened.record.config, opened.record.tags)]
    rows = [[group.title, ", ".join(trace.label for trace in group.traces)] for group in opened.groups]
    out.print(table(f"{opened.record.title}: {report['clocks']:,} clocks recorded", ["group", "signals of the view"], rows, left=2))
    for name in ("waves", "views"):
        for path in report[name]:
            out.print(f"{name}: {path}")
    if png is not None:
        report["png"] = str(_picture(opened, window, png))
        out.print(f"png: {png}")
    write_json(report, json_to)
    if open_viewer:
        _open(opened.record.waves[0], out)
    return report


def _window(waveform: Waveform, begin: int | None, end: int | None) -> tuple[int, int] | None:
    """Clocks from --from up to, without, --to; None where neither is given."""
    if begin is None and end is None:
        return None
    clocks = len(waveform.edges)
    first, last = begin or 0, clocks if end is None else end
    if not 0 <= first < last <= clocks:
        raise BadInput(f"--from {first} --to {last}: is not a part of the {clocks} clocks that were recorded")
    return first, last


def _picture(opened: _Opened, window: tuple[int, int] | None, png: Path) -> Path:
    """Signals where the window is short enough to read them, else what each engine did."""
    record = opened.record
    if window is not None and window[1] - window[0] <= LONGEST:
        rows = rows_of(opened.waveform, opened.groups, *window)
        return draw_panel(rows, window[0], png, f"{record.title}: clocks {window[0]:,} to {window[1]:,} of {opened.waveform.path.name}")
    try:
        return draw_overview(opened.waveform, record.config, png, record.tags, record.title, window)
    except ValueError as error:
        raise BadInput(f"--png: {error}") from None


def _open(file: Path, out):
    """Starts GTKWave or Surfer with the view, and doesn't wait."""
    folder = file.parent.resolve()
    for viewer, arguments in (("gtkwave", ["-a", f"{file.stem}.gtkw"]), ("surfer", ["-c", f"{file.stem}.sucl", file.name])):
        if shutil.which(viewer):
            # Surfer looks for the names of the values in the folder in which it starts.
            subprocess.Popen([viewer, *arguments], cwd=folder, start_new_session=True)
            out.print(f"{viewer} {' '.join(arguments)} (in {file.parent})")
            return
    raise BadInput("--open: neither gtkwave nor surfer is on PATH; install one (apt-get install gtkwave), or take --png")


def _diff(first: _Opened, second: _Opened, png: Path | None, json_to: str | None) -> dict:
    out = console(json_to)
    total = len(common_names(first.waveform, second.waveform))
    with progress("signals", total) as update:
        parting = compare(first.waveform, second.waveform, update)
    names = first.record.waves[0], second.record.waves[0]
    report = {
        "first": str(names[0]), "second": str(names[1]), "signals": parting.compared, "clocks": parting.clocks,
        "lengths": list(parting.lengths), "clock": parting.clock,
        "differences": [{"signal": each.name, "first": f"{each.first:x}", "second": f"{each.second:x}"} for each in parting.differences],
    }
    if parting.clock is not None:
        _print_differences(first, second, parting, out)
        if png is not None:
            report["png"] = str(_picture_of_parting(first, second, parting, png))
            out.print(f"png: {png}")
    else:
        out.print(f"{parting.compared:,} signals agree in {parting.clocks:,} clocks")
    write_json(report, json_to)
    if parting.clock is not None:
        name = _foremost(first, parting)
        raise CheckFailed(f"the runs part in clock {parting.clock:,}: {name} ({len(parting.differences)} of {parting.compared} signals)")
    if parting.lengths[0] != parting.lengths[1]:
        raise CheckFailed(f"one run goes on: {parting.lengths[0]:,} and {parting.lengths[1]:,} clocks were recorded")
    return report


def _foremost(opened: _Opened, parting: Parting) -> str:
    """The signal to name first: one of the view if there is one, else the shortest name."""
    viewed = {name.partition("bench.")[2] for name in opened.readings()}
    return min(parting.differences, key=lambda each: (each.name.removeprefix("bench.") not in viewed, len(each.name))).name


def _print_differences(first: _Opened, second: _Opened, parting: Parting, out):
    pairs = common_names(first.waveform, second.waveform)
    readings = first.readings()
    rows = []
    for each in sorted(parting.differences, key=lambda each: (pairs[each.name][0] not in readings, len(each.name)))[:_PRINTED]:
        reading = readings.get(pairs[each.name][0], Hexadecimal())
        rows.append([each.name, reading.text(each.first), reading.text(each.second)])
    if len(parting.differences) > _PRINTED:
        rows.append([f"and {len(parting.differences) - _PRINTED} more", "", ""])
    out.print(table(f"clock {parting.clock:,}: the first in which the runs part", ["signal", "first run", "second run"], rows, left=3))


def _picture_of_parting(first: _Opened, second: _Opened, parting: Parting, png: Path) -> Path:
    """Both runs around the clock: what parts, pair by pair, then the groups in which something moves."""
    clock = parting.clock
    assert clock is not None
    begin, end = max(clock - _BEFORE, 0), min(clock + _AFTER, parting.clocks)
    pairs = common_names(first.waveform, second.waveform)
    readings = first.readings()
    parted = []
    for each in sorted(parting.differences, key=lambda each: (pairs[each.name][0] not in readings, len(each.name)))[:_PRINTED]:
        for opened, full, run in zip((first, second), pairs[each.name], ("1", "2"), strict=True):
            reading = readings.get(pairs[each.name][0], Hexadecimal())
            trace = Trace(full, f"{each.name.removeprefix('bench.')} · {run}", opened.waveform.width(full), reading)
            parted += rows_of(opened.waveform, [Group("first to part", (trace,))], begin, end)
    context = rows_of(first.waveform, first.groups, begin, end, prefix="run 1: ", moving=True)
    title = f"runs 1 ({first.record.title}) and 2 ({second.record.title}) part in clock {clock:,}"
    return draw_panel([*parted, *context], begin, png, title, mark=clock)
