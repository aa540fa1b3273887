"""How a command ends in the golden model."""

from dataclasses import dataclass

import numpy as np

from rtl.isa import Status

__all__ = ["Fault", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """Status of one command and the first failing address, where the status has one.

    `rows` are the 32-bit results of a tensor command with `to_vector`: an array [rows, columns] for each batch and N tile, in the
    order in which the tensor core sends them. `overflow` says that the exact sum of an INT8 group and its accumulator left int32.
    """

    status: Status = Status.OK
    address: int = 0
    rows: list[np.ndarray] | None = None
    overflow: bool = False


class Fault(Exception):
    """Ends a command or an instruction with a status other than OK."""

    def __init__(self, status: Status, address: int = 0):
        super().__init__(f"{status.name} at {address:#x}")
        self.status = status
        self.address = address % 2**32

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.status, self.address)
