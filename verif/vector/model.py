"""Scalar model of a vector command, element by element, from the instruction set's text. Commands are mappings of raw integers, so
that undefined codes can be written down too."""

from amaranth.lib import data

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import MicroOp, Status, VectorCommand, VectorMode, VectorOp, VectorSource
from verif.vector import reference

__all__ = ["blank", "check", "code", "encode", "execute", "program", "slots"]

_REDUCTIONS = {VectorOp[name].value for name in ("FADD", "FMAX", "FMIN", "IADD", "IMAX", "IMIN")}


def _pack(shape, values: dict) -> int:
    layout = data.Layout.cast(shape)
    bits = 0
    for name, value in values.items():
        field = layout[name]
        width = data.Layout.cast(field.shape).size if isinstance(field.shape, data.Layout) else field.width
        bits |= (value & (1 << width) - 1) << field.offset
    return bits


def blank() -> dict:
    """A command of one element without operations: INT32, x and z at 0."""
    mode = {name: 0 for name, _ in data.Layout.cast(VectorMode)}
    mode.update(x_format=Format.INT32.value, y_format=Format.INT32.value, z_format=Format.INT32.value)
    command = {name: 0 for name, _ in data.Layout.cast(VectorCommand)}
    return {**command, "mode": mode, "program": [], "kh": 1, "kw": 1, "oh": 1, "ow": 1, "n": 1}


def code(name: str) -> int:
    """Code of a `VectorOp` by its name."""
    return VectorOp[name].value


def program(*steps) -> list[dict]:
    """Micro-operations from tuples (op, dst, a, b) of names: ("FADD", 0, "V0", "P1")."""
    return [
        {"op": VectorOp[op].value, "dst": dst, "a": VectorSource[a].value, "b": VectorSource[b].value} for op, dst, a, b in steps
    ]


def encode(command: dict) -> int:
    """The bits of a command; `program` fills the operation words."""
    values = {name: value for name, value in command.items() if name not in ("mode", "program")}
    for i, step in enumerate(command["program"]):
        values[f"ops{i // 2 * 2}{i // 2 * 2 + 1}"] |= _pack(MicroOp, step) << 16 * (i % 2)
    bits = _pack(VectorCommand, values)
    return bits | _pack(VectorMode, command["mode"]) << data.Layout.cast(VectorCommand)["mode"].offset


def _steps(command: dict) -> list[dict]:
    """The first `ops` micro-operations; words that nobody wrote are NOP."""
    blank_step = {"op": 0, "dst": 0, "a": 0, "b": 0}
    return (command["program"] + [blank_step] * 8)[: min(command["mode"]["ops"], 8)]


def _bytes(format: int) -> int:
    return CONTAINER_BYTES[Format(format)]


def _operands(command: dict) -> list[tuple]:
    """(name, element bytes, base, [(size, stride), ...]) of the operands in use, in the order of their bounds."""
    mode, found = command["mode"], []
    if not mode["from_tensor"]:
        element = _bytes(mode["x_format"])
        found.append(("x", element, command["x_base"], [
            *((command[axis], command[f"x_{axis}"]) for axis in ("kh", "kw", "oh", "ow")), (command["n"], element),
        ]))
    for name, used in (("y", mode["y_enable"]), ("p", mode["params"]), ("z", 1)):
        if not used:
            continue
        if name == "p":
            found.append(("p", 4, command["p_base"], [(mode["params"], command["p_stride"]), (command["n"], 4)]))
        else:
            element = _bytes(mode[f"{name}_format"])
            found.append((name, element, command[f"{name}_base"], [
                *((command[axis], command[f"{name}_{axis}"]) for axis in ("oh", "ow")), (command["n"], element),
            ]))
    return found


def check(command: dict, config: ChipConfig) -> tuple[Status, int]:
    """How the command ends if it is judged before its first access."""
    mode = command["mode"]
    steps = _steps(command)
    if any(step["op"] > VectorOp.REQS.value for step in steps):
        return Status.UNDEFINED_OPCODE, 0
    if command["kh"] * command["kw"] > 1 and mode["reduce"] not in _REDUCTIONS:
        return Status.UNDEFINED_OPCODE, 0
    if any(max(step["a"], step["b"]) > VectorSource.ZERO.value for step in steps):
        return Status.UNDEFINED_FIELD, 0
    if 7 in (mode["x_format"], mode["y_format"], mode["z_format"]):
        return Status.UNSUPPORTED, 0
    if mode["from_tensor"]:
        if command["kh"] != 1 or command["kw"] != 1 or Format(mode["x_format"]) not in (Format.FP32, Format.INT32):
            return Status.UNSUPPORTED, 0
    if any(not 1 <= command[name] <= 65535 for name in ("kh", "kw", "oh", "ow", "n")) or mode["params"] > 4 or mode["ops"] > 8:
        return Status.SIZE, 0
    operands = _operands(command)
    for _, element, base, dimensions in operands:
        if any(value % element for value in (base, *(stride for _, stride in dimensions))):
            return Status.ALIGNMENT, 0
    for _, element, base, dimensions in operands:
        lowest = base + sum(min((size - 1) * stride, 0) for size, stride in dimensions)
        highest = base + sum(max((size - 1) * stride, 0) for size, stride in dimensions) + element - 1
        if lowest < 0:
            return Status.ADDRESS, lowest & 0xFFFFFFFF
        if highest >= config.l1_bytes:
            return Status.ADDRESS, highest & 0xFFFFFFFF
    return Status.OK, 0


def slots(command: dict, config: ChipConfig):
    """(oh, ow, first column, columns) of every beat in the order of the engine."""
    for tile in range(0, command["n"], config.pe_columns):
        for oh in range(command["oh"]):
            for ow in range(command["ow"]):
                for column in range(tile, min(tile + config.pe_columns, command["n"]), config.vector_lanes):
                    yield oh, ow, column, min(config.vector_lanes, command["n"] - column)


def execute(command: dict, config: ChipConfig, memory, rows=()):
    """Runs a checked command on `memory` (bytes); `rows` are the beats of the tensor core."""
    mode, rows = command["mode"], iter(rows)

    def read(address: int, format: int) -> int:
        size = _bytes(format)
        return reference.load(int.from_bytes(bytes(memory[address:address + size]), "little"), Format(format))

    def element(name: str, oh: int, ow: int, column: int) -> int:
        size = _bytes(mode[f"{name}_format"])
        return command[f"{name}_base"] + oh * command[f"{name}_oh"] + ow * command[f"{name}_ow"] + column * size

    writes = []
    for oh, ow, first, count in slots(command, config):
        beat = next(rows) if mode["from_tensor"] else None
        for column in range(first, first + count):
            v, p = [0] * 4, [0] * 4
            if beat is not None:
                v[0] = beat[column - first]
            else:
                taps = [
                    read(element("x", oh, ow, column) + kh * command["x_kh"] + kw * command["x_kw"], mode["x_format"])
                    for kh in range(command["kh"]) for kw in range(command["kw"])
                ]
                v[0] = taps[0]
                for x in taps[1:]:
                    v[0] = reference.apply(VectorOp(mode["reduce"]), v[0], x, v[0])
            if mode["y_enable"]:
                v[1] = read(element("y", oh, ow, column), mode["y_format"])
            for i in range(mode["params"]):
                p[i] = read(command["p_base"] + i * command["p_stride"] + 4 * column, Format.INT32.value)
            for step in _steps(command):
                values = [*v, *p, command["s0"] & 0xFFFFFFFF, command["s1"] & 0xFFFFFFFF, 0]
                v[step["dst"]] = reference.apply(VectorOp(step["op"]), values[step["a"]], values[step["b"]], v[step["dst"]])
            stored = reference.store(v[0], Format(mode["z_format"]))
            writes.append((element("z", oh, ow, column), stored.to_bytes(_bytes(mode["z_format"]), "little")))
    for address, stored in writes:
        memory[address:address + len(stored)] = stored
