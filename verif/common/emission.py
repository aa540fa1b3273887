"""Emissions of test designs, kept by what the component is: tests of one design on several simulators elaborate it once.

A component is described by everything that can be reached from it before it is elaborated; together with the sources that is all that its
text depends on. What can't be described (an open file, a generator) isn't kept, nor anything while a test has replaced a part of the
hardware by one of its own.
"""

import enum
import fcntl
import hashlib
import json
import re
import sys
import types
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from amaranth.hdl import ClockSignal, Instance, ResetSignal, Signal
from amaranth.lib import wiring

from sim.tools import build_folder
from sim.verilog import cache as emissions
from sim.verilog.covered import emit_covered
from sim.verilog.emit import Emission, emit, ports_of
from verif.common.fault import Fault

__all__ = ["describe", "emission"]

_ROOT = Path(__file__).parents[2]
#: Where Amaranth notes the lines of the source that made an object: they change no text, and tests make one design in several places. Of
#: the running number of a signal only the order counts.
_PLACES = ("src_loc", "_src_loc", "_MustUse__used", "_MustUse__context", "_MustUse__silence", "__weakref__", "duid")


class _Indescribable(Exception):
    pass


class _Describer:
    """Writes down an object graph in the order in which it is reached; equal text means equal graphs."""

    def __init__(self):
        self.parts: list[str] = []
        #: Numbers of the objects that were reached, which also keeps them alive: an id is not used twice.
        self._known: dict[int, tuple[int, object]] = {}
        self._numbers: list[int] = []

    def order(self) -> str:
        """The signals by age, as numbers in the order in which they were reached."""
        ranks = {number: rank for rank, number in enumerate(sorted(self._numbers))}
        return " ".join(str(ranks[number]) for number in self._numbers)

    def add(self, value):
        kind = type(value)
        if value is None or kind in (bool, int, float, complex, str, bytes):
            self.parts.append(repr(value))
        elif isinstance(value, enum.Enum):
            self._name(kind)
            self.parts.append(value.name or repr(value.value))
        elif isinstance(value, Path):
            self.parts.append(repr(str(value)))
        elif id(value) in self._known:
            self.parts.append(f"#{self._known[id(value)][0]}")
        else:
            self._known[id(value)] = len(self._known), value
            self._new(value, kind)

    def _new(self, value, kind: type):
        if isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            self._function(value)
        elif isinstance(value, types.ModuleType | types.GeneratorType | types.FrameType):
            raise _Indescribable(kind.__name__)
        elif isinstance(value, np.ndarray):
            self.parts.append(f"array {value.dtype.str} {value.shape} {value.tobytes().hex()}")
        elif isinstance(value, dict | types.MappingProxyType):
            self._all("{}", [part for pair in value.items() for part in pair])
        elif isinstance(value, list | tuple):
            self._name(kind)
            self._all("[]", value)
        elif isinstance(value, set | frozenset):
            self._all("{}", sorted(value, key=repr))
        else:
            self._object(value, kind)

    def _all(self, brackets: str, values):
        self.parts.append(brackets[0])
        for value in values:
            self.add(value)
        self.parts.append(brackets[1])

    def _name(self, kind: type):
        self.parts.append(f"{kind.__module__}.{kind.__qualname__}")

    def _class(self, kind: type):
        self._name(kind)
        if "<locals>" not in kind.__qualname__:
            return
        # Made in a function: two of one name may differ, so their fields count; code of their own would have cells that aren't seen.
        if not hasattr(kind, "as_shape"):
            raise _Indescribable(kind.__qualname__)
        self.add(kind.as_shape())

    def _function(self, value):
        self.parts.append(f"{value.__module__}.{value.__qualname__}")
        if isinstance(value, types.MethodType):
            self.add(value.__self__)
        elif "<" in value.__qualname__ or getattr(value, "__closure__", None):
            raise _Indescribable(value.__qualname__)

    def _object(self, value, kind: type):
        if isinstance(value, Signal):
            self._numbers.append(value.duid)
        names = dict(getattr(value, "__dict__", {}))
        for base in kind.__mro__:
            slots = base.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                name = f"_{base.__name__.lstrip('_')}{slot}" if slot.startswith("__") and not slot.endswith("__") else slot
                if hasattr(value, name):
                    names[name] = getattr(value, name)
        if not names and kind.__reduce__ is object.__reduce__ and kind.__module__ == "builtins":
            raise _Indescribable(kind.__name__)
        self._class(kind)
        self._all("()", [part for name, content in sorted(names.items()) if name not in _PLACES for part in (name, content)])


def describe(component: wiring.Component) -> str | None:
    """A text that is the same for components that elaborate to the same design; None where the component can't be described."""
    describer = _Describer()
    try:
        describer.add(component)
    except (_Indescribable, RecursionError):
        return None
    return "\n".join([*describer.parts, describer.order()])


@cache
def _sources() -> str:
    """Hash of the classes that tests put around designs; those of the hardware are in :func:`sim.verilog.cache.source_digest`."""
    sha = hashlib.sha256(emissions.source_digest().encode())
    for folder in ("verif", "sim"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            sha.update(str(path.relative_to(_ROOT)).encode() + path.read_bytes())
    return sha.hexdigest()


class _Emitted(wiring.Component):
    """An instance of a component that is emitted already, with the ports of `component`."""

    def __init__(self, component: wiring.Component, made: Emission):
        self._made = made
        super().__init__(component.signature)

    def elaborate(self, platform):
        header = self._made.text[self._made.text.index(f"module {self._made.top}("):].partition(";")[0]
        names = re.findall(r"\w+", header.partition("(")[2])
        # A design without registers has no clock.
        implicit = {f"i_{name}": signal for name, signal in (("clk", ClockSignal()), ("rst", ResetSignal())) if name in names}
        ports = {f"{direction}_{name}": value for name, direction, value in ports_of(self) if name in names}
        return Instance(self._made.top, **ports, **implicit)


def _faulty(component: Fault, top: str) -> Emission:
    """A fault around a design whose text is there: the design is not elaborated again, but instantiated."""
    inside = emission(component.inner, f"{top}_inside")
    outside = emit(component.around(_Emitted(component.inner, inside)), top)
    return Emission(top, outside.text + inside.text, outside.ports)


def _replaced() -> bool:
    """A module of the hardware has a name that stands for something of a test."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("rtl.")]
    return any(str(getattr(value, "__module__", "")).startswith("verif.") for module in modules for value in list(vars(module).values()))


def emission(component: wiring.Component, top: str, *, covered: bool = False) -> Emission:
    """:func:`sim.verilog.emit.emit`, or with `covered` :func:`sim.verilog.covered.emit_covered`, from the build folder where an equal
    component was emitted before."""
    if isinstance(component, Fault):
        return _faulty(component, top)
    write = emit_covered if covered else emit
    description = None if _replaced() else describe(component)
    if description is None:
        return write(component, top)
    key = hashlib.sha256(f"{_sources()}\n{top}\n{description}".encode()).hexdigest()[:16]
    file = build_folder() / "emitted" / f"{top}_{key}{'_covered' * covered}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    # Tests of one design may run side by side: the first one elaborates it, the others wait.
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return Emission.kept(json.loads(file.read_text()))
        made = write(component, top)
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(made)))
        temporary.replace(file)
    return made
