"""The patterns of the table, as atoms in the order in which they are offered."""

import numpy as np

from rtl.memory.address import AddressMap
from verif.memory.schedule.player import WRITE

__all__ = ["GOALS", "pattern"]

#: Per cent of the data bus on P3200.
GOALS = {
    "sequential_read": 99.0, "sequential_write": 99.0, "sequential_50_50": 91.5, "sequential_2_1": 90.5, "copy_offset": 91.0,
    "copy_same_bank": 89.5, "random_64_read": 54.7, "random_32_read": 27.5, "random_64_50_50": 48.5, "stride_16K": 54.8, "stride_64K": 54.8,
}


def _random_pairs(rng, atoms: int, count: int) -> np.ndarray:
    first = rng.integers(0, atoms // 2, count // 2) * 2
    return np.stack([first, first + 1], 1).reshape(-1)


def pattern(name: str, address_map: AddressMap, count: int, seed: int = 1) -> np.ndarray:
    """`count` requests. A mix by chance takes its direction from the seed."""
    rng = np.random.default_rng(seed)
    atoms = 1 << address_map.atom_bits
    run = np.arange(count)
    half = np.arange(count) // 2
    match name:
        case "sequential_read":
            requests = run
        case "sequential_write":
            requests = run | WRITE
        case "sequential_50_50":
            requests = run | np.where(rng.random(count) < 1 / 2, WRITE, 0)
        case "sequential_2_1":
            requests = run | np.where(rng.random(count) < 1 / 3, WRITE, 0)
        case "copy_offset":
            requests = np.where(run % 2, (half + atoms // 2) % atoms | WRITE, half)
        case "copy_same_bank":
            located = (address_map.locate(atom) for atom in range(count // 2 + 1))
            far = address_map.rows // 2
            other = np.array([address_map.atom(bank, (row + far) % address_map.rows, column) for bank, row, column in located])
            requests = np.where(run % 2, other[half] | WRITE, half)
        case "random_64_read":
            requests = _random_pairs(rng, atoms, count)
        case "random_32_read":
            requests = rng.integers(0, atoms, count)
        case "random_64_50_50":
            requests = _random_pairs(rng, atoms, count) | np.repeat(np.where(rng.random(count // 2) < 1 / 2, WRITE, 0), 2)
        case "stride_16K" | "stride_64K":
            step = 512 if name == "stride_16K" else 2048
            requests = (run // 2 * step + run % 2 + run // 2 * step // atoms * 2) % atoms
        case _:
            raise ValueError(f"{name!r} is no pattern")
    return requests.astype(np.uint32)

