"""What a float tensor of the model is while lowering goes on, before it becomes memory, if it ever does."""

from dataclasses import dataclass

import numpy as np

from compiler.graph import Contraction, Tensor

__all__ = ["Codes", "Pending", "QuantisedConstant", "Sum", "Transposed"]


@dataclass(frozen=True)
class Codes:
    """A float tensor given by quantised codes, perhaps after a ReLU that hasn't been done yet."""

    tensor: Tensor
    relu: bool = False


@dataclass(frozen=True)
class QuantisedConstant:
    """DequantizeLinear of a constant; scale and zero point are scalars or run along `axis`."""

    codes: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    axis: int

    @property
    def centred(self) -> np.ndarray:
        """Codes less their zero point, as INT64."""
        return self.codes.astype(np.int64) - self._along(self.zero).astype(np.int64)

    @property
    def value(self) -> np.ndarray:
        """What the codes mean, as ONNX computes it in FP32."""
        return self.centred.astype(np.float32) * self._along(self.scale)

    @property
    def exact(self) -> np.ndarray:
        """What the codes mean, in FP64."""
        return self.centred.astype(np.float64) * self._along(self.scale).astype(np.float64)

    @property
    def transposed(self) -> "QuantisedConstant":
        return QuantisedConstant(self.codes.T, self.scale, self.zero, self.codes.ndim - 1 - self.axis)

    def _along(self, value: np.ndarray) -> np.ndarray:
        if value.size == 1:
            return value.reshape(())
        shape = [1] * self.codes.ndim
        shape[self.axis] = -1
        return value.reshape(shape)


@dataclass(frozen=True)
class Pending:
    """A contraction whose accumulators mean `scale` (per channel; None in FP32) times themselves."""

    kernel: Contraction
    scale: np.ndarray | None
    shape: tuple[int, ...]
    relu: bool = False


@dataclass(frozen=True)
class Sum:
    """Sum of two quantised tensors."""

    x: Tensor
    y: Tensor
    shape: tuple[int, ...]
    nodes: tuple[str, ...]
    relu: bool = False


@dataclass(frozen=True)
class Transposed:
    """A float tensor of two or three dimensions whose axes are in another order; a product reads it as it lies where it can."""

    tensor: Tensor
    axes: tuple[int, ...]
    nodes: tuple[str, ...]

    @property
    def is_matrix(self) -> bool:
        """Only the last two axes change places."""
        return self.axes == (*range(len(self.axes) - 2), len(self.axes) - 1, len(self.axes) - 2)
