"""The front of a memory controller: its ports and the arbiter."""

from amaranth import Cat, EnableInserter, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4
from rtl.config import ChipConfig
from rtl.memory.arbiter import LIMIT_BITS, Arbiter
from rtl.memory.interface import MAX_PORTS, request, returned
from rtl.memory.port.port import MemoryPort

__all__ = ["MemoryFront"]


class MemoryFront(wiring.Component):
    """The border between the clocks: AXI moves in every clock, all other streams in those of `enable`.

    Parameters
    ----------
    config, id_bits, interleave
        As of :class:`MemoryPort`.
    ports
        1 to 4.

    Members
    -------
    axi
        The ports.
    enable
        The memory side's clocks.
    service, requests, starve_limit
        As of :class:`rtl.memory.arbiter.Arbiter`, in the clocks of `enable`.
    returned
        Valid for one clock of `enable`, never stalled.
    refused
        Accesses that were answered by an error of protocol or range; their number in each clock, from a register.
    """

    def __init__(self, config: ChipConfig, ports: int, id_bits: int, *, interleave: bool = True):
        if not 1 <= ports <= MAX_PORTS:
            raise ValueError(f"a memory controller has 1 to {MAX_PORTS} ports, not {ports}")
        self.config, self.id_bits = config, id_bits
        self._ports = [MemoryPort(config, number, id_bits, interleave=interleave) for number in range(ports)]
        self.atom_bits = self._ports[0].atom_bits
        super().__init__({
            "axi": In(AXI4(32, config.bus_bytes, id_bits, quality=True)).array(ports),
            "enable": In(1), "service": In(stream.Signature(request(self.atom_bits))),
            "requests": Out(stream.Signature(request(self.atom_bits))),
            "starve_limit": In(LIMIT_BITS),
            "returned": In(returned()), "refused": Out(range(2 * ports + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        arbiter = Arbiter(self.atom_bits, len(self._ports))
        m.submodules.arbiter = EnableInserter(self.enable)(arbiter)
        wiring.connect(m, wiring.flipped(self.service), arbiter.service)
        wiring.connect(m, arbiter.requests, wiring.flipped(self.requests))
        m.d.comb += [
            arbiter.starve_limit.eq(self.starve_limit),
        ]
        for number, port in enumerate(self._ports):
            m.submodules[f"port{number}"] = port
            wiring.connect(m, wiring.flipped(self.axi[number]), port.axi)
            m.d.comb += [port.returned.eq(self.returned), port.returned.valid.eq(self.returned.valid & self.enable)]
            for ours, theirs in ((port.reads, arbiter.reads[number]), (port.writes, arbiter.writes[number])):
                m.d.comb += [theirs.payload.eq(ours.payload), theirs.valid.eq(ours.valid), ours.ready.eq(theirs.ready & self.enable)]
        m.d.sync += self.refused.eq(sum(Cat(port.refused for port in self._ports)))
        return m
