"""One SIP: sequencer, tensor core, vector engine, data engine and their L1. It touches nothing outside but by its data engine."""

from amaranth import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, FABRIC_ADDRESS_BITS, AXI4Read
from rtl.common.once import EmitOnce
from rtl.config import ChipConfig
from rtl.data_engine.engine import DataEngine
from rtl.isa import Activity, Cause, Window
from rtl.l1.port import l1_ports
from rtl.l1.scratchpad import L1
from rtl.sequencer.interface import ENDED, SIGNALS, LaunchRequest, RemoteSignal
from rtl.sequencer.sequencer import Sequencer
from rtl.tensor.core import TensorCore
from rtl.vector.engine import VectorEngine

__all__ = ["LANES", "Sip", "connect_sequencer", "sequencer_ports"]

#: Engines whose activity a sequencer's unit reports, in the order of `rtl.isa.Engine`.
LANES = 4


def sequencer_ports(config: ChipConfig) -> dict:
    """Ports that SIPs and the cluster's own unit share: job in, fabric masters, events, watchdog, what the counters need."""
    return {
        "index": In(5),
        "launch": In(stream.Signature(LaunchRequest)),
        "ended": Out(ENDED),
        "cancel": In(1),
        "watchdog": In(32),
        "window": In(Window),
        "fetch": Out(AXI4Read(FABRIC_ADDRESS_BITS, config.bus_bytes, 1)),
        "data": Out(AXI4(FABRIC_ADDRESS_BITS, config.bus_bytes, 1)),
        "signal_out": Out(stream.Signature(RemoteSignal)),
        "signal_in": In(SIGNALS),
        "issue": Out(1),
        "completion": Out(1),
        "overflow": Out(1),
        "activity": Out(data.ArrayLayout(Activity, LANES)),
    }


class Sip(EmitOnce):
    """Members are those of :func:`sequencer_ports`; `index` is tied by the chip, so that all SIPs are one module.

    Tensor core and vector engine have a reset of their own beside the chip's: after an error the sequencer clears them.
    """

    def __init__(self, config: ChipConfig):
        self._config = config
        super().__init__(sequencer_ports(config))

    @property
    def key(self):
        return (self._config,)

    def build(self, platform):
        m = Module()
        config = self._config
        m.submodules.sequencer = sequencer = Sequencer(config, cluster=False)
        m.submodules.l1 = l1 = L1(config)
        m.submodules.data_engine = data_engine = DataEngine(config, cluster=False)

        # Same clock, one more reset.
        m.domains.engine = ClockDomain(local=True)
        m.d.comb += [
            ClockSignal("engine").eq(ClockSignal()),
            ResetSignal("engine").eq(ResetSignal() | sequencer.engine_reset),
        ]
        tensor, vector = TensorCore(config), VectorEngine(config)
        m.submodules.tensor = DomainRenamer("engine")(tensor)
        m.submodules.vector = DomainRenamer("engine")(vector)

        connect_sequencer(m, self, sequencer, {"tensor": tensor, "vector": vector, "data": data_engine})
        wiring.connect(m, tensor.result, vector.result)
        for name in l1_ports(config):
            engine = {"tensor": tensor, "vector": vector, "data": data_engine}[name.split("_")[0]]
            wiring.connect(m, getattr(engine, name), getattr(l1, name))
        m.d.sync += self.overflow.eq(tensor.overflow)
        return m


def connect_sequencer(m: Module, unit, sequencer, engines: dict):
    """Wires a sequencer to the ports of its unit (a SIP or the cluster's) and to its engines, by name."""
    data_engine = engines["data"]
    m.d.comb += [
        sequencer.index.eq(unit.index),
        sequencer.cancel.eq(unit.cancel),
        sequencer.watchdog.eq(unit.watchdog),
        sequencer.signal_in.eq(unit.signal_in),
        unit.ended.eq(sequencer.ended),
        data_engine.window.eq(unit.window),
        data_engine.flush.eq(sequencer.data_flush),
        sequencer.data_idle.eq(data_engine.activity.cause == Cause.IDLE),
    ]
    wiring.connect(m, wiring.flipped(unit.launch), sequencer.launch)
    wiring.connect(m, sequencer.fetch, wiring.flipped(unit.fetch))
    wiring.connect(m, sequencer.signal_out, wiring.flipped(unit.signal_out))
    wiring.connect(m, data_engine.axi, wiring.flipped(unit.data))
    lanes = [Activity.const({"cause": Cause.IDLE})] * (LANES - 1)
    for number, name in enumerate(("tensor", "vector", "data")):
        if name not in engines:
            continue
        engine = engines[name]
        command = getattr(sequencer, name)
        wiring.connect(m, command, engine.command)
        m.d.comb += [
            getattr(sequencer, f"{name}_done").eq(engine.done),
            sequencer.busy[number].eq(engine.activity.cause == Cause.BUSY),
        ]
        # An engine without a command whose queue holds one that waits for an event counts as waiting for that, under its tag.
        lane = Signal(Activity, name=f"{name}_lane")
        m.d.comb += lane.eq(engine.activity)
        with m.If((engine.activity.cause == Cause.IDLE) & sequencer.waiting[number]):
            m.d.comb += [lane.cause.eq(Cause.EVENT), lane.tag.eq(command.payload.tag[:16])]
        lanes[number] = lane
    for number, lane in enumerate((*lanes, sequencer.activity)):
        m.d.sync += unit.activity[number].eq(lane)
    m.d.sync += [
        unit.issue.eq(sequencer.issue),
        unit.completion.eq(sequencer.completion),
    ]

