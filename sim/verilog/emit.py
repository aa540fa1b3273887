"""The emitter: an Amaranth component in, one SystemVerilog text out that Icarus, Verilator and Yosys read the same way.

Amaranth's own `back.verilog` writes `always @*` blocks that Icarus never runs at time 0 (amaranth#1629), so the RTLIL goes through
Yosys with passes that leave only `assign` and `always_ff`. Repeated blocks (:class:`rtl.common.once.EmitOnce`) and SRAMs
(:mod:`rtl.common.sram`) become modules of their own. The text holds no path and no time, so two emissions give the same bytes.
"""

import gc
import hashlib
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Fragment, Instance, ResetSignal, Value
from amaranth.lib import wiring

from rtl.common.once import EmitOnce
from rtl.common.sram import Sram, SramDual
from sim.verilog.yosys import read_verilog_text, yosys

__all__ = ["Emission", "emission_of", "emit", "ports_of", "rtlil_of"]


@dataclass(frozen=True)
class Port:
    """One port of the emitted top module; `signed` values are two's complement in the port."""

    name: str
    direction: str
    width: int


@dataclass(frozen=True)
class Emission:
    """The text of a design, the name of its top module and the ports of that (without `clk` and `rst`)."""

    top: str
    text: str
    ports: tuple[Port, ...] = field(default=())

    @classmethod
    def kept(cls, fields: dict) -> "Emission":
        """From what `asdict` made of one and JSON has kept."""
        return cls(fields["top"], fields["text"], tuple(Port(**port) for port in fields["ports"]))

    @property
    def digest(self) -> str:
        """Content hash; builds are kept by it."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def ports_of(component: wiring.Component) -> list[tuple[str, str, Value]]:
    """(name, "i" or "o", value) of every port of a component, flattened as Amaranth names them."""
    found = []
    for path, member, value in component.signature.flatten(component):
        direction = "i" if member.flow is wiring.In else "o"
        found.append(("__".join(str(part) for part in path), direction, Value.cast(value)))
    return found


_SRAM = """
module {name} (clk, enable, address, write, write_data, read_data);
  input clk, enable;
  input [{ab}:0] address;
  input [{gb}:0] write;
  input [{db}:0] write_data;
  output reg [{db}:0] read_data;
  reg [{db}:0] memory [0:{last}];
`ifndef SYNTHESIS
  integer i;
  initial begin
    for (i = 0; i <= {last}; i = i + 1) memory[i] = {width}'d0;
    read_data = {width}'d0;
  end
`endif
  always @(posedge clk) if (enable) begin
{writes}
    if (write == {gates}'d0) read_data <= memory[address];
  end
endmodule
"""

_SRAM_DUAL = """
module {name} (clk, read_enable, read_address, read_data, write, write_address, write_data);
  input clk, read_enable;
  input [{ab}:0] read_address, write_address;
  input [{gb}:0] write;
  input [{db}:0] write_data;
  output reg [{db}:0] read_data;
  reg [{db}:0] memory [0:{last}];
`ifndef SYNTHESIS
  integer i;
  initial begin
    for (i = 0; i <= {last}; i = i + 1) memory[i] = {width}'d0;
    read_data = {width}'d0;
  end
`endif
  always @(posedge clk) begin
    if (read_enable) read_data <= memory[read_address];
{writes}
  end
endmodule
"""


class _Platform:
    """Handed to `elaborate`; its two methods are the whole protocol between blocks and emitter."""

    def __init__(self, places: bool = False):
        #: Source lines go along.
        self.places = places
        #: Emitted blocks: class and key to module name and RTLIL.
        self.modules: dict[tuple, tuple[str, str]] = {}
        #: SystemVerilog of each SRAM shape by module name.
        self.srams: dict[str, str] = {}

    @staticmethod
    def _instance(name: str, component: wiring.Component, implicit: dict) -> Instance:
        ports = {f"{direction}_{port}": value for port, direction, value in ports_of(component)}
        return Instance(name, **ports, **implicit)

    def emit_once(self, component: EmitOnce) -> Instance:
        key = (type(component).__module__, type(component).__qualname__, component.key)
        if key not in self.modules:
            name = f"{type(component).__name__.lower()}_{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}"
            # The instance's elaborate would ask the platform again, so the block's own body is wrapped.
            self.modules[key] = (name, _rtlil(_Body(component), name, self))
        name, text = self.modules[key]
        # A block without registers has neither clock nor reset, one of reset-less registers has no reset.
        module = text[text.index(f"module \\{name}\n"):]
        header = module[: module.index("\nend\n")]
        implicit = {}
        if re.search(r"wire (width 1 )?input \d+ +\\clk$", header, re.MULTILINE):
            implicit["i_clk"] = ClockSignal()
        if re.search(r"wire (width 1 )?input \d+ +\\rst$", header, re.MULTILINE):
            implicit["i_rst"] = ResetSignal(allow_reset_less=True)
        return self._instance(name, component, implicit)

    def emit_sram(self, component) -> Instance:
        dual = isinstance(component, SramDual)
        assert dual or isinstance(component, Sram)
        grain, width, depth = component.granularity, component.width, component.depth
        name = f"sram{'_dual' if dual else ''}_{depth}x{width}" + (f"_{grain}" if grain != width else "")
        address = "write_address" if dual else "address"
        gates = width // grain
        writes = "\n".join(
            f"    if (write[{g}]) memory[{address}][{g * grain} +: {grain}] <= write_data[{g * grain} +: {grain}];"
            for g in range(gates)
        )
        self.srams[name] = (_SRAM_DUAL if dual else _SRAM).format(
            name=name, ab=component.address_bits - 1, gb=gates - 1, db=width - 1, last=depth - 1, width=width, gates=gates, writes=writes,
        )
        return self._instance(name, component, {"i_clk": ClockSignal()})


@contextmanager
def _rare_collections():
    """Elaboration makes millions of objects and drops few: looking for garbage as often as usual takes a third of its time."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def emit(component: wiring.Component, top: str, *, enables: bool = False) -> Emission:
    """Elaborates `component` as module `top`, with `clk` and `rst` besides its own ports.

    With `enables` a register that keeps its value is written as one with an enable, not as a choice of what it holds. Verilator then
    passes over what the register would have taken, and gets through a clock faster; names of registers can differ from the design's.
    """
    platform = _Platform()
    with _rare_collections():
        # As a top, a block that is otherwise emitted once has nobody to instantiate it.
        design = _rtlil(_Body(component) if isinstance(component, EmitOnce) else component, top, platform)
    blocks = [text for _, text in platform.modules.values()]
    text = _verilog("\n".join([design, *blocks]), top, "opt_dff; opt_clean; " if enables else "")
    return emission_of(component, top, text, platform.srams)


def emission_of(component: wiring.Component, top: str, text: str, srams: dict[str, str]) -> Emission:
    """The emission whose modules are `text`, with its SRAMs by module."""
    ports = tuple(
        Port(name, "input" if direction == "i" else "output", len(value)) for name, direction, value in ports_of(component)
    )
    return Emission(top, text + "".join(srams[name] for name in sorted(srams)), ports)


def rtlil_of(component: wiring.Component, top: str, *, places: bool = False) -> tuple[str, dict[str, str], list[str]]:
    """The RTLIL of `component` as module `top`, SystemVerilog of its SRAMs by module, and the modules of repeated blocks.

    With `places` the cells know the lines that made them.
    """
    platform = _Platform(places)
    design = _rtlil(_Body(component) if isinstance(component, EmitOnce) else component, top, platform)
    blocks = list(platform.modules.values())
    return "\n".join([design, *(text for _, text in blocks)]), platform.srams, [name for name, _ in blocks]


class _Body(wiring.Component):
    """The body of an :class:`EmitOnce` block under the block's own ports."""

    def __init__(self, block: EmitOnce):
        self._block = block
        super().__init__(block.signature)
        # The body drives the block's own signals: the wrapper has no ports of its own.
        for name in block.signature.members:
            setattr(self, name, getattr(block, name))

    def elaborate(self, platform):
        return self._block.build(platform)


def _rtlil(component: wiring.Component, name: str, platform: _Platform) -> str:
    ports = {port: (value, None) for port, _, value in ports_of(component)}
    return rtlil.convert(Fragment.get(component, platform), name=name, ports=ports, emit_src=platform.places, platform=platform)


_PASSES = "proc -norom; pmuxtree; opt_clean; {}memory_collect; write_verilog -sv -norename -noattr"


def _verilog(rtlil_text: str, top: str, more: str = "") -> str:
    """`more`: passes besides those of every design."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "design.il", Path(folder) / "design.sv"
        source.write_text(rtlil_text)
        run = yosys([f"read_rtlil {source}", f"hierarchy -top {top}", *f"{_PASSES.format(more)} {target}".split("; ")])
        if run.returncode or not target.exists():
            raise RuntimeError(f"Yosys could not write {top}: {run.stdout.strip()} {run.stderr.strip()}")
        return read_verilog_text(target)
