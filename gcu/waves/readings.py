"""How the bits of a signal read: as a line, a number, a name, numbers of a format side by side, or a command as text."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from amaranth.lib import data

from gcu.waves.waveform import UNKNOWN
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import DataCommand, TensorCommand, VectorCommand
from rtl.memory.dfi import ColumnOperation, RowOperation
from sim.golden.formats import decode, dtype_of

__all__ = ["Bit", "Command", "Decimal", "Hexadecimal", "Lanes", "Names", "Reading", "from_name"]


class Reading:
    """One way to read a value. `name` is a word that :func:`from_name` understands, for the filters that GTKWave starts."""

    name: str

    def text(self, value: int) -> str:
        """What stands in the picture; an unknown value is `x`."""
        return "x" if value == UNKNOWN else self._text(value)

    def _text(self, value: int) -> str:
        raise NotImplementedError


class Bit(Reading):
    name = "bit"

    def _text(self, value):
        return str(value)


class Hexadecimal(Reading):
    name = "hex"

    def _text(self, value):
        return f"{value:x}"


class Decimal(Reading):
    name = "dec"

    def _text(self, value):
        return str(value)


@dataclass(frozen=True)
class Names(Reading):
    """A name for each value; one without is shown as a number."""

    name: str
    values: dict[int, str] = field(hash=False)

    def _text(self, value):
        return self.values.get(value, f"{value:x}")


@dataclass(frozen=True)
class Lanes(Reading):
    """Elements of `format` side by side, the lowest first, above `skip` other bits."""

    format: Format
    count: int
    skip: int = 0
    name: str = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "name", f"{self.format.name.lower()}x{self.count}+{self.skip}")

    def _text(self, value):
        size = CONTAINER_BYTES[self.format]
        raw = (value >> self.skip) & ((1 << 8 * size * self.count) - 1)
        codes = np.frombuffer(raw.to_bytes(size * self.count, "little"), dtype_of(self.format))
        return " ".join(f"{number:.4g}" for number in decode(codes, self.format).tolist())


@dataclass(frozen=True)
class Command(Reading):
    """A command struct of `rtl.isa` as the few words that tell it from its neighbours."""

    name: str
    shape: type = field(hash=False)
    words: Callable[[data.Const], str] = field(hash=False)

    def _text(self, value):
        try:
            return self.words(data.Const(data.Layout.cast(self.shape), value))
        except ValueError:  # a code that no enum has
            return f"{value:x}"


def _tensor(command) -> str:
    mode = command.mode
    rows = command.oh * command.ow
    taps = "" if command.kh == command.kw == 1 else f"{command.kh}x{command.kw}x"
    to = ("vector" if mode.to_vector else mode.d_format.name) + (" +C" if mode.accumulate else "")
    return f"#{command.tag & 0xFFFF} {mode.a_format.name} {rows}x{command.n}x{taps}{command.channels} to {to}"


def _vector(command) -> str:
    mode = command.mode
    source = "tensor" if mode.from_tensor else mode.x_format.name
    return f"#{command.tag & 0xFFFF} {command.oh * command.ow}x{command.n} {source} to {mode.z_format.name}, {mode.ops} ops"


def _data(command) -> str:
    mode = command.mode
    sizes = [command[f"size{k}"] for k in range(4, -1, -1)]
    while len(sizes) > 1 and sizes[0] == 1:
        del sizes[0]
    source = "" if mode.op.name == "FILL" else f"{mode.source.name} "
    return f"#{command.tag & 0xFFFF} {mode.op.name} {source}to {mode.destination.name} {'x'.join(map(str, sizes))} of {1 << mode.element}"


_NAMED: dict[str, Reading] = {
    each.name: each
    for each in (
        Bit(), Hexadecimal(), Decimal(), Command("tensor", TensorCommand, _tensor), Command("vector", VectorCommand, _vector),
        Command("data", DataCommand, _data), Names("row", {each.value: each.name for each in RowOperation}),
        Names("column", {each.value: each.name for each in ColumnOperation}),
    )
}


def from_name(name: str) -> Reading:
    """The inverse of `name`, for all but the names that a run makes (causes, tags). Raises KeyError."""
    if name in _NAMED:
        return _NAMED[name]
    kind, _, rest = name.partition("x")
    count, _, skip = rest.partition("+")
    if kind.upper() not in Format.__members__ or not (count.isdigit() and skip.isdigit()):
        raise KeyError(name)
    return Lanes(Format[kind.upper()], int(count), int(skip))
