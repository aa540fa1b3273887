"""Request traces as arrays."""

from dataclasses import dataclass

import numpy as np

from rtl.memory.address import ATOM_BYTES

__all__ = ["Requests"]


@dataclass(frozen=True)
class Requests:
    """Accesses of 32 bytes in the order in which they are offered.

    Members
    -------
    write : bool, one for each request
    atom : uint32, byte address / 32
    """

    write: np.ndarray
    atom: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "write", np.ascontiguousarray(self.write, bool))
        object.__setattr__(self, "atom", np.ascontiguousarray(self.atom, np.uint32))
        if self.write.shape != self.atom.shape or self.write.ndim != 1:
            raise ValueError(f"writes {self.write.shape} and atoms {self.atom.shape} are not as many")

    def __len__(self) -> int:
        return len(self.atom)

    def address(self, index: int) -> int:
        return ATOM_BYTES * int(self.atom[index])
