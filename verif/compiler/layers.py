"""Random layers: shapes that a generated model is made of."""

from dataclasses import dataclass

import numpy as np

from verif.compiler.reference import same_pads

__all__ = ["ConvShape", "random_conv"]


@dataclass(frozen=True)
class ConvShape:
    """A convolution; `pads` are those that `auto_pad` stands for where it isn't NOTSET."""

    x: tuple[int, int, int, int]
    weights: tuple[int, int, int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    groups: int
    auto_pad: str

    @property
    def out(self) -> tuple[int, int, int, int]:
        spatial = [
            (self.x[2 + i] + self.pads[i] + self.pads[2 + i] - (self.weights[2 + i] - 1) * self.dilations[i] - 1) // self.strides[i] + 1
            for i in range(2)
        ]
        return (1, self.weights[0], *spatial)

    @property
    def attributes(self) -> dict:
        attributes = {"strides": self.strides, "dilations": self.dilations, "group": self.groups, "kernel_shape": self.weights[2:]}
        return attributes | ({"pads": self.pads} if self.auto_pad == "NOTSET" else {"auto_pad": self.auto_pad})

    @property
    def geometry(self) -> dict:
        return {"strides": self.strides, "pads": self.pads, "dilations": self.dilations}


def random_conv(rng: np.random.Generator, channels: int | None = None, size: tuple[int, int] | None = None) -> ConvShape:
    """Any kernel, stride, dilation, padding (also asymmetric) and grouping that gives at least one output."""
    while True:
        h, w = size or rng.integers(1, 13, 2).tolist()
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        if channels is None:
            inputs = groups * int(rng.integers(1, 12))
        else:
            inputs, groups = channels, groups if channels % groups == 0 else 1
        if rng.random() < 0.1:
            groups = inputs
        outputs = groups * int(rng.integers(1, 1 + max(1, 20 // groups)))
        kh, kw = rng.integers(1, 5, 2).tolist()
        strides, dilations = rng.integers(1, 4, 2).tolist(), rng.integers(1, 3, 2).tolist()
        mode = str(rng.choice(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
        if mode == "NOTSET":
            pads = [int(rng.integers(0, k + 1)) for k in (kh, kw, kh, kw)]
        elif mode == "VALID":
            pads = [0, 0, 0, 0]
        else:
            ends = [same_pads(s, k, t, d, mode == "SAME_UPPER") for s, k, t, d in zip((h, w), (kh, kw), strides, dilations, strict=True)]
            pads = [ends[0][0], ends[1][0], ends[0][1], ends[1][1]]
        shape = ConvShape(
            (1, inputs, h, w), (outputs, inputs // groups, kh, kw), tuple(strides), tuple(dilations), tuple(pads), groups, mode,
        )
        if min(shape.out) >= 1:
            return shape
