"""Random chains of tensor operations, and running planned passes on the golden data engine."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from compiler.element import ELEMENTS, Element
from compiler.tensor_move import Pass
from rtl.config import PRESETS
from rtl.isa import Engine, Space
from sim.golden import data_engine
from sim.golden.outcome import Outcome
from verif.golden.kit import command_words

__all__ = ["CONVERTIBLE", "chains", "draw_op", "random_codes", "run"]

CONVERTIBLE = ("fp32", "fp16", "bf16", "tf32", "int8", "int32")
_CONFIG = replace(PRESETS["tiny"], l1_bytes=1 << 18)
_OPS = ("slice", "deslice", "transpose", "pad", "mirror", "broadcast", "fill", "gather", "convert")


def random_codes(seed: int, shape: Sequence[int], element: Element) -> np.ndarray:
    """Any codes: infinities, NaNs and subnormals too."""
    kind = np.dtype(f"u{element.bytes}")
    return np.random.default_rng(seed).integers(0, 1 << 8 * element.bytes, tuple(shape), np.uint64).astype(kind)


def draw_op(draw, name: str, shape: list[int], element: Element) -> tuple[dict[str, Any], list[int], Element]:
    """A valid operation on a tensor of this shape, and the shape and type behind it."""
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    value = draw(st.sampled_from([0, 1, -0.3, 1e30, float("inf"), float("nan")] if element.floating else [0, 1, 5]))
    op: dict[str, Any] = {"op": name}
    match name:
        case "slice":
            size = [number(1, 6) for _ in shape]
            stride = [draw(st.sampled_from([1, 1, 2, 3, -1])) for _ in shape]
            op |= {"offset": [number(-3, n + 2) for n in shape], "size": size, "stride": stride, "fill": value}
            return op, size, element
        case "deslice":
            into = [n + number(0, 3) for n in shape]
            offset = [number(0, wide - n) for n, wide in zip(shape, into, strict=True)]
            return op | {"offset": offset, "into": into, "value": value}, into, element
        case "transpose":
            axes = draw(st.permutations(range(len(shape))))
            return op | {"axes": axes}, [shape[axis] for axis in axes], element
        case "pad":
            interior = [draw(st.sampled_from([0, 0, 1, 2])) for _ in shape]
            spread = [(n - 1) * (gaps + 1) + 1 for n, gaps in zip(shape, interior, strict=True)]
            low = [number(-1 if n > 2 else 0, 3) for n in spread]
            high = [number(-1 if n > 2 else 0, 3) for n in spread]
            op |= {"low": low, "high": high, "interior": interior, "value": value}
            return op, [a + n + b for a, n, b in zip(low, spread, high, strict=True)], element
        case "mirror":
            return op | {"axes": draw(st.lists(st.integers(0, len(shape) - 1), unique=True))}, shape, element
        case "broadcast":
            wide = [number(1, 3) if n == 1 else n for n in shape]
            wide = [*(number(1, 3) for _ in range(number(0, 5 - len(shape)))), *wide]
            return op | {"shape": wide}, wide, element
        case "fill":
            size = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
            return op | {"shape": size, "value": value}, size, element
        case "gather":
            axis = number(0, len(shape) - 1)
            indices = draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=6))
            return op | {"axis": axis, "indices": indices}, [len(indices) if a == axis else n for a, n in enumerate(shape)], element
        case "im2col":
            kernel, dilation = [number(1, 3), number(1, 3)], [number(1, 2), number(1, 2)]
            spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
            need = [max(0, span - n) for span, n in zip(spans, shape[1:3], strict=True)]
            pad = [number(0, 2), number(0, 2), number(0, 2) + need[0], number(0, 2) + need[1]]
            stride = [number(1, 3), number(1, 3)]
            op |= {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad, "value": value}
            rows = [(n + a + b - span) // s + 1 for n, a, b, span, s in zip(shape[1:3], pad[:2], pad[2:], spans, stride, strict=True)]
            return op, [shape[0] * rows[0] * rows[1], kernel[0] * kernel[1] * shape[3]], element
        case "convert":
            dtype = draw(st.sampled_from(CONVERTIBLE))
            return op | {"dtype": dtype}, shape, ELEMENTS[dtype]
    raise AssertionError(name)


@st.composite
def chains(draw, names: Sequence[str] | None = None, longest: int = 4):
    """(operations as JSON, shape, type, seed of the input). `names` gives the operations; else any, of which some don't fuse."""
    rank = 4 if names and "im2col" in names else draw(st.integers(1, 5))
    shape = draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank))
    if names is None:
        names = draw(st.lists(st.sampled_from(_OPS), min_size=1, max_size=longest))
    converts = "convert" in names
    dtype = draw(st.sampled_from(CONVERTIBLE if converts else ("int8", "uint16", "fp32", "bf16")))
    element, ops, now = ELEMENTS[dtype], [], list(shape)
    for name in names:
        if np.prod(now) > 3000:
            break
        op, now, element = draw_op(draw, name, now, element)
        ops.append(op)
    return ops, shape, ELEMENTS[dtype], draw(st.integers(0, 2**32 - 1))


def run(planned: Sequence[Pass], codes: np.ndarray) -> np.ndarray:
    """Codes of the result. What stands around it in memory is checked to be as it was."""
    for one in planned:
        spaces = {Space.L1: np.full(1 << 18, 0xA5, np.uint8), Space.L2: np.zeros(16, np.uint8), Space.L3: np.zeros(1 << 19, np.uint8)}
        raw = np.ascontiguousarray(codes).reshape(-1).view(np.uint8)
        spaces[Space.L3][: len(raw)] = raw
        index, target = 1 << 17, 4096  # the input, then the list; room around the result
        if one.entries is not None:
            spaces[Space.L3][index : index + 4 * len(one.entries)] = one.entries.view(np.uint8)
        for command in one.commands:
            words = dict(command.words)
            mode = command.mode | {"source": Space.L3, "destination": Space.L1}
            if command.mode.get("gather"):
                words["index_base"], mode["index"] = index + command.index, Space.L3
            words = command_words(Engine.DATA, mode=mode, src_base=command.source, dst_base=target + command.target, **words)
            outcome = data_engine.run(_CONFIG, words, spaces, (0, 1 << 19))
            assert outcome == Outcome(), outcome
        codes = spaces[Space.L1][target : target + one.target_bytes].view(f"u{one.tensor.element.bytes}").reshape(one.tensor.shape).copy()
        spaces[Space.L1][target : target + one.target_bytes] = 0xA5
        assert (spaces[Space.L1] == 0xA5).all(), "bytes outside of the result were written"
    return codes

