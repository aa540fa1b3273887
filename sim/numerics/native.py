"""Streams of operations through a unit in native Verilator."""

import ctypes
from pathlib import Path

import numpy as np

from sim.native.harness import build
from sim.numerics.units import StreamUnit
from sim.tools import verilator_version

__all__ = ["NativeStream"]

_SOURCE = Path(__file__).parent / "stream.cpp"


class NativeStream:
    """A built unit; builds are kept by content. Raises :class:`sim.tools.ToolError` where a tool fails.

    Parameters
    ----------
    unit : StreamUnit
    text : str
        Its SystemVerilog, with top module `unit`.
    """

    def __init__(self, unit: StreamUnit, text: str):
        self.version = verilator_version()
        self._words, self._latency = unit.words, unit.latency
        self._lib = ctypes.CDLL(str(build(text, top="unit", harness=_SOURCE, traced=False)))
        self._lib.unit_create.restype = ctypes.c_void_p
        self._lib.unit_stream.argtypes = [
            ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64,
        ]
        self._lib.unit_destroy.argtypes = [ctypes.c_void_p]
        self._handle = self._lib.unit_create()

    def run(self, mode: int, operands: np.ndarray) -> np.ndarray:
        """Results (uint32) of operations, shape [operations, words] of uint32."""
        operands = np.ascontiguousarray(operands, np.uint32)
        assert operands.shape[1] == self._words
        results = np.empty(len(operands), np.uint32)
        self._lib.unit_stream(
            self._handle, mode, self._latency, self._words, operands.ctypes.data, results.ctypes.data, len(operands)
        )
        return results

    def close(self):
        if self._handle:
            self._lib.unit_destroy(self._handle)
            self._handle = None
