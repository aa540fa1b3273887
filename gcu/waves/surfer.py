"""The view for Surfer: a command file beside the waveform, and mapping translators for names where Surfer looks for them.

Surfer has no filters, so what :class:`gcu.waves.readings.Lanes` and commands say is its own formats or hexadecimal there. Its command file
knows no groups: a divider opens each. Mappings are found in `.surfer/mappings` of the folder in which Surfer starts.
"""

from pathlib import Path

from gcu.waves.readings import Decimal, Names, Reading
from gcu.waves.view import Group

__all__ = ["save_surfer"]


def save_surfer(waves: Path, groups: list[Group]) -> Path:
    """Writes `waves`.sucl and the mappings; returns the path of the command file."""
    folder = waves.parent.resolve()
    mappings = folder / ".surfer" / "mappings"
    mappings.mkdir(parents=True, exist_ok=True)
    lines = []
    for group in groups:
        # A name with blanks is more than one word to Surfer's command line.
        lines.append(f"divider_add {group.title.replace(' ', '_')}")
        for trace in group.traces:
            lines.append(f"variable_add {trace.name}")
            if isinstance(trace.reading, Names):
                (mappings / _mapping(trace.reading)).write_text(_mapping_text(trace.reading, trace.bits))
            if trace.bits > 1:
                lines.append(f"item_set_format {_format(trace.reading)}")
    view = folder / f"{waves.stem}.sucl"
    view.write_text("\n".join([*lines, "zoom_fit", ""]))
    return view


def _mapping(names: Names) -> str:
    return f"minigcu_{names.name}"


def _mapping_text(names: Names, bits: int) -> str:
    rows = (f"{value} {text}" for value, text in names.values.items() if value < 1 << bits)
    return "\n".join([f"Name = {_mapping(names)}", f"Bits = {bits}", *rows, ""])


def _format(reading: Reading) -> str:
    if isinstance(reading, Names):
        return _mapping(reading)
    return "Unsigned" if isinstance(reading, Decimal) else "Hexadecimal"
