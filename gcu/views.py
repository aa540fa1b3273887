"""A ready view for GTKWave beside each waveform: groups by block, the engines' activity with the names of its causes."""

from pathlib import Path

from vcd.gtkw import GTKWSave

from compiler.compile import Compiled
from gcu.waveform import Waveform
from rtl.config import ChipConfig
from rtl.isa import Cause, HostRegister
from rtl.sip import LANES

__all__ = ["ENGINE_LANES", "save_view", "tag_names"]

#: Engines by their lane in a SIP.
ENGINE_LANES = ("tensor", "vector", "data", "sequencer")

_HOST = ("awaddr", "awvalid", "wdata", "araddr", "arvalid", "rdata", "rvalid")


def tag_names(compiled: Compiled | None) -> dict[int, str]:
    """Layer of each command tag."""
    return {layer.tag: layer.name for layer in compiled.layers} if compiled else {}


def save_view(waves: Path, config: ChipConfig, compiled: Compiled | None = None) -> Path:
    """Writes `waves`.gtkw and the translation files that it names, beside the waveform; returns the path of the view.

    Raises KeyError if the waveform lacks a signal of the view.
    """
    waveform = Waveform(waves)
    folder = waves.parent.resolve()
    translations = {
        "causes": {cause.value: cause.name for cause in Cause},
        "tags": {0: "-"} | tag_names(compiled),
        "registers": {register.value: register.name for register in HostRegister},
    }
    names = {name: str(folder / f"{waves.stem}_{name}.txt") for name in translations}
    for name, values in translations.items():
        Path(names[name]).write_text("".join(f"{value:x} {text}\n" for value, text in values.items()))
    view = folder / f"{waves.stem}.gtkw"
    with view.open("w") as stream:
        save = GTKWSave(stream)
        save.dumpfile(str(waves.resolve()))
        save.dumpfile_size(waves.stat().st_size)
        save.treeopen(waveform.find("bench.clk").removesuffix("clk"))
        save.size(1600, 900)

        def trace(suffix: str, translation: str | None = None, datafmt: str = "hex"):
            name = waveform.find(suffix)
            width = waveform.width(name)
            save.trace(
                name + (f"[{width - 1}:0]" if width > 1 else ""), datafmt=datafmt,
                translate_filter_file=names[translation] if translation else None,
            )

        trace("bench.clk")
        trace("bench.rst")
        with save.group("host"):
            for name in _HOST:
                trace(f"player.axi__{name}", "registers" if name.endswith("addr") else None)
            trace("player.interrupt")
            trace("player.done")
        for unit in range(config.sips + 1):
            title = f"SIP {unit}" if unit < config.sips else "cluster"
            for lane, engine in enumerate(ENGINE_LANES):
                if unit == config.sips and lane < 2:
                    continue
                probe = f"probe_{LANES * unit + lane}"
                with save.group(f"{title} {engine}"):
                    trace(f"{probe}.cause", "causes")
                    trace(f"{probe}.tag", "tags")
                    if engine == "data":
                        trace(f"{probe}.read", datafmt="dec")
                        trace(f"{probe}.write", datafmt="dec")
    return view
