"""`gcu verilog`: the chip as SystemVerilog, with a manifest of everything that a user of it needs to know, and a FuseSoC core file."""

import resource
import time
from enum import Enum
from pathlib import Path

from amaranth.lib import data, enum

import rtl.isa as isa
from gcu.output import check_writable, console, write_json
from rtl.chip import Chip
from rtl.config import ChipConfig
from rtl.formats import Format
from sim.verilog.emit import Emission, emit

__all__ = ["manifest", "verilog"]

TOP = "minigcu"

_CORE = """CAPI=2:
name: ::minigcu:{version}
description: minigcu, configuration {config} (fingerprint {fingerprint:#018x})
filesets:
  rtl:
    files: [minigcu.sv]
    file_type: systemVerilogSource
  lint:
    files: [waivers.vlt]
    file_type: vlt
targets:
  default:
    filesets: [rtl]
    toplevel: minigcu
  lint:
    default_tool: verilator
    filesets: [rtl, lint]
    toplevel: minigcu
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""


def verilog(config: ChipConfig, folder: Path, json_to: str | None = None) -> dict:
    """Writes `minigcu.sv`, `manifest.json`, `minigcu.core` and the lint waivers into `folder`; returns the manifest."""
    check_writable("-o", folder, folder=True)
    check_writable("--json", json_to)
    begin = time.perf_counter()
    emission = emit(Chip(config), TOP)
    (folder / "minigcu.sv").write_text(emission.text)
    described = manifest(config, emission)
    write_json(described, str(folder / "manifest.json"))
    (folder / "minigcu.core").write_text(_CORE.format(version="0.1.0", config=config.name, fingerprint=config.fingerprint))
    waivers = Path(__file__).parents[1] / "sim" / "verilog" / "waivers.vlt"
    (folder / "waivers.vlt").write_text(waivers.read_text())
    seconds = time.perf_counter() - begin
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children) / 1024
    console(json_to).print(
        f"{folder / 'minigcu.sv'}: {len(emission.text.splitlines()):,} lines, {emission.text.count('endmodule'):,} modules, "
        f"{config.name}, fingerprint {config.fingerprint:#018x}; {seconds:.1f} s, {peak:.0f} MiB"
    )
    write_json({**described, "seconds": seconds, "peak_mib": peak, "file": str(folder / "minigcu.sv")}, json_to)
    return described


def manifest(config: ChipConfig, emission: Emission) -> dict:
    """Configuration, identity, ports, registers, enumerations and layouts, as data. The same in every run."""
    enums = [Format, isa.Opcode, isa.Engine, isa.Space, isa.Status, isa.Cause, isa.AlignMode, isa.VectorOp, isa.VectorSource, isa.DataOp]
    structs = [
        isa.Instruction, isa.RunOperand, isa.TensorMode, isa.TensorCommand, isa.VectorMode, isa.MicroOp, isa.VectorCommand, isa.DataMode,
        isa.DataCommand, isa.ErrorRecord, isa.Activity,
    ]
    ports = [{"name": "clk", "direction": "input", "width": 1}, {"name": "rst", "direction": "input", "width": 1}]
    ports += [{"name": p.name, "direction": p.direction, "width": p.width} for p in sorted(emission.ports, key=lambda p: p.name)]
    lanes = [f"sip_{number}" for number in range(config.sips)] + ["cluster"]
    return {
        "top": TOP,
        "config": config.to_dict(),
        "fingerprint": f"{config.fingerprint:#018x}",
        "build": f"{config.build_hash:#018x}",
        "source_sha256": emission.digest,
        "sips": lanes[:-1],
        "channels": [f"dfi__{number}" for number in range(config.channels)],
        "ports": ports,
        "registers": {register.name: f"{register.value:#06x}" for register in isa.HostRegister},
        "interrupts": {interrupt.name: interrupt.value for interrupt in isa.Interrupt},
        "counters": {
            f"{lane}.{engine.name.lower()}.{cause.name.lower()}": f"{isa.counter_address(number, engine, cause):#06x}"
            for number, lane in enumerate(lanes) for engine in isa.Engine for cause in isa.Cause
        },
        "enums": {kind.__name__: {member.name: member.value for member in kind} for kind in enums},
        "layouts": {struct.__name__: _layout(struct) for struct in structs},
    }


def _layout(struct) -> list[dict]:
    fields = []
    for name, field in data.Layout.cast(struct):
        shape = field.shape
        is_enum = isinstance(shape, type) and issubclass(shape, (Enum, enum.Enum))
        fields.append({"name": name, "offset": field.offset, "width": field.width, "enum": shape.__name__ if is_enum else None})
    return fields
