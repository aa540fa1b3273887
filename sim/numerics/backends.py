"""The back ends of single operations: the golden model, and the units in both simulators."""

import json
import time

import numpy as np

from rtl.config import ChipConfig
from sim.numerics.icarus import IcarusStream
from sim.numerics.native import NativeStream
from sim.numerics.operation import Operation
from sim.verilog.cache import emitted
from sim.verilog.emit import emit

__all__ = ["Runner"]


class Runner:
    """Runs blocks of one operation on one back end. `seconds` is the time of the operations alone."""

    def __init__(self, name: str, operation: Operation, config: ChipConfig):
        self.name, self.seconds, self.operations = name, 0.0, 0
        self._operation, self._stream = operation, None
        #: Clocks of the simulation; None where there is no time.
        self.cycles: int | None = None
        if name == "golden":
            self.version = f"numpy {np.__version__}"
            return
        unit = operation.unit(config)
        kind = type(unit).__name__
        text = emitted(kind.lower(), [kind, json.dumps(config.to_dict(), sort_keys=True)], lambda: emit(unit, "unit").text)
        self._unit, self._mode = unit, operation.mode()
        self._stream = (NativeStream if name == "verilator" else IcarusStream)(unit, text)
        self.version, self.cycles = self._stream.version, 0

    def run(self, operands: np.ndarray) -> np.ndarray:
        """Results (uint32) of operands [operations, fields] (uint32)."""
        begin = time.perf_counter()
        if self._stream is None:
            results = self._operation.golden(operands)
        else:
            results = self._stream.run(self._mode, self._operation.words(operands, self._unit))
            self.cycles += len(operands) + self._unit.latency - 1
        self.seconds += time.perf_counter() - begin
        self.operations += len(operands)
        return results

    def close(self):
        if self._stream is not None:
            self._stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


