"""Models that come with the project, by name: file, sample inputs, labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["EXAMPLES", "Example"]


@dataclass(frozen=True)
class Example:
    """A bundled model; `samples` gives its test inputs by name and their labels."""

    path: Path
    samples: Callable[[], tuple[dict[str, np.ndarray], np.ndarray]]
    default_samples: int


def _digits() -> tuple[dict[str, np.ndarray], np.ndarray]:
    from gcu.examples.digits.data import load

    _, _, images, labels = load()
    return {"image": images}, labels


EXAMPLES = {"digits": Example(Path(__file__).parent / "digits" / "digits.onnx", _digits, 100)}
