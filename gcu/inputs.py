"""Inputs of a run: from a file, from a bundled example, or drawn at random."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from compiler.compile import Binding, Compiled
from gcu.errors import BadInput
from gcu.examples import Example
from rtl.formats import Format
from sim.golden.formats import encode

__all__ = ["Samples", "from_example", "from_file", "random"]

#: Samples by input name, each an array with one more dimension in front; labels or None.
Samples = tuple[dict[str, np.ndarray], np.ndarray | None]


def from_example(example: Example, compiled: Compiled, count: int) -> Samples:
    values, labels = example.samples()
    if not 1 <= count <= len(labels):
        raise BadInput(f"--samples: {count} is not in 1 to {len(labels)}")
    return {b.name: _stacked(b, values[b.name])[:count] for b in compiled.inputs}, labels[:count]


def from_file(path: Path, compiled: Compiled, count: int | None) -> Samples:
    """Reads an .npz with an array per input (one sample, or samples along a first dimension), and perhaps `labels`."""
    try:
        # Numpy leaves a file that it opened itself open where it can't read it.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            values = dict(archive)
    except MemoryError:
        raise BadInput(f"--input {path}: an array in it is larger than this machine's memory") from None
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError, TypeError) as error:
        raise BadInput(f"--input {path}: {getattr(error, 'strerror', None) or 'not an .npz file'}") from None
    chosen = {}
    for binding in compiled.inputs:
        if binding.name not in values:
            raise BadInput(f"--input {path}: no array {binding.name!r}; it has {', '.join(sorted(values)) or 'none'}")
        value = values[binding.name]
        if value.dtype != binding.dtype:
            raise BadInput(f"--input {path}: {binding.name} is {value.dtype}, {binding.dtype} needed")
        chosen[binding.name] = _stacked(binding, value)
    counts = {len(value) for value in chosen.values()}
    if len(counts) != 1:
        raise BadInput(f"--input {path}: inputs with different numbers of samples: {sorted(counts)}")
    have = counts.pop()
    if have == 0:
        raise BadInput(f"--input {path}: it holds no samples; give one or more along the first dimension")
    count = have if count is None else count
    if not 1 <= count <= have:
        raise BadInput(f"--samples: {count} is not in 1 to {have}")
    labels = values.get("labels")
    if labels is not None and (labels.shape != (have,) or not np.issubdtype(labels.dtype, np.integer)):
        raise BadInput(f"--input {path}: labels are {labels.dtype} {list(labels.shape)}, integers {[have]} needed, one a sample")
    return {name: value[:count] for name, value in chosen.items()}, None if labels is None else labels[:count]


def random(compiled: Compiled, count: int, seed: int) -> Samples:
    """Seeded random inputs: codes over their whole range, floats of a normal distribution."""
    if count < 1:
        raise BadInput(f"--samples: {count} is not positive")
    rng = np.random.default_rng(seed)
    values = {}
    for binding in compiled.inputs:
        shape = (count, *binding.shape)
        if binding.tensor.format is Format.BF16:
            values[binding.name] = encode(rng.standard_normal(shape), Format.BF16)
        elif np.issubdtype(binding.dtype, np.integer):
            limits = np.iinfo(binding.dtype)
            values[binding.name] = rng.integers(limits.min, limits.max + 1, shape, dtype=binding.dtype)
        else:
            values[binding.name] = rng.standard_normal(shape).astype(binding.dtype)
    return values, None


def _stacked(binding: Binding, value: np.ndarray) -> np.ndarray:
    """The samples along a first dimension of their own."""
    shape = binding.shape
    if value.shape == shape:
        return value[None]
    if value.shape[1:] == shape:
        return value
    if shape[:1] == (1,) and value.shape[1:] == shape[1:]:
        return value[:, None]
    raise BadInput(f"input {binding.name}: shape {list(value.shape)} given, {list(shape)} needed, or samples of it along a first dimension")
