"""The L2 scratchpad: plain SRAM behind AXI4 slave ports that interleave by chunk."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from rtl.bus.axi import AXI4, Response
from rtl.common.once import EmitOnce
from rtl.common.sram import Sram
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.fabric.channels import (
    accept_address,
    accept_write,
    address_layout,
    read_layout,
    response_layout,
    return_read,
    return_response,
    write_layout,
)
from rtl.fabric.map import LOCAL_ADDRESS_BITS

__all__ = ["L2", "L2Port"]


class L2Port(EmitOnce):
    """One port and its share of the memory: a single-port SRAM that serves one beat a cycle, read or write.

    While both wait, read and write beats take turns. A burst keeps its place: reads are answered in order, writes too.

    Parameters
    ----------
    rows
        Depth of the SRAM, in words of `data_bytes`.

    Members
    -------
    axi
        Slave port; addresses count within this port's share, and wrap at its end. Bursts are as :class:`rtl.fabric.fabric.Fabric` sends
        them. Never answers with an error.

    Read data follow 4 cycles after their address, one beat a cycle.
    """

    def __init__(self, rows: int, data_bytes: int, id_bits: int):
        self.rows = rows
        self.data_bytes = data_bytes
        self.id_bits = id_bits
        super().__init__({"axi": In(AXI4(LOCAL_ADDRESS_BITS, data_bytes, id_bits))})

    @property
    def key(self) -> tuple:
        return (self.rows, self.data_bytes, self.id_bits)

    def build(self, platform):
        m = Module()
        axi, bus, ids = self.axi, self.data_bytes, self.id_bits
        m.submodules.ar = ar = StreamRegister(address_layout(LOCAL_ADDRESS_BITS, ids))
        m.submodules.r = r = StreamRegister(read_layout(bus, ids))
        m.submodules.aw = aw = StreamRegister(address_layout(LOCAL_ADDRESS_BITS, ids))
        m.submodules.w = w = StreamRegister(write_layout(bus))
        m.submodules.b = b = StreamRegister(response_layout(ids))
        m.submodules.sram = sram = Sram(self.rows, 8 * bus, granularity=8)
        m.d.comb += [
            *accept_address(axi, "ar", ar.input), *return_read(r.output, axi),
            *accept_address(axi, "aw", aw.input), *accept_write(axi, w.input), *return_response(b.output, axi),
        ]
        row_bits = len(sram.address)
        first = (bus - 1).bit_length()

        # The beat of a burst is counted from zero, so that a burst starts without a cycle of its own.
        read_beat, write_beat = Signal(8), Signal(8)
        fetched = Signal(data.StructLayout({"valid": 1, "id": ids, "last": 1}))
        read_ready, write_ready, reads, writes, wrote = Signal(), Signal(), Signal(), Signal(), Signal()
        read_last = read_beat == ar.output.payload.len
        m.d.comb += [
            read_ready.eq(ar.output.valid & (~fetched.valid | r.input.ready)),
            # The last beat needs room for its response.
            write_ready.eq(aw.output.valid & w.output.valid & (b.input.ready | ~w.output.payload.last)),
            writes.eq(write_ready & ~(read_ready & wrote)),
            reads.eq(read_ready & ~writes),
            sram.enable.eq(reads | (writes & w.output.payload.strobe.any())),
            sram.address.eq(Mux(
                writes, aw.output.payload.address[first:][:row_bits] + write_beat, ar.output.payload.address[first:][:row_bits] + read_beat,
            )),
            sram.write.eq(w.output.payload.strobe & writes.replicate(bus)),
            sram.write_data.eq(w.output.payload.data),
            ar.output.ready.eq(reads & read_last),
            w.output.ready.eq(writes),
            aw.output.ready.eq(writes & w.output.payload.last),
            b.input.valid.eq(writes & w.output.payload.last),
            b.input.payload.id.eq(aw.output.payload.id), b.input.payload.resp.eq(Response.OKAY),
            r.input.valid.eq(fetched.valid),
            r.input.payload.eq(Cat(fetched.id, sram.read_data, Response.OKAY, fetched.last)),
        ]
        m.d.sync += wrote.eq(writes)
        with m.If(reads):
            m.d.sync += [
                read_beat.eq(Mux(read_last, 0, read_beat + 1)),
                fetched.eq(Cat(1, ar.output.payload.id, read_last)),
            ]
        with m.Elif(r.input.ready):
            m.d.sync += fetched.valid.eq(0)
        with m.If(writes):
            m.d.sync += write_beat.eq(Mux(w.output.payload.last, 0, write_beat + 1))
        return m


class L2(wiring.Component):
    """L2 scratchpad of `config.l2_bytes`, shared by the whole cluster.

    Parameters
    ----------
    id_bits
        Width of the IDs, :func:`rtl.fabric.fabric.slave_id_bits`.

    Members
    -------
    ports[port]
        Each serves the chunks of 256 byte whose number is `port` modulo `config.l2_ports`, with local addresses
        (:mod:`rtl.fabric.map`). See :class:`L2Port`.
    """

    def __init__(self, config: ChipConfig, id_bits: int):
        self.config = config
        self.id_bits = id_bits
        super().__init__({"ports": In(AXI4(LOCAL_ADDRESS_BITS, config.bus_bytes, id_bits)).array(config.l2_ports)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        rows = config.l2_bytes // config.l2_ports // config.bus_bytes
        for number, outside in enumerate(self.ports):
            m.submodules[f"port_{number}"] = port = L2Port(rows, config.bus_bytes, self.id_bits)
            wiring.connect(m, wiring.flipped(outside), port.axi)
        return m
