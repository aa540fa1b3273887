"""A component with its properties as RTLIL that Yosys' `sat` takes: every check named, constants free."""

import re
from dataclasses import dataclass

from amaranth.back import rtlil
from amaranth.hdl import Fragment, Signal
from amaranth.lib import wiring

from sim.verilog.emit import ports_of

__all__ = ["Model", "observe"]


def observe(m, name: str, component: wiring.Component) -> dict[str, Signal]:
    """Makes `component` the submodule `name` of `m` and gives its registers by path ("tRC.left"), for invariants that need them."""
    fragment = Fragment.get(component, None)
    m.submodules[name] = fragment
    found: dict[str, Signal] = {}

    def walk(part: Fragment, prefix: str):
        for domain, statements in part.statements.items():
            if domain != "comb":
                for statement in statements:
                    # Statements name signals; a View's target is its signal.
                    found.update({prefix + signal.name: signal for signal in statement._lhs_signals()})
        for sub, sub_name, _ in part.subfragments:
            walk(sub, f"{prefix}{sub_name}.")

    walk(fragment, "")
    return found


@dataclass(frozen=True)
class Model:
    """RTLIL with module `top`."""

    text: str
    asserts: tuple[str, ...]
    #: The wire of each cover in the flattened design.
    covers: dict[str, str]
    #: Ports that the proof decides: inputs, the constant ones included.
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, harness: wiring.Component) -> "Model":
        """Raises ValueError where a check has no name, shares one, or stands in the combinational domain: a simulator would evaluate it
        before its inputs have settled, and so could not confirm a counterexample."""
        ports = {name: (value, None) for name, _, value in ports_of(harness)}
        text = rtlil.convert(Fragment.get(harness, None), name="top", ports=ports, emit_src=False)
        asserts: list[str] = []
        covers: dict[str, str] = {}

        def check(match: re.Match) -> str:
            body = match[0]
            kind, name = re.search(r'\\FLAVOR "(\w+)"', body)[1], re.search(r'\\FORMAT "(.*)"', body)[1]
            enable, value = re.search(r"connect \\EN (.*)", body)[1], re.search(r"connect \\A (.*)", body)[1]
            if "\\TRG_ENABLE 1" not in body:
                raise ValueError(f"the {kind} {name!r} is not in a clocked domain")
            if kind != "assume" and (not name or name in asserts or name in covers):
                raise ValueError(f"an {kind} needs a name of its own, not {name!r}")
            if kind != "cover":
                asserts.extend([name] if kind == "assert" else [])
                return f"  cell ${kind} {match[1]}\n    connect \\EN {enable}\n    connect \\A {value}\n  end\n"
            wire = f"\\cover_{len(covers)}"
            path = re.findall(r"^module \\top(\S*)", text[:match.start()], re.MULTILINE)[-1]
            covers[name] = f"{path}.{wire[1:]}".removeprefix(".")
            return (
                f"  attribute \\keep 1\n  wire {wire}\n  cell $and {match[1]}\n"
                + "".join(f"    parameter \\{key} {size}\n" for key, size in (
                    ("A_SIGNED", 0), ("B_SIGNED", 0), ("A_WIDTH", 1), ("B_WIDTH", 1), ("Y_WIDTH", 1)))
                + f"    connect \\A {enable}\n    connect \\B {value}\n    connect \\Y {wire}\n  end\n"
            )

        text = re.sub(r"  cell \$check (\S+)\n(?:    .*\n)*  end\n", check, text)
        start = text.index("module \\top\n")
        head, top = text[:start], text[start:]
        inputs = tuple(name for name, direction, _ in ports_of(harness) if direction == "i")
        for name in getattr(harness, "constants", ()):
            if name not in inputs:
                raise ValueError(f"the constant {name!r} is no input")
            # An input of the top becomes a constant of the solver's choice.
            top, count = re.subn(rf"  wire width (\d+) input \d+ +(signed +)?\\{name}\n", _constant(name), top, count=1)
            assert count == 1, name
        if not asserts:
            raise ValueError("there is nothing to prove: no Assert")
        return cls(head + top, tuple(asserts), covers, inputs)


def _constant(name: str):
    def replace(match: re.Match) -> str:
        return (
            f"  wire width {match[1]} \\{name}\n"
            f"  cell $anyconst $constant_{name}\n    parameter \\WIDTH {match[1]}\n    connect \\Y \\{name}\n  end\n"
        )
    return replace
