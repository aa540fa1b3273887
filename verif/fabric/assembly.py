"""The fabric with its host port, as the chip has them: what the tests of this folder drive."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from rtl.bus.axi import AXI4, FABRIC_ADDRESS_BITS
from rtl.config import ChipConfig
from rtl.fabric.fabric import HOST_ID_BITS, Fabric
from rtl.fabric.host_port import HostPort

__all__ = ["Assembly"]


class Assembly(wiring.Component):
    """Ports as those of :class:`rtl.fabric.fabric.Fabric`, but `host` takes any burst."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self._fabric = Fabric(config)
        members = dict(self._fabric.signature.members)
        super().__init__({**members, "host": In(AXI4(FABRIC_ADDRESS_BITS, config.bus_bytes, HOST_ID_BITS))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fabric = fabric = self._fabric
        m.submodules.host_port = host_port = HostPort(self.config)
        wiring.connect(m, wiring.flipped(self.host), host_port.host)
        wiring.connect(m, host_port.fabric, fabric.host)
        for name in self.signature.members:
            if name == "host":
                continue
            outside, inside = getattr(self, name), getattr(fabric, name)
            pairs = zip(outside, inside, strict=True) if isinstance(outside, (list, tuple)) else [(outside, inside)]
            for one, other in pairs:
                wiring.connect(m, wiring.flipped(one), other)
        return m
