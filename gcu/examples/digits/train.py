"""Trains the digits network, quantises it to INT8 and writes `digits.onnx` beside this file: `python -m gcu.examples.digits.train`.

Weights are symmetric INT8 with a scale per output channel, activations UINT8 with zero point 0 (they follow a ReLU), the sum's second
operand and the scores INT8. The graph is in QDQ form. Seeds and split are fixed; the committed file is what the project runs.
"""

from pathlib import Path

import numpy as np
import onnx
import onnx.reference
from onnx import TensorProto, helper, numpy_helper

from gcu.examples.digits.data import load
from gcu.examples.digits.network import Network

__all__ = ["main"]

SEED = 7
EPOCHS = 120
BATCH = 64
PATH = Path(__file__).parent / "digits.onnx"


def _shifted(rng, images):
    """The batch, each image moved by up to one pixel."""
    moved = np.zeros_like(images)
    for i, (dy, dx) in enumerate(rng.integers(-1, 2, (len(images), 2))):
        moved[i, :, max(dy, 0) : 8 + min(dy, 0), max(dx, 0) : 8 + min(dx, 0)] = images[
            i, :, max(-dy, 0) : 8 + min(-dy, 0), max(-dx, 0) : 8 + min(-dx, 0)
        ]
    return moved


def train(images, labels) -> Network:
    """Adam on the cross entropy; images are float32 in 0 to 1."""
    rng = np.random.default_rng(SEED)
    network = Network(SEED)
    moments = {(id(layer), name): [0.0, 0.0] for layer in network.trainable for name in layer.parameters}
    step = 0
    for epoch in range(EPOCHS):
        rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = rng.permutation(len(images))
        for first in range(0, len(order), BATCH):
            chosen = order[first : first + BATCH]
            x = _shifted(rng, images[chosen])
            logits = network.forward(x)["logits"]
            chances = np.exp(logits - logits.max(1, keepdims=True))
            chances /= chances.sum(1, keepdims=True)
            chances[np.arange(len(chosen)), labels[chosen]] -= 1
            network.backward(chances / np.float32(len(chosen)))
            step += 1
            for layer in network.trainable:
                for name in layer.parameters:
                    value, grad = getattr(layer, name), getattr(layer, f"grad_{name}") + 1e-4 * getattr(layer, name)
                    moment = moments[id(layer), name]
                    moment[0] = 0.9 * moment[0] + 0.1 * grad
                    moment[1] = 0.999 * moment[1] + 0.001 * grad * grad
                    value -= (rate * (moment[0] / (1 - 0.9**step)) / (np.sqrt(moment[1] / (1 - 0.999**step)) + 1e-8)).astype(np.float32)
    return network


class _Graph:
    """Collects the nodes of a QDQ graph."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def dequantise(self, code, scale, zero, axis=None):
        """Float tensor of the codes `code`."""
        names = [code, self.constant(f"{code}_scale", np.asarray(scale, np.float32)), self.constant(f"{code}_zero", zero)]
        return self.node("DequantizeLinear", names, f"{code}_float", **({} if axis is None else {"axis": axis}))

    def activation(self, value, scale, dtype):
        """`value` rounded to codes of `dtype` with zero point 0, and back."""
        code = f"{value}_code"
        scale_name = self.constant(f"{code}_scale", np.float32(scale))
        zero = self.constant(f"{code}_zero", dtype(0))
        self.node("QuantizeLinear", [value, scale_name, zero], code)
        return self.node("DequantizeLinear", [code, scale_name, zero], f"{value}_rounded")

    def weights(self, name, values, bias, input_scale, axis):
        """Weight codes with a scale per output channel, and the INT32 bias in the accumulator's scale; names of both floats."""
        others = tuple(i for i in range(values.ndim) if i != axis)
        scale = (np.abs(values).max(others) / 127).astype(np.float32)
        shape = [1] * values.ndim
        shape[axis] = -1
        codes = np.clip(np.rint(values / scale.reshape(shape)), -127, 127).astype(np.int8)
        weight = self.dequantise(self.constant(f"{name}_weight", codes), scale, np.zeros(len(scale), np.int8), axis)
        bias_scale = (np.float32(input_scale) * scale).astype(np.float32)
        codes = np.rint(bias / bias_scale).astype(np.int32)
        return weight, self.dequantise(self.constant(f"{name}_bias", codes), bias_scale, np.zeros(len(scale), np.int32), 0)


def quantise(network: Network, images) -> onnx.ModelProto:
    """The QDQ model; activation ranges are those of `images`."""
    ranges = {name: np.abs(value).max() for name, value in network.forward(images).items()}
    unsigned = {name: np.float32(ranges[name] / 255) for name in ("a1", "a2", "a3")}
    signed = {name: np.float32(ranges[name] / 127) for name in ("c2", "logits")}
    graph = _Graph()
    image_scale = np.float32(1 / 16)
    value = graph.dequantise("image", image_scale, np.uint8(0))
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}

    weight, bias = graph.weights("conv1", network.conv1.w, network.conv1.b, image_scale, 0)
    value = graph.node("Relu", [graph.node("Conv", [value, weight, bias], "conv1", **conv)], "relu1")
    first = graph.activation(value, unsigned["a1"], np.uint8)
    weight, bias = graph.weights("conv2", network.conv2.w, network.conv2.b, unsigned["a1"], 0)
    value = graph.activation(graph.node("Conv", [first, weight, bias], "conv2", **conv), signed["c2"], np.int8)
    value = graph.node("Relu", [graph.node("Add", [first, value], "sum")], "relu2")
    value = graph.activation(value, unsigned["a2"], np.uint8)
    value = graph.node("MaxPool", [value], "pool1", **pool)
    value = graph.activation(value, unsigned["a2"], np.uint8)
    weight, bias = graph.weights("conv3", network.conv3.w, network.conv3.b, unsigned["a2"], 0)
    value = graph.node("Relu", [graph.node("Conv", [value, weight, bias], "conv3", **conv)], "relu3")
    value = graph.activation(value, unsigned["a3"], np.uint8)
    value = graph.node("MaxPool", [value], "pool2", **pool)
    value = graph.activation(value, unsigned["a3"], np.uint8)
    value = graph.node("Flatten", [value], "flat")
    value = graph.activation(value, unsigned["a3"], np.uint8)
    weight, bias = graph.weights("dense", network.dense.w, network.dense.b, unsigned["a3"], 1)
    value = graph.node("Gemm", [value, weight, bias], "dense")
    scale = graph.constant("scores_scale", signed["logits"])
    graph.node("QuantizeLinear", [value, scale, graph.constant("scores_zero", np.int8(0))], "scores")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "digits",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, 8, 8])],
            [helper.make_tensor_value_info("scores", TensorProto.INT8, ["N", 10])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 21)], producer_name="minigcu",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    """Trains, quantises, writes the file and prints the accuracy of both."""
    train_x, train_y, test_x, test_y = load()
    scale = np.float32(1 / 16)
    network = train(train_x * scale, train_y)
    exact = np.mean(network.forward(test_x * scale)["logits"].argmax(1) == test_y)
    model = quantise(network, train_x * scale)
    onnx.save(model, PATH)
    scores = onnx.reference.ReferenceEvaluator(model).run(None, {"image": test_x})[0]
    print(f"float32 {100 * exact:.2f} %, INT8 {100 * np.mean(scores.argmax(1) == test_y):.2f} % of {len(test_y)} test images")
    print(f"first 100: {100 * np.mean(scores[:100].argmax(1) == test_y[:100]):.0f} %; {PATH.name}: {PATH.stat().st_size} byte")


if __name__ == "__main__":
    main()
