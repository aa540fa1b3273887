"""The chip: host, cluster of SIPs, L2 and fabric (`Compute`), and with the memory controllers, the whole (`Chip`)."""

from amaranth import Array, Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, FABRIC_ADDRESS_BITS, AXI4Lite
from rtl.cluster import ClusterUnit
from rtl.config import ChipConfig
from rtl.fabric.fabric import HOST_ID_BITS, Fabric, slave_id_bits
from rtl.fabric.host_port import HostPort
from rtl.fabric.map import LOCAL_ADDRESS_BITS
from rtl.host.axi_lite import ADDRESS_BITS
from rtl.host.host import MEMORY_REGISTERS, Host
from rtl.isa import Activity
from rtl.l2.scratchpad import L2
from rtl.memory.controller import MemoryController
from rtl.memory.dfi import DFI
from rtl.memory.timing import TimingSet
from rtl.sequencer.router import EventRouter
from rtl.sip import LANES, Sip

__all__ = ["Chip", "Compute"]


def _host_ports(config: ChipConfig) -> dict:
    return {
        "host": In(AXI4Lite(ADDRESS_BITS)),
        "host_memory": In(AXI4(FABRIC_ADDRESS_BITS, config.bus_bytes, HOST_ID_BITS)),
        "interrupt": Out(1),
        "activity": Out(data.ArrayLayout(data.ArrayLayout(Activity, LANES), config.sips + 1)),
    }


class Compute(wiring.Component):
    """Everything up to the memory channels.

    Members
    -------
    host
        AXI4-Lite registers (`rtl.isa.HostRegister`).
    host_memory
        The host's AXI4 way into device memory; bit 32 of the address selects L2.
    interrupt
        High while an enabled interrupt is pending.
    activity
        What each engine of each sequencer does, the cluster's own last.
    memory[channel], memory_ready
        One AXI4 master for each memory channel, with the fabric's rules for bursts; a channel's bit says that it is initialised.
    memory_registers[channel]
        The registers of its controller.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        channel = AXI4(LOCAL_ADDRESS_BITS, config.bus_bytes, slave_id_bits(config))
        super().__init__({
            **_host_ports(config),
            "memory": Out(channel).array(config.channels),
            "memory_ready": In(config.channels),
            "memory_registers": Out(MEMORY_REGISTERS).array(config.channels),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.host = host = Host(config)
        m.submodules.host_port = host_port = HostPort(config)
        m.submodules.fabric = fabric = Fabric(config)
        m.submodules.l2 = l2 = L2(config, slave_id_bits(config))
        m.submodules.router = router = EventRouter(config)
        units = []
        for number in range(config.sips):
            m.submodules[f"sip_{number}"] = sip = Sip(config)
            units.append(sip)
        m.submodules.cluster = cluster = ClusterUnit(config)
        units.append(cluster)

        wiring.connect(m, wiring.flipped(self.host), host.axi)
        wiring.connect(m, wiring.flipped(self.host_memory), host_port.host)
        wiring.connect(m, host_port.fabric, fabric.host)
        for number in range(config.l2_ports):
            wiring.connect(m, fabric.l2[number], l2.ports[number])
        for number in range(config.channels):
            wiring.connect(m, fabric.memory[number], wiring.flipped(self.memory[number]))
            wiring.connect(m, host.memory[number], wiring.flipped(self.memory_registers[number]))
        m.d.comb += [self.interrupt.eq(host.interrupt), host.memory_ready.eq(self.memory_ready.all())]

        # The window of the running job, one register for all data engines.
        window = Signal.like(host.windows[0])
        m.d.sync += window.eq(Array(host.windows)[host.partition])
        fetches = [*fabric.fetch, fabric.cluster_fetch]
        movers = [*fabric.data, fabric.cluster_data]
        for number, unit in enumerate(units):
            wiring.connect(m, unit.fetch, fetches[number])
            wiring.connect(m, unit.data, movers[number])
            wiring.connect(m, host.launch[number], unit.launch)
            wiring.connect(m, unit.signal_out, router.source[number])
            m.d.comb += [
                unit.index.eq(number),
                unit.signal_in.eq(router.sink[number]),
                unit.cancel.eq(host.cancel[number]),
                unit.watchdog.eq(host.watchdog),
                unit.window.eq(window),
                host.ended[number].eq(unit.ended),
                self.activity[number].eq(unit.activity),
            ]
            for lane, name in enumerate(("tensor", "vector", "data", "sequencer")):
                m.d.comb += host.causes[number][name].eq(unit.activity[lane].cause)
        m.d.comb += [
            host.overflow.eq(Cat(unit.overflow for unit in units[: config.sips])),
            host.issue.eq(Cat(unit.issue for unit in units)),
            host.completion.eq(Cat(unit.completion for unit in units)),
        ]
        return m


class Chip(wiring.Component):
    """The chip with a memory controller for each pseudo-channel. Members as in :class:`Compute`, with `dfi[channel]` for its memories."""

    def __init__(self, config: ChipConfig, timing: TimingSet | None = None):
        self.config = config
        self.timing = TimingSet.load(config.dram_timing) if timing is None else timing
        super().__init__({**_host_ports(config), "dfi": Out(DFI()).array(config.channels)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.compute = compute = Compute(self.config)
        wiring.connect(m, wiring.flipped(self.host), compute.host)
        wiring.connect(m, wiring.flipped(self.host_memory), compute.host_memory)
        m.d.comb += [self.interrupt.eq(compute.interrupt), self.activity.eq(compute.activity)]
        for channel in range(self.config.channels):
            m.submodules[f"memory_{channel}"] = controller = MemoryController(
                self.config, self.timing, id_bits=slave_id_bits(self.config)
            )
            wiring.connect(m, compute.memory[channel], controller.axi)
            wiring.connect(m, compute.memory_registers[channel], controller.registers)
            wiring.connect(m, controller.dfi, wiring.flipped(self.dfi[channel]))
            m.d.comb += compute.memory_ready[channel].eq(controller.ready)
        return m
