"""Data-engine commands from lists of dimensions: neighbours that are dense are merged, sizes beyond the field are split."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from compiler.assembler import Program, Reg
from compiler.errors import CompileError
from rtl.isa import DataOp, Engine, Space

__all__ = ["Address", "Dimension", "move"]

_LIMIT = 65535
#: Scratch register for addresses that start from an argument.
_SCRATCH = Reg(31)


@dataclass(frozen=True)
class Address:
    """A byte address: `offset`, from the value of `register` where there is one."""

    space: Space
    offset: int
    register: Reg | None = None

    def __add__(self, offset: int) -> "Address":
        return replace(self, offset=self.offset + offset)


@dataclass(frozen=True)
class Dimension:
    """`size` elements with strides in bytes; [offset, offset + size) is the part of a source of `extent` elements that is wanted."""

    size: int
    source: int
    target: int
    offset: int = 0
    extent: int | None = None

    @property
    def inside(self) -> bool:
        return self.extent is None or (self.offset >= 0 and self.offset + self.size <= self.extent)


def _merged(dimensions: list[Dimension], element: int) -> list[Dimension]:
    """From the innermost outwards, without dimensions of one element."""
    result: list[Dimension] = []
    for dimension in dimensions:
        if dimension.size == 1 and dimension.inside:
            continue
        if result:
            inner = result[-1]
            dense = dimension.source == inner.size * inner.source and dimension.target == inner.size * inner.target
            if dense and inner.inside and dimension.inside and inner.size * dimension.size <= _LIMIT:
                result[-1] = Dimension(inner.size * dimension.size, inner.source, inner.target)
                continue
        result.append(dimension)
    return result or [Dimension(1, element, element)]


def _split(dimensions: list[Dimension]) -> list[Dimension]:
    """Dimensions beyond the size field as two."""
    result = []
    for dimension in dimensions:
        if dimension.size <= _LIMIT:
            result.append(dimension)
            continue
        part = next((k for k in range(_LIMIT, 0, -1) if dimension.size % k == 0), 1)
        if part == 1 or not dimension.inside or dimension.size // part > _LIMIT:
            raise CompileError(f"a move of {dimension.size} elements doesn't split into two sizes up to {_LIMIT}")
        outer = Dimension(dimension.size // part, dimension.source * part, dimension.target * part)
        result += [Dimension(part, dimension.source, dimension.target), outer]
    return result


def _base(program: Program, word: str, address: Address):
    if address.register is None:
        program.set(Engine.DATA, **{word: address.offset})
    elif address.offset:
        program.add(_SCRATCH, address.register, address.offset)
        program.set_register(Engine.DATA, word, _SCRATCH)
    else:
        program.set_register(Engine.DATA, word, address.register)


def move(
    program: Program, source: Address, target: Address, dimensions: Iterable[Dimension], element: int, tag: int, *,
    fill: int = 0, wait: Iterable[int] = (), signal: Iterable[int] = (),
):
    """One command that moves elements of `element` bytes; dimensions run from the innermost outwards, and what lies outside of a
    source's extent reads as `fill`. Raises :class:`CompileError` if it can't be one command.
    """
    dims = _split(_merged(list(dimensions), element))
    if len(dims) > 5:
        raise CompileError(f"a move of {len(dims)} dimensions is more than the 5 of a command")
    op = DataOp.COPY if all(d.inside for d in dims) else DataOp.SLICE
    words: dict = {"mode": {
        "op": op, "element": element.bit_length() - 1, "source": source.space, "destination": target.space,
    }, "tag": tag}
    for index in range(5):
        d = dims[index] if index < len(dims) else Dimension(1, 0, 0)
        words |= {f"size{index}": d.size, f"src_stride{index}": d.source, f"dst_stride{index}": d.target}
        if op is DataOp.SLICE:
            extent = d.size if d.extent is None else d.extent
            words |= {f"offset{index}": d.offset, f"step{index}": 1, f"extent{index}": extent}
    if op is DataOp.SLICE:
        words["fill"] = fill
    program.set(Engine.DATA, **words)
    _base(program, "src_base", source)
    _base(program, "dst_base", target)
    program.run(Engine.DATA, wait=wait, signal=signal)
