"""Generated models that the repository's tests compile and run."""

import numpy as np
import onnx

from verif.compiler.kit import Builder

__all__ = ["second_model"]


def second_model(seed: int) -> onnx.ModelProto:
    """A small network unlike the digits: QDQ and QLinear mixed, other shapes, strides, paddings and zero points, two heads.

    Input `image` is uint8 [1, 3, 11, 9]; outputs are `scores`, int8 [1, 7], and `map`, uint8 [1, 12, 3, 3]. 20,808 MACs.
    """
    rng = np.random.default_rng(seed)
    b = Builder(rng)
    scales = rng.uniform(0.02, 0.05, 5).astype(np.float32)
    zeros = [np.uint8(rng.integers(90, 160)), np.uint8(rng.integers(1, 30)), np.int8(rng.integers(-20, 20)), np.uint8(0), np.int8(5)]

    def spread(weights: np.ndarray, x_scale, y_scale, axis: int) -> np.ndarray:
        """Scales per channel that make codes of a deviation of some 30 out of random ones, whose deviation is 74."""
        depth = weights.size // weights.shape[axis]
        unit = 40 * y_scale / (x_scale * 74**2 * np.sqrt(depth))
        return (rng.uniform(0.5, 1, weights.shape[axis]) * unit).astype(np.float32)

    # A 3 x 2 convolution with two strides, asymmetric padding and a ReLU: QDQ.
    x = b.dequantise(b.input((1, 3, 11, 9), np.uint8, "image"), scales[0], zeros[0])
    weights = b.weights((8, 3, 3, 2))
    w_scale = spread(weights, scales[0], scales[1], 0)
    w = b.dequantise(b.constant(weights), w_scale, np.zeros(8, np.int8), 0)
    bias = b.constant(rng.integers(-3000, 3000, 8, dtype=np.int32))
    bias = b.dequantise(bias, (scales[0] * w_scale).astype(np.float32), np.zeros(8, np.int32), 0)
    first = b.node("Relu", b.node("Conv", x, w, bias, strides=[2, 1], pads=[1, 0, 0, 1]))
    first = b.quantise(first, scales[1], zeros[1])
    # A grouped, dilated convolution on the codes: QLinear, uint8 weights.
    weights = b.weights((8, 4, 3, 3), np.uint8)
    w_scale = spread(weights, scales[1], scales[2], 0)
    second = b.node(
        "QLinearConv", first, b.constant(scales[1]), b.constant(zeros[1]), b.constant(weights), b.constant(w_scale),
        b.constant(np.full(8, 128, np.uint8)), b.constant(scales[2]), b.constant(zeros[2]), group=2, dilations=[1, 2], pads=[1, 2, 1, 2],
    )
    # The residual sum, pooled with padding.
    total = b.node("Add", b.dequantise(first, scales[1], zeros[1]), b.dequantise(second, scales[2], zeros[2]))
    total = b.dequantise(b.quantise(b.node("Relu", total), scales[3], zeros[3]), scales[3], zeros[3])
    pooled = b.quantise(b.node("MaxPool", total, kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 0]), scales[3], zeros[3])
    # Two heads: a 1 x 1 convolution, and a product behind a Flatten.
    weights = b.weights((12, 8, 1, 1))
    w_scale = spread(weights, scales[3], scales[1], 0)
    b.node(
        "QLinearConv", pooled, b.constant(scales[3]), b.constant(zeros[3]), b.constant(weights), b.constant(w_scale),
        b.constant(np.zeros(12, np.int8)), b.constant(scales[1]), b.constant(zeros[1]), output="map",
    )
    flat = b.node("Flatten", b.dequantise(pooled, scales[3], zeros[3]))
    flat = b.dequantise(b.quantise(flat, scales[3], zeros[3]), scales[3], zeros[3])
    weights = b.weights((72, 7))
    scores = b.node("MatMul", flat, b.dequantise(b.constant(weights), spread(weights, scales[3], scales[4], 1), np.zeros(7, np.int8), 1))
    scores = b.node("Add", scores, b.constant(rng.uniform(-1, 1, 7).astype(np.float32)))
    b.quantise(scores, scales[4], zeros[4], "scores")
    return b.model({"scores": ((1, 7), np.int8), "map": ((1, 12, 3, 3), np.uint8)}, "second")
