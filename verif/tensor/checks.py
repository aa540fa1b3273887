"""The checks of a tensor command, and the boxes of bytes that it touches, from the command's definition."""

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Status

__all__ = ["DOTS", "FLOATS", "INTEGERS", "box", "check", "contraction", "element", "used"]

#: Operand formats by the kind of their operation.
DOTS = (Format.TF32, Format.FP16, Format.BF16)
FLOATS = (Format.FP32, *DOTS)
INTEGERS = (Format.INT8, Format.UINT8)
_SIZES = ("kh", "kw", "channels", "ow", "oh", "n", "batch")


def used(command: dict) -> list[str]:
    """The operands that a command has."""
    mode = command["mode"]
    return ["a", "b", *(["c"] if mode.get("accumulate") else []), *([] if mode.get("to_vector") else ["d"])]


def element(command: dict, operand: str) -> int:
    """Bytes of an element."""
    mode = command["mode"]
    return 4 if operand == "c" else CONTAINER_BYTES[mode["d_format"] if operand == "d" else mode["a_format"]]


def _strides(command: dict, operand: str) -> list[str]:
    """Words that count for an operand's alignment, without its base."""
    words = [word for word in command if word.startswith(f"{operand}_") and word != f"{operand}_base"]
    return [word for word in words if word != "a_ow" or not command["mode"].get("transpose_a")]


def contraction(command: dict) -> int:
    """Length of K."""
    return command["kh"] * command["kw"] * command["channels"]


def _span(size: int, stride: int) -> tuple[int, int]:
    reach = (size - 1) * stride
    return min(reach, 0), max(reach, 0)


def box(config: ChipConfig, command: dict, operand: str) -> tuple[int, int]:
    """Lowest and highest byte that a command touches in one operand, relative to its base."""
    mode = command["mode"]
    size = element(command, operand)
    rows = [_span(command["batch"], command[f"{operand}_batch"])]
    if operand == "b":
        if mode.get("transpose_b"):
            inner = (0, contraction(command) * size - 1)
            rows.append(_span(command["n"], command["b_k"]))
        else:
            inner = (0, command["n"] * size - 1)
            rows.append(_span(contraction(command), command["b_k"]))
    elif operand == "a":
        rows += [_span(command[tap], command[f"a_{tap}"]) for tap in ("kh", "kw", "oh")]
        if mode.get("transpose_a"):
            inner = (0, command["ow"] * size - 1)
            rows.append(_span(command["channels"], command["a_c"]))
        else:
            rows.append(_span(command["ow"], command["a_ow"]))
            # The last group of a tap may be short, so with a small stride the group before it can reach further.
            lanes = config.lanes(mode["a_format"])
            groups = -(-command["channels"] // lanes)
            last = (groups - 1) * command["a_c"] + (command["channels"] - (groups - 1) * lanes) * size - 1
            before = (groups - 2) * command["a_c"] + lanes * size - 1 if groups > 1 else last
            first = lanes * size - 1 if groups > 1 else last
            inner = (min(0, (groups - 1) * command["a_c"]), max(first, before, last))
    else:
        rows += [_span(command[size], command[f"{operand}_{size}"]) for size in ("ow", "oh")]
        inner = (0, command["n"] * size - 1)
    return sum(low for low, _ in rows) + inner[0], sum(high for _, high in rows) + inner[1]


def check(config: ChipConfig, command: dict) -> tuple[Status, int]:
    """Status of a command, and the address that is wrong. Words are 32-bit patterns or signed strides; format codes may be integers."""
    a_format, d_format = command["mode"]["a_format"], command["mode"]["d_format"]
    if a_format not in (*FLOATS, *INTEGERS) or not config.lanes(a_format):
        return Status.UNSUPPORTED, 0
    if d_format not in ((Format.FP32, Format.FP16, Format.BF16) if a_format in FLOATS else (Format.INT32,)):
        return Status.UNSUPPORTED, 0
    if any(not 1 <= command[size] <= 65535 for size in _SIZES) or contraction(command) > 65535:
        return Status.SIZE, 0
    operands = used(command)
    for operand in operands:
        if any(command[word] % element(command, operand) for word in (f"{operand}_base", *_strides(command, operand))):
            return Status.ALIGNMENT, 0
    for operand in operands:
        low, high = (command[f"{operand}_base"] + offset for offset in box(config, command, operand))
        if low < 0:
            return Status.ADDRESS, low & 0xFFFFFFFF
        if high >= config.l1_bytes:
            return Status.ADDRESS, high & 0xFFFFFFFF
    return Status.OK, 0
