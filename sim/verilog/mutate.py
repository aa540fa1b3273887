"""Designs with small faults to choose from, to see which of them the tests find: Yosys's `mutate` in the way to Verilog.

One text holds all mutants. The top module takes the number of the one to show from the plusarg `+mutant=N`; 0, or none, is the design as
it is. A mutant is there all the time, an upset for `+upset_for=N` clocks from clock `+upset_at=N` on (1 and 0 without them).
"""

import json
import re
import tempfile
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from amaranth.lib import wiring

from sim.verilog.emit import Emission, emission_of, rtlil_of
from sim.verilog.yosys import read_verilog_text, yosys

__all__ = ["Mutant", "Mutated", "mutate"]


@dataclass(frozen=True)
class Mutant:
    """`what` happens to a bit of a port of a cell; `wire` is what hangs on it and `place` the lines that made the cell, FILE:LINE. `line`
    is Yosys's command for it."""

    number: int
    what: str
    cell: str
    port: str
    wire: str
    place: str
    line: str

    @property
    def module(self) -> str:
        """Its module, as Yosys has it."""
        return re.search(r"-module (\S+)", self.line)[1]  # type: ignore[index]

    def command(self, module: str) -> str:
        """Yosys's command that puts it into a copy of its module."""
        return self.line.replace(f"-module {self.module} ", f"-module {module} ")

    def __str__(self) -> str:
        return f"{self.number}: {self.what} of {self.cell} {self.port}, {self.wire} ({self.place})"


@dataclass(frozen=True)
class Mutated:
    """A design with its mutants, numbered from 1; `prepared` is the RTLIL that they were put into, which :meth:`load` leaves out."""

    emission: Emission
    mutants: tuple[Mutant, ...]
    prepared: str = ""

    def save(self, file: Path):
        """Writes `file`, and the RTLIL beside it as `.il`."""
        temporary = file.with_suffix(".new")
        file.with_suffix(".il").write_text(self.prepared)
        temporary.write_text(json.dumps(asdict(replace(self, prepared=""))))
        temporary.replace(file)

    @classmethod
    def load(cls, file: Path) -> "Mutated":
        kept = json.loads(file.read_text())
        return cls(Emission.kept(kept["emission"]), tuple(Mutant(**mutant) for mutant in kept["mutants"]))


#: Cells that are no hardware, or that take constants alone: what a memory starts with.
_NO_GATES = ("check", "assert", "assume", "cover", "print", "meminit", "meminit_v2")

#: Filters of `mutate` by kind of upsets: the bit on its way into a register, or into a word of an SRAM.
_UPSETS = {"": "", "registers": r"-mode inv -port \D", "memories": r"-mode inv -port \write_data"}

#: What `mutate` calls its modes.
_MODES = {
    "inv": "inverted", "const0": "stuck at 0", "const1": "stuck at 1", "cnot0": "inverted where another bit is 0",
    "cnot1": "inverted where another bit is 1",
}


def mutate(component: wiring.Component, top: str, *, count: int, seed: int, inside: str = "", upsets: str = "") -> Mutated:
    """Emits `component` as module `top` with `count` mutants drawn by `seed`, evenly over modules, cells, wires and source lines.

    `inside` names a submodule, with dots: only it and what is below it is changed, and blocks that are emitted once. With a `*` it is a
    pattern of modules, and only they and what is below them is changed. SRAMs and assertions stay as they are. With `upsets` the mutants
    are bits that turn over: "registers", on their way into one, or "memories", of what is written to an SRAM. Raises RuntimeError where
    Yosys fails.
    """
    text, srams, blocks = rtlil_of(component, top, places=True)
    if "*" in inside:
        modules = [inside]
        found = any(fnmatchcase(module, inside) for module in re.findall(r"^module \\(\S+)$", text, re.MULTILINE))
    else:
        modules = [f"{top}.{inside}" if inside else top, *blocks]
        found = f"\nmodule \\{modules[0]}\n" in text
    if not found:
        raise RuntimeError(f"{type(component).__name__} has no submodule {inside!r}")
    width = max(count.bit_length(), 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "design.il").write_text(text)
        (folder / "srams.sv").write_text("".join(srams.values()))
        listing = folder / "mutants.txt"
        sites = " ".join(part for module in modules for part in (module, f"{module}.*"))
        prepare = [
            # Of the SRAMs only which ports are inputs.
            *([f"read_verilog -sv -lib -DSYNTHESIS {folder / 'srams.sv'}"] if srams else []),
            f"read_rtlil {folder / 'design.il'}", f"hierarchy -top {top}", "proc -norom", "pmuxtree", "opt_expr", "wreduce", "opt_clean",
        ]
        choose = [
            f"select -set sites {sites}", *(f"select -set sites @sites t:${kind} %d" for kind in _NO_GATES),
            f"mutate -list {count + count // 2 + 20} -seed {seed} -o {listing} {_UPSETS[upsets]} @sites",
        ]
        keep = [f"write_rtlil {folder / 'prepared.il'}"]
        _run([*prepare, *keep, *choose])
        prepared = (folder / "prepared.il").read_text()
        fixed = _constants(prepared)
        # A register that is cut off from its wire would lose its initial value, and its input has the same faults. Clocks are no logic.
        drawn = [
            line for line in listing.read_text().splitlines()
            if re.search(r"-port \\?(?!Q |CLK )", line) and not any(place in line for place in fixed)
        ]
        lines = [f"{line} -ctrl mutant {width} {number}" for number, line in enumerate(drawn[:count], 1)]
        target = folder / "design.sv"
        _run([f"read_rtlil {folder / 'prepared.il'}", *lines, "memory_collect", f"write_verilog -sv -norename -noattr {target}"])
        verilog = read_verilog_text(target)
    emission = emission_of(component, top, _chosen_by_plusarg(verilog, top, width, bool(upsets)), srams)
    return Mutated(emission, tuple(_mutant(number, line) for number, line in enumerate(drawn[:count], 1)), prepared)


def _constants(prepared: str) -> list[str]:
    """Enables and resets of memories' read ports without a clock, as lines of `mutate` name them: Yosys insists that they are constants."""
    found, module = [], ""
    for match in re.finditer(r"^module \\?(\S+)$|^  cell \$memrd_v2 \\?(\S+)\n((?:    .*\n)+)", prepared, re.MULTILINE):
        module = match[1] or module
        if match[2] and re.search(r"\\CLK_ENABLE (1')?0$", match[3], re.MULTILINE):
            found += [f"-module {module} -cell {match[2]} -port {port} " for port in ("EN", "ARST", "SRST")]
    return found


def _run(commands: list[str]):
    run = yosys(commands)
    if run.returncode:
        raise RuntimeError(f"Yosys could not make mutants: {(run.stdout + run.stderr).strip()[-2000:]}")


def _mutant(number: int, line: str) -> Mutant:
    """From a line of `mutate -list`."""
    words = dict(re.findall(r"-(\w+) (\S+)", line))
    places = re.findall(r"-src (\S+)", line)
    bit = f"[{words['portbit']}]" if "portbit" in words else ""
    wire = f"{words['wire']}[{words['wirebit']}]" if "wire" in words else "no wire"
    kind = words["cell"].removeprefix("\\")
    return Mutant(
        number, _MODES.get(words["mode"], words["mode"]), f"{words['module'].removeprefix(chr(92))}.{kind}",
        words["port"].removeprefix("\\") + bit, wire.removeprefix("\\"), ", ".join(_relative(place) for place in places) or "no line", line,
    )


def _relative(place: str) -> str:
    """From the root of the project; without columns."""
    parts = [re.sub(r"^.*/(?:site-packages/|(?=(?:rtl|verif|sim)/))", "", part) for part in place.split("|")]
    return ", ".join(dict.fromkeys(re.sub(r"^([^:]+:\d+).*$", r"\1", part) for part in parts))


_STEADY = """  reg [{top}:0] mutant;
  initial if (!$value$plusargs("mutant=%d", mutant)) mutant = {none};
"""

_PULSE = """  reg [{top}:0] upset_site;
  reg [31:0] upset_at, upset_for, upset_now;
  wire [{top}:0] mutant;
  initial begin
    if (!$value$plusargs("mutant=%d", upset_site)) upset_site = {none};
    if (!$value$plusargs("upset_at=%d", upset_at)) upset_at = 32'd0;
    if (!$value$plusargs("upset_for=%d", upset_for)) upset_for = 32'd1;
    upset_now = 32'd0;
  end
  always @(posedge clk) upset_now <= upset_now + 32'd1;
  assign mutant = upset_now - upset_at < upset_for ? upset_site : {none};
"""


def _chosen_by_plusarg(verilog: str, top: str, width: int, upset: bool) -> str:
    """The input `mutant` of the top module becomes a register that keeps what the plusarg says, or is it in the clocks of an upset."""
    begin = verilog.index(f"module {top}(")
    end = verilog.index("endmodule", begin)
    body = verilog[begin:end]
    if "mutant" not in body.partition(";")[0]:
        return verilog  # no mutant at all
    header, _, rest = body.partition(";")
    header = re.sub(r",\s*mutant\b|\bmutant\s*,\s*", "", header)
    declaration = (_PULSE if upset else _STEADY).format(top=width - 1, none=f"{width}'d0")
    rest = re.sub(r"^  input (\[\d+:0\] )?mutant;\n(  wire (\[\d+:0\] )?mutant;\n)?", lambda _: declaration, rest, flags=re.MULTILINE)
    return verilog[:begin] + header + ";" + rest + verilog[end:]
