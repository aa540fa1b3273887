"""Golden tensor core against the referee, bit for bit: every format, odd shapes, convolutions, transposes, special values, overflow."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.assembler import Program
from rtl.config import PRESETS
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import AlignMode, Engine, Status
from sim.golden import tensor
from sim.golden.chip import GoldenChip
from sim.job import JobResult
from verif.golden.kit import TINY, command_words, launch, put, take
from verif.golden.referee import results
from verif.numerics.operands import mixed, random_codes

FLOATS = (Format.FP32, Format.TF32, Format.FP16, Format.BF16)
FORMATS = (*FLOATS, Format.INT8, Format.UINT8)
by_format = pytest.mark.parametrize("format", FORMATS, ids=lambda f: f.name)


def operands(rng: np.random.Generator, format: Format, shape) -> np.ndarray:
    """Codes: of floating point with corners and planted rows of zeros of both signs, of integers with the ends of the range."""
    if format in FLOATS:
        codes = mixed(rng, format, shape)
        zero = rng.random(shape[:1]) < 0.2
        codes[zero] = rng.choice(np.array([0, 1 << 8 * codes.itemsize - 1], codes.dtype), codes[zero].shape)
        return codes
    ends = rng.choice(np.array([0x80, 0x7F, 0xFF, 0], np.uint8), shape)
    return np.where(rng.random(shape) < 0.3, ends, random_codes(rng, Format.INT8, shape))


def random_command(rng: np.random.Generator, format: Format, config) -> tuple[dict, dict, np.ndarray]:
    """Mode, words, and an L1 that is full of operands."""
    e, lanes = CONTAINER_BYTES[format], config.lanes(format)
    m_h, m_w, n = (int(rng.choice([1, 1, 2, 3, 5])) for _ in range(3))
    n = int(rng.choice([1, n, config.pe_columns - 1, config.pe_columns, config.pe_columns + 1]))
    kh, kw = (int(rng.choice([1, 1, 1, 2, 3])) for _ in range(2))
    channels = int(rng.choice([1, 2, 3, lanes - 1 or 1, lanes, lanes + 1, 2 * lanes + 1, 11]))
    batch = int(rng.choice([1, 1, 2]))
    integer = format not in FLOATS
    d_format = Format.INT32 if integer else FLOATS[int(rng.choice([0, 2, 3]))]
    d = CONTAINER_BYTES[d_format]
    transpose_a, transpose_b, accumulate = (int(rng.integers(2)) for _ in range(3))
    mode = {
        "a_format": format, "d_format": d_format, "transpose_a": transpose_a, "transpose_b": transpose_b, "accumulate": accumulate,
        "skip_zero": int(rng.integers(2)), "align": AlignMode(int(rng.choice([0, 0, 1, 2, 3]))),
    }
    depth, area = kh * kw * channels, m_h * m_w
    # An image of pixels with room between them; windows overlap. A stride may be negative: the base is then in the middle.
    pixel = e * (channels + int(rng.integers(3)))
    row = pixel * (m_w + kw)
    sign = [int(rng.choice([1, -1])) for _ in range(3)]
    middle = 8192
    words = dict(
        kh=kh, kw=kw, channels=channels, ow=m_w, oh=m_h, n=n, batch=batch, a_base=middle, a_c=lanes * e, a_kw=pixel, a_kh=row * sign[0],
        a_ow=pixel, a_oh=row * sign[1], a_batch=e * int(rng.integers(-9, 9)), b_base=16384 - e * int(rng.integers(4)), b_k=n * e * sign[2],
        b_batch=depth * n * e, c_base=20480, c_ow=4 * n, c_oh=4 * n * m_w, c_batch=4 * n * area, d_base=24576, d_ow=d * n, d_oh=d * n * m_w,
        d_batch=d * n * area,
    )
    if transpose_a:
        words |= dict(a_ow=int(rng.integers(-5, 5)), a_c=e * (m_w + kw) * sign[2], a_kw=e, a_kh=e * sign[0], a_oh=e * (m_w + kw))
    if transpose_b:
        words["b_k"] = depth * e * sign[2]
    if rng.random() < 0.3:
        words |= dict(c_ow=0, c_oh=0, c_batch=0)
    l1 = np.zeros(config.l1_bytes, np.uint8)
    l1[:20480] = operands(rng, format, (20480 // e // 8, 8)).reshape(-1).view(np.uint8)
    sums = random_codes(rng, Format.FP32, 1024) if integer else mixed(rng, Format.FP32, 1024)
    l1[20480:24576] = np.where(rng.random(1024) < 0.2, np.uint32(0x80000000 if not integer else 0x7FFFFFF0), sums).view(np.uint8)
    return mode, words, l1


@by_format
def test_random_commands(format, seed):
    rng = np.random.default_rng([seed, format.value])
    seen = set()
    for number in range(90):
        config = (TINY, PRESETS["small"], replace(TINY, name="four", int8_lanes=4, align=33))[number % 3]
        mode, words, l1 = random_command(rng, format, config)
        _, stored, sticky = results(l1.tobytes(), mode, words, lanes=config.lanes(format), align=config.align)
        wanted = l1.copy()
        for address, value in stored.items():
            wanted[address] = value
        outcome = tensor.run(config, command_words(Engine.TENSOR, mode=mode, **words), l1)
        assert (outcome.status, outcome.overflow) == (Status.OK, sticky), (mode, words)
        differ = np.flatnonzero(l1 != wanted)
        assert not len(differ), f"{len(differ)} byte, the first at {differ[0]:#x}: {mode} {words}"
        seen |= {(name, bool(mode[name])) for name in ("transpose_a", "transpose_b", "accumulate", "skip_zero")}
        seen.add(("sticky", sticky))
    assert len(seen) == (10 if format in (Format.INT8, Format.UINT8) else 9)


def dense(mode: dict, m: int, n: int, k: int, lanes: int) -> dict:
    """Words of a dense product at 0 (A), 0x4000 (B), 0x6000 (D), in the storage order that the mode says."""
    e, d = CONTAINER_BYTES[mode["a_format"]], CONTAINER_BYTES[mode["d_format"]]
    return dict(
        kh=1, kw=1, channels=k, ow=m, oh=1, n=n, batch=1, a_base=0, a_c=m * e if mode.get("transpose_a") else lanes * e, a_ow=k * e,
        b_base=0x4000, b_k=k * e if mode.get("transpose_b") else n * e, d_base=0x6000, d_ow=n * d,
    )


@by_format
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (17, 17, 13), (3, 5, 31), (2, 3, 67), (7, 1, 16), (1, 16, 33)])
def test_odd_shapes_in_every_storage_order(format, m, n, k, seed):
    """Primes, ones and edges: dense products with A and B stored either way have the same bits, those of the referee."""
    rng = np.random.default_rng([seed, format.value, m])
    a, b = operands(rng, format, (m, k)), operands(rng, format, (k, n))
    wanted = None
    for transpose_a in (0, 1):
        for transpose_b in (0, 1):
            mode = {"a_format": format, "d_format": Format.FP32 if format in FLOATS else Format.INT32}
            mode |= {"transpose_a": transpose_a, "transpose_b": transpose_b}
            l1 = np.zeros(TINY.l1_bytes, np.uint8)
            for place, codes in ((0, a.T if transpose_a else a), (0x4000, b.T if transpose_b else b)):
                raw = np.ascontiguousarray(codes).reshape(-1).view(np.uint8)
                l1[place : place + len(raw)] = raw
            words = dense(mode, m, n, k, TINY.lanes(format))
            if wanted is None:
                sums, _, _ = results(l1.tobytes(), mode, words, lanes=TINY.lanes(format))
                wanted = np.array([sums[0, i, j] for i in range(m) for j in range(n)], np.uint32).view(np.int32).reshape(m, n)
            assert tensor.run(TINY, command_words(Engine.TENSOR, mode=mode, **words), l1).status is Status.OK
            np.testing.assert_array_equal(take(l1, 0x6000, (m, n), Format.INT32), wanted)


@pytest.mark.parametrize("c, k, left", [
    (2**31 - 1, 1, False), (2**31 - 1, 2, False), (2**31 - 100, 8, False), (-(2**31), 8, True), (2**31 - 1, 16, True), (0, 4000, False),
])
def test_sticky_flag(c, k, left):
    """A first product of -1, then of 1 (of -1 with a negative C): the flag looks at whole groups, not at the order inside."""
    a = np.full((1, k), -1)
    a[:, 1:] = 1 if c >= 0 else -1
    l1 = np.zeros(TINY.l1_bytes, np.uint8)
    put(l1, 0, a, Format.INT8)
    put(l1, 0x4000, np.ones((k, 1)), Format.INT8)
    put(l1, 0x5000, [c], Format.INT32)
    mode = {"a_format": Format.INT8, "d_format": Format.INT32, "accumulate": 1}
    words = dense(mode, 1, 1, k, 8) | dict(c_base=0x5000)
    assert results(l1.tobytes(), mode, words, lanes=8)[2] is left
    assert tensor.run(TINY, command_words(Engine.TENSOR, mode=mode, **words), l1).overflow is left


def test_overflow_register():
    """A bit per SIP that stays over jobs until the host clears it; commands to the vector engine set it too."""
    config = replace(PRESETS["i20_slice"], name="two", sips=2, l2_bytes=1 << 20, dram_rows=64)
    mode = {"a_format": Format.UINT8, "d_format": Format.INT32, "accumulate": 1}

    def program(to_vector: int) -> Program:
        p = Program()
        p.set(Engine.TENSOR, mode={**mode, "to_vector": to_vector}, **dense(mode, 1, 1, 8, 8), c_base=0x5000)
        p.run(Engine.TENSOR)
        if to_vector:
            p.set(Engine.VECTOR, mode={"x_format": Format.INT32, "z_format": Format.INT32, "from_tensor": 1}, n=1, ow=1, oh=1, kw=1, kh=1,
                  z_base=0x6000)
            p.run(Engine.VECTOR)
        p.end()
        return p

    chip = GoldenChip(config)
    for l1 in chip.l1:
        put(l1, 0, np.full(8, 255), Format.UINT8)
        put(l1, 0x4000, np.full(8, 127), Format.INT8)
    put(chip.l1[1], 0x5000, [2**31 - 8 * 255 * 127], Format.INT32)
    assert launch(chip, {0: program(0)}) == JobResult(Status.OK)
    assert launch(chip, {0: program(0), 1: program(1)}) == JobResult(Status.OK, overflow=2)
    assert take(chip.l1[1], 0x6000, (1,), Format.INT32) == -(2**31)
    assert launch(chip, {0: program(1)}).overflow == chip.overflow == 2
    chip.clear_overflow()
    assert launch(chip, {0: program(0)}).overflow == chip.overflow == 0
