"""The AXI4 fabric: every master reaches every memory channel and every L2 port."""

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, FABRIC_ADDRESS_BITS, AXI4Read
from rtl.config import ChipConfig
from rtl.fabric.channels import (
    accept_address,
    accept_write,
    offer_address,
    offer_write,
    return_read,
    return_response,
    take_read,
    take_response,
)
from rtl.fabric.map import LOCAL_ADDRESS_BITS, slaves
from rtl.fabric.read import ReadMaster, ReadSlave, slot_bits
from rtl.fabric.refusal import Refusal
from rtl.fabric.write import WriteMaster, WriteSlave

__all__ = ["HOST_ID_BITS", "INNER_ID_BITS", "WHOLE_CHUNKS", "Fabric", "slave_id_bits"]

#: Width of the host's IDs, and of those of the masters inside the chip.
HOST_ID_BITS = 4
INNER_ID_BITS = 1

#: Reads in flight of a master that asks for whole chunks: at a beat of 16 byte a cycle 256 cycles, more than the time to L3 and back. Each
#: takes a chunk of memory.
WHOLE_CHUNKS = 16


def _masters(config: ChipConfig) -> int:
    """The host, a data engine and a command fetch per SIP, and those of the cluster."""
    return 1 + 2 * (config.sips + 1)


def slave_id_bits(config: ChipConfig) -> int:
    """Width of the IDs at the slaves: the master's number above the slot of a read; writes have slot 0."""
    return slot_bits(config) + (_masters(config) - 1).bit_length()


class Fabric(wiring.Component):
    """Crossbar of `2 * sips + 3` masters and `channels + l2_ports` slaves.

    Every burst is INCR, of full-width aligned beats, and inside one chunk of 256 byte (:data:`rtl.bus.axi.CHUNK_BYTES`).
    Per master and direction, responses come in the order of the requests; reads and writes are not ordered among each other. A burst
    outside L3 and L2 ends with DECERR, a write among them without effect.

    Parameters
    ----------
    host_id_bits
        Width of the host's IDs.

    Members
    -------
    host, data[sip], cluster_data
        Masters that read and write. `host` stands behind a :class:`rtl.fabric.host_port.HostPort`.
    fetch[sip], cluster_fetch
        Masters that read.
    memory[channel], l2[port]
        Slaves with local addresses (:mod:`rtl.fabric.map`). They may answer bursts of different IDs in any order and mix their read
        beats. Responses are always taken; read data too, once other slaves' beats for the same master have had their turn.

    One beat a cycle per slave and direction, and per master and direction; `config.outstanding` bursts in flight per master and
    direction, but at most `WHOLE_CHUNKS` reads of the host and of each fetch. An
    idle fabric adds two cycles to AR and AW, four to R and B. All channels are registered at both sides.
    """

    def __init__(self, config: ChipConfig, *, host_id_bits: int = HOST_ID_BITS):
        self.config = config
        self.host_id_bits = host_id_bits
        bus = config.bus_bytes
        inner = (FABRIC_ADDRESS_BITS, bus, INNER_ID_BITS)
        outer = AXI4(LOCAL_ADDRESS_BITS, bus, slave_id_bits(config))
        super().__init__({
            "host": In(AXI4(FABRIC_ADDRESS_BITS, bus, host_id_bits)),
            "data": In(AXI4(*inner)).array(config.sips),
            "cluster_data": In(AXI4(*inner)),
            "fetch": In(AXI4Read(*inner)).array(config.sips),
            "cluster_fetch": In(AXI4Read(*inner)),
            "memory": Out(outer).array(config.channels),
            "l2": Out(outer).array(config.l2_ports),
        })

    def elaborate(self, platform):
        m = Module()
        sips = range(self.config.sips)
        writers = {"host": self.host, **{f"data_{sip}": self.data[sip] for sip in sips}, "cluster_data": self.cluster_data}
        readers = {**writers, **{f"fetch_{sip}": self.fetch[sip] for sip in sips}, "cluster_fetch": self.cluster_fetch}
        ports = {
            **{f"memory_{number}": port for number, port in enumerate(self.memory)},
            **{f"l2_{number}": port for number, port in enumerate(self.l2)},
        }
        assert len(readers) == _masters(self.config) and len(ports) + 1 == slaves(self.config)
        self._reads(m, readers, ports)
        self._writes(m, writers, ports)
        return m

    def _reads(self, m: Module, readers: dict, ports: dict):
        masters, crossings = [], []
        for name, port in readers.items():
            # Only data engines read short rows.
            depth = self.config.outstanding if "data" in name else min(self.config.outstanding, WHOLE_CHUNKS)
            master = ReadMaster(self.config, port.signature.id_bits, depth)
            m.submodules[f"read_{name}"] = master
            m.d.comb += [*accept_address(port, "ar", master.ar), *return_read(master.r, port)]
            masters.append(master)
        for name in (*ports, "refusal"):
            m.submodules[f"read_{name}"] = slave = ReadSlave(self.config, len(masters))
            crossings.append(slave)
        for slave, port in zip(crossings, ports.values(), strict=False):
            m.d.comb += [*offer_address(slave.ar, port, "ar"), *take_read(port, slave.r)]
        m.submodules.refusal = self._refusal = Refusal(self.config.bus_bytes, slave_id_bits(self.config))
        wiring.connect(m, crossings[-1].ar, self._refusal.ar)
        wiring.connect(m, self._refusal.r, crossings[-1].r)

        for i, master in enumerate(masters):
            taken = []
            for j, slave in enumerate(crossings):
                mine = master.request.payload.target[j]
                m.d.comb += [slave.request[i].payload.eq(master.request.payload), slave.request[i].valid.eq(master.request.valid & mine)]
                taken.append(slave.request[i].ready & mine)
                wiring.connect(m, slave.beat[i], master.beat[j])
            m.d.comb += master.request.ready.eq(Cat(taken).any())

    def _writes(self, m: Module, writers: dict, ports: dict):
        masters, crossings = [], []
        for name, port in writers.items():
            master = WriteMaster(self.config, port.signature.id_bits)
            m.submodules[f"write_{name}"] = master
            m.d.comb += [*accept_address(port, "aw", master.aw), *accept_write(port, master.w), *return_response(master.b, port)]
            masters.append(master)
        for name in (*ports, "refusal"):
            slave = WriteSlave(self.config, len(masters), slave_id_bits(self.config), slot_bits(self.config))
            m.submodules[f"write_{name}"] = slave
            crossings.append(slave)
        for slave, port in zip(crossings, ports.values(), strict=False):
            m.d.comb += [*offer_address(slave.aw, port, "aw"), *offer_write(slave.w, port), *take_response(port, slave.b)]
        for channel in ("aw", "w"):
            wiring.connect(m, getattr(crossings[-1], channel), getattr(self._refusal, channel))
        wiring.connect(m, self._refusal.b, crossings[-1].b)

        for i, master in enumerate(masters):
            for name in ("request", "data"):
                source = getattr(master, name)
                taken = []
                for j, slave in enumerate(crossings):
                    mine, sink = source.payload.target[j], getattr(slave, name)[i]
                    m.d.comb += [sink.payload.eq(source.payload), sink.valid.eq(source.valid & mine)]
                    taken.append(sink.ready & mine)
                m.d.comb += source.ready.eq(Cat(taken).any())
            for j, slave in enumerate(crossings):
                m.d.comb += master.result[j].eq(slave.result[i])
