"""Emitted text, kept by the content of everything that it is made from, so that a second run starts at once."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path

from sim.tools import build_folder

__all__ = ["emitted", "source_digest"]

_ROOT = Path(__file__).parents[2]


@cache
def source_digest() -> str:
    """Hash of all that an emission depends on beside its parameters: hardware, bench, emitter, and the tools' versions."""
    sha = hashlib.sha256()
    for folder in ("rtl", "sim/bench", "sim/hbm", "sim/verilog"):
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".toml"):  # hand-written Verilog joins at the build
                sha.update(str(path.relative_to(_ROOT)).encode() + path.read_bytes())
    for package in ("amaranth", "pyosys"):
        sha.update(metadata.version(package).encode())
    return sha.hexdigest()


def emitted(label: str, parameters: object, make: Callable[[], str]) -> str:
    """The text that `make` gives for `parameters` (data that JSON can hold), from the cache where it is there."""
    key = hashlib.sha256((source_digest() + json.dumps(parameters, sort_keys=True, default=str)).encode()).hexdigest()[:16]
    path = build_folder() / "emitted" / f"{label}_{key}.sv"
    if path.exists():
        return path.read_text()
    text = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{id(text):x}")
    temporary.write_text(text)
    temporary.replace(path)
    return text
