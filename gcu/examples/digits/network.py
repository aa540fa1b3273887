"""A small convolutional network in numpy, with the gradients that its training needs. NCHW, float32."""

import numpy as np

__all__ = ["Conv", "Dense", "MaxPool", "Network", "Relu"]


class Conv:
    """3 x 3 convolution, stride 1, padding 1, with bias."""

    def __init__(self, rng, inputs: int, outputs: int):
        self.w = (rng.standard_normal((outputs, inputs, 3, 3)) * np.sqrt(2 / (9 * inputs))).astype(np.float32)
        self.b = np.zeros(outputs, np.float32)
        self.parameters = ["w", "b"]

    def forward(self, x):
        n, c, h, w = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        self.columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * 9)
        self.shape = x.shape
        out = self.columns @ self.w.reshape(len(self.w), -1).T + self.b
        return out.reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def backward(self, grad):
        n, c, h, w = self.shape
        flat = grad.transpose(0, 2, 3, 1).reshape(n * h * w, -1)
        self.grad_w = (flat.T @ self.columns).reshape(self.w.shape)
        self.grad_b = flat.sum(0)
        columns = (flat @ self.w.reshape(len(self.w), -1)).reshape(n, h, w, c, 3, 3)
        padded = np.zeros((n, c, h + 2, w + 2), np.float32)
        for i in range(3):
            for j in range(3):
                padded[:, :, i : i + h, j : j + w] += columns[..., i, j].transpose(0, 3, 1, 2)
        return padded[:, :, 1:-1, 1:-1]


class Relu:
    parameters: list[str] = []

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask


class MaxPool:
    """2 x 2, stride 2."""

    parameters: list[str] = []

    def forward(self, x):
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
        out = blocks.max((3, 5), keepdims=True)
        self.mask = blocks == out
        self.shape = x.shape
        return out[:, :, :, 0, :, 0]

    def backward(self, grad):
        return (self.mask * grad[:, :, :, None, :, None]).reshape(self.shape)


class Dense:
    def __init__(self, rng, inputs: int, outputs: int):
        self.w = (rng.standard_normal((inputs, outputs)) * np.sqrt(1 / inputs)).astype(np.float32)
        self.b = np.zeros(outputs, np.float32)
        self.parameters = ["w", "b"]

    def forward(self, x):
        self.shape = x.shape
        self.x = x.reshape(len(x), -1)
        return self.x @ self.w + self.b

    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        self.grad_b = grad.sum(0)
        return (grad @ self.w.T).reshape(self.shape)


class Network:
    """conv 16, then a residual conv 16, pool, conv 32, pool, dense 10."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.conv1, self.conv2, self.conv3 = Conv(rng, 1, 16), Conv(rng, 16, 16), Conv(rng, 16, 32)
        self.dense = Dense(rng, 128, 10)
        self.relu1, self.relu2, self.relu3 = Relu(), Relu(), Relu()
        self.pool1, self.pool2 = MaxPool(), MaxPool()
        self.trainable = [self.conv1, self.conv2, self.conv3, self.dense]

    def forward(self, x) -> dict[str, np.ndarray]:
        """Every activation by name, the scores under `logits`."""
        a1 = self.relu1.forward(self.conv1.forward(x))
        c2 = self.conv2.forward(a1)
        a2 = self.relu2.forward(a1 + c2)
        p1 = self.pool1.forward(a2)
        a3 = self.relu3.forward(self.conv3.forward(p1))
        p2 = self.pool2.forward(a3)
        return {"a1": a1, "c2": c2, "a2": a2, "p1": p1, "a3": a3, "p2": p2, "logits": self.dense.forward(p2)}

    def backward(self, grad):
        grad = self.pool2.backward(self.dense.backward(grad))
        grad = self.pool1.backward(self.conv3.backward(self.relu3.backward(grad)))
        grad = self.relu2.backward(grad)
        self.conv1.backward(self.relu1.backward(grad + self.conv2.backward(grad)))
