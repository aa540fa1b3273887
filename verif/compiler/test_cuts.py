"""The same bits under any tiling: random layers and products in every format, cut at random."""

import numpy as np
import pytest

from compiler.compile import compile_graph
from compiler.cost import Cut
from compiler.errors import CompileError
from compiler.graph import Contraction, Graph, Tensor
from compiler.tiling import Plan, plan_cut
from gcu.operands import OUTPUTS, STORED, Operand, random
from rtl.config import PRESETS, ChipConfig
from rtl.formats import Format
from rtl.isa import Engine
from sim.golden.chip import GoldenChip
from verif.compiler.kit import execute
from verif.compiler.layers import random_conv
from verif.compiler.test_tiling import TINY, cramped


def random_cut(rng: np.random.Generator, kernel: Contraction, config: ChipConfig) -> Plan:
    """Any plan that fits: K at whole groups, everything else anywhere."""
    kh, kw, channels, outputs = kernel.extent
    lanes = config.lanes(kernel.x.format)
    while True:
        part = min(int(rng.integers(1, -(-channels // lanes) + 1)) * lanes, channels)
        chunks = (int(rng.integers(1, kh + 1)), kw, channels), (1, int(rng.integers(1, kw + 1)), channels), (1, 1, part)
        chunk = chunks[rng.choice(3)]
        single = kernel.batched or kernel.transpose_a or rng.random() < 0.5
        th = 1 if single else int(rng.integers(1, kernel.out.h + 1))
        tw = int(rng.integers(1, kernel.out.w + 1)) if th == 1 else kernel.out.w
        cut = Cut(*chunk, int(rng.integers(1, outputs // kernel.groups + 1)), th, tw, bool(rng.integers(2)))
        try:
            return plan_cut(kernel, config, cut)
        except CompileError:
            continue


FORMATS = [Format.FP32, Format.TF32, Format.FP16, Format.BF16, Format.INT8]


@pytest.mark.parametrize("format", FORMATS, ids=lambda f: f.name)
def test_any_tiling_gives_the_same_bits(format, monkeypatch):
    """Random layers and products, special values among the operands, under random tilings."""
    seen = []

    def compiled(kernel, config, rng=None):
        with monkeypatch.context() as patch:
            if rng is not None:
                patch.setattr("compiler.contraction.plan_contraction", lambda kernel, config: random_cut(rng, kernel, config))
            program = compile_graph(Graph("g", [kernel], list(kernel.inputs), [kernel.out]), config)
        return program

    for seed in range(4):
        rng = np.random.default_rng([seed, format.value])
        kernel, feeds = (product_kernel if seed % 3 == 0 else layer)(rng, format)
        whole = execute(compiled(kernel, PRESETS["small"]), [feeds])[0]["out"]
        for config in (PRESETS["small"], TINY, cramped(4096)):
            program = compiled(kernel, config, rng)
            chip = GoldenChip(config)
            found = execute(program, [feeds], chip)[0]["out"]
            np.testing.assert_array_equal(found.view(np.uint8), whole.view(np.uint8))
            seen.append(sum(entry.engine is Engine.TENSOR for entry in chip.trace))
    assert max(seen) > 20 > min(seen)


def operand(rng: np.random.Generator, format: Format, shape) -> np.ndarray:
    """In the type that the host gives."""
    return random(rng, Operand("x", format, int(np.prod(shape)), 1, False), 0.01).reshape(shape).view(STORED[format])


def layer(rng: np.random.Generator, format: Format) -> tuple[Contraction, dict]:
    """A convolution with a bias; its result in one of the formats that there are."""
    conv = random_conv(rng, size=(6, 5))
    result = OUTPUTS[format][0 if format is Format.INT8 else int(rng.integers(3))]
    x, out = Tensor("x", *conv.x[2:], conv.x[1], format, conv.x), Tensor("out", *conv.out[2:], conv.out[1], result, conv.out)
    weights = operand(rng, format, (*conv.weights[2:], *conv.weights[1::-1]))
    bias = rng.integers(-99, 99, conv.out[1]).astype(np.int32 if format is Format.INT8 else np.float32)
    kernel = Contraction(
        "layer", (), x, out, weights, bias, stride=conv.strides, pads=conv.pads, dilation=conv.dilations, groups=conv.groups,
    )
    return kernel, {"x": operand(rng, format, conv.x)}


def product_kernel(rng: np.random.Generator, format: Format) -> tuple[Contraction, dict]:
    """A product of two activations in a random storage order, one matrix or several."""
    h, m, n, k = (int(value) for value in (rng.choice([1, 3]), rng.integers(1, 19), rng.integers(1, 19), rng.integers(1, 40)))
    flip_a, flip_b = (bool(rng.integers(2)) for _ in range(2))
    a_shape, b_shape = (h, *((k, m) if flip_a else (m, k))), (h, *((n, k) if flip_b else (k, n)))
    x, y = Tensor("x", *a_shape, format, a_shape), Tensor("y", *b_shape, format, b_shape)
    out = Tensor("out", h, m, n, OUTPUTS[format][0], (h, m, n))
    kernel = Contraction("product", (), x, out, y=y, transpose_a=flip_a, transpose_b=flip_b)
    return kernel, {"x": operand(rng, format, a_shape), "y": operand(rng, format, b_shape)}
