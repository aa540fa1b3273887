"""Odd products with numbers that hurt: whole, and cut into tiles of M, N and K, they give the same bits. The pytest compares chips."""

import hashlib
import json
from random import Random

import cocotb
import numpy as np

from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Status
from verif.common.clock import start
from verif.common.params import params, rng
from verif.tensor.bench import CALM, Bench
from verif.tensor.checks import FLOATS, INTEGERS
from verif.tensor.operands import fill

_A, _B, _C, _D, _PARTS = 0x0000, 0x1000, 0x2000, 0x3000, 0x5000


def _shapes(random: Random, lanes: int) -> list[tuple[int, int, int]]:
    """M, N, K: ones, primes, and the edges of groups and columns."""
    edge = random.choice((lanes - 1, lanes + 1, 2 * lanes + 1)) or 1
    return [(1, 1, edge), (random.choice((7, 13)), random.choice((3, 5, 17)), random.choice((11, 19))), (5, 4, 4 * lanes)]


def _command(format: Format, d_format: Format, lanes: int, shape: tuple[int, int, int], mode: dict) -> dict:
    m, n, k = shape
    size, d_size = CONTAINER_BYTES[format], CONTAINER_BYTES[d_format]
    by_k, by_n = (size, k * size) if mode["transpose_b"] else (n * size, size)
    return {
        "mode": mode | {"a_format": format, "d_format": d_format}, "kh": 1, "kw": 1, "channels": k, "oh": 1, "ow": m, "n": n, "batch": 1,
        "a_base": _A, "a_c": m * size if mode["transpose_a"] else lanes * size, "a_ow": k * size,
        "a_kw": 0, "a_kh": 0, "a_oh": 0, "a_batch": 0,
        "b_base": _B, "b_k": by_n if mode["transpose_b"] else by_k, "b_batch": 0,
        "c_base": _C, "c_ow": 4 * n, "c_oh": 0, "c_batch": 0, "d_base": _D, "d_ow": n * d_size, "d_oh": 0, "d_batch": 0,
    }  # fmt: skip


def _cut(random: Random, size: int, unit: int) -> list[tuple[int, int]]:
    """(first, count) of tiles, whole units but for the last."""
    cuts = sorted(random.sample(range(unit, size, unit), min(random.randint(1, 2), len(range(unit, size, unit)))))
    return list(zip([0, *cuts], [b - a for a, b in zip([0, *cuts], [*cuts, size], strict=True)], strict=True))


def _tiles(random: Random, whole: dict, lanes: int) -> list[dict]:
    """The commands of a random tiling. Partial sums travel as FP32 or INT32 through C; the last K tile writes D's format."""
    mode = whole["mode"]
    size, d_size = CONTAINER_BYTES[mode["a_format"]], CONTAINER_BYTES[mode["d_format"]]
    m, n, k = whole["ow"], whole["n"], whole["channels"]
    by_m, by_k = (size, m * size) if mode["transpose_a"] else (k * size, size)
    b_by_k, b_by_n = (size, k * size) if mode["transpose_b"] else (n * size, size)
    partial = Format.INT32 if mode["a_format"] in INTEGERS else Format.FP32
    commands = []
    k_tiles = _cut(random, k, lanes)
    for n_first, n_count in _cut(random, n, 1):
        for m_first, m_count in _cut(random, m, 1):
            at = 4 * (m_first * n + n_first)
            for k_first, k_count in k_tiles:
                last = k_first + k_count == k
                tile = whole | {
                    "mode": mode | {"accumulate": int(k_first > 0) | mode["accumulate"], "d_format": mode["d_format"] if last else partial},
                    "ow": m_count, "n": n_count, "channels": k_count, "a_base": _A + m_first * by_m + k_first * by_k,
                    "b_base": _B + k_first * b_by_k + n_first * b_by_n, "c_base": (_PARTS if k_first else _C) + at,
                }  # fmt: skip
                d_base = _D + d_size * (m_first * n + n_first)
                commands.append(tile | ({"d_base": d_base} if last else {"d_base": _PARTS + at, "d_ow": 4 * n}))
    return commands


@cocotb.test()
async def tilings(dut):
    """Every product whole and tiled; writes the results' digest."""
    # Not the seed of the run: every chip and simulator gets the same products.
    random = Random(params()["products"])
    await start(dut, 2_000_000)
    bench = Bench(dut, "shapes", CALM)
    results = {}
    for format in (*FLOATS, *INTEGERS):
        lanes = bench.config.lanes(format)
        for number, shape in enumerate(_shapes(random, lanes)):
            d_format = Format.INT32 if format in INTEGERS else random.choice((Format.FP32, Format.FP16, Format.BF16))
            mode = {name: random.getrandbits(1) for name in ("transpose_a", "transpose_b", "accumulate", "skip_zero")}
            mode["align"] = random.choice((0, 0, 1, 2, 3))
            whole = _command(format, d_format, lanes, shape, mode)
            m, n, k = shape
            size = CONTAINER_BYTES[format]
            c_format = Format.INT32 if format in INTEGERS else Format.FP32
            for base, count, kind in ((_A, m * k * size, format), (_B, k * n * size, format), (_C, 4 * m * n, c_format)):
                fill(random, bench.memory, range(base, base + count), kind, zeros=kind is format and base == _A and mode["skip_zero"])
            spoil = rng(f"{format.name}{number}")
            found = []
            for commands in ([whole], *(_tiles(random, whole, lanes) for _ in range(params()["tilings"]))):
                bench.memory[_D:] = np.frombuffer(spoil.randbytes(len(bench.memory) - _D), np.uint8)
                for outcome in await bench.run(commands):
                    assert outcome.status is Status.OK
                found.append(bench.memory[_D : _D + m * n * CONTAINER_BYTES[d_format]].tobytes())
            assert len(set(found)) == 1, f"{format.name} {shape}: the bits depend on the tiling"
            results[f"{format.name} {m}x{n}x{k} {d_format.name} {mode}"] = hashlib.sha256(found[0]).hexdigest()
    with open("results.json", "w") as file:
        json.dump(results, file, indent=1)
