"""Mutants that can't be found: those that do the same as the design in every state and for every input."""

import subprocess
from pathlib import Path

from sim.verilog.mutate import Mutant
from sim.verilog.yosys import yosys

__all__ = ["equivalent"]

#: Seconds for a proof.
_LIMIT = 120


def equivalent(prepared: Path, mutant: Mutant) -> bool:
    """Whether Yosys proves that the mutant's module keeps its behaviour; no proof within the time is none.

    Both modules are in the same state, any state, and get the same inputs: outputs, next states and what their submodules are given must
    be the same. So a mutant that shows in states alone that the design never comes to isn't equivalent. `prepared` is the design that the
    mutants were made from (:func:`sim.verilog.mutate.mutate`).
    """
    module = mutant.module
    try:
        run = yosys([
            f"read_rtlil {prepared}", f"copy {module} gold", f"copy {module} gate", mutant.command("gate"), "equiv_make gold gate equiv",
            "hierarchy -top equiv", "opt_clean", "equiv_simple -undef", "equiv_status -assert",
        ], seconds=_LIMIT)
    except subprocess.TimeoutExpired:
        return False
    return run.returncode == 0
