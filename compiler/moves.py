"""Data-engine commands from lists of dimensions: neighbours that are dense are merged, sizes beyond the field are split."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from compiler.assembler import Program, Reg
from compiler.errors import CompileError
from rtl.isa import DataOp, Engine, Space

__all__ = ["Address", "Dimension", "move"]

_LIMIT = 65535
#: What a size beyond the limit is cut into.
_PART = 32768
_RANK = 5
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


def _merged(dimensions: Iterable[Dimension], element: int) -> list[Dimension]:
    """From the innermost outwards: dimensions that are wholly inside lose their extent, those of one element go, dense ones join."""
    result: list[Dimension] = []
    for d in dimensions:
        d = Dimension(d.size, d.source, d.target) if d.inside else d
        if d.size == 1 and d.inside:
            continue
        if result and result[-1].inside:
            n, inner = result[-1].size, result[-1]
            dense = d.source == n * inner.source and d.target == n * inner.target
            fits = d.inside or max(n * d.size, n * d.extent) <= _LIMIT
            if dense and fits:
                result[-1] = Dimension(n * d.size, inner.source, inner.target, n * d.offset, None if d.inside else n * d.extent)
                continue
        result.append(d)
    return result or [Dimension(1, element, element)]


def _pieces(dimensions: list[Dimension]) -> Iterator[tuple[int, int, list[Dimension]]]:
    """(offset in the source, in the target, dimensions) of each command: a size beyond the field becomes two, and what is left over."""
    index = next((i for i, d in enumerate(dimensions) if max(d.size, d.extent or 0) > _LIMIT), None)
    if index is None:
        if len(dimensions) > _RANK:
            raise CompileError(f"a move of {len(dimensions)} dimensions is more than the {_RANK} of a command")
        yield 0, 0, dimensions
        return
    d = dimensions[index]
    if not d.inside:
        raise CompileError(f"a move of a padded dimension of {d.extent} elements is more than the {_LIMIT} of a command")
    before, after = dimensions[:index], dimensions[index + 1 :]
    count, rest = divmod(d.size, _PART)
    outer = [Dimension(count, d.source * _PART, d.target * _PART)] if count > 1 else []
    yield from _pieces([*before, Dimension(_PART, d.source, d.target), *outer, *after])
    if rest:
        for source, target, piece in _pieces([*before, Dimension(rest, d.source, d.target), *after]):
            yield source + count * _PART * d.source, target + count * _PART * d.target, piece


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
    """Moves elements of `element` bytes; dimensions run from the innermost outwards, and what lies outside of a source's extent reads as
    `fill`. It is one command as a rule; of several, the first one waits and the last one signals. Raises :class:`CompileError` for more
    dimensions, or more padded elements in one, than a command has.
    """
    pieces = list(_pieces(_merged(dimensions, element)))
    for number, (source_offset, target_offset, dims) in enumerate(pieces):
        _command(program, source + source_offset, target + target_offset, dims, element, tag, fill)
        program.run(Engine.DATA, wait=wait if number == 0 else (), signal=signal if number == len(pieces) - 1 else ())


def _command(program: Program, source: Address, target: Address, dims: list[Dimension], element: int, tag: int, fill: int):
    op = DataOp.COPY if all(d.inside for d in dims) else DataOp.SLICE
    words: dict = {"mode": {
        "op": op, "element": element.bit_length() - 1, "source": source.space, "destination": target.space,
    }, "tag": tag}
    for index in range(_RANK):
        d = dims[index] if index < len(dims) else Dimension(1, 0, 0)
        words |= {f"size{index}": d.size, f"src_stride{index}": d.source, f"dst_stride{index}": d.target}
        if op is DataOp.SLICE:
            words |= {f"offset{index}": d.offset, f"step{index}": 1, f"extent{index}": d.size if d.extent is None else d.extent}
    if op is DataOp.SLICE:
        words["fill"] = fill
        # The first element of the whole source, not of the part that is wanted.
        source += -sum(d.offset * d.source for d in dims)
    program.set(Engine.DATA, **words)
    _base(program, "src_base", source)
    _base(program, "dst_base", target)
