"""Random vector commands: legal ones that touch every mode, and hostile ones that break a rule."""

import random

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, FLOATS, Format
from rtl.isa import VectorOp
from verif.vector import model, vectors

__all__ = ["RULES", "at_edge", "break_rule", "fill", "legal", "rows_for"]

#: Ways in which `break_rule` spoils a command.
RULES = 9

_REDUCTIONS = ("FADD", "FMAX", "FMIN", "IADD", "IMAX", "IMIN")
_OPS = list(VectorOp)


def fill(rng: random.Random, memory):
    """Words that mean something as floating point or as integers."""
    for address in range(0, len(memory), 4):
        word = vectors.float_bits(rng, 127) if rng.random() < 0.5 else vectors.integer_bits(rng)
        if rng.random() < 0.3:  # two halves with FP16-like exponents
            word = rng.getrandbits(32) & 0x8FFF8FFF | rng.getrandbits(3) << 12 | rng.getrandbits(3) << 28
        memory[address:address + 4] = bytearray(word.to_bytes(4, "little"))


def _place(rng: random.Random, command: dict, name: str, axes: list[tuple[str, int]], element: int, low: int, high: int):
    """Strides of either sign (0 broadcasts) and a base, so that the operand lies in [low, high)."""
    lowest = highest = 0
    inner = command["n"] * element
    for axis, size in axes:
        stride = rng.choice([0, inner, -inner, inner + element * rng.randint(0, 3), element * rng.randint(-20, 20)])
        command[f"{name}_{axis}"] = stride
        lowest += min((size - 1) * stride, 0)
        highest += max((size - 1) * stride, 0)
    start = (low - lowest + element - 1) // element
    room = (high - highest - inner) // element
    assert start <= room, "the operand doesn't fit its part of L1"
    command[f"{name}_base"] = element * rng.randint(start, room)


def legal(rng: random.Random, config: ChipConfig, *, from_tensor: bool | None = None) -> dict:
    """A command that passes every check: x, y, parameters and z in their own quarters of L1."""
    command = model.blank()
    mode = command["mode"]
    quarter = config.l1_bytes // 4
    for name in ("x_format", "y_format", "z_format"):
        mode[name] = rng.randrange(7)
    mode["from_tensor"] = int(rng.random() < 0.3 if from_tensor is None else from_tensor)
    mode["y_enable"] = int(rng.random() < 0.5)
    mode["params"] = rng.choice([0, 0, 1, 2, 3, 4])
    mode["ops"] = rng.choice([0, 1, 2, 3, 5, 8])
    command["n"] = rng.randint(1, rng.choice([3, config.pe_columns, 3 * config.pe_columns + 1]))
    most = max(1, 40 // command["n"])
    command["ow"], command["oh"] = rng.randint(1, min(most, 9)), rng.randint(1, 2)
    command["kh"], command["kw"] = (1, 1) if mode["from_tensor"] else rng.choice([(1, 1), (1, 1), (2, 2), (1, 3), (3, 1), (3, 2)])
    # A reduction code is looked at only where there is something to reduce.
    mode["reduce"] = VectorOp[rng.choice(_REDUCTIONS)].value if command["kh"] * command["kw"] > 1 else rng.randrange(64)
    if mode["from_tensor"]:
        mode["x_format"] = rng.choice([Format.FP32, Format.INT32]).value
        command.update(x_base=rng.getrandbits(32), x_ow=-1, x_oh=3, x_kw=1 << 31)  # not looked at
    else:
        element = CONTAINER_BYTES[Format(mode["x_format"])]
        axes = [(axis, command[axis]) for axis in ("kw", "kh", "ow", "oh")]
        _place(rng, command, "x", axes, element, 0, quarter)
    for name, low in (("y", quarter), ("z", 3 * quarter)):
        element = CONTAINER_BYTES[Format(mode[f"{name}_format"])]
        _place(rng, command, name, [(axis, command[axis]) for axis in ("ow", "oh")], element, low, low + quarter)
    _place(rng, command, "p", [("stride", max(mode["params"], 1))], 4, 2 * quarter, 3 * quarter)
    command["s0"], command["s1"] = vectors.integer_bits(rng), vectors.float_bits(rng, 127)
    command["tag"] = rng.getrandbits(32)
    command["program"] = [
        {"op": rng.choice(_OPS).value, "dst": rng.choice([0, 0, 1, 2, 3]), "a": rng.randrange(11), "b": rng.randrange(11)}
        for _ in range(mode["ops"])
    ]
    return command


def rows_for(rng: random.Random, command: dict, config: ChipConfig) -> list[list[int]]:
    """Beats of the tensor core that the command takes; lanes beyond the last column are zero."""
    if not command["mode"]["from_tensor"]:
        return []
    draw = vectors.float_bits if Format(command["mode"]["x_format"]) in FLOATS else vectors.integer_bits
    return [
        [draw(rng) if lane < count else 0 for lane in range(config.vector_lanes)]
        for _, _, _, count in model.slots(command, config)
    ]


def at_edge(rng: random.Random, config: ChipConfig, name: str, *, top: bool, outside: bool) -> dict:
    """A command whose operand `name` reaches the first or the last byte of L1, or one element beyond; else it is legal."""
    quarter = config.l1_bytes // 4
    while True:
        command = legal(rng, config, from_tensor=False)
        command["mode"].update(y_enable=1, params=2, ops=2)
        command["program"] = model.program(("IADD", 0, "V0", "P1"), ("IADD", 0, "V0", "V1"))
        _place(rng, command, "p", [("stride", 2)], 4, 2 * quarter, 3 * quarter)
        size = 4 if name == "p" else CONTAINER_BYTES[Format(command["mode"][f"{name}_format"])]
        spans = [command["p_stride"]] if name == "p" else [
            (command[axis] - 1) * command[f"{name}_{axis}"] for axis in ("kh", "kw", "oh", "ow") if f"{name}_{axis}" in command
        ]
        low = sum(min(span, 0) for span in spans)
        high = sum(max(span, 0) for span in spans) + command["n"] * size
        if top or low < 0:  # a base has no sign, so only a negative stride reaches below the first byte
            break
    command[f"{name}_base"] = config.l1_bytes - high + size * outside if top else -low - size * outside
    # z goes where the operand was, so that no element is read and written.
    if top:
        command["z_base"] -= 0 if name == "z" else (3 - "xyp".index(name)) * quarter
    elif name == "z":
        command["x_base"] += 3 * quarter
    return command


def break_rule(rng: random.Random, command: dict, config: ChipConfig, rule: int) -> dict:
    """Breaks rule `rule` of a legal command, and sometimes others, or meets one at its edge."""
    mode = command["mode"]
    strides = [name for name in command if name[0] in "xyz" and name[1:2] == "_"] + ["p_base", "p_stride"]
    for kind in [rule] + [rng.randrange(RULES) for _ in range(rng.choice([0, 0, 0, 1, 2]))]:
        match kind:
            case 0 if command["program"]:
                rng.choice(command["program"])["op"] = rng.choice([20, 21, 40, 63])
            case 1 if command["program"]:
                rng.choice(command["program"])[rng.choice("ab")] = rng.randint(11, 15)
            case 2:
                mode[rng.choice(["x_format", "y_format", "z_format"])] = rng.choice([7, 7, rng.randrange(7)])
            case 3:
                mode["from_tensor"] ^= 1
            case 4:
                command[rng.choice(["kh", "kw", "oh", "ow", "n"])] = rng.choice([0, 65536, 1 << 31, 0xFFFFFFFF, 65535, 0x10001])
            case 5:
                mode[rng.choice(["params", "ops"])] = rng.choice([5, 7, 4])
                mode["ops"] = rng.choice([mode["ops"], 9, 15])
            case 6:
                command[rng.choice(strides)] += rng.choice([1, 2, 3])
            case 7:
                # Exact sums beyond 32 bit, below zero and just over the end.
                command[rng.choice(strides)] = rng.choice([-(1 << 31), (1 << 31) - 4, config.l1_bytes, config.l1_bytes - 4, -4])
            case _:
                mode["reduce"] = rng.choice([0, 3, 19, 63])
                command["kw"] = rng.choice([command["kw"], 2])
    for name in ("x_base", "y_base", "z_base", "p_base"):
        command[name] &= 0xFFFFFFFF
    return command
