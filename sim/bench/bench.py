"""The bench: chip, memories, host player and activity probes as one design, `bench`, with `clk`, `rst` and `done` to drive it."""

from functools import cache
from pathlib import Path

from amaranth import ClockSignal, Instance, Module, Mux, ResetSignal, Signal
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from rtl.chip import Chip, Compute
from rtl.config import ChipConfig
from rtl.sip import LANES
from sim.hbm.parameters import DEVICE_SOURCES, HbmDevice
from sim.verilog.cache import emitted
from sim.verilog.emit import emit

__all__ = ["Bench", "bench_design", "bench_sources", "memory_scope", "probe_scopes"]

_FOLDER = Path(__file__).parent

#: Latency of the ideal memory, in cycles.
IDEAL_LATENCY = 20

#: Clocks from the end of the host's script to the end of the run. A write is answered before it is in the DRAM, where the back door looks
#: for it: a full pool of scattered writes and a refresh take some hundred memory clocks.
SETTLE_BITS = 11


def _bind(interface, prefix: str) -> dict:
    """Instance ports that connect the other side of `interface` to a hand-written module, by flat names."""
    ports = {}
    for path, member, value in interface.signature.flatten(interface):
        name = "__".join((prefix, *(str(part) for part in path)))
        ports[("o_" if member.flow is wiring.In else "i_") + name] = Value.cast(value)
    return ports


def _probed(config: ChipConfig) -> list[tuple[int, int]]:
    """(sequencer, lane) of every engine that exists: the cluster has a data engine and its sequencer alone."""
    return [(unit, lane) for unit in range(config.sips + 1) for lane in range(LANES) if unit < config.sips or lane >= 2]


class Bench(wiring.Component):
    """A whole system under simulation. `memory` is "ideal" (no controller, no contention) or "hbm".

    Members
    -------
    done
        The host's script has ended, and what it wrote is in the memory.
    timed_out, refused, logged
        Of the host player: a job took too long, register accesses answered with an error, values logged.
    violations
        DRAM rules broken, over all channels.
    """

    def __init__(self, config: ChipConfig, memory: str):
        if memory not in ("ideal", "hbm"):
            raise ValueError(f"memory: {memory!r} is not ideal or hbm")
        self._config = config
        self._memory = memory
        super().__init__({
            "done": Out(1), "timed_out": Out(1), "refused": Out(32), "logged": Out(32), "violations": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        control = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        if self._memory == "ideal":
            m.submodules.chip = chip = Compute(config)
            m.d.comb += [chip.memory_ready.eq(-1), self.violations.eq(0)]
            # An ideal memory has no registers.
            m.d.comb += [access.error.eq(1) for registers in chip.memory_registers for access in (registers.write, registers.read)]
            for channel in range(config.channels):
                m.submodules[f"memory_{channel}"] = Instance(
                    "ideal_memory", p_DATA_BYTES=config.bus_bytes, p_ID_BITS=chip.memory[channel].signature.id_bits,
                    p_ROWS=config.channel_bytes // config.bus_bytes, p_LATENCY=IDEAL_LATENCY, p_INDEX=channel,
                    **control, i_finished=self.done, **_bind(chip.memory[channel], "axi"),
                )
        else:
            m.submodules.chip = chip = Chip(config)
            violations = []
            for channel in range(config.channels):
                m.submodules[f"memory_{channel}"] = device = HbmDevice(config, chip.timing, channel=channel)
                wiring.connect(m, chip.dfi[channel], device.dfi)
                m.d.comb += device.finished.eq(self.done)
                violations.append(device.violations)
            m.d.comb += self.violations.eq(sum(violations))
        ended, settled = Signal(), Signal(SETTLE_BITS + 1)
        if self._memory == "ideal":
            m.d.comb += self.done.eq(ended)
        else:
            m.d.sync += settled.eq(Mux(ended, Mux(self.done, settled, settled + 1), 0))
            m.d.comb += self.done.eq(settled[SETTLE_BITS])
        m.submodules.player = Instance(
            "host_player", **control, i_interrupt=chip.interrupt, **_bind(chip.host, "axi"), o_done=ended,
            o_timed_out=self.timed_out, o_refused=self.refused, o_logged=self.logged,
        )
        for unit, lane in _probed(config):
            m.submodules[f"probe_{LANES * unit + lane}"] = Instance(
                "activity_probe", p_LANE=LANES * unit + lane, **control, i_finished=self.done,
                i_activity=Value.cast(chip.activity[unit][lane]),
            )
        return m


def memory_scope(memory: str, channel: int) -> str:
    """Hierarchical name of the module that holds a channel's `mem`."""
    return f"bench.memory_{channel}" + (".hbm.storage" if memory == "hbm" else "")


def probe_scopes(config: ChipConfig) -> list[str]:
    """Hierarchical names of the activity probes."""
    return [f"bench.probe_{LANES * unit + lane}" for unit, lane in _probed(config)]


def bench_sources(memory: str) -> list[Path]:
    """The hand-written modules that the design needs."""
    parts = [_FOLDER / "host_player.sv", _FOLDER / "activity_probe.sv"]
    return [*parts, *([_FOLDER / "ideal_memory.sv"] if memory == "ideal" else DEVICE_SOURCES)]


@cache
def bench_design(config: ChipConfig, memory: str) -> str:
    """Text of the emitted bench."""
    name = f"bench_{config.name}_{memory}"
    return emitted(name, (config.to_dict(), memory), lambda: emit(Bench(config, memory), "bench", enables=True).text)
