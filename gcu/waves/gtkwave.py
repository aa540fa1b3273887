"""The view for GTKWave: a save file beside the waveform, with files that translate names and filters that decode numbers."""

import shlex
import sys
from pathlib import Path

from vcd.gtkw import GTKWSave

from gcu.waves.readings import Bit, Command, Decimal, Lanes, Names
from gcu.waves.view import Group
from gcu.waves.waveform import Waveform

__all__ = ["save_gtkwave"]


def save_gtkwave(waves: Path, waveform: Waveform, groups: list[Group]) -> Path:
    """Writes `waves`.gtkw and the files that it names, beside the waveform; returns the path of the view."""
    folder = waves.parent.resolve()
    view = folder / f"{waves.stem}.gtkw"
    with view.open("w") as stream:
        save = GTKWSave(stream)
        save.dumpfile(str(waves.resolve()))
        save.dumpfile_size(waves.stat().st_size)
        save.treeopen(waveform.find("bench.clk").removesuffix("clk"))
        save.size(1600, 900)
        for group in groups:
            with save.group(group.title):
                for trace in group.traces:
                    reading, options = trace.reading, {}
                    if isinstance(reading, Names):
                        options["translate_filter_file"] = str(_translation(folder / f"{waves.stem}_{reading.name}.txt", reading))
                    elif isinstance(reading, Lanes | Command):
                        options["translate_filter_proc"] = str(_filter(folder / f"{waves.stem}_{reading.name}.sh", reading.name))
                    save.trace(
                        trace.name + (f"[{trace.bits - 1}:0]" if trace.bits > 1 else ""), alias=trace.label,
                        datafmt="dec" if isinstance(reading, Decimal) else "bin" if isinstance(reading, Bit) else "hex", **options,
                    )
    return view


def _translation(path: Path, names: Names) -> Path:
    path.write_text("".join(f"{value:x} {text}\n" for value, text in names.values.items()))
    return path


def _filter(path: Path, name: str) -> Path:
    # GTKWave starts a program without arguments.
    path.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gcu.waves.filter {name}\n")
    path.chmod(0o755)
    return path
