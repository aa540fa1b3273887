"""Programs for the chip's testbench: random commands on every engine at once, ordered where they must be, and a pipeline of all engines.

The golden chip has no time, so what runs at once must not touch the same bytes. In each SIP tensor core and vector engine work on the lower
end of L1, each command after the one before by events; the data engine works on the upper end of L1 and on its own parts of L2 and L3.
"""

import dataclasses
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data

from compiler.assembler import Program, Reg, micro_ops
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import COMMANDS, DataOp, Engine, Space, TensorCommand, VectorOp, VectorSource
from verif.common.streams import pack
from verif.data_engine import model as data_model
from verif.data_engine.stimulus import Stimulus
from verif.tensor import commands as tensor_commands
from verif.tensor.checks import box, used
from verif.vector import commands as vector_commands
from verif.vector import model as vector_model

__all__ = ["Work", "cluster_work", "copy", "part", "pipeline", "random_work"]

T, V, D = Engine.TENSOR, Engine.VECTOR, Engine.DATA
_UNIT = {f"size{d}": 1 for d in range(1, 5)}

#: Bytes of the two ends of L1 that random commands use; a unit's part of L3 is as large as the upper end.
_LOW, REGION = 8 << 10, 4 << 10
_L2_REGION = 2 << 10
#: Where each unit's images, dumps and data lie in L3.
_LOAD, _DUMP, _DATA, _STEP = 0x40000, 0x80000, 0xC0000, 0x8000


def part(space: Space, unit: int) -> tuple[int, int]:
    """(first address, bytes) of what a unit's data engine uses of L2 and L3."""
    return (unit * _L2_REGION, _L2_REGION) if space is Space.L2 else (_DATA + unit * _STEP, REGION)


@dataclass
class Work:
    """A program, its arguments, and what L3 must hold before it starts: (address, bytes)."""

    program: Program
    arguments: list[int] = field(default_factory=list)
    loads: list[tuple[int, bytes]] = field(default_factory=list)


def copy(program: Program, source: Space, destination: Space, size: int, *, src, dst, wait=(), signal=(), to=None):
    """A dense copy of bytes; addresses may be registers."""
    program.set(
        D, mode={"op": DataOp.COPY, "source": source, "destination": destination}, src_base=src, dst_base=dst, size0=size,
        src_stride0=1, dst_stride0=1, **_UNIT,
    )  # fmt: skip
    program.run(D, wait, signal, to)


def _set(program: Program, engine: Engine, bits: int):
    """All words of a command given as bits."""
    for number, (name, shape) in enumerate(data.Layout.cast(COMMANDS[engine])):
        value = bits >> 32 * number & 0xFFFFFFFF
        if number and Shape.cast(shape.shape if hasattr(shape, "offset") else shape).signed and value >> 31:
            value -= 1 << 32
        program.set(engine, **{name: value})


def _defined(command: dict) -> dict:
    """A vector command whose micro-program reads no register or parameter that is undefined."""
    written = {0} | ({1} if command["mode"]["y_enable"] else set())
    for step in command["program"]:
        for side in ("a", "b"):
            if step[side] < 4 and step[side] not in written:
                step[side] = VectorSource.V0.value
            elif VectorSource.P0.value <= step[side] < VectorSource.P0.value + 4 and step[side] - 4 >= command["mode"]["params"]:
                step[side] = VectorSource.ZERO.value
        if VectorOp(step["op"]) in (VectorOp.FMA, VectorOp.REQD, VectorOp.REQS) and step["dst"] not in written:
            step["dst"] = 0
        if VectorOp(step["op"]) is not VectorOp.NOP:
            written.add(step["dst"])
    return command


def _pair(draw: random.Random, config: ChipConfig, memory: np.ndarray) -> tuple[int, int]:
    """A tensor command that sends its rows to a vector command; what they read lies in the lower half of L1, z in the upper one."""
    half = config.l1_bytes // 2
    while True:
        tensor = tensor_commands.good(draw, config, memory)
        spans = {operand: box(config, tensor, operand) for operand in used(tensor) if operand != "d"}
        fits = all(high - low < half - 4 for low, high in spans.values()) and 4 * tensor["n"] * tensor["ow"] * tensor["oh"] <= half
        if tensor["batch"] == 1 and fits:
            break
    tensor["mode"].update(to_vector=1)
    tensor.update({f"{operand}_base": (3 - low) // 4 * 4 for operand, (low, _) in spans.items()})
    vector = vector_commands.legal(draw, config, from_tensor=True)
    vector["mode"]["y_enable"] = 0
    row = tensor["n"] * CONTAINER_BYTES[Format(vector["mode"]["z_format"])]
    vector.update({name: tensor[name] for name in ("n", "ow", "oh")})
    vector.update(z_ow=row, z_oh=row * tensor["ow"], z_base=half, p_base=4 * draw.randrange(64), p_stride=4 * draw.randrange(16))
    return pack(TensorCommand, tensor), vector_model.encode(_defined(vector))


def _chain(draw: random.Random, config: ChipConfig, memory: np.ndarray, count: int) -> list[dict[Engine, int]]:
    """Commands, each to run after the one before; one entry for two engines is a pair."""
    chain = []
    while len(chain) < count:
        kind = draw.randrange(3)
        if kind == 0:
            # Words of an operand that a command doesn't use are noise, so its D can't be asked for afterwards.
            while (command := tensor_commands.good(draw, config, memory))["mode"]["to_vector"]:
                pass
            chain.append({T: pack(TensorCommand, command)})
        elif kind == 1:
            chain.append({V: vector_model.encode(_defined(vector_commands.legal(draw, config, from_tensor=False)))})
        else:
            tensor, vector = _pair(draw, config, memory)
            chain.append({T: tensor, V: vector})
    return chain


def _moves(draw: random.Random, config: ChipConfig, unit: int, count: int) -> Iterator[int]:
    """Data commands on the unit's own parts."""
    small = dataclasses.replace(config, l1_bytes=REGION, l2_bytes=_L2_REGION, l2_ports=1)
    stimulus = Stimulus(draw, data_model.Memories(small, REGION, draw), None, cluster=unit == config.sips, most=300)
    origin = {Space.L1: config.l1_bytes - REGION, Space.L2: part(Space.L2, unit)[0], Space.L3: part(Space.L3, unit)[0]}
    for _ in range(count):
        command = stimulus.command()
        for side, space in (("src", "source"), ("dst", "destination")):
            command[f"{side}_base"] = command[f"{side}_base"] + origin[command["mode"][space]] & 0xFFFFFFFF
        yield data_model.encode(command)


def random_work(draw: random.Random, config: ChipConfig, unit: int, *, chain: int = 5, moves: int = 6) -> Work:
    """A SIP's program: it fills both ends of L1 from L3, runs a random chain and random moves twice, and stores L1."""
    small = dataclasses.replace(config, l1_bytes=_LOW)
    low = np.frombuffer(draw.randbytes(_LOW), np.uint8).copy()
    items = _chain(draw, small, low, chain)
    load, dump = _LOAD + unit * _STEP, _DUMP + unit * _STEP
    top = config.l1_bytes - REGION
    program, count, address = Program(), Reg(unit), Reg(10)
    copy(program, Space.L3, Space.L1, _LOW, src=load, dst=0, signal=(15,))
    copy(program, Space.L3, Space.L1, REGION, src=load + _LOW, dst=top)
    program.wait(15)
    # Event of each command that waits for the one before on another engine; the first one's is signalled before the loop.
    waits: list[dict[Engine, int]] = []
    events = iter(range(15))
    for index, item in enumerate(items):
        before = items[index - 1]
        waits.append({engine: next(events) for engine in item if engine is not list(before)[-1]})
    if waits[0]:
        program.signal(*waits[0].values())
    data_commands = list(_moves(draw, config, unit, moves))
    slots = sorted(draw.randrange(len(items)) for _ in data_commands)
    with program.loop(count):
        for index, item in enumerate(items):
            for engine, bits in item.items():
                _set(program, engine, bits)
                wait = [waits[index][engine]] if engine in waits[index] else []
                last = engine is list(item)[-1]
                program.run(engine, wait, waits[(index + 1) % len(items)].values() if last else ())
            for slot, bits in zip(slots, data_commands, strict=True):
                if slot == index:
                    _set(program, D, bits)
                    program.run(D)
    program.fence()
    program.load(address, dump)
    for source, size in ((0, _LOW), (top, REGION)):
        copy(program, Space.L1, Space.L3, size, src=source, dst=address)
        program.add(address, address, size)
    program.end()
    return Work(program, loads=[(load, low.tobytes() + draw.randbytes(REGION)), (part(Space.L3, unit)[0], draw.randbytes(REGION))])


def cluster_work(draw: random.Random, config: ChipConfig, *, moves: int = 8) -> Work:
    """The cluster's program: random moves between its own parts of L2 and L3."""
    program = Program()
    for bits in _moves(draw, config, config.sips, moves):
        _set(program, D, bits)
        program.run(D)
    program.end()
    return Work(program, loads=[(part(Space.L3, config.sips)[0], draw.randbytes(REGION))])


def pipeline(draw: random.Random, *, m: int = 8, n: int = 10, k: int = 24, tiles: int = 4) -> Work:
    """Tiles of A from L3, times B, plus a bias and clamped in the vector engine, to L3: three engines overlap by events.

    Arguments: A, B, bias and result in L3, and the number of tiles.
    """
    a, b, bias, z = 0, 0x1000, 0x2000, 0x3000
    r = [Reg(number) for number in range(5)]
    p = Program()
    copy(p, Space.L3, Space.L1, k * n, src=r[1], dst=b, signal=(4,))
    copy(p, Space.L3, Space.L1, 4 * n, src=r[2], dst=bias, signal=(5,))
    p.wait(4, 5)
    p.signal(0, 2)  # the buffers of A and of Z are free
    p.set(
        T, mode={"a_format": Format.INT8, "d_format": Format.INT32, "to_vector": 1}, tag=11, kh=1, kw=1, channels=k, ow=m, oh=1, n=n,
        batch=1, a_base=a, a_c=8, a_ow=k, b_base=b, b_k=n,
    )  # fmt: skip
    p.set(
        V, mode={"x_format": Format.INT32, "z_format": Format.INT8, "from_tensor": 1, "params": 1, "ops": 2}, tag=12, n=n, ow=m, oh=1,
        kw=1, kh=1, z_base=z, z_ow=n, p_base=bias,
        **micro_ops((VectorOp.IADD, 0, VectorSource.V0, VectorSource.P0), (VectorOp.IMAX, 0, VectorSource.V0, VectorSource.ZERO)),
    )  # fmt: skip
    with p.loop(r[4]):
        p.set(
            D, mode={"op": DataOp.COPY, "source": Space.L3, "destination": Space.L1}, dst_base=a, size0=m * k, src_stride0=1,
            dst_stride0=1, **_UNIT,
        )  # fmt: skip
        p.set_register(D, "src_base", r[0], m * k)
        p.run(D, wait=(0,), signal=(1,))
        p.run(T, wait=(1,), signal=(0,))
        p.run(V, wait=(2,), signal=(3,))
        p.set(D, mode={"op": DataOp.COPY, "source": Space.L1, "destination": Space.L3}, src_base=z, size0=m * n)
        p.set_register(D, "dst_base", r[3], m * n)
        p.run(D, wait=(3,), signal=(2,))
    p.end()
    base = _DATA + 0x20000
    places = [base, base + 0x2000, base + 0x3000, base + 0x4001]
    sizes = [tiles * m * k, k * n, 4 * n]
    loads = [(place, bytes(draw.randrange(256) for _ in range(size))) for place, size in zip(places, sizes, strict=False)]
    return Work(p, [*places, tiles], loads)
