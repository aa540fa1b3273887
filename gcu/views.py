"""A ready view for GTKWave beside each waveform: groups by block, the engines' activity with the names of its causes."""

from pathlib import Path

from vcd.gtkw import GTKWSave

from compiler.compile import Compiled
from rtl.config import ChipConfig
from rtl.isa import Cause, HostRegister
from rtl.sip import LANES

__all__ = ["save_view"]

_LANES = ("tensor", "vector", "data", "sequencer")


def save_view(waves: Path, config: ChipConfig, compiled: Compiled | None = None) -> Path:
    """Writes `waves`.gtkw and the translation files that it names; returns the path of the waveform."""
    import pywellen

    hierarchy = pywellen.Waveform(str(waves)).hierarchy
    signals = {variable.full_name(hierarchy): variable for variable in hierarchy.all_vars()}
    folder = waves.parent
    translations = {
        "causes": {cause.value: cause.name for cause in Cause},
        "tags": {0: "-"} | ({layer.tag: layer.name for layer in compiled.layers} if compiled else {}),
        "registers": {register.value: register.name for register in HostRegister},
    }
    for name, values in translations.items():
        (folder / f"{name}.txt").write_text("".join(f"{value:x} {text}\n" for value, text in values.items()))
    with (folder / f"{waves.stem}.gtkw").open("w") as stream:
        save = GTKWSave(stream)
        save.dumpfile(str(waves.resolve()))
        save.dumpfile_size(waves.stat().st_size)
        save.treeopen("bench.")
        save.size(1600, 900)

        def trace(suffix: str, **options):
            for name in sorted(signals):
                if name.endswith(suffix):
                    save.trace(name + _range(signals[name]), **options)
                    return

        save.trace(_first(signals, "bench.clk"))
        save.trace(_first(signals, "bench.rst"))
        with save.group("host"):
            trace("player.axi__awaddr", datafmt="hex", translate_filter_file=str((folder / "registers.txt").resolve()))
            for name in ("awvalid", "wdata", "araddr", "arvalid", "rdata", "rvalid"):
                trace(f"player.axi__{name}", datafmt="hex")
            trace("player.interrupt")
            trace("player.done")
        for unit in range(config.sips + 1):
            title = f"SIP {unit}" if unit < config.sips else "cluster"
            for lane, engine in enumerate(_LANES):
                if unit == config.sips and lane < 2:
                    continue
                probe = f"probe_{LANES * unit + lane}"
                with save.group(f"{title} {engine}"):
                    trace(f"{probe}.cause", datafmt="hex", translate_filter_file=str((folder / "causes.txt").resolve()))
                    trace(f"{probe}.tag", datafmt="hex", translate_filter_file=str((folder / "tags.txt").resolve()))
                    if engine == "data":
                        trace(f"{probe}.read", datafmt="dec")
                        trace(f"{probe}.write", datafmt="dec")
    return waves


def _first(signals: dict, suffix: str) -> str:
    return next((name for name in sorted(signals, key=len) if name.endswith(suffix)), suffix)


def _range(variable) -> str:
    width = variable.bitwidth() if callable(getattr(variable, "bitwidth", None)) else None
    return f"[{width - 1}:0]" if width and width > 1 else ""
