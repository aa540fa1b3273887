"""`gcu gemm` on the golden model: every format, storage order, tiling and result against exact arithmetic; files; requantisation."""

import numpy as np
import pytest

from gcu.operands import DTYPES, OUTPUTS, STORED, Operand, random
from rtl.config import PRESETS
from rtl.formats import Format
from verif.front.kit import gcu
from verif.golden.referee import results

BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32}


def exact(format: Format, result: Format, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Codes of C by the referee of tensor commands."""
    m, k, n, e = a.shape[0], *b.shape, a.itemsize
    memory = a.tobytes() + b.tobytes()
    lanes = PRESETS["tiny"].lanes(format)
    words = dict(channels=k, ow=m, n=n, a_base=0, a_c=lanes * e, a_ow=k * e, b_base=a.nbytes, b_k=n * e, d_base=0, d_ow=n * 4)
    size = 2 if result in (Format.FP16, Format.BF16) else 4
    _, stored, _ = results(memory, {"a_format": format, "d_format": result}, words | {"d_ow": n * size}, lanes=lanes)
    return np.frombuffer(bytes(stored[i] for i in range(m * n * size)), BITS[size]).reshape(m, n)


def run(tmp_path, dtype: str, m: int, n: int, k: int, *options) -> np.ndarray:
    """C as it lies in the file."""
    file = tmp_path / "c.npy"
    answer = gcu("gemm", m, n, k, "--dtype", dtype, "--on", "golden", "--config", "tiny", "-o", file, "--json", "-", *options)
    assert answer.status == 0, answer.err
    return np.load(file)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, n, k", [(5, 7, 11), (17, 3, 13)])
def test_every_way_gives_the_exact_bits(dtype, m, n, k, tmp_path):
    """Special values among the operands; in L1 and through L3, in each storage order, whole and in tiles of several sizes."""
    format = DTYPES[dtype]
    rng = np.random.default_rng(m)
    a, b = (random(rng, Operand(name, format, *shape, False), 0.02) for name, shape in (("a", (m, k)), ("b", (k, n))))
    for result in OUTPUTS[format]:
        if result is Format.INT8:
            continue
        wanted = exact(format, result, a, b)
        lanes = PRESETS["tiny"].lanes(format)
        ways = [
            ["--transpose-a"] * ta + ["--transpose-b"] * tb + more
            for ta in (0, 1) for tb in (0, 1)
            for more in ([], ["--memory", "hbm"], ["--memory", "hbm", "--skip-zero", "--tile", f"{m - 1}x{n - 1}x{k - k % lanes or k}"])
        ]
        ways.append(["--memory", "hbm", "--tile", f"2x{n}x{lanes}"])
        for way in ways:
            for name, codes in (("a", a), ("b", b)):
                stored = np.ascontiguousarray(codes.T) if f"--transpose-{name}" in way else codes
                np.save(tmp_path / f"{name}.npy", stored.view(STORED[format]))
            found = run(
                tmp_path, dtype, m, n, k, "--a", tmp_path / "a.npy", "--b", tmp_path / "b.npy", "--out-dtype", result.name.lower(), *way,
            )
            assert found.dtype == STORED[result]
            np.testing.assert_array_equal(found.view(wanted.dtype), wanted, err_msg=str(way))


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_operands_do_not_depend_on_their_storage(dtype, tmp_path):
    first = run(tmp_path, dtype, 6, 5, 9, "--special", 0.05, "--seed", 4)
    for way in (["--transpose-a"], ["--transpose-b", "--memory", "hbm"]):
        found = run(tmp_path, dtype, 6, 5, 9, "--special", 0.05, "--seed", 4, *way)
        np.testing.assert_array_equal(found.view(np.uint8), first.view(np.uint8))
    other = run(tmp_path, dtype, 6, 5, 9, "--seed", 4)
    assert (other.view(np.uint8) != first.view(np.uint8)).any()


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "int8"])
def test_special_operands(dtype):
    """The drawn share has every class, and without it all numbers are normal."""
    format = DTYPES[dtype]
    operand = Operand("a", format, 200, 100, False)
    wide = random(np.random.default_rng(1), operand, 0.1)
    if format is Format.BF16:
        wide = wide.astype(np.uint32) << 16
    elif format is Format.TF32:
        wide = wide & 0xFFFFE000
    with np.errstate(invalid="ignore"):  # a signalling NaN
        values = wide.view(np.float16 if format is Format.FP16 else np.float32).astype(np.float64)
    least = 2.0**-14 if format is Format.FP16 else 2.0**-126
    counts = [np.isnan(values).sum(), np.isinf(values).sum(), (values == 0).sum(), ((values != 0) & (np.abs(values) < least)).sum()]
    assert min(counts) > 100 and 1500 < sum(counts) < 2500, counts
    plain = random(np.random.default_rng(1), operand, 0.0)
    if format is Format.TF32:
        assert not (plain & 0x1FFF).any(), "rounded to the format"


@pytest.mark.parametrize("memory", ("ideal", "hbm"))
@pytest.mark.parametrize("scale", (None, 0.0078125, 0.0123))
def test_requantised(memory, scale, tmp_path):
    rng = np.random.default_rng(3)
    a, b = rng.integers(-128, 128, (9, 21), dtype=np.int8), rng.integers(-128, 128, (21, 6), dtype=np.int8)
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    more = [] if scale is None else ["--scale", scale]
    where = "--a", tmp_path / "a.npy", "--b", tmp_path / "b.npy", "--memory", memory
    found = run(tmp_path, "int8", 9, 6, 21, *where, "--out-dtype", "int8", *more)
    product = (a.astype(np.int32) @ b.astype(np.int32)).astype(np.float32) * np.float32(1 if scale is None else scale)
    np.testing.assert_array_equal(found, np.clip(np.rint(product), -128, 127).astype(np.int8))
    assert found.dtype == np.int8
