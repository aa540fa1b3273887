"""Tensor commands that break each rule, and some at the edge that break none."""

import random

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import Format
from verif.tensor.checks import box, used
from verif.tensor.commands import good

__all__ = ["HOSTILE", "hostile"]

_OPERANDS = ("a", "b", "c", "d")
#: The code of a format that no enum has.
_UNDEFINED = 7


def _mode(**fields):
    return lambda rng, config, command: command["mode"].update(fields)


def _words(**fields):
    return lambda rng, config, command: command.update(fields)


def _use(command: dict, **mode):
    """Makes a command use all operands; those that it did not have get harmless words."""
    before = used(command)
    command["mode"].update(accumulate=1, to_vector=0)
    for operand in used(command):
        if operand not in before:
            command.update({word: 0 for word in command if word.startswith(f"{operand}_")})
    command["mode"].update(mode)


def _misalign(operand: str):
    """A base or a stride that isn't a multiple of its element."""

    def change(rng, config, command):
        wide = rng.getrandbits(1)
        formats = {"a_format": Format.FP32} if wide else {"a_format": Format.FP16} if config.lanes(Format.FP16) else {}
        _use(command)
        if formats:
            # Whatever strides the command had: even multiples of the widest element.
            command.update({word: command[word] // 4 * 4 for word in command if word[:2] in ("a_", "b_", "c_", "d_") and word != "a_ow"})
            command["mode"].update(formats, d_format=Format.FP16)
        ignored = {"a_ow"} if command["mode"]["transpose_a"] else set()
        name = rng.choice([name for name in command if name.startswith(f"{operand}_") and name not in ignored])
        command[name] += 1 if operand == "d" or not wide else rng.randint(1, 3)

    return change


def _ignored_stride(rng, config, command):
    """Nothing is wrong: a transposed A has its rows side by side, whatever `a_ow` says."""
    if command["mode"]["transpose_a"]:
        command["a_ow"] = rng.choice((1, 3, -1, (1 << 31) - 1, -(1 << 31)))


def _outside(operand: str, below: bool, **mode):
    """Out by one element, or far out."""

    def change(rng, config, command):
        _use(command, **mode)
        at = f"{operand}_base"
        if below:
            transposed = command["mode"].get(f"transpose_{operand}")
            ignored = {"a_ow"} if transposed else set()
            stride = rng.choice([name for name in command if name.startswith(f"{operand}_") and name not in {at} | ignored])
            command[stride] = -4 * rng.choice((1 << 13, 1 << 20, 1 << 29))
            size = {"a_c": "channels", "b_k": "n" if transposed else "kh"}.get(stride, stride[2:])
            command[size] = max(command[size], 17 if stride == "a_c" else 2)
        else:
            _, high = box(config, command, operand)
            far = rng.choice((4, 4, 4096, 0xFFFF0000 - config.l1_bytes))
            command[at] = (config.l1_bytes - 1 - high) // 4 * 4 + far
            command[at] %= 1 << 32

    return change


def _end(operand: str, top: bool, missing: int, **mode):
    """The box of A or B against an end of L1, to the byte: fits, or misses by one. Of A that isn't transposed, the stride of the groups
    decides which group reaches furthest."""

    def change(rng, config, command):
        command["mode"].update(a_format=Format.INT8, d_format=Format.INT32, to_vector=1, **mode)
        lanes = config.lanes(Format.INT8)
        command.update(channels=lanes * rng.randint(1, 3) + rng.randint(1, lanes - 1), kh=1, kw=1, batch=1)
        command["a_c"] = rng.randint(-2, lanes + 1) if top else rng.randint(-lanes - 1, -1)
        command["b_k"] = rng.choice((1, -1, 7, -7))
        command.update(a_ow=rng.randint(-9, 9), a_oh=rng.randint(-9, 9))
        for other in "ab":
            low, _ = box(config, command, other)
            command[f"{other}_base"] = -low
        low, high = box(config, command, operand)
        command[f"{operand}_base"] = config.l1_bytes - 1 - high + missing if top else -low - missing
        command[f"{operand}_base"] %= 1 << 32

    return change


_BIG = (0, 65536, 65537, 0x80000001, 0xFFFFFFFF)
#: Changes to a good command by the rule that they break. Some break none, on purpose: at the edge.
HOSTILE = {
    "format": [_mode(a_format=f) for f in (Format.INT32, _UNDEFINED)],
    "d_format": [_mode(a_format=Format.FP32, d_format=f) for f in (Format.TF32, Format.INT8, Format.INT32, Format.UINT8, _UNDEFINED)]
    + [_mode(a_format=Format.FP16, d_format=f) for f in (Format.TF32, Format.INT32)]
    + [_mode(a_format=f, d_format=d) for f, d in ((Format.TF32, Format.INT32), (Format.BF16, Format.INT8))]
    + [_mode(a_format=Format.INT8, d_format=f) for f in (Format.FP32, Format.FP16, Format.INT8, _UNDEFINED)],
    "size": [_words(**{name: value}) for name in ("kh", "kw", "channels", "ow", "oh", "n", "batch") for value in _BIG],
    "k": [_words(kh=256, kw=256, channels=1), _words(kh=1, kw=300, channels=300), _words(kh=65535, kw=65535, channels=65535)],
    "alignment": [*(_misalign(operand) for operand in _OPERANDS), _ignored_stride],
    "below": [_outside(operand, True) for operand in _OPERANDS]
    + [_outside("a", True, transpose_a=1), _outside("b", True, transpose_b=1)],
    "beyond": [_outside(operand, False) for operand in _OPERANDS]
    + [_outside("a", False, transpose_a=1), _outside("b", False, transpose_b=1)],
    "end": [_end("a", top, missing, transpose_a=t) for top in (False, True) for missing in (0, 1) for t in (0, 1)]
    + [_end("b", top, missing, transpose_b=t) for top in (False, True) for missing in (0, 1) for t in (0, 1)],
}  # fmt: skip


def hostile(rng: random.Random, config: ChipConfig, memory: np.ndarray, rule: str, count: int):
    """`count` commands that break `rule`, in all its ways before one comes again; those at the edge break none."""
    changes = rng.sample(HOSTILE[rule], len(HOSTILE[rule]))
    for number in range(count):
        command = good(rng, config, memory)
        changes[number % len(changes)](rng, config, command)
        yield command
