"""What of a waveform is worth looking at: groups by block, and how each signal reads. Every viewer and picture shows this list."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from amaranth.lib import data

from gcu.waves.readings import Bit, Decimal, Hexadecimal, Lanes, Names, Reading, from_name
from gcu.waves.waveform import UNKNOWN, Waveform
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Cause, HostRegister, TensorCommand
from rtl.sip import LANES

__all__ = ["ENGINE_LANES", "Group", "Trace", "run_view"]

#: Engines by their lane in a SIP.
ENGINE_LANES = ("tensor", "vector", "data", "sequencer")

_HOST = ("awaddr", "awvalid", "wdata", "araddr", "arvalid", "rdata", "rvalid")


@dataclass(frozen=True)
class Trace:
    """A signal by its full name in the waveform, and how it reads."""

    name: str
    label: str
    bits: int
    reading: Reading


@dataclass(frozen=True)
class Group:
    title: str
    traces: tuple[Trace, ...]


class _Finder:
    def __init__(self, waveform: Waveform):
        self.waveform = waveform

    def trace(self, suffix: str, reading: Reading, label: str | None = None) -> Trace:
        name = self.waveform.find(suffix)
        return Trace(name, label or suffix.rsplit(".", 1)[-1], self.waveform.width(name), reading)

    def present(self, *traces: tuple) -> list[Trace]:
        """Of signals that lie inside the chip, those that the waveform has: a run may record its boundary alone."""
        return [self.trace(*each) for each in traces if each[0] in self.waveform]


def run_view(waveform: Waveform, config: ChipConfig, tags: dict[int, str]) -> list[Group]:
    """The view of a run of the chip; `tags` names the layer of each command tag.

    Raises KeyError if the waveform lacks a signal of the bench itself.
    """
    find = _Finder(waveform)
    registers = Names("registers", {register.value: register.name for register in HostRegister})
    causes = Names("causes", {cause.value: cause.name for cause in Cause})
    layers = Names("tags", {0: "-"} | tags)
    host = [find.trace(f"player.axi__{name}", registers if name.endswith("addr") else Bit() if name.endswith("valid") else Hexadecimal())
            for name in _HOST]
    groups = [
        Group("clock", (find.trace("bench.clk", Bit()), find.trace("bench.rst", Bit()))),
        Group("host", (*host, find.trace("player.interrupt", Bit()), find.trace("player.done", Bit()))),
    ]
    for unit in range(config.sips + 1):
        title, scope = ("cluster", "cluster") if unit == config.sips else (f"SIP {unit}", f"sip_{unit}")
        for lane, engine in enumerate(ENGINE_LANES):
            if unit == config.sips and lane < 2:
                continue
            probe = f"probe_{LANES * unit + lane}"
            traces = [find.trace(f"{probe}.cause", causes), find.trace(f"{probe}.tag", layers)]
            if engine == "data":
                traces += [find.trace(f"{probe}.read", Decimal(), "L3 bytes read")]
                traces += [find.trace(f"{probe}.write", Decimal(), "L3 bytes written")]
            if engine != "sequencer":
                traces += find.present(
                    (f"{scope}.{engine}__valid", Bit(), "command valid"), (f"{scope}.{engine}__ready", Bit(), "command ready"),
                    (f"{scope}.{engine}__payload", from_name(engine), "command"),
                )
            if engine == "tensor":
                traces += _operands(find, scope, config)
            groups.append(Group(f"{title} {engine}", tuple(traces)))
    for channel in range(config.channels):
        scope = f"memory_{channel}.hbm"
        traces = find.present(
            (f"{scope}.row_operation", from_name("row"), "row command"), (f"{scope}.row_group", Decimal()),
            (f"{scope}.row_bank", Decimal()), (f"{scope}.row_row", Decimal(), "row"),
            (f"{scope}.column_operation", from_name("column"), "column command"), (f"{scope}.column_group", Decimal()),
            (f"{scope}.column_bank", Decimal()), (f"{scope}.column_column", Decimal(), "column"),
            (f"{scope}.write_data", Hexadecimal()), (f"{scope}.read_valid", Bit()), (f"{scope}.read_data", Hexadecimal()),
        )
        if traces:
            groups.append(Group(f"HBM {channel}", tuple(traces)))
    return groups


def _operands(find: _Finder, scope: str, config: ChipConfig) -> list[Trace]:
    """The tensor core's operands at L1, read in the formats that most of its recorded commands have."""
    payload = f"{scope}.tensor__payload"
    if payload not in find.waveform:
        return []
    commands = find.waveform.by_clock(payload)
    accepted = (find.waveform.by_clock(f"{scope}.tensor__valid") == 1) & (find.waveform.by_clock(f"{scope}.tensor__ready") == 1)
    modes: Counter = Counter()
    layout = data.Layout.cast(TensorCommand)
    for value in commands[np.flatnonzero(accepted)].tolist():
        if value != UNKNOWN:
            mode = data.Const(layout, value).mode
            modes[mode.a_format, mode.d_format] += 1
    a, d = modes.most_common(1)[0][0] if modes else (Format.FP32, Format.FP32)
    # An L1 response is {valid, data}, a request {address, data, strobe}; ports carry as many elements as fit.
    return find.present(
        (f"{scope}.tensor_a__response", Lanes(a, config.a_bytes // CONTAINER_BYTES[a], 1), f"A ({a.name})"),
        (f"{scope}.tensor_b__response", Lanes(a, config.b_bytes // CONTAINER_BYTES[a], 1), f"B ({a.name})"),
        (f"{scope}.tensor_d__request__valid", Bit(), "D valid"),
        (f"{scope}.tensor_d__request__payload", Lanes(d, config.c_bytes // CONTAINER_BYTES[d], config.l1_address_bits), f"D ({d.name})"),
    )
