"""The cache of emissions: equal designs share a text, and nothing else does."""

import dataclasses

import pytest
from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamFifo, StreamRegister
from rtl.config import PRESETS
from rtl.l1.scratchpad import L1
from rtl.tensor.core import TensorCore
from sim.verilog.emit import emit
from verif.common import emission
from verif.common.fault import Fault

TINY = PRESETS["tiny"]


def pair(width: int) -> type:
    class Pair(data.Struct):
        first: width
        second: 4

    return Pair


class Held(wiring.Component):
    """Holds anything; the order of its two signals, which stand in no port, decides their names."""

    def __init__(self, held, *, swapped: bool = False):
        super().__init__({"input": In(4), "output": Out(4)})
        self.held = held
        made = [Signal(4, name="state") for _ in range(2)]
        self._first, self._second = reversed(made) if swapped else made

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self._first.eq(self.input), self._second.eq(self._first)]
        m.d.comb += self.output.eq(self._second)
        return m


@pytest.mark.parametrize("make", [
    lambda: TensorCore(TINY), lambda: L1(TINY), lambda: Fault(L1(TINY), "tensor_b__response", 17, after=100),
    lambda: StreamFifo(pair(3), 5),
], ids=["tensor", "l1", "fault", "local_struct"])
def test_equal_designs_have_one_description(make):
    first, second = emission.describe(make()), emission.describe(make())
    assert first is not None and first == second


def test_different_designs_differ():
    designs = [
        StreamRegister(16), StreamRegister(17), StreamFifo(16, 5), StreamFifo(16, 6), StreamFifo(pair(3), 5), StreamFifo(pair(5), 5),
        TensorCore(TINY), TensorCore(dataclasses.replace(TINY, accumulator_rows=TINY.accumulator_rows * 2)),
        Fault(StreamRegister(16), "output__payload", 3), Fault(StreamRegister(16), "output__payload", 4),
        Fault(StreamRegister(16), "output__payload", 3, after=1), Fault(StreamRegister(16), None, 3),
        Held(1), Held(True), Held("1"), Held([1]), Held((1,)), Held({"1": 1}), Held(1, swapped=True),
    ]
    descriptions = [emission.describe(design) for design in designs]
    assert None not in descriptions and len(set(descriptions)) == len(designs)


@pytest.mark.parametrize("held", [lambda: 1, (number for number in range(3)), pytest], ids=["lambda", "generator", "module"])
def test_what_cannot_be_described_is_not_kept(held):
    assert emission.describe(Held(held)) is None


def test_kept_text_is_the_emitted_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGCU_BUILD", str(tmp_path))
    wanted = emit(Held(1), "dut")
    assert emission.emission(Held(1), "dut") == wanted
    assert len(list((tmp_path / "emitted").glob("*.json"))) == 1
    monkeypatch.setattr(emission, "emit", lambda *_: pytest.fail("emitted again"))
    assert emission.emission(Held(1), "dut") == wanted


def test_nothing_is_kept_while_a_part_of_the_hardware_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGCU_BUILD", str(tmp_path))
    monkeypatch.setattr("rtl.memory.schedule.scheduler.WritePool", lambda depth: Held(depth))
    emission.emission(Held(1), "dut")
    assert not (tmp_path / "emitted").exists()
