"""Random tensor commands: good ones of every kind, and hostile ones that break each rule."""

import random

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from verif.tensor.model import box
from verif.tensor.referee import float_operand

__all__ = ["HOSTILE", "good", "hostile"]

_OPERANDS = ("a", "b", "c", "d")


def _shape(rng: random.Random, format: Format) -> dict:
    """Sizes of a small command, with the edges of every tile and group among them."""
    lanes = 8 if CONTAINER_BYTES[format] == 1 else 1
    kind = rng.randrange(4)
    shape = dict.fromkeys(("kh", "kw", "oh", "batch"), 1)
    shape |= {"n": rng.choice((1, 2, 3, 4, 5, 8, rng.randint(1, 14))), "ow": rng.choice((1, 2, 3, 7, rng.randint(1, 24)))}
    if kind == 0:  # long K
        shape["channels"] = rng.choice((1, lanes, 2 * lanes, rng.randint(1, 5 * lanes)))
        shape["batch"] = rng.choice((1, 2, 3))
    elif kind == 1:  # many rows: several accumulator tiles
        shape |= {"channels": rng.randint(1, 2 * lanes + 1), "n": rng.randint(1, 6), "oh": rng.randint(1, 9), "ow": rng.randint(8, 16)}
    else:  # convolution
        shape |= {"kh": rng.randint(1, 3), "kw": rng.randint(1, 3), "channels": rng.randint(1, 2 * lanes + 3)}
        shape |= {"oh": rng.randint(1, 4), "ow": rng.randint(1, 6)}
    return shape


def good(rng: random.Random, config: ChipConfig, memory: np.ndarray) -> dict:
    """A command that passes every check; fills its operands in `memory`. D doesn't overlap what the command reads."""
    format = rng.choice((Format.FP32, Format.INT8, Format.UINT8))
    d_format = Format.INT32
    if format is Format.FP32:
        d_format = rng.choice((Format.FP32, Format.FP32, Format.FP16, Format.BF16))
    command = _shape(rng, format)
    command["mode"] = {
        "a_format": format, "d_format": d_format, "accumulate": rng.getrandbits(1), "to_vector": int(rng.random() < 0.25),
        "skip_zero": rng.getrandbits(1), "align": rng.randrange(4) if format is Format.FP32 else 0,
    }  # fmt: skip
    command["tag"] = rng.getrandbits(32)
    size, lanes = CONTAINER_BYTES[format], config.lanes(format)

    def stride(reach: int, element: int) -> int:
        """Small, zero or negative at times: reads may overlap."""
        return rng.choice((reach, reach, 0, -reach, rng.randint(-reach, reach))) // element * element

    dense = lanes * size
    command["a_c"] = rng.choice((dense, dense, dense, 0, -dense, dense + size, rng.randint(-dense, 2 * dense) // size * size))
    pixel = command["channels"] * size
    for name in ("a_ow", "a_kw", "a_oh", "a_kh", "a_batch"):
        command[name] = stride(pixel * rng.randint(1, 3) + size * rng.randrange(2), size)
    row = command["n"] * size
    command["b_k"], command["b_batch"] = stride(row + size * rng.randrange(3), size), stride(64, size)
    for name in ("c_ow", "c_oh", "c_batch"):
        command[name] = stride(4 * command["n"] + 4 * rng.randrange(3), 4)
    if rng.random() < 0.4:
        command["c_ow"] = command["c_oh"] = 0

    # Every element of D has a place of its own: nested strides in any order, with gaps and signs.
    element = CONTAINER_BYTES[d_format]
    extent = command["n"] * element
    for name in rng.sample(("ow", "oh", "batch"), 3):
        extent += element * rng.choice((0, 0, 1, 3))
        command[f"d_{name}"] = extent * rng.choice((1, 1, -1))
        extent *= command[name]

    places = {}
    for operand in ("a", "b", "c", "d"):
        element = {"a": size, "b": size, "c": 4, "d": CONTAINER_BYTES[d_format]}[operand]
        low, high = box(config, command, operand)
        # The lowest and the highest base that keep the box inside.
        first, last = -(low // element) * element, (config.l1_bytes - 1 - high) // element * element
        for _ in range(200):
            base = rng.choice((first, last, *(rng.randint(first // element, last // element) * element for _ in range(6))))
            inside = range(base + low, base + high + 1)
            if operand != "d" or all(inside[-1] < other[0] or other[-1] < inside[0] for other in places.values()):
                break
        else:
            return good(rng, config, memory)
        command[f"{operand}_base"] = base
        places[operand] = inside
    _fill(rng, memory, places, format)
    return command


def _fill(rng: random.Random, memory: np.ndarray, places: dict, format: Format):
    """FP32 operands that mostly neither overflow nor cancel out of sight; random bytes otherwise. Some operands stay as they are."""
    for operand in ("a", "b", "c"):
        place = places[operand]
        if rng.random() < 0.15:
            continue
        if format is not Format.FP32:
            memory[place.start : place.stop] = np.frombuffer(rng.randbytes(len(place)), np.uint8)
            continue
        hurts = rng.choice((0, 0, 0.02, 0.3))
        narrow = rng.getrandbits(1)
        for at in range(place.start // 4 * 4, place.stop, 4):
            exponent = rng.randint(125, 129) if narrow else rng.randint(100, 150)
            bits = rng.getrandbits(1) << 31 | exponent << 23 | rng.getrandbits(23)
            bits = float_operand(rng) if rng.random() < hurts else bits
            memory[at : at + 4] = np.frombuffer(bits.to_bytes(4, "little"), np.uint8)


def _mode(**fields):
    return lambda rng, config, command: command["mode"].update(fields)


def _words(**fields):
    return lambda rng, config, command: command.update(fields)


def _misalign(operand: str):
    def change(rng, config, command):
        command["mode"].update(a_format=Format.FP32, d_format=Format.FP16, accumulate=1, to_vector=0)
        name = rng.choice([name for name in command if name.startswith(f"{operand}_")])
        command[name] += 1 if operand == "d" else rng.randint(1, 3)

    return change


def _outside(operand: str, below: bool):
    """Out by one element, or far out."""

    def change(rng, config, command):
        command["mode"].update(accumulate=1, to_vector=0)
        _, high = box(config, command, operand)
        at = f"{operand}_base"
        if below:
            stride = rng.choice([name for name in command if name.startswith(f"{operand}_") and name != at])
            command[stride] = -4 * rng.choice((1 << 13, 1 << 20, 1 << 29))
            size = "channels" if stride == "a_c" else "kh" if stride == "b_k" else stride[2:]
            command[size] = max(command[size], 17 if stride == "a_c" else 2)
        else:
            far = rng.choice((4, 4, 4096, 0xFFFF0000 - config.l1_bytes))
            command[at] = (config.l1_bytes - 1 - high) // 4 * 4 + far

    return change


def _a_group(top: bool, missing: int):
    """The box of A against an end of L1, where the stride of its groups decides which group reaches furthest."""

    def change(rng, config, command):
        command["mode"].update(a_format=Format.INT8, d_format=Format.INT32, to_vector=1)
        lanes = config.lanes(Format.INT8)
        command.update(channels=lanes * rng.randint(1, 3) + rng.randint(1, lanes - 1))
        command["a_c"] = rng.randint(-2, lanes + 1) if top else rng.randint(-lanes - 1, -1)
        low, high = box(config, command, "a")
        command["a_base"] = config.l1_bytes - 1 - high + missing if top else -low - missing

    return change


_BIG = (0, 65536, 65537, 0x80000001, 0xFFFFFFFF)
#: Changes to a good command by the rule that they break. Some break none, on purpose: at the edge.
HOSTILE = {
    "format": [_mode(a_format=f) for f in (Format.TF32, Format.FP16, Format.BF16, Format.INT32)],
    "d_format": [_mode(a_format=Format.FP32, d_format=f) for f in (Format.TF32, Format.INT8, Format.INT32, Format.UINT8)]
    + [_mode(a_format=Format.INT8, d_format=f) for f in (Format.FP32, Format.FP16, Format.INT8)],
    "transpose": [_mode(transpose_a=1), _mode(transpose_b=1)],
    "size": [_words(**{name: value}) for name in ("kh", "kw", "channels", "ow", "oh", "n", "batch") for value in _BIG],
    "k": [_words(kh=256, kw=256, channels=1), _words(kh=1, kw=300, channels=300), _words(kh=65535, kw=65535, channels=65535)],
    "alignment": [_misalign(operand) for operand in _OPERANDS],
    "below": [_outside(operand, True) for operand in _OPERANDS],
    "beyond": [_outside(operand, False) for operand in _OPERANDS],
    "group": [_a_group(top, missing) for top in (False, True) for missing in (0, 1)],
}  # fmt: skip


def hostile(rng: random.Random, config: ChipConfig, memory: np.ndarray, rule: str, count: int):
    """`count` commands that break `rule`, in all its ways before one comes again; those at the edge break none."""
    changes = rng.sample(HOSTILE[rule], len(HOSTILE[rule]))
    for number in range(count):
        command = good(rng, config, memory)
        changes[number % len(changes)](rng, config, command)
        yield command
