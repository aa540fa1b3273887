"""Builds the native Verilator harness of a design and drives it through ctypes. Builds are kept by the content of their sources."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim.tools import ToolError, build_folder, cxx, cxx_version, fst_possible, make_overrides, verilator_environment, verilator_version
from sim.verilated import ATOMIC, shared

__all__ = ["Harness", "build"]

#: In the order of `sim_output`.
_OUTPUTS = ("timed_out", "refused", "logged", "violations")

_SOURCE = Path(__file__).parent / "harness.cpp"
_TRACING = Path(__file__).parent / "tracing.vlt"
_WAIVERS = Path(__file__).parents[1] / "verilog" / "waivers.vlt"


def build(
    text: str, sources: Sequence[Path] = (), *, top: str = "bench", harness: Path = _SOURCE, traced: bool = True, optimise: str = "-O2",
) -> Path:
    """The shared library of module `top` in `text` and `sources`, with the C++ of `harness`; built once per content.

    `optimise` is the compiler's: with -O1 a build takes half the time; with -O3 it takes somewhat longer, and a simulated clock less.
    Without `traced` it has neither public variables nor waveforms. Raises :class:`ToolError` with the end of the log if a tool fails.
    """
    sha = hashlib.sha256()
    for part in (text.encode(), top.encode(), *(path.read_bytes() for path in (*sources, harness, _WAIVERS, _TRACING))):
        sha.update(hashlib.sha256(part).digest())
    sha.update(f"{verilator_version()} {cxx_version()} {fst_possible()} {optimise}".encode())
    folder = build_folder() / "native" / sha.hexdigest()[:16]
    library = folder / f"{top}.so"
    if library.exists():
        return library
    work = folder.with_suffix(f".{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    design = work / f"{top}.sv"
    design.write_text(text)
    env = verilator_environment()
    if shutil.which("ccache"):
        env.setdefault("OBJCACHE", "ccache")
    fst = traced and fst_possible()
    log = work / "build.txt"
    root = env["VERILATOR_ROOT"]
    cores = os.cpu_count() or 1
    tracing = ["--vpi", "--trace-fst" if fst else "--trace-vcd", str(_TRACING)] if traced else []
    _run(
        ["verilator", "--cc", "--prefix", f"V{top}", "--top-module", top, "-Mdir", ".", "-O3", "--no-timing",
         "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--output-split", "20000", "-CFLAGS", "-fPIC", *tracing,
         str(_WAIVERS), str(design), *map(str, sources)], work, env, log,
    )
    try:
        library_objects = shared(Path(root), ("fst" if fst else "vcd") if traced else None, ["-O2", "-fPIC"]).objects
    except RuntimeError as error:
        raise ToolError(str(error)) from None
    make = ["make", "-j", str(cores), "-f", f"V{top}.mk", *make_overrides(), f"OPT_FAST={optimise}", "OPT_SLOW=-O0"]
    _run([*make, "VM_GLOBAL_FAST=", "VM_GLOBAL_SLOW=", f"libV{top}.a"], work, env, log)
    defines = ["-DVM_TRACE=1", f"-DVM_TRACE_FST={int(fst)}"] if traced else []
    libraries = ["-lz", "-llz4"] if fst else []
    _run(
        [cxx(), "-std=c++17", "-O2", "-fPIC", "-shared", *defines, f"-I{root}/include", f"-I{root}/include/vltstd", "-I.",
         "-o", f"{top}.so", str(harness), "-Wl,--whole-archive", f"libV{top}.a", "-Wl,--no-whole-archive", *map(str, library_objects),
         *libraries, "-lpthread", ATOMIC],
        work, env, log,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        work.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(work, ignore_errors=True)
    return library


def _run(command: list[str], folder: Path, env: dict, log: Path):
    with log.open("a") as stream:
        result = subprocess.run(command, cwd=folder, env=env, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        raise ToolError(f"{command[0]} failed; the end of {log}:\n{log.read_text(errors='replace')[-3000:]}")


class Harness:
    """One simulation of a built design.

    Parameters
    ----------
    library : Path
        Result of :func:`build`.
    plusargs : sequence of str
        Such as `+hbm_trace=FILE`.
    """

    def __init__(self, library: Path, plusargs: Sequence[str] = ()):
        self._lib = ctypes.CDLL(str(library))
        self._lib.sim_create.restype = ctypes.c_void_p
        self._lib.sim_create.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
        self._lib.sim_memory.restype = ctypes.c_void_p
        self._lib.sim_memory.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint64), ctypes.POINTER(ctypes.c_uint64),
        ]
        self._lib.sim_trace.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64]
        self._lib.sim_trace_stop.argtypes = [ctypes.c_void_p]
        self._lib.sim_run.restype = ctypes.c_uint64
        self._lib.sim_run.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
        self._lib.sim_output.restype = ctypes.c_uint32
        self._lib.sim_output.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._lib.sim_done.argtypes = [ctypes.c_void_p]
        self._lib.sim_destroy.argtypes = [ctypes.c_void_p]
        arguments = [b"bench", *(argument.encode() for argument in plusargs)]
        self._handle = self._lib.sim_create(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments))

    def memory(self, scope: str, name: str) -> np.ndarray:
        """A writable view of the bytes of a public variable, (rows, bytes per row). Raises KeyError."""
        rows, size = ctypes.c_uint64(), ctypes.c_uint64()
        pointer = self._lib.sim_memory(self._handle, f"TOP.{scope}".encode(), name.encode(), ctypes.byref(rows), ctypes.byref(size))
        if not pointer:
            raise KeyError(f"the design has no public variable {scope}.{name}")
        buffer = (ctypes.c_uint8 * (rows.value * size.value)).from_address(pointer)
        return np.frombuffer(buffer, np.uint8).reshape(rows.value, size.value)

    def trace(self, path: Path, first: int = 0, last: int = 2**63):
        """Records the clocks from `first` to `last` as FST or VCD."""
        if not self._lib.sim_trace(self._handle, str(path).encode(), first, last):
            raise ToolError(f"could not write {path}")

    def trace_stop(self):
        """Ends the recording; the file is complete afterwards."""
        self._lib.sim_trace_stop(self._handle)

    def run(self, clocks: int) -> int:
        """Runs until the design is done, at most `clocks` clocks; returns how many it ran."""
        return self._lib.sim_run(self._handle, clocks)

    @property
    def done(self) -> bool:
        return bool(self._lib.sim_done(self._handle))

    def status(self) -> dict[str, int]:
        """The other outputs of the bench."""
        return {name: self._lib.sim_output(self._handle, number) for number, name in enumerate(_OUTPUTS)}

    def close(self):
        if self._handle:
            self._lib.sim_destroy(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
