"""The emission for code coverage: conditions stay as the design has them, and names and lines of the source go along as attributes `src`.

For Verilator alone: Icarus would not run some of its blocks at time 0.
"""

import re
import tempfile
from pathlib import Path

from amaranth.lib import wiring

from sim.verilog.emit import Emission, emission_of, rtlil_of
from sim.verilog.places import branches_with_places
from sim.verilog.yosys import read_verilog_text, yosys

__all__ = ["emit_covered", "relative"]


def emit_covered(component: wiring.Component, top: str) -> Emission:
    """`component` as module `top`; a line `(* src = "..." *)` before each `if`, `casez` and declaration has the lines of the source, from
    the root of the project (:mod:`sim.verilog.places` for the branches). Raises RuntimeError where Yosys fails."""
    with branches_with_places():
        text, srams, _ = rtlil_of(component, top, places=True)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "design.il", Path(folder) / "design.sv"
        source.write_text(text)
        passes = ["opt_clean", "memory_collect", f"write_verilog -sv -norename {target}"]
        run = yosys([f"read_rtlil {source}", f"hierarchy -top {top}", *passes])
        if run.returncode or not target.exists():
            raise RuntimeError(f"Yosys could not write {top}: {run.stdout.strip()} {run.stderr.strip()}")
        verilog = read_verilog_text(target)
    places = re.compile(r'\(\* src = "([^"]*)" \*\)')
    return emission_of(component, top, places.sub(lambda match: f'(* src = "{relative(match[1])}" *)', verilog), srams)


def relative(places: str) -> str:
    """Places of the source, from the root of the project or of the library that they are in."""
    return re.sub(r"[^;|]*/(?:site-packages/|(?=(?:rtl|verif|sim)/))", "", places)
