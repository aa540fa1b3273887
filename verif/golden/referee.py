"""A tensor command on the bytes of L1, one element at a time, from the text of `rtl/isa.py`: it shares no code with the golden model.

Floating point by `verif/numerics/exact.py`, integers by Python's own. Slow: for products of some thousand groups.
"""

from collections.abc import Mapping

from rtl.formats import Format
from rtl.isa import AlignMode
from verif.numerics import exact

__all__ = ["DEFAULTS", "results"]

_BYTES = {Format.FP32: 4, Format.TF32: 4, Format.FP16: 2, Format.BF16: 2, Format.INT8: 1, Format.UINT8: 1}
_ALIGN = {AlignMode.RZ23: 23, AlignMode.RZ24: 24, AlignMode.RZ25: 25}

#: Words of a command that a caller need not name.
DEFAULTS = dict.fromkeys((
    "a_kw", "a_kh", "a_ow", "a_oh", "c_base", "c_ow", "c_oh", "d_oh", "a_batch", "b_batch", "c_batch", "d_batch",
), 0) | dict.fromkeys(("kh", "kw", "oh", "batch"), 1)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _operate(format: Format, a: list[int], b: list[int], c: int, align: int, toward_zero: bool) -> tuple[int, bool]:
    """One group; the second value is the sticky flag."""
    if format in (Format.INT8, Format.UINT8):
        left = a if format is Format.UINT8 else [_signed(x, 8) for x in a]
        total = _signed(c, 32) + sum(x * _signed(y, 8) for x, y in zip(left, b, strict=True))
        return total % 2**32, not -(2**31) <= total < 2**31
    if format is Format.FP32:
        return exact.fma(a[0], b[0], c), False
    return exact.dot(format, a, b, c, align, toward_zero), False


def results(
    memory: bytes, mode: Mapping, words: Mapping[str, int], *, lanes: int, align: int = 40,
) -> tuple[dict[tuple[int, int, int], int], dict[int, int], bool]:
    """Codes of the 32-bit results by (batch, m, n), bytes that D takes by address, and the sticky flag of INT8."""
    w = {**DEFAULTS, **words}
    format, size = mode["a_format"], _BYTES[mode["a_format"]]
    d_format = mode["d_format"]
    d_size = 2 if d_format in (Format.FP16, Format.BF16) else 4
    compatible = mode.get("align", AlignMode.OWN) in _ALIGN
    width = _ALIGN.get(mode.get("align", AlignMode.OWN), align)

    def read(address: int, count: int) -> int:
        assert 0 <= address and address + count <= len(memory)
        return int.from_bytes(memory[address : address + count], "little")

    def element_a(batch: int, oh: int, ow: int, kh: int, kw: int, channel: int) -> int:
        address = w["a_base"] + batch * w["a_batch"] + oh * w["a_oh"] + kh * w["a_kh"] + kw * w["a_kw"]
        if mode.get("transpose_a"):
            return read(address + ow * size + channel * w["a_c"], size)
        return read(address + ow * w["a_ow"] + channel // lanes * w["a_c"] + channel % lanes * size, size)

    def element_b(batch: int, k: int, n: int) -> int:
        along_k, along_n = (size, w["b_k"]) if mode.get("transpose_b") else (w["b_k"], size)
        return read(w["b_base"] + batch * w["b_batch"] + k * along_k + n * along_n, size)

    sums, stored, sticky = {}, {}, False
    for batch in range(w["batch"]):
        for oh in range(w["oh"]):
            for ow in range(w["ow"]):
                for n in range(w["n"]):
                    c = 0
                    if mode.get("accumulate"):
                        c = read(w["c_base"] + batch * w["c_batch"] + oh * w["c_oh"] + ow * w["c_ow"] + 4 * n, 4)
                    k = 0
                    for kh in range(w["kh"]):
                        for kw in range(w["kw"]):
                            for first in range(0, w["channels"], lanes):
                                group = range(first, min(first + lanes, w["channels"]))
                                a = [element_a(batch, oh, ow, kh, kw, channel) for channel in group]
                                b = [element_b(batch, k + offset, n) for offset in range(len(group))]
                                c, left = _operate(format, a, b, c, width, compatible)
                                sticky |= left
                                k += len(group)
                    sums[batch, oh * w["ow"] + ow, n] = c
                    code = c if d_format in (Format.FP32, Format.INT32) else exact.convert(c, Format.FP32, d_format)
                    place = w["d_base"] + batch * w["d_batch"] + oh * w["d_oh"] + ow * w["d_ow"] + n * d_size
                    stored |= {place + i: code >> 8 * i & 0xFF for i in range(d_size)}
    return sums, stored, sticky
