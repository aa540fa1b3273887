"""Arrays that a user names: .npy files."""

from pathlib import Path

import numpy as np

from gcu.errors import BadInput

__all__ = ["read_npy"]


def read_npy(path: Path, name: str) -> np.ndarray:
    """The array of one .npy file, which messages call `name`. Raises :class:`BadInput` where it is none."""
    try:
        with path.open("rb") as stream:
            value = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{name}: {getattr(error, 'strerror', None) or 'not an .npy file'}") from None
    except MemoryError:
        raise BadInput(f"{name}: larger than this machine's memory") from None
    if not isinstance(value, np.ndarray):
        raise BadInput(f"{name}: an .npz archive; one .npy array is needed")
    return value
