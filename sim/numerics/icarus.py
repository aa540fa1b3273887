"""Streams of operations through a unit in Icarus Verilog: slow, but event-driven and four-valued."""

import hashlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from sim.numerics.units import StreamUnit
from sim.tools import ToolError, build_folder, iverilog_version

__all__ = ["IcarusStream"]

_MAIN = Path(__file__).parent / "main.sv"
#: Seconds that a block of operations may take.
_TIME_LIMIT = 3600


class IcarusStream:
    """A compiled unit; see :class:`sim.numerics.native.NativeStream`."""

    def __init__(self, unit: StreamUnit, text: str):
        self.version = iverilog_version()
        self._words = unit.words
        sha = hashlib.sha256(text.encode() + _MAIN.read_bytes() + self.version.encode())
        folder = build_folder() / "icarus" / sha.hexdigest()[:16]
        self._design = folder / "unit.vvp"
        if self._design.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "unit.sv").write_text(text)
        temporary = folder / f"unit.{os.getpid()}"
        command = [
            "iverilog", "-g2012", "-s", "main", f"-Pmain.WIDTH={32 * unit.words}", f"-Pmain.LATENCY={unit.latency}", "-o", str(temporary),
            str(_MAIN), str(folder / "unit.sv"),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if result.returncode:
            raise ToolError(f"iverilog failed: {result.stderr[-2000:]}")
        temporary.rename(self._design)

    def run(self, mode: int, operands: np.ndarray) -> np.ndarray:
        """Results (uint32) of operations, shape [operations, words] of uint32. An unknown bit among them is an error."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "operands", Path(folder) / "results"
            # The words of an operation are one number, word 0 lowest.
            lines = np.ascontiguousarray(operands[:, ::-1], ">u4").view(np.uint8).reshape(len(operands), -1)
            source.write_text("".join(f"{line.tobytes().hex()}\n" for line in lines))
            process = subprocess.Popen(
                ["vvp", "-n", str(self._design), f"+mode={mode:x}", f"+source={source}", f"+target={target}"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            )
            try:
                output, _ = process.communicate(timeout=_TIME_LIMIT)
            except subprocess.TimeoutExpired:
                raise ToolError(f"Icarus took more than {_TIME_LIMIT} s") from None
            finally:
                if process.poll() is None:  # it outlives a parent that is interrupted
                    os.killpg(process.pid, signal.SIGKILL)
            lines = target.read_text().split() if target.exists() else []
        if len(lines) != len(operands):
            raise ToolError(f"Icarus gave {len(lines)} results of {len(operands)}: {output[-1000:].strip()}")
        try:
            return np.array([int(line, 16) for line in lines], np.uint32)
        except ValueError:
            raise ToolError("an unknown bit reached a result in Icarus") from None

    def close(self):
        pass
