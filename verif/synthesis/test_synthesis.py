"""Libraries, netlist timing and the whole flow, on cells whose delays can be added up by hand."""

import gzip
import json
import random

import numpy as np
import pytest
from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.common.once import EmitOnce
from rtl.common.sram import Sram
from sim.synthesis.fanout import buffer_registers
from sim.synthesis.flow import map_to_cells, synthesise
from sim.synthesis.liberty import Library, LibraryError, Table
from sim.synthesis.timing import longest
from sim.tools import ToolError
from verif.front.kit import gcu
from verif.synthesis.cells import library_text


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Library:
    path = tmp_path_factory.mktemp("cells") / "cells.lib.gz"
    path.write_bytes(gzip.compress(library_text().encode()))
    return Library(path)


class Stage(EmitOnce):
    """One register behind a NAND."""

    a: In(1)
    b: In(1)
    q: Out(1)

    key = ()

    def build(self, platform):
        m = Module()
        held = Signal(reset_less=True)
        m.d.sync += held.eq(~(self.a & self.b))
        m.d.comb += self.q.eq(held)
        return m


class Stages(wiring.Component):
    a: In(4)
    q: Out(3)
    data: Out(8)

    def elaborate(self, platform):
        m = Module()
        for index in range(3):
            m.submodules[f"stage_{index}"] = stage = Stage()
            m.d.comb += [stage.a.eq(self.a[index]), stage.b.eq(self.a[index + 1]), self.q[index].eq(stage.q)]
        m.submodules.sram = sram = Sram(width=8, depth=64)
        m.d.comb += [sram.enable.eq(self.a[0]), sram.address.eq(self.a), sram.write_data.eq(self.a), self.data.eq(sram.read_data)]
        return m


def test_library(library):
    assert library.name == "tests" and set(library.cells) == {"inv", "buf", "strong", "and_not", "either", "flop"}
    assert library.nand2.name == "and_not", "the smallest cell with the function"
    flop = library.cells["flop"]
    assert flop.clock == "CK" and set(flop.setup) == {"D"} and library.cells["inv"].clock is None


def test_tables():
    table = Table((0.0, 1.0, 3.0), (0.0, 2.0), ((0.0, 2.0), (1.0, 3.0), (3.0, 5.0)))
    for slew, load in np.random.default_rng(1).uniform(-1, 5, (50, 2)):
        assert table(slew, load) == pytest.approx(slew + load)  # inside and beyond
    assert Table((0.0,), (0.0,), ((7.0,),))(3, 4) == 7.0


@pytest.mark.parametrize("text", ("", "nothing", "library (a) {", "library (a) { cell (b) { area : 1; } }"))
def test_files_that_are_no_library(tmp_path, text):
    path = tmp_path / "bad.lib"
    path.write_text(text)
    with pytest.raises(LibraryError, match=r"bad\.lib"):
        Library(path)
    answer = gcu("ppa", "--block", "pe", "--liberty", path)
    assert answer.status == 2 and "bad.lib" in answer.err


def test_repeated_blocks_and_srams_in_generic_gates():
    result = synthesise(Stages(), None)
    assert result.sram_bits == 8 * 64
    assert result.area is None and result.flip_flops == 3 and result.transistors == 3 * (24 + 4) and result.nand2 == 3 * 7
    assert result.paths["in_reg"].delay == 1


def _netlist(loads: int) -> dict:
    """A flip-flop that drives `loads` inverters, each in front of a port."""
    cells = {"f": {"type": "flop", "port_directions": {}, "connections": {"CK": [2], "D": [3], "Q": [4]}}}
    ports = {"clk": {"direction": "input", "bits": [2]}, "d": {"direction": "input", "bits": [3]}}
    for index in range(loads):
        cells[f"i{index}"] = {"type": "inv", "port_directions": {}, "connections": {"A": [4], "Y": [10 + index]}}
    ports["y"] = {"direction": "output", "bits": [10 + index for index in range(loads)]}
    names = {"clk": [2], "d": [3], "q": [4], "y": ports["y"]["bits"]}
    return {"ports": ports, "cells": cells, "netnames": {name: {"bits": bits, "hide_name": 0} for name, bits in names.items()}}


def test_timing_by_hand(library):
    paths = longest(_netlist(3), library)
    assert paths["in_reg"].delay == pytest.approx(0.05)
    # 0.4 ns and three inverters' 6 fF at 1 ns per pF, then an inverter without a load.
    assert paths["reg_out"].delay == pytest.approx(0.4 + 0.006 + 0.1)
    assert (paths["reg_out"].source, paths["reg_out"].stages) == ("q", 2) and set(paths) == {"in_reg", "reg_out"}


def test_buffer_trees(library):
    assert buffer_registers(_netlist(40), library) == 0
    module = _netlist(1000)
    before = longest(module, library)["reg_out"].delay
    added = buffer_registers(module, library)
    after = longest(module, library)
    # 29 or 30 inverters a buffer, and no second level in front of 35 buffers: 70 fF.
    assert added == 35 and before == pytest.approx(0.4 + 2.0 + 0.1)
    assert after["reg_out"].delay == pytest.approx(0.4 + 0.07 + 0.15 + 0.06 + 0.1, abs=0.003)
    driven = [cell for cell in module["cells"].values() if cell["connections"].get("A") == [4]]
    assert len(driven) == 35


class Mixed(wiring.Component):
    """A product that accumulates, and a wide sum that no register follows."""

    a: In(5)
    b: In(5)
    wide: In(24)
    q: Out(12)
    sum: Out(25)

    def elaborate(self, platform):
        m = Module()
        held = Signal(12)
        m.d.sync += held.eq(held + self.a * self.b)
        m.d.comb += [self.q.eq(held), self.sum.eq(self.wide + Cat(self.a, self.b, ~self.wide))]
        return m


def _gates(cells: dict, values: dict, library: Library) -> None:
    """Settles the cells that are no flip-flops; `values` has the bits that are known, and gets all others."""
    logic = {"inv": lambda a: 1 - a, "buf": lambda a: a, "strong": lambda a, b: 1 - (a & b), "and_not": lambda a, b: 1 - (a & b),
             "either": lambda a, b: 1 - (a | b)}  # fmt: skip
    left = [cell for cell in cells.values() if not library.cells[cell["type"]].clock]
    while left:
        waiting = []
        for cell in left:
            pins = {pin: bits[0] for pin, bits in cell["connections"].items()}
            inputs = [values.get(pins[pin]) for pin in library.cells[cell["type"]].inputs]
            if None in inputs:
                waiting.append(cell)
            else:
                values[pins["Y"]] = logic[cell["type"]](*inputs)
        assert len(waiting) < len(left), "a loop, or a bit that nothing drives"
        left = waiting


def test_mapping_keeps_the_function(library):
    """The cells that Yosys and ABC chose compute what the component does; the only judge is arithmetic."""
    module = map_to_cells(Mixed(), library).modules["dut"]
    cells, ports = module["cells"], {name: port["bits"] for name, port in module["ports"].items()}
    assert {cell["type"] for cell in cells.values()} <= set(library.cells)
    flops = [cell["connections"] for cell in cells.values() if cell["type"] == "flop"]
    assert len(flops) == 12
    rng, held, total = random.Random(1), {flop["Q"][0]: 0 for flop in flops}, 0
    for cycle in range(60):
        due = {"a": rng.getrandbits(5), "b": rng.getrandbits(5), "wide": rng.getrandbits(24), "rst": int(cycle == 40)}
        values = {"0": 0, "1": 1, "x": 0} | held
        for name, value in due.items():
            values |= {bit: value >> place & 1 for place, bit in enumerate(ports[name])}
        _gates(cells, values, library)
        found = {name: sum(values[bit] << place for place, bit in enumerate(ports[name])) for name in ("q", "sum")}
        low = due["a"] | due["b"] << 5 | (~due["wide"] & 0xFFFFFF) << 10
        assert found == {"q": total, "sum": (due["wide"] + low) % (1 << 25)}, cycle
        total = 0 if due["rst"] else (total + due["a"] * due["b"]) % (1 << 12)
        held = {flop["Q"][0]: values[flop["D"][0]] for flop in flops}


def test_mapping_for_delay(library):
    """Our timing of the netlist is ABC's own, and sums stay trees of carries."""
    result, wider = synthesise(Mixed(), library), synthesise(Mixed(), library, adder="kogge-stone")
    for each in result, wider:
        ends = {kind: path.delay - 0.05 * (kind == "in_reg") for kind, path in each.paths.items() if kind in ("in_reg", "in_out")}
        assert each.abc_delay == pytest.approx(max(ends.values()), rel=0.02)
        assert each.nand2 == each.area / 4 and each.flip_flops == 12
    # 7.5 ns of NANDs; a script with `dc2`, which breaks the trees, gives 10.5.
    assert wider.paths["in_out"].delay < result.paths["in_out"].delay < 8.5 and wider.area > result.area


def test_library_without_flip_flops(tmp_path):
    """Is refused by name, and not counted as if registers were free."""
    path = tmp_path / "gates.lib"
    text = library_text()
    path.write_text(text[: text.index("cell (flop)")] + "}\n")
    with pytest.raises(ToolError, match="could not synthesise Mixed"):
        synthesise(Mixed(), Library(path))


def test_command(tmp_path):
    path = tmp_path / "j.json"
    answer = gcu("ppa", "--block", "l2", "--config", "tiny", "--json", path)
    assert answer.status == 0, answer.err
    report = json.loads(path.read_text())
    row = report["blocks"][0]
    assert report["library"] is None and report["nand2"]["cell"] == "4 transistors"
    assert row["block"] == "l2" and row["sram_bits"] == 64 * 1024 * 8 and row["period"] > 4
    assert row["nand2"] == round(row["transistors"] / 4) and row["unit"] == "gates" and row["area_um2"] is None
