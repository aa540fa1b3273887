"""What Verilator builds share: Verilator's own library and a precompiled header.

They are the same for every design and take a compiler four times as long as a small design, so they are compiled once and kept by the
versions of the tools.
"""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.tools import build_folder, cxx, cxx_version, verilator_version

__all__ = ["ATOMIC", "Shared", "shared"]

#: Of the library's atomics clang++ calls what g++ writes out.
ATOMIC = "-latomic"

#: Seconds for one source of the library.
_TIME_LIMIT = 300

#: The library's sources in every build with `--vpi`; with waves, the writer's besides.
_SOURCES = ("verilated", "verilated_dpi", "verilated_vpi", "verilated_threads")
_HEADERS = ("verilated.h", "verilated_dpi.h")
_WRITERS = {"fst": "verilated_fst_c", "vcd": "verilated_vcd_c"}
_COVERAGE = "verilated_cov"


@dataclass(frozen=True)
class Shared:
    """`objects` to link with a design; `header` to include first of all, which counts as precompiled under `flags` alone."""

    folder: Path
    flags: tuple[str, ...]

    @property
    def header(self) -> Path:
        return self.folder / "shared.h"

    @property
    def objects(self) -> list[Path]:
        return sorted(self.folder.glob("*.o"))

    def make_variables(self) -> list[str]:
        """Variables for the `make` of a build: it compiles the design alone, as one source, and links it with what is shared."""
        return [
            "VM_PARALLEL_BUILDS=0", "VM_GLOBAL_FAST=", "VM_GLOBAL_SLOW=", f"LOADLIBES={' '.join([*map(str, self.objects), ATOMIC])}",
            f"OPT_FAST={' '.join(self.flags)} -include {self.header}",
        ]


def _macros(root: Path, writer: str | None, covered: bool) -> list[str]:
    """The preprocessor's flags as Verilator's makefile has them: a precompiled header counts only under the same ones."""
    traces = {f"VM_TRACE_{kind}": int(writer == kind.lower()) for kind in ("FST", "VCD", "SAIF")}
    macros = {"VERILATOR": 1, "VM_COVERAGE": int(covered), "VM_SC": 0, "VM_TIMING": 0, "VM_TRACE": int(writer is not None), **traces}
    return ["-I.", f"-I{root}/include", f"-I{root}/include/vltstd", *(f"-D{name}={value}" for name, value in macros.items())]


def _compile(root: Path, writer: str | None, covered: bool, flags: Sequence[str], folder: Path):
    def run(arguments: Sequence[str | Path]):
        command = [cxx(), *flags, *_macros(root, writer, covered), *map(str, arguments)]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIME_LIMIT)
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)}: {result.stderr[-3000:]}")

    headers = [*_HEADERS, *([f"{_WRITERS[writer]}.h"] if writer else [])]
    (folder / "shared.h").write_text("".join(f'#include "{name}"\n' for name in headers))
    run(["-x", "c++-header", "shared.h", "-o", "shared.h.gch"])
    for name in [*_SOURCES, *([_WRITERS[writer]] if writer else []), *([_COVERAGE] if covered else [])]:
        run(["-c", "-o", f"{name}.o", root / "include" / f"{name}.cpp"])


def shared(root: Path, writer: str | None, flags: Sequence[str], *, covered: bool = False) -> Shared:
    """Compiles what is not there yet. `root` is VERILATOR_ROOT, `writer` the format of the waves ("fst", "vcd") or None; `flags` are the
    compiler's beside the preprocessor's, such as "-O1"; `covered`: the design counts what is executed. Raises RuntimeError with the end of
    the log if it fails."""
    parts = [verilator_version(), cxx_version(), str(root), str(writer), str(covered), *flags, Path(__file__).read_text()]
    folder = build_folder() / "verilated" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _compile(root, writer, covered, flags, folder)
            (folder / "complete").touch()
    return Shared(folder, tuple(flags))
