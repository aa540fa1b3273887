"""Random tensor commands that pass every check, alone or after another one whose operands they share."""

import random

import numpy as np

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import TensorCommand, words_of
from verif.tensor.checks import DOTS, FLOATS, INTEGERS, box, element, used
from verif.tensor.operands import fill

__all__ = ["DEPENDENCES", "encode", "good", "places", "queue"]

#: How a command may depend on the one before: (its operand, the other's operand).
DEPENDENCES = (("a", "d"), ("b", "d"), ("c", "d"), ("d", "a"), ("d", "b"), ("d", "c"), ("d", "d"))
#: Rows of A over all passes, at most: a command is short enough to run thousands of them.
_MOST_ROWS = 500


def encode(command: dict) -> int:
    """The bits of a command; format codes may be ones that no enum has."""
    mode = command["mode"]
    code, shift = 0, 0
    for name, bits in (("a_format", 3), ("d_format", 3), ("align", 2), *((flag, 1) for flag in _FLAGS), ("reserved", 19)):
        value = mode.get(name, 0)
        code |= (value if isinstance(value, int) else value.value) << shift
        shift += bits
    words = command | {"mode": code}
    return sum((words.get(name, 0) & 0xFFFFFFFF) << 32 * number for number, name in enumerate(words_of(TensorCommand)))


_FLAGS = ("accumulate", "to_vector", "transpose_a", "transpose_b", "skip_zero")


def _shape(rng: random.Random, format: Format, config: ChipConfig) -> dict:
    """Sizes of a small command, with the edges of every tile and group among them."""
    lanes, tile = config.lanes(format), config.accumulator_rows
    columns = config.pe_columns
    kind = rng.randrange(5)
    shape = dict.fromkeys(("kh", "kw", "oh", "batch"), 1)
    shape |= {"n": rng.choice((1, 2, columns - 1, columns, columns + 1, 2 * columns, rng.randint(1, 3 * columns)))}
    shape |= {"ow": rng.choice((1, 1, 2, 3, 7, rng.randint(1, 24)))}
    if kind <= 1:  # long K
        shape["channels"] = rng.choice((1, lanes, 2 * lanes, rng.randint(1, lanes), rng.randint(1, 6 * lanes)))
        shape["batch"] = rng.choice((1, 1, 2, 3))
    elif kind == 2:  # many rows: one, two or three accumulator tiles
        rows = rng.choice((tile - 1, tile, tile + 1, 2 * tile, rng.randint(tile + 1, 2 * tile + 3)))
        shape["channels"] = rng.randint(1, 2 * lanes + 1)
        shape["oh"] = rng.choice((1, 1, 3, 8))
        shape["ow"] = -(-rows // shape["oh"])
        shape["n"] = min(shape["n"], columns + 1)
    else:  # convolution
        shape |= {"kh": rng.randint(1, 3), "kw": rng.randint(1, 3), "channels": rng.randint(1, 2 * lanes + 3)}
        shape |= {"oh": rng.randint(1, 4), "ow": rng.randint(1, 6), "batch": rng.choice((1, 1, 1, 2))}
    passes = shape["kh"] * shape["kw"] * -(-shape["channels"] // lanes)
    rows = shape["batch"] * shape["oh"] * shape["ow"] * passes * -(-shape["n"] // columns)
    return shape if rows <= _MOST_ROWS else _shape(rng, format, config)


def _mode(rng: random.Random, config: ChipConfig, formats: tuple) -> dict:
    format = rng.choice(formats)
    return {
        "a_format": format,
        "d_format": rng.choice((Format.FP32, Format.FP16, Format.BF16)) if format in FLOATS else Format.INT32,
        "align": rng.randrange(4) if format not in DOTS or rng.random() < 0.5 else 0,
        "accumulate": rng.getrandbits(1), "to_vector": int(rng.random() < 0.2), "skip_zero": rng.getrandbits(1),
        "transpose_a": int(rng.random() < 0.3), "transpose_b": int(rng.random() < 0.3), "reserved": rng.getrandbits(19),
    }  # fmt: skip


def _strides(rng: random.Random, command: dict, lanes: int):
    """Strides of the reads: small, zero or negative at times, so that they overlap. D's elements have places of their own."""
    mode = command["mode"]
    size = element(command, "a")

    def stride(reach: int, element: int) -> int:
        return rng.choice((reach, reach, 0, -reach, rng.randint(-reach, reach))) // element * element

    if mode["transpose_a"]:
        row = command["ow"] * size
        command["a_c"] = rng.choice((row, row, row + size, stride(2 * row, size)))
        pixel = command["channels"] * row
    else:
        dense = lanes * size
        command["a_c"] = rng.choice((dense, dense, dense, 0, -dense, dense + size, rng.randint(-dense, 2 * dense) // size * size))
        pixel = command["channels"] * size
    for name in ("a_ow", "a_kw", "a_oh", "a_kh", "a_batch"):
        command[name] = stride(pixel * rng.choice((1, 1, 2)) + size * rng.randrange(2), size)
    if mode["transpose_a"]:
        command["a_ow"] = rng.getrandbits(32) - (1 << 31)
    k = command["kh"] * command["kw"] * command["channels"]
    row = (k if mode["transpose_b"] else command["n"]) * size
    command["b_k"], command["b_batch"] = stride(row + size * rng.randrange(3), size), stride(64, size)
    for name in ("c_ow", "c_oh", "c_batch"):
        command[name] = stride(4 * command["n"] + 4 * rng.randrange(3), 4)
    if rng.random() < 0.4:
        command["c_ow"] = command["c_oh"] = 0
    size = element(command, "d")
    extent = command["n"] * size
    for name in rng.sample(("ow", "oh", "batch"), 3):
        extent += size * rng.choice((0, 0, 1, 3))
        command[f"d_{name}"] = extent * rng.choice((1, 1, -1))
        extent *= command[name]


def places(config: ChipConfig, command: dict) -> dict[str, range]:
    """The box of bytes of each operand that a command has."""
    boxes = {operand: box(config, command, operand) for operand in used(command)}
    return {o: range(command[f"{o}_base"] + low, command[f"{o}_base"] + high + 1) for o, (low, high) in boxes.items()}


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _place(rng: random.Random, config: ChipConfig, command: dict, dependence: tuple | None, before: dict[str, range]) -> bool:
    """Bases of all operands, inside L1; D meets no other operand of the command, and the dependent operand meets its target."""
    taken: dict[str, range] = {}
    own, target = dependence or ("", "")
    for operand in sorted(used(command), key=lambda operand: operand != own):
        size = element(command, operand)
        low, high = box(config, command, operand)
        # The lowest and the highest base that keep the box inside.
        first, last = -(low // size), (config.l1_bytes - 1 - high) // size
        if operand == own:
            aim = before[target]
            first, last = max(first, -((high - aim.start) // size)), min(last, (aim.stop - 1 - low) // size)
        if first > last:
            return False
        for _ in range(50):
            base = rng.choice((first, last, *(rng.randint(first, last) for _ in range(6)))) * size
            here = range(base + low, base + high + 1)
            apart = taken.values() if operand == "d" else [taken[o] for o in ("d",) if o in taken]
            if not any(_meet(here, other) for other in apart) and (operand != own or _meet(here, before[target])):
                break
        else:
            return False
        command[f"{operand}_base"] = base
        taken[operand] = here
    return True


def good(rng: random.Random, config: ChipConfig, memory: np.ndarray, before: dict | None = None) -> dict:
    """A command that passes every check; fills its operands in `memory`.

    D doesn't overlap what the command itself reads. With a command `before`, one of the :data:`DEPENDENCES` holds for their boxes of bytes.
    """
    formats = tuple(format for format in (*FLOATS, *INTEGERS) if config.lanes(format))
    dependence, earlier = None, {}
    if before is not None:
        earlier = places(config, before)
        dependence = rng.choice([pair for pair in DEPENDENCES if pair[1] in earlier])
        if dependence[0] in "ab" and rng.random() < 0.7:  # the result of one product as an operand of the next
            width = 1 if before["mode"]["a_format"] in INTEGERS else CONTAINER_BYTES[before["mode"]["d_format"]]
            formats = tuple(format for format in formats if CONTAINER_BYTES[format] == width) or formats
    while True:
        mode = _mode(rng, config, formats)
        if dependence:
            mode |= {"accumulate": 1} if dependence[0] == "c" else {"to_vector": 0} if dependence[0] == "d" else {}
        format = mode["a_format"]
        command = _shape(rng, format, config) | {"mode": mode, "tag": rng.getrandbits(32)}
        _strides(rng, command, config.lanes(format))
        if _place(rng, config, command, dependence, earlier):
            break
    for operand, words in (("c", ("ow", "oh", "batch", "base")), ("d", ("ow", "oh", "batch", "base"))):
        if operand not in used(command):  # what a command doesn't use may be anything
            command.update({f"{operand}_{word}": rng.getrandbits(31) for word in words})
    kinds = {"a": format, "b": format, "c": Format.FP32 if format in FLOATS else Format.INT32}
    for operand, place in places(config, command).items():
        if operand in kinds and rng.random() < 0.9 and not (dependence and dependence[0] == operand):
            fill(rng, memory, place, kinds[operand], zeros=operand == "a" and mode["skip_zero"] and rng.random() < 0.7)
    return command


def queue(rng: random.Random, config: ChipConfig, memory: np.ndarray, count: int) -> list[dict]:
    """Commands that are queued together; half of them depend on the one before."""
    commands: list[dict] = []
    for _ in range(count):
        commands.append(good(rng, config, memory, commands[-1] if commands and rng.getrandbits(1) else None))
    return commands
