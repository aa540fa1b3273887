"""The cluster's own unit: a sequencer with a data engine between L2 and L3, beside the SIPs."""

from amaranth import Module
from amaranth.lib import wiring

from rtl.config import ChipConfig
from rtl.data_engine.engine import DataEngine
from rtl.sequencer.sequencer import Sequencer
from rtl.sip import connect_sequencer, sequencer_ports

__all__ = ["ClusterUnit"]


class ClusterUnit(wiring.Component):
    """Members are those of :func:`rtl.sip.sequencer_ports`; its program is entry `sips` of an image, its job-mask bit `sips`."""

    def __init__(self, config: ChipConfig):
        self._config = config
        super().__init__(sequencer_ports(config))

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self._config, cluster=True)
        m.submodules.data_engine = data_engine = DataEngine(self._config, cluster=True)
        connect_sequencer(m, self, sequencer, {"data": data_engine})
        return m
